"""The engine for a Ray cluster: a running one, or one started on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from glossator.engines.base import Done, Job, Number, Task, attempt, optional_import
from glossator.engines.processes import available_cores
from glossator.specs import Takes, check_fields


@dataclass(frozen=True)
class RayEngine:
    """workers: jobs at once; None for as many as the cluster has room for. address: of a running cluster, `auto` for
    the one of this machine; None for that of the variable RAY_ADDRESS, and if there is none, a cluster that is
    started here and ends with this process. gpus: for each job, also a fraction.

    All nodes must see the study's folder under the same path and have glossator installed.
    """

    workers: Number = None
    address: str | None = None
    gpus: Annotated[float, Takes(least=0)] = 0.0
    name = "ray"

    def __post_init__(self) -> None:
        check_fields(self, " of the engine ray")

    def run(self, jobs: Sequence[Job], task: Task, *, again: bool = False) -> Generator[Done, None, None]:
        ray = self._started()
        do = ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=0)(attempt)
        waiting, running = list(jobs)[::-1], dict[Any, Job]()
        most = self.workers or len(jobs)
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    job = waiting.pop()
                    running[do.remote(task, job)] = job
                (ready,), _ = ray.wait(list(running), num_returns=1)
                job = running.pop(ready)
                try:
                    done = ray.get(ready)
                except ray.exceptions.RayTaskError as error:  # what was to be run could not be loaded there
                    done = Done(job, error)
                except ray.exceptions.RayError as error:
                    done = Done(job, lost=f"{type(error).__name__}: {str(error).splitlines()[0]}")
                yield done
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _started(self) -> Any:
        ray = optional_import("ray", "ray")
        if not ray.is_initialized():
            quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
            address = self.address or os.environ.get("RAY_ADDRESS")
            if address:
                ray.init(address=address, **quiet)
            else:
                path = {"PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
                cores = self.workers or available_cores()
                ray.init(num_cpus=cores, include_dashboard=False, runtime_env={"env_vars": path}, **quiet)
        return ray
