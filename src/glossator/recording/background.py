"""One thread that writes what is handed to it, in order, so that the disk works while the model does."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import torch


class Background:
    """Runs handed-in calls one after another; an error in one stops the rest and is raised by the next call here.

    buffers: a fixed set of float16 buffers (rows, width) for pieces on their way to the disk; taking one waits until
    one is free, which bounds the memory.
    """

    def __init__(self, rows: int, width: int, count: int = 4):
        self._calls: queue.SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[torch.Tensor] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self.rows = rows
        for _ in range(count):
            self._free.put(torch.empty((rows, width), dtype=torch.float16))
        self._thread = threading.Thread(target=self._run, name="recording-writer", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            self._error = self._error or RuntimeError("recording stopped")
        self._calls.put(None)
        self._thread.join()
        if kind is None:
            self._check()

    def do(self, call: Callable[..., Any], *args: Any) -> None:
        """Call it later, after all that was handed in before."""
        self._check()
        self._calls.put((call, args))

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
            if self._error is None:
                try:
                    item[0](*item[1])
                except BaseException as error:  # handed to the thread that asked
                    self._error = error
