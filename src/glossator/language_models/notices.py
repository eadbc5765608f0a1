"""Notices for users while requests run: waits, retries, parameters that a server rejects."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator

_lock = threading.Lock()
_listeners: list[Callable[[str], None]] = []
_said: dict[str, float] = {}


def notice(text: str, *, about: str = "", every: float = 0.0) -> None:
    """Tell whoever listens, else stderr. about: of one subject at most one notice in `every` seconds (0: all)."""
    with _lock:
        now = time.monotonic()
        if about and now - _said.get(about, -1e9) < every:
            return
        _said[about] = now
        listeners = list(_listeners[-1:])
    for tell in listeners or [_to_stderr]:
        tell(text)


@contextlib.contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Within, notices go to this function, such as one that also writes a log."""
    with _lock:
        _listeners.append(tell)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(tell)


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
