"""The engine for this machine: one process per core."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from glossator.engines.base import Done, Job, Number, Task, attempt
from glossator.engines.processes import at_most, available_cores, can_fork, forked, fresh, logging_to, spread
from glossator.specs import check_fields


@dataclass(frozen=True)
class LocalEngine:
    """workers: processes at most; None for one a core, or for this process alone where workers cannot share what it
    holds (on a GPU) and each would have to load the subject.

    A single job is done in this process, and may then use as many processes as there are workers.
    """

    workers: Number = None
    name = "local"

    def __post_init__(self) -> None:
        check_fields(self, " of the engine local")

    def run(self, jobs: Sequence[Job], task: Task, *, again: bool = False) -> Generator[Done, None, None]:
        if self.workers != 1 and (again or len(jobs) > 1):
            with at_most(self.workers):
                task.open(jobs[0])
        share = can_fork()  # asked when all is open: a subject may be on a GPU
        workers = self.workers or (available_cores() if share else 1)
        processes = min(workers, len(jobs))
        if processes < 2 and not again:  # what kills a worker must not kill this process
            with at_most(workers):
                for job in jobs:
                    task(job)
                    yield Done(job)
            return
        do = _Logged(task)
        start = (lambda: forked(do, workers // processes)) if share else (lambda: fresh(do))
        for job, reply in spread(jobs, processes, start):
            yield reply.value if reply.value is not None else Done(job, reply.error, reply.lost)


@dataclass(frozen=True)
class _Logged:
    """The task, in a process whose output goes to the log of its job."""

    task: Task

    def __call__(self, job: Job) -> Done:
        logging_to(job.log)
        return attempt(self.task, job)
