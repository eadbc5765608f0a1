"""How many threads compute. Results must not depend on it, and processes must not wait for each other's threads."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits


def available_cores() -> int:
    """The cores that this process may use, which are fewer than the machine's in a container or under a scheduler."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (len(affinity(0)) if affinity else os.cpu_count()) or 1


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


@contextlib.contextmanager
def one_thread(with_torch: bool = False) -> Iterator[None]:
    """Within, NumPy computes with one thread, and so does torch where it is loaded, or `with_torch` to load it."""
    if with_torch:
        import torch  # noqa: F401 - so that it is there to be limited
    torch_here = sys.modules.get("torch")
    threads = torch_here.get_num_threads() if torch_here else 1
    with threadpool_limits(1):
        if torch_here:
            torch_here.set_num_threads(1)
        try:
            yield
        finally:
            if torch_here:
                torch_here.set_num_threads(threads)
