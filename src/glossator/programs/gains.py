"""How much a test explains, judged across parts of the documents, and the ranges of a number that explain most."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from glossator.programs.problem import PARTS, Problem
from glossator.statistics import largest

PRIOR = 12.0
"""Tokens of no effect that every test is blended with: rare coincidences must not look like findings."""


def across(covariances: np.ndarray, spread: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Variance explained (f,), estimated from covariances (f, parts) of different parts: the sum of their products,
    scaled up to what products of parts with themselves would add."""
    parts = covariances.shape[1]
    total, squares = np.zeros_like(covariances[:, 0]), np.zeros_like(covariances[:, 0])
    for part in covariances.T:  # numpy is slow along an axis as short as this
        total += part
        squares += part**2
    products = total**2 - squares
    return parts / (parts - 1) * products / (np.maximum(spread, 0) + prior)


def spread_of(mass: np.ndarray, squares: np.ndarray, total: float) -> np.ndarray:
    """Sums of squares about the mean from sums and sums of squares of a test's truth, over a weight of total."""
    return squares - mass * mass / max(total, 1.0)


def best_ranges(
    problem: Problem, numbers: np.ndarray, size: int, values: np.ndarray, weight: np.ndarray, most: int, *,
    least: int = 0, open_ended: bool = False,
) -> list[tuple[int, int | None, float]]:  # fmt: skip
    """The ranges of a number (T,) below `size` in which values (T,), a residual times weight (T,), stand out most.

    Each with its ends, both included, None for one that goes up to the last number, and what it explains.
    The whole range and ranges that gain nothing are left out. least: from there on ranges begin; open_ended: only those
    that go up to the last number.
    """
    bins = numbers + np.maximum(problem.part, 0) * size
    sums = np.bincount(bins, values, minlength=PARTS * size).reshape(PARTS, size).T
    counts = np.bincount(numbers, weight, minlength=size)
    sums = np.concatenate([np.zeros((1, PARTS)), np.cumsum(sums, axis=0)])
    counts = np.concatenate([[0.0], np.cumsum(counts)])
    total = float(problem.searched.sum())

    def gains(low: np.ndarray, high: np.ndarray) -> np.ndarray:
        inside = counts[high] - counts[low]
        return across(sums[high] - sums[low], spread_of(inside, inside, total))

    low, high = _ends(size, least, open_ended)
    gain = gains(low, high)
    found: list[tuple[int, int | None, float]] = []
    for i in largest(gain, most):
        if gain[i] > 0:
            lows, highs = _near(int(low[i]), int(high[i]), size, least, open_ended)
            nearby = gains(lows, highs)
            best = int(np.argmax(nearby))
            last = int(highs[best])
            found.append((int(lows[best]), None if last == size else last - 1, float(nearby[best])))
    return found


FINE, STEP = 12, 4
"""Up to here ranges may begin and end anywhere, from there on at every fourth number, until the best one is moved."""


@lru_cache(maxsize=64)
def _ends(size: int, least: int, open_ended: bool) -> tuple[np.ndarray, np.ndarray]:
    """Where ranges begin and (exclusively) end at first."""
    ends = np.array([*range(min(size, FINE)), *range(FINE, size, STEP), size])
    low, high = np.triu_indices(len(ends), 1)
    low, high = ends[low], ends[high]
    fit = (low >= least) & (high - low < size) & ((high == size) | (not open_ended))
    return low[fit], high[fit]


def _near(low: int, high: int, size: int, least: int, open_ended: bool) -> tuple[np.ndarray, np.ndarray]:
    """Ranges whose ends are less than a step away, the given one first."""
    lows = [low, *(x for x in range(max(least, low - STEP + 1), low + STEP) if x != low)]
    highs = [high, *(x for x in range(max(1, high - STEP + 1), min(size, high + STEP - 1) + 1) if x != high)]
    pairs = [(x, y) for x in lows for y in ([size] if open_ended else highs) if x < y and y - x < size]
    return np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])
