"""Worker processes on this machine: each gets one item at a time, and one that dies is replaced.

Workers are forked if that is safe, and share what this process holds. Otherwise they are fresh processes, which open
what they need themselves. Results must not depend on how many threads compute, and processes must not wait for each
other's threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from glossator.engines.base import TRIES, with_traceback
from glossator.errors import UserError


def available_cores() -> int:
    """The number of cores that this process may use, fewer than the machine's in a container or under a scheduler."""
    affinity = getattr(os, "sched_getaffinity", None)
    return (len(affinity(0)) if affinity else os.cpu_count()) or 1


def cores_to_use(wanted: int | None = None) -> int:
    """So many of those wanted, by default of all, as this process may use: a worker has its share."""
    return min(number for number in (wanted or available_cores(), _most_workers) if number is not None)


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
    """A context in which NumPy computes with one thread, and so does torch where it is loaded, or `with_torch` to load
    it."""
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


Item = TypeVar("Item")
Result = TypeVar("Result")

MEMORY = "It may need more memory, or fewer workers at once"
_most_workers: int | None = None
"""How many processes `in_parallel` may use here, None for any number: a worker has its share of the cores."""


@dataclass(frozen=True)
class Reply:
    """The outcome of an item. lost: how its worker died, if it did."""

    value: Any = None
    error: Exception | None = None
    lost: str | None = None


@dataclass(frozen=True, eq=False)
class Worker:
    """A process that receives items through a connection and sends replies."""

    connection: Connection
    process: Any  # of multiprocessing or of subprocess: both can be killed

    def end(self) -> str:
        """Stop the process; returns how it ended if it had already ended."""
        self.connection.close()
        forked = isinstance(self.process, multiprocessing.process.BaseProcess)
        if forked:
            self.process.join(1)
            self.process.kill()
            self.process.join()
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
            self.process.kill()
            self.process.wait()
        code = self.process.exitcode if forked else self.process.returncode
        if code is None:  # somebody else in this process has asked first how it ended
            return "it ended"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def can_fork() -> bool:
    """Whether a forked process can go on with what this one holds: not with a GPU, and not with Apple's libraries."""
    torch = sys.modules.get("torch")
    on_a_gpu = torch is not None and torch.cuda.is_initialized()
    return "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin" and not on_a_gpu


