"""Jobs as data, and engines, which run jobs on processes of one or more machines.

An engine knows nothing of studies. It hands each job to a task, which opens the study's folder wherever it is called,
so that the same bytes come out whoever does a job, and a job that is done twice does no harm.
"""

from __future__ import annotations

import contextlib
import importlib
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from glossator.errors import UserError
from glossator.specs import Takes

TRIES = 5
"""How often a job is begun whose worker dies, by a signal or with its machine, before that is an error."""


Number = Annotated[int | None, Takes(least=1)]
"""An option of an engine: how many, None for its default."""


@dataclass(frozen=True)
class Job:
    """One shard of one stage of the study in a folder. Any process that sees the folder can do it."""

    folder: str
    stage: str
    shard: int

    def __str__(self) -> str:
        return f"{self.stage} shard {self.shard}"

    @property
    def log(self) -> Path:
        """The log of the worker that does this job."""
        return Path(self.folder) / "work" / self.stage / f"{self.shard:05d}.log"


class Task(Protocol):
    """The function that carries out a job; it is sent to other processes by pickle."""

    def __call__(self, job: Job) -> None: ...

    def open(self, job: Job) -> None:
        """Open the resources of jobs like this one, so that processes forked from this one share them."""
        ...


@dataclass(frozen=True)
class Done:
    """A job that ended. error: what it raised; lost: how its worker died, after which the job may be repeated."""

    job: Job
    error: Exception | None = None
    lost: str | None = None


class Engine(Protocol):
    """Registered under `engines`. Its constructor takes `workers` and what `--engine-options` may hold."""

    @property
    def name(self) -> str: ...

    def run(self, jobs: Sequence[Job], task: Task, *, again: bool = False) -> Generator[Done, None, None]:
        """Do all jobs and yield each when it ends, in any order. Closing the generator leaves nothing running.

        again: these are jobs whose workers died.
        """
        ...


def carry_out(
    engine: Engine, jobs: Sequence[Job], task: Task, note: Callable[[str], None]
) -> Generator[Job, None, None]:
    """Yield jobs as they finish; a job whose worker dies is repeated, up to `TRIES` times in all.

    Raises what a job raised, and `UserError` for one that loses every worker. note: told of each lost worker.
    """
    tries: Counter[Job] = Counter()
    left = list(jobs)
    while left:
        lost = []
        with contextlib.closing(engine.run(left, task, again=bool(tries))) as ended:
            for done in ended:
                if done.error is not None:
                    raise done.error
                if done.lost is None:
                    yield done.job
                    continue
                tries[done.job] += 1
                note(f"{done.job} lost its worker ({done.lost}), time {tries[done.job]} of {TRIES}")
                if tries[done.job] >= TRIES:
                    raise _given_up(done)
                lost.append(done.job)
        left = lost


def _given_up(done: Done) -> UserError:
    return UserError(
        f"{done.job} lost its worker {TRIES} times (the last time: {done.lost})",
        value=done.job.folder,
        fix=f"See {done.job.log}. It may need more memory, or fewer workers at once; what is done is kept",
    )


def optional_import(module: str, extra: str) -> Any:
    """Import a package that an extra installs; `UserError` says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"the engine {extra} needs the package {module}", fix=f"pip install 'glossator[{extra}]'"
        ) from error


def attempt(task: Task, job: Job) -> Done:
    """Do a job in a worker process; an exception is returned, and its traceback is kept in the log."""
    try:
        task(job)
    except Exception as error:
        with_traceback(error)
        with contextlib.suppress(OSError), open(job.log, "a", encoding="utf-8") as log:
            log.write("".join(traceback.format_exception(error)))
        return Done(job, error)
    return Done(job)


def with_traceback(error: Exception) -> None:
    """Add the traceback to an error as a note, since tracebacks do not travel between processes."""
    error.add_note("In the worker:\n" + "".join(traceback.format_tb(error.__traceback__)))
