"""One event loop in its own thread, so requests work from any thread and from inside a running loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, started at first use; a forked process gets its own."""
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():
            made = asyncio.new_event_loop()
            threading.Thread(target=made.run_forever, name="glossator-language-models", daemon=True).start()
            _running = (os.getpid(), made)
        return _running[1]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end and return the result; an interrupt cancels the work."""
    future = asyncio.run_coroutine_threadsafe(work, loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def start(work: Coroutine[Any, Any, Any]) -> None:
    """Run without waiting."""
    asyncio.run_coroutine_threadsafe(work, loop())
