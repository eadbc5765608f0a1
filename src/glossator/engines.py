"""Engines: where work is done. So far one: the cores of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

_task: Callable[[int], Any] | None = None
"""What the workers do: set before they are forked, so that neither it nor what it holds is copied to them."""


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None) -> list[Result]:
    """[function(item) for item in items], on `workers` processes (default: one a core), in order.

    Workers are forked and share what the function holds; where a system cannot fork, or for less than two items or
    cores, the work is done here. Each worker uses one thread, since threads of several workers would wait for each
    other. An exception of the function is raised here.
    """
    global _task
    workers = min(workers or os.cpu_count() or 1, len(items))
    if workers < 2 or "fork" not in multiprocessing.get_all_start_methods() or multiprocessing.parent_process():
        return [function(item) for item in items]

    def do(place: int) -> Result:
        return function(items[place])

    _task = do
    try:
        with threadpool_limits(1), multiprocessing.get_context("fork").Pool(workers, _end_with_parent) as pool:
            return pool.map(_do, range(len(items)), chunksize=1)
    finally:
        _task = None


def one_core_pool(workers: int) -> ThreadPoolExecutor:
    """A pool whose threads do not share their torch operations with other cores.

    Threads that each run a batch of their own wait for each other once a shard; one operation spread over the cores
    waits at its end, hundreds of times a batch, and what is done between operations leaves all cores but one idle.
    """
    import torch

    outside = torch.get_num_threads()
    started = threading.Barrier(workers)

    def start() -> None:
        torch.get_num_threads()  # else the thread's first operation takes the default, which is set back below
        torch.set_num_threads(1)  # of this thread, and the default of threads that start later
        started.wait()

    pool = ThreadPoolExecutor(workers, thread_name_prefix="recording")
    for future in [pool.submit(start) for _ in range(workers)]:
        future.result()
    torch.set_num_threads(outside)
    return pool


def fixed_sums() -> threadpool_limits:
    """A context in which NumPy's sums do not depend on how many threads a machine has: each is made by one thread."""
    return threadpool_limits(1, "blas")


def _end_with_parent() -> None:
    """A worker does not outlive a parent that was killed: it would only work on and complain to nobody. Linux alone."""
    import ctypes
    import signal

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _do(place: int) -> Any:
    assert _task is not None
    return _task(place)
