"""Engines: where work is done. Jobs are data; see `glossator.engines.base`."""

from glossator.engines.base import Done, Engine, Job, Task, carry_out
from glossator.engines.compiling import compiled
from glossator.engines.local import LocalEngine
from glossator.engines.processes import (
    ahead,
    at_most,
    available_cores,
    cores_to_use,
    each_in_parallel,
    fixed_sums,
    in_parallel,
    keep_freed_memory,
    one_core_pool,
    one_thread,
)

__all__ = [
    "Done",
    "Engine",
    "Job",
    "LocalEngine",
    "Task",
    "ahead",
    "at_most",
    "available_cores",
    "carry_out",
    "compiled",
    "cores_to_use",
    "each_in_parallel",
    "fixed_sums",
    "in_parallel",
    "keep_freed_memory",
    "one_core_pool",
    "one_thread",
]
