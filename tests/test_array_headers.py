"""Headers of arrays are read by one thread at a time, as Python 3.11 fails at parsing several at once."""

from __future__ import annotations

import ast
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossator.files import ONE_HEADER, read_array
from glossator.recording.store import ArrayReader


@pytest.mark.parametrize("read", [ArrayReader, lambda path: read_array(path, "an array", "")])
def test_one_thread_parses_at_a_time(
    read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(3, 4))
    parse, inside, most = ast.literal_eval, threading.Semaphore(0), []

    def slow(text: str) -> Any:
        inside.release()
        most.append(inside._value)
        time.sleep(0.01)
        found = parse(text)
        inside.acquire()
        return found

    monkeypatch.setattr(ast, "literal_eval", slow)
    with ThreadPoolExecutor(4) as pool:
        shapes = [found.shape for found in pool.map(read, [tmp_path / "a.npy"] * 12)]
    assert (shapes, max(most)) == ([(3, 4)] * 12, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_process_is_not_held_up(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    with ONE_HEADER, multiprocessing.get_context("fork").Pool(1) as pool:  # as if another thread read at that moment
        found = pool.apply_async(read_array, (tmp_path / "a.npy", "an array", ""))
        assert found.get(timeout=30).tolist() == [0, 1, 2]
