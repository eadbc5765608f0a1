"""How much a test explains, judged across parts of the documents, and the ranges of a number that explain most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np

from glossator.programs.loops import sums_below
from glossator.programs.problem import PARTS, Problem
from glossator.statistics import largest

PRIOR = 12.0
"""Tokens of no effect that every test is blended with: rare coincidences must not look like findings."""


def across(covariances: np.ndarray, spread: np.ndarray, prior: float = PRIOR) -> np.ndarray:
    """Variance explained (f,), estimated from covariances (f, parts) of different parts: the sum of their products,
    scaled up to what products of parts with themselves would add."""
    parts = covariances.shape[1]
    total = covariances @ np.ones(parts, covariances.dtype)  # summing is slow along an axis as short as this
    products = total**2 - np.einsum("fp,fp->f", covariances, covariances)
    return parts / (parts - 1) * products / (np.maximum(spread, 0) + prior)


def spread_of(mass: np.ndarray, squares: np.ndarray, total: float) -> np.ndarray:
    """Sums of squares about the mean from sums and sums of squares of a test's truth, over a weight of total."""
    return squares - mass * mass / max(total, 1.0)


@dataclass(frozen=True, eq=False)
class Weighed:
    """A residual where something counts. rows: which of the T places do, t of them; weight (t,) of each; values (t,):
    the residual times the weight."""

    problem: Problem
    rows: np.ndarray | slice
    weight: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, problem: Problem, residual: np.ndarray, mask: np.ndarray | None = None) -> Weighed:
        """A residual (T,) where it is searched on, weighed by a test's truth (T,) if there is one."""
        if mask is None:
            return cls(problem, slice(None), problem.searched, problem.searched * residual)
        weight = problem.searched * mask
        rows = np.flatnonzero(weight != 0)
        return cls(problem, rows, weight[rows], weight[rows] * residual[rows])

    @cached_property
    def part(self) -> np.ndarray:
        return self.problem.dealt[self.rows]

    @cached_property
    def dense(self) -> np.ndarray:
        """The values at all places of all windows, 0 elsewhere: (n * width,)."""
        return self._dense(self.values)

    @cached_property
    def dense_weight(self) -> np.ndarray:
        return self._dense(self.weight)

    @cached_property
    def running(self) -> tuple[np.ndarray, np.ndarray]:
        """Running sums of both."""
        return np.cumsum(self.dense), np.cumsum(self.dense_weight)

    def scaled(self, share: np.ndarray) -> Weighed:
        """As if what is counted were multiplied by share (T,)."""
        here = share[self.rows]
        return replace(self, weight=self.weight * here**2, values=self.values * here)

    def without(self, truth: np.ndarray) -> Weighed:
        """What is left once a test with this truth (T,) has its strength."""
        column = truth[self.rows] - np.average(truth[self.rows], weights=self.weight)
        strength = float(self.values @ column) / max(float(self.weight @ column**2), 1e-9)
        return replace(self, values=self.values - self.weight * column * strength)

    def gain_of(self, truth: np.ndarray) -> float:
        """What a test with this truth (T,) explains."""
        column = truth[self.rows]
        covariances = np.bincount(self.part, self.values * column, minlength=PARTS)
        mass, squares = float(self.weight @ column), float(self.weight @ column**2)
        spread = spread_of(np.array([mass]), np.array([squares]), float(self.problem.searched.sum()))
        return float(across(covariances[None], spread)[0])

    def _dense(self, values: np.ndarray) -> np.ndarray:
        found = np.zeros(self.problem.reading.ids.size)
        found[self.problem.flat[self.rows]] = values
        return found


def best_ranges(
    of: Weighed, numbers: np.ndarray, size: int, most: int, *, least: int = 0, open_ended: bool = False
) -> list[tuple[int, int | None, float]]:
    """The ranges of a number (T,) below `size` in which a residual stands out most.

    Each with its ends, both included, None for one that goes up to the last number, and what it explains.
    The whole range and ranges that gain nothing are left out. least: from there on ranges begin; open_ended: only those
    that go up to the last number.
    """
    sums, counts = np.empty((size + 1, PARTS)), np.empty(size + 1)
    sums_below(np.ascontiguousarray(numbers[of.rows], np.int64), of.part, of.values, of.weight, sums, counts)
    total = float(of.problem.searched.sum())

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
