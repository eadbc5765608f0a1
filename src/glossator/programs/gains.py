"""How much a test explains, judged across parts of the documents, and the ranges of a number that explain most."""

from __future__ import annotations

import numpy as np

from glossator.programs.problem import PARTS, Problem

PRIOR = 12.0
"""Tokens of no effect that every test is blended with: rare coincidences must not look like findings."""


def across(covariances: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Variance explained (f,), estimated from covariances (f, parts) of different parts: the sum of their products,
    scaled up to what products of parts with themselves would add."""
    parts = covariances.shape[1]
    products = covariances.sum(axis=1) ** 2 - (covariances**2).sum(axis=1)
    return parts / (parts - 1) * products / (np.maximum(spread, 0) + PRIOR)


def spread_of(mass: np.ndarray, squares: np.ndarray, total: float) -> np.ndarray:
    """Sums of squares about the mean from sums and sums of squares of a test's truth, over a weight of total."""
    return squares - mass * mass / max(total, 1.0)


def largest(values: np.ndarray, n: int) -> np.ndarray:
    """Indices of the n largest values, largest first, ties by index."""
    if n >= len(values):
        return np.argsort(-values, kind="stable")
    bar = np.partition(values, len(values) - n)[len(values) - n]
    best = np.flatnonzero(values >= bar)
    return best[np.argsort(-values[best], kind="stable")][:n]


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
    low, high = np.triu_indices(size + 1, 1)
    fit = (low >= least) & (high - low < size)
    if open_ended:
        fit &= high == size
    low, high = low[fit], high[fit]
    inside = counts[high] - counts[low]
    gain = across(sums[high] - sums[low], spread_of(inside, inside, float(problem.searched.sum())))
    return [
        (int(low[i]), None if high[i] == size else int(high[i]) - 1, float(gain[i]))
        for i in largest(gain, most)
        if gain[i] > 0
    ]
