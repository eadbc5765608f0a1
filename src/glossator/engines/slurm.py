"""The engine for a SLURM cluster, through submitit: the jobs of a stage are the tasks of job arrays.

Every task is a process of its own that opens the study's folder, which all nodes must see under the same path.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from glossator.engines.base import Done, Job, Number, Task, attempt, optional_import
from glossator.errors import UserError
from glossator.specs import Takes, check_fields

LOOK_SECONDS, ASK_SECONDS = 0.3, 5.0
"""How often results are looked for on the disk, and the queue is asked which tasks it still has."""
MOST_TASKS, MOST_AT_ONCE = 1000, 256
"""Tasks of one array, as a cluster allows 1,001 unless it is set up otherwise, and of those that run at once."""


@dataclass(frozen=True)
class SlurmEngine:
    """workers: tasks that run at once; None for 256. jobs: how many a task does one after the other, since it opens the
    study once; None for an even share of all. time: for each task, minutes or as `sbatch` takes it; gpus, cpus:
    for each task; memory: for each task, as `sbatch --mem` takes it (`8G`); setup: shell commands before each task;
    options: further ones of `sbatch`, by name; cluster: `slurm`, or `local` to try the same with submitit's processes
    on this machine.

    Tasks whose node is pre-empted, or whose time is over, are put into the queue again.
    """

    workers: Number = None
    jobs: Number = None
    partition: str | None = None
    time: int | str | None = None
    gpus: Number = None
    cpus: Annotated[int, Takes(least=1)] = 1
    memory: str | None = None
    account: str | None = None
    qos: str | None = None
    setup: list | None = None
    options: dict | None = None
    cluster: Literal["slurm", "local"] = "slurm"
    name = "slurm"

    def __post_init__(self) -> None:
        check_fields(self, " of the engine slurm")

    def run(self, jobs: Sequence[Job], task: Task, *, again: bool = False) -> Generator[Done, None, None]:
        executor = self._executor(Path(jobs[0].folder) / "work" / "slurm")
        local = self.cluster == "local"
        each = self.jobs or -(-len(jobs) // (self.workers or MOST_AT_ONCE))
        tasks = [jobs[first : first + each] for first in range(0, len(jobs), each)]
        size = (self.workers or 1) if local else MOST_TASKS
        for first in range(0, len(tasks), size):
            yield from self._array(executor, tasks[first : first + size], task)

    def _array(self, executor: Any, tasks: Sequence[Sequence[Job]], task: Task) -> Generator[Done, None, None]:
        """Submit these as one array and wait for all of them."""
        left = dict(zip(executor.map_array(Resubmitted(task), tasks), tasks, strict=True))
        gone: set[Any] = set()
        asked = time.monotonic()
        try:
            while left:
                time.sleep(LOOK_SECONDS)
                for found in [one for one in left if one.paths.result_pickle.exists()]:
                    yield from _results(found, left.pop(found))
                if time.monotonic() - asked > ASK_SECONDS:
                    asked = time.monotonic()
                    now = set(left) - self._alive(list(left))
                    for lost in now & gone:  # twice, as a result may take a moment to be seen from here
                        why = f"task {lost.job_id} left no result, see {lost.paths.stderr}"
                        yield from [Done(job, lost=why) for job in left.pop(lost)]
                    gone = now
        finally:
            for one in left:
                with contextlib.suppress(Exception):
                    one.cancel(check=False)

    def _alive(self, tasks: Sequence[Any]) -> set[Any]:
        """Those that wait or run; all of them where the controller does not answer.

        `squeue` is asked and not `sacct`, which needs a database that not every cluster has.
        """
        if self.cluster == "local":
            return {one for one in tasks if not one.done()}
        arrays = ",".join(sorted({one.job_id.partition("_")[0] for one in tasks}))
        command = ["squeue", "-h", "-r", "-o", "%i", "-j", arrays]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode and "Invalid job id" not in said.stderr:
            return set(tasks)
        queued = set(said.stdout.split())
        return {one for one in tasks if one.job_id in queued}

    def _executor(self, folder: Path) -> Any:
        submitit = optional_import("submitit", "slurm")
        if self.cluster == "local":
            executor = submitit.LocalExecutor(folder)
            executor.update_parameters(timeout_min=24 * 60)
            return executor
        try:
            executor = submitit.SlurmExecutor(folder)
        except RuntimeError as error:
            raise UserError(
                "SLURM is not available on this machine", fix=f"{error} Log in to a node that has sbatch"
            ) from error
        asked = {
            "partition": self.partition,
            "time": self.time,
            "gpus_per_node": self.gpus,
            "account": self.account,
            "qos": self.qos,
            "setup": self.setup,
        }
        further = {"requeue": True, **({"mem": self.memory} if self.memory else {}), **(self.options or {})}
        executor.update_parameters(
            job_name="glossator",
            cpus_per_task=self.cpus,
            array_parallelism=self.workers or MOST_AT_ONCE,
            additional_parameters=further,
            **{name: value for name, value in asked.items() if value is not None},
        )
        return executor


@dataclass(frozen=True)
class Resubmitted:
    """The task in the form that submitit repeats when a node is taken away: jobs that were done then take no time."""

    task: Task

    def __call__(self, jobs: Sequence[Job]) -> list[Done]:
        return [attempt(self.task, job) for job in jobs]

    def checkpoint(self, jobs: Sequence[Job]) -> Any:
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, jobs)


def _results(found: Any, jobs: Sequence[Job]) -> list[Done]:
    try:
        done: list[Done] = found.result()
        return done
    except Exception as error:  # what was to be run could not be loaded there
        return [Done(job, error) for job in jobs]
