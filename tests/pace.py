"""How long a fixed piece of work takes here and now, for tests that hold a limit of time.

A limit in seconds fails on a slower or busier machine without a fault in the code, so limits are multiples of this.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np


def pace(clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the median of nine runs, on the clock or in processor time: 5 to 15 ms."""
    return float(np.median([_seconds(clock) for _ in range(9)]))


def _seconds(clock: Callable[[], float]) -> float:
    """Objects of Python and arrays of NumPy, about half of the time each."""
    numbers = np.arange(120_000) * 7919 % 104_729
    start = clock()
    counts: dict[int, int] = {}
    for number in range(40_000):
        counts[number % 997] = counts.get(number % 997, 0) + number
    np.sort(numbers).cumsum()
    np.bincount(numbers)
    return clock() - start
