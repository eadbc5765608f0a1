"""Threads beside the forward pass: one that writes in order, and a pool whose threads each compute on one core."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch

from glossator.recording.store import ArrayWriter


def in_turn(
    pool: ThreadPoolExecutor, call: Callable[[Any], Any], items: Iterable[Any], ahead: int = 2
) -> Iterator[Any]:
    """Yield results in the order of the items, with at most `ahead` calls running or waiting."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class Background:
    """Runs calls one after another in a thread; an error in one stops the rest and is raised by the next call of a
    method.

    values: how many float16 values each of a fixed set of buffers holds, for pieces on their way to the disk; taking
    one waits until one is free, which bounds the memory.
    """

    def __init__(self, values: int, count: int = 4):
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[torch.Tensor] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._files: list[ArrayWriter] = []
        self.values = values
        for _ in range(count):
            self._free.put(torch.empty(values, dtype=torch.float16))
        self._thread = threading.Thread(target=self._run, name="recording-writer", daemon=True)
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="recording-disk")

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            self._error = self._error or RuntimeError("recording stopped")
        self._calls.put(None)
        self._thread.join()
        self._aside.shutdown(wait=True)
        for file in self._files:
            file.abandon()
        if kind is None:
            self._check()

    def do(self, call: Callable[..., Any], *args: Any) -> None:
        """Run a call after all that were handed in before."""
        self._check()
        self._calls.put((call, args))

    def do_aside(self, call: Callable[..., Any], *args: Any) -> None:
        """As `do`, but later calls do not wait for it: for waiting for the disk."""
        self.do(self._aside.submit, self._guarded, call, args)

    def keep(self, file: ArrayWriter) -> None:
        """Close this file at the end, even if the calls that fill it are not run."""
        self._files = [*(f for f in self._files if not f.closed), file]

    def buffer(self) -> torch.Tensor:
        """A free buffer; give it back with `release` from a call handed to `do`."""
        while True:
            self._check()
            try:
                return self._free.get(timeout=1.0)
            except queue.Empty:
                continue

    def release(self, buffer: torch.Tensor) -> None:
        self._free.put(buffer)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (item := self._calls.get()) is not None:
            self._guarded(*item)

    def _guarded(self, call: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._error is None:
            try:
                call(*args)
            except BaseException as error:  # handed to the thread that asked
                self._error = error
