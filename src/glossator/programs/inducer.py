"""The inducer: search for the program that best predicts a unit for its length, without a language model.

Greedy forward selection, with all strengths refitted after each step (orthogonal matching pursuit). The residual is
compared with every test of the bank on this token and the one before. At intervals, tests further back, positions and
conjunctions with existing tests are added. The gain of a step is judged across parts of the documents.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.programs import loops
from glossator.programs.bank import characters
from glossator.programs.candidates import Pool, Single
from glossator.programs.language import Test
from glossator.programs.memory import ASPECTS
from glossator.programs.problem import Problem

RIDGE = 5.0
"""Strength of the ridge in tokens, where nothing is explained yet. It shrinks with the share of the variance that is
left: noise is what it guards against, and a unit that a test explains wholly has none, however rarely it fires."""
LEAST_RIDGE = 1e-3
SETTLED = 4
"""At most so many times the ridge is made to follow what is left; it stops when that has not halved."""
LOOKS = frozenset({0, 3, 9, 20, 36})
"""Steps before which the whole bank is looked at again."""
EXPANSIONS = frozenset({0, 3, 10})
REMEMBERING = frozenset({0, 3})
"""Expansions at which tests with memory are tried, which take longest."""
BASES = 2
WORTH_REFINING = 0.03
"""A test with memory is refined if it explains this share of the variance."""
ALIKE = 0.96
"""Squared cosine from which on two tests are copies of one another on the tokens at hand."""


@dataclass(frozen=True, eq=False)
class Path:
    """Tests in the order they were found, their truths (m, T), and the share of variance that each step gained."""

    singles: tuple[Single, ...]
    gains: tuple[float, ...]


def search(
    problem: Problem, *, most: int, least_gain: float, room: float | None = None, offset: np.ndarray | None = None
) -> Path:
    """Find up to `most` tests. A step that explains less than `least_gain` of the variance ends the search, and so
    does a test whose English has no room: so many characters, None for no limit. offset (T,): what is already
    predicted, for a search on top of it.
    """
    train = problem.searched
    target = problem.target if offset is None else problem.target - offset
    if not train.any():
        return Path((), ())
    mean = float(np.average(target, weights=train))
    variance = float(train @ (target - mean) ** 2)
    if variance <= 0:
        return Path((), ())
    pool = Pool(problem)
    fit = _Fit(target, train)
    residual, left = target - mean, variance
    found: list[Single] = []
    gains: list[float] = []
    taken: set[Test] = set()
    said = 0
    for step in range(most):
        if step in LOOKS:
            pool.look(residual)
        if step in EXPANSIONS:
            pool.expand(residual, _bases(pool, residual, found), remember=step in REMEMBERING)
        best = pool.best(residual, taken, noise=least_gain * variance)
        while best is not None and fit.has_copy_of(best[1].truth):
            taken.add(best[1].test)
            best = pool.best(residual, taken, noise=least_gain * variance)
        if best is None or (room is not None and said + characters(best[1].test) > room):
            break
        taken.add(best[1].test)
        single = pool.refined(best[1], residual) if best[0] >= WORTH_REFINING * variance else best[1]
        found.append(single)
        said += characters(single.test)
        taken.add(single.test)
        residual = target - fit.add(single.truth)
        before, left = left, float(train @ residual**2)
        gains.append((before - left) / variance)
        if left < 1e-3 * variance:
            break
    return Path(tuple(found), tuple(gains))


def warm(problem: Problem) -> None:
    """Make what searches ask of a vocabulary, before processes share it."""
    loops.load()
    if problem.searched.any():
        Pool(problem)
    for aspect in ASPECTS:
        problem.reading.gaps(aspect)


def _bases(pool: Pool, residual: np.ndarray, found: list[Single]) -> list[Single]:
    """What to try conjunctions with: the best candidates at hand and the strongest tests already found."""
    taken: set[Test] = set()
    bases: list[Single] = found[:2]
    while len(bases) < BASES:
        best = pool.best(residual, taken | {s.test for s in bases}, noise=0.0)
        if best is None:
            break
        taken.add(best[1].test)
        bases = [*bases, best[1]]
    return bases


class _Fit:
    """Weighted ridge regression that takes one column more at a time."""

    def __init__(self, target: np.ndarray, weight: np.ndarray):
        self.columns = _Columns(len(target))
        self.target, self.weight = target.astype(np.float32), weight.astype(np.float32)
        self.gram = np.array([[weight.sum()]], np.float64)
        self.moment = np.array([weight @ target])
        self.square = float(weight @ target**2)
        self.share = 1.0
        self._last: tuple[np.ndarray, tuple[np.ndarray, np.ndarray, float]] | None = None

    def has_copy_of(self, truth: np.ndarray) -> bool:
        """Whether a test is true where one that was found is: it would share its strength and say nothing."""
        _, products, square = self._beside(truth)
        return bool(np.any(products[1:] ** 2 >= ALIKE * square * np.diag(self.gram)[1:]))

    def _beside(self, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """A column times the weights, and its products with all columns and itself."""
        if self._last is None or self._last[0] is not truth:
            weighted = truth * self.weight
            self._last = truth, (weighted, self.columns.products(weighted), float(truth @ weighted))
        return self._last[1]

    def add(self, truth: np.ndarray) -> np.ndarray:
        """Predictions (T,) with this column added."""
        weighted, products, square = self._beside(truth)
        self._last = None
        size = len(self.gram)
        gram = np.zeros((size + 1, size + 1))
        gram[:size, :size] = self.gram
        gram[size, :size] = gram[:size, size] = products
        gram[size, size] = square
        self.gram, self.moment = gram, np.append(self.moment, weighted @ self.target)
        self.columns.add(truth)
        strengths, self.share = solved(self.gram, self.moment, self.square, self.share)
        return self.columns.combined(strengths.astype(np.float32))


SPARSE = 0.1
"""Tests that hold at a smaller share of the places are kept by the places where they do."""


class _Columns:
    """Ones, and truths (T,) in the order in which they are added: dense, or their places and values there."""

    def __init__(self, length: int):
        self.dense: list[tuple[int, np.ndarray]] = [(0, np.ones(length, np.float32))]
        self.sparse: list[int] = []
        self.places, self.values = np.zeros(0, np.intp), np.zeros(0, np.float32)
        self.starts = [0]

    def __len__(self) -> int:
        return len(self.dense) + len(self.sparse)

    def add(self, truth: np.ndarray) -> None:
        places = np.flatnonzero(truth != 0)
        if 0 < len(places) < SPARSE * len(truth):
            self.sparse.append(len(self))
            self.places, self.values = np.append(self.places, places), np.append(self.values, truth[places])
            self.starts.append(len(self.places))
        else:
            self.dense.append((len(self), truth))

    def products(self, weighted: np.ndarray) -> np.ndarray:
        """The product of each column with weighted values (T,)."""
        found = np.empty(len(self), np.float32)
        for column, truth in self.dense:
            found[column] = truth @ weighted
        if self.sparse:
            found[self.sparse] = np.add.reduceat(self.values * weighted[self.places], self.starts[:-1])
        return found

    def combined(self, strengths: np.ndarray) -> np.ndarray:
        """The sum (T,) of the columns times strengths (m + 1,), float32."""
        terms = self.values * np.repeat(strengths[self.sparse], np.diff(self.starts))
        found = np.bincount(self.places, terms, minlength=len(self.dense[0][1])).astype(np.float32)
        for column, truth in self.dense:
            found += strengths[column] * truth
        return found


def solved(gram: np.ndarray, moment: np.ndarray, square: float, share: float = 1.0) -> tuple[np.ndarray, float]:
    """Bias and strengths (m + 1,) from normal equations without a ridge, and the share of the variance that is left.

    square: the weighted sum of squares of the target; share: of the variance, left before. The ridge follows the share.
    """
    variance = square - moment[0] ** 2 / gram[0, 0]
    size = np.arange(1, len(gram))
    found = np.zeros(len(gram))
    for _ in range(SETTLED):
        ridged = gram.copy()
        ridged[size, size] += max(RIDGE * share, LEAST_RIDGE)
        found = np.linalg.solve(ridged, moment)
        left = square - 2 * found @ moment + found @ gram @ found
        before, share = share, min(share, max(left, 0.0) / variance) if variance > 0 else 0.0
        if share > 0.5 * before:
            break
    return found, share


def strengths(
    truths: Items[np.ndarray] | np.ndarray, target: np.ndarray, weight: np.ndarray, rounds: int = 3
) -> np.ndarray:
    """Bias and strengths (m + 1,) that minimise the weighted squared error of max(0, bias + strengths . truths).

    truths: m times (T,). Gauss-Newton on the rectified model from the least-squares solution; the best round is kept.
    """
    whole = Told.of(truths, target, weight)
    told, share = whole, 1.0
    mean = whole.rest[1] + whole.weight @ whole.target
    mean /= max(whole.total, 1e-12)
    least = 1e-4 * whole.error(np.full(len(whole.target), mean), mean)
    best, best_error = np.zeros(len(truths) + 1), np.inf
    for _ in range(rounds):
        gram, moment, square = told.normal_equations()
        gram[0, 0] += 1e-9 * max(whole.total, 1.0)
        try:
            now, share = solved(gram, moment, square, share)
        except np.linalg.LinAlgError:
            break
        linear = now.astype(np.float32) @ whole.design
        error = whole.error(linear, now[0])
        # Where hardly anything is left to gain, tokens at 0 still say which strengths are not needed.
        if error >= best_error - least:
            break
        best, best_error = now, error
        told = whole.where(linear > 0, bool(now[0] > 0))
    return best


@dataclass(frozen=True, eq=False)
class Told:
    """What tests and a target say where some test is true; elsewhere the bias speaks alone, and sums say all.

    design (m + 1, t): ones and truths; target, weight (t,); rest: elsewhere, the sums of the weights, of the weighted
    target and of its weighted squares.
    """

    design: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    rest: tuple[float, float, float]

    @classmethod
    def of(cls, truths: Items[np.ndarray] | np.ndarray, target: np.ndarray, weight: np.ndarray) -> Told:
        """Of truths m times (T,), a target and weights (T,)."""
        some = np.zeros(len(target), bool)
        for truth in truths:
            some |= truth != 0
        elsewhere = np.flatnonzero(~some & (weight != 0))
        left, known = weight[elsewhere], target[elsewhere]
        rest = (float(left.sum()), float(left @ known), float(left @ known**2))
        rows = np.flatnonzero(some & (weight != 0))
        design = np.ones((len(truths) + 1, len(rows)), np.float32)
        for row, truth in zip(design[1:], truths, strict=True):
            row[:] = truth[rows]
        return cls(design, target[rows].astype(np.float32), weight[rows].astype(np.float32), rest)

    @cached_property
    def total(self) -> float:
        """The sum of all weights."""
        return self.rest[0] + float(self.weight.sum())

    def normal_equations(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Products of the columns (m + 1, m + 1), their products with the target, and its square; all weighted."""
        root = np.sqrt(self.weight)
        weighed = self.design * root
        gram = (weighed @ weighed.T).astype(np.float64)  # of a matrix with itself, half is computed
        moment = (weighed @ (self.target * root)).astype(np.float64)
        gram[0, 0] += self.rest[0]
        moment[0] += self.rest[1]
        return gram, moment, float(self.weight @ self.target**2) + self.rest[2]

    def error(self, linear: np.ndarray, bias: float) -> float:
        """The weighted squared error of rectified predictions (t,), and of the bias elsewhere."""
        bias = max(bias, 0.0)
        weight, first, second = self.rest
        own = float(self.weight @ (self.target - np.maximum(linear, 0.0)) ** 2)
        return own + second - 2 * bias * first + bias**2 * weight

    def where(self, holds: np.ndarray, elsewhere: bool) -> Told:
        """The same without the places where holds (t,) is false, and without all others unless `elsewhere`."""
        rows = np.flatnonzero(holds)
        rest = self.rest if elsewhere else (0.0, 0.0, 0.0)
        if 2 * len(rows) > len(holds):  # leaving the others out would cost more than it saves
            return Told(self.design, self.target, self.weight * holds, rest)
        return Told(self.design[:, rows], self.target[rows], self.weight[rows], rest)