def forked(function: Callable[[Any], Any], share: int = 1) -> Worker:
    """A worker forked from this process. share: how many processes it may use itself."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, share))
    process.start()
    theirs.close()
    return Worker(ours, process)


def fresh(function: Callable[[Any], Any]) -> Worker:
    """A worker in a new process that shares nothing with this one; the function is sent by pickle."""
    ours, theirs = multiprocessing.Pipe()
    code = f"from glossator.engines.processes import serve_as; serve_as({theirs.fileno()})"
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **limits, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL
    )
    theirs.close()
    with contextlib.suppress(OSError):  # it died, which shows when it is waited for
        ours.send_bytes(pickle.dumps(function))
    return Worker(ours, process)


def spread(
    items: Sequence[Item], workers: int, start: Callable[[], Worker]
) -> Generator[tuple[Item, Reply], None, None]:
    """Yield each item with its reply as soon as it arrives; nothing is repeated. start: makes a worker."""
    waiting, idle = deque(items), list[Worker]()
    busy: dict[Connection, tuple[Worker, Item]] = {}
    replies: list[tuple[Item, Reply]] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker, item = idle.pop() if idle else start(), waiting.popleft()
                try:
                    worker.connection.send(item)
                    busy[worker.connection] = worker, item
                except OSError:  # it died while it had nothing to do
                    replies.append((item, Reply(lost=worker.end())))
            yield from replies  # while the workers work
            replies = []
            ready = wait(list(busy))
            for connection in [c for c in busy if c in ready]:
                worker, item = busy.pop(connection)
                try:
                    replies.append((item, worker.connection.recv()))
                    idle.append(worker)
                except (EOFError, OSError, pickle.UnpicklingError):
                    replies.append((item, Reply(lost=worker.end())))
        yield from replies
    finally:
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.process.kill()
            worker.end()


def in_parallel(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None) -> list[Result]:
    """[function(item) for item in items], on `workers` processes (default: one a core), in order.

    Where processes cannot be forked, or for less than two items or cores, the work is done here. An exception of the
    function is raised here. An item whose worker dies is given to another.
    """
    return list(each_in_parallel(function, items, workers))


def each_in_parallel(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None
) -> Generator[Result, None, None]:
    """The same one by one, each as soon as it and those before it are done."""
    workers = min(cores_to_use(workers), len(items))
    if workers < 2 or not can_fork():
        yield from map(function, items)
        return
    done, results = 0, dict[int, Result]()
    deaths: Counter[int] = Counter()

    def do(place: int) -> Result:
        return function(items[place])

    while left := [place for place in range(done, len(items)) if place not in results]:
        with contextlib.closing(spread(left, workers, lambda: forked(do))) as replies:
            for place, reply in replies:
                if reply.error is not None:
                    raise reply.error
                if reply.lost is None:
                    results[place] = reply.value
                    while done in results:
                        yield results.pop(done)
                        done += 1
                    continue
                deaths[place] += 1
                if deaths[place] >= TRIES:
                    raise UserError(f"a worker died {TRIES} times at the same work", value=reply.lost, fix=MEMORY)


FIRST = 2
"""So many items `ahead` makes here: what is over so soon is not worth a process."""
RARELY = 100_000
"""Objects that its process makes between two looks for garbage, which else take a quarter of its time."""


def ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """The same items, made by another process while this one works with those before; here where none can be forked,
    and from where it died if that process dies. Raises what making them raises."""
    begun = 0
    for item in islice(items, FIRST):
        yield item
        begun += 1
    if begun < FIRST or cores_to_use() < 2 or not can_fork():
        yield from items
        return

    def make(_: None) -> list[Item]:
        gc.set_threshold(RARELY)
        return list(islice(items, 1))

    worker = forked(make)
    try:
        with contextlib.suppress(OSError):  # it died, which shows at once
            worker.connection.send(None)
        made = 0
        while (reply := _next_reply(worker)).value:
            yield reply.value[0]
            made += 1
    finally:
        worker.process.kill()
        worker.end()
    if reply.error is not None:
        raise reply.error
    if reply.lost is not None:  # here the items are where they were when it was forked
        yield from islice(items, made, None)


def _next_reply(worker: Worker) -> Reply:
    """What was asked for before, when the next is asked for: so the worker is one item ahead."""
    try:
        worker.connection.send(None)
        reply: Reply = worker.connection.recv()
    except (EOFError, OSError, pickle.UnpicklingError):
        return Reply(lost=worker.end())
    return reply


@contextlib.contextmanager
def at_most(workers: int | None) -> Iterator[None]:
    """A context in which `in_parallel` and what is like it use at most this many processes, None for as many as
    before."""
    global _most_workers
    before = _most_workers
    _most_workers = min((number for number in (before, workers) if number is not None), default=None)
    try:
        yield
    finally:
        _most_workers = before


def serve_as(descriptor: int) -> None:
    """The loop of a fresh worker, which receives its function and then items."""
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError):
        _serve(connection, pickle.loads(connection.recv_bytes()), 1)


def _serve(connection: Connection, function: Callable[[Any], Any], share: int) -> None:
    """Answer items until there are no more."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asks is stopped, and ends this one
    gc.freeze()  # what it shares with its parent is no garbage, and looking would copy it
    with one_thread(), at_most(share), contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            item = connection.recv()
            try:
                reply = Reply(function(item))
            except Exception as error:
                with_traceback(error)
                reply = Reply(error=error)
            try:
                data = pickle.dumps(reply)
            except Exception:  # what was raised cannot be sent
                data = pickle.dumps(Reply(error=RuntimeError(repr(reply.error or reply.value))))
            connection.send_bytes(data)


def logging_to(path: Any) -> None:
    """Redirect the output of this process to a file, crash messages included; only for workers."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        faulthandler.enable(2)


def keep_freed_memory() -> None:
    """Have this process and those that it forks use freed memory again in place of giving it back, in all threads.

    A model's pass asks for the same large arrays over and over. glibc's allocator gives them back and waits for new
    pages each time, most of all in threads, whose arenas it empties heap by heap; where a model runs in several, that
    is a tenth of a recording's time and more. Other allocators, and settings of the user's, stay as they are. Best
    before threads are started: those that were have heaps of their own, which hold no more than 64 MB.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    with contextlib.suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            if not libc.mallopt(_MMAP, 1 << 30):  # older ones take half a heap at most
                libc.mallopt(_MMAP, 1 << 25)
            for setting, value in ((_ARENAS, 1), (_TRIM, 1 << 30), (_PAD, 1 << 26)):
                libc.mallopt(setting, value)


_ARENAS, _TRIM, _PAD, _MMAP = -8, -1, -2, -3
"""glibc's M_ARENA_MAX, M_TRIM_THRESHOLD, M_TOP_PAD (with less, threads give empty heaps back) and M_MMAP_THRESHOLD."""


def _end_with_parent() -> None:
    """A worker does not outlive a parent that was killed: it would only work on and complain to nobody. Linux alone."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
