"""The search for a program: greedy, by description length.

Each step takes the test that shortens program and data together the most: its own length in bits against the bits that
the residual gets shorter, with what it explains judged across parts of the images (`programs.gains`). What was found
is then simplified as long as that makes the whole shorter: tests are left out, joined into one that shows any of
several concepts, or said as an exception ("dogs except at night").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glossator.image_programs.candidates import Candidates, pairs, singles
from glossator.image_programs.problem import SceneProblem
from glossator.programs.base import Test
from glossator.programs.bits import LEVEL_BITS
from glossator.programs.gains import across
from glossator.programs.inducer import strengths
from glossator.programs.language import And, Clause, Not, Or, Program
from glossator.programs.quantise import quantise
from glossator.programs.scene.atoms import Anywhere, Beside, Shows
from glossator.programs.scene.bits import scene_bits

MOST = 8
PRIOR = 1.0
"""Images of no effect that every test is blended with."""
BASES = 5
"""With so many of the best tests others are paired."""
PAIRINGS = 3
"""Pairs are tried in so many first steps."""
AT_ONCE = 100
"""Pairs are looked at in parts of so many, for memory."""
EXACT = 1e-3
"""A share of the variance below which nothing is left to say."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Tests with bias and strengths (m + 1,) on the scaled target; length: of program and data in bits."""

    tests: tuple[Test, ...]
    values: np.ndarray
    left: float
    length: float


def search(problem: SceneProblem, most: int = MOST, pool: Candidates | None = None) -> Fit:
    """The tests of the shortest description of the parts that are searched on; none where nothing shortens it."""
    pool = singles(problem) if pool is None else pool
    fit = fitted(problem, ())
    for step in range(most):
        best = _best(problem, pool, fit, step < PAIRINGS)
        if best is None:
            break
        better = fitted(problem, (*fit.tests, best))
        if better.length >= fit.length:
            break
        fit = better
        if fit.left <= EXACT:
            break
    return simplified(problem, fit)


def fitted(problem: SceneProblem, tests: tuple[Test, ...]) -> Fit:
    """Strengths refitted, and what is left."""
    target, weight = problem.target, problem.searched
    total = max(float(weight.sum()), 1e-12)
    mean = float(weight @ target) / total
    variance = max(float(weight @ (target - mean) ** 2), 1e-30)
    if tests:
        columns = np.stack([problem.column(test) for test in tests])
        values = strengths(columns, target, weight)
        predicted = np.maximum(values[0] + values[1:] @ columns, 0.0)
        left = float(weight @ (target - predicted) ** 2) / variance
    else:
        values, left = np.array([mean]), 1.0
    length = sum(scene_bits(test) + LEVEL_BITS for test in tests)
    return Fit(tests, values, left, length + problem.independent / 2 * float(np.log2(left + EXACT)))


def _best(problem: SceneProblem, pool: Candidates, fit: Fit, paired: bool) -> Test | None:
    columns = [problem.column(test) for test in fit.tests]
    predicted = np.full(len(problem.target), fit.values[0])
    for value, column in zip(fit.values[1:], columns, strict=True):
        predicted = predicted + value * column
    residual = problem.target - np.maximum(predicted, 0.0)
    weight = problem.searched
    residual = residual - float(weight @ residual) / max(float(weight.sum()), 1e-12)
    left = max(float(weight @ residual**2), 1e-30)
    best: tuple[float, Test] | None = None

    def look(candidates: Candidates) -> np.ndarray:
        nonlocal best
        saved = _saved(problem, candidates, residual, left)
        for i in np.argsort(-saved, kind="stable"):
            if candidates.tests[i] not in fit.tests:
                if saved[i] > 0 and (best is None or saved[i] > best[0]):
                    best = (float(saved[i]), candidates.tests[i])
                break
        return saved

    if not pool.tests:
        return None
    saved = look(pool)
    if paired:
        order = np.argsort(-saved, kind="stable")[:BASES]
        bases = [(pool.tests[i], pool.truths[i]) for i in order]
        partners = pool.without(Beside)
        bases += [(t, c) for t, c in zip(fit.tests, columns, strict=True) if t not in dict(bases) and _may_grow(t)]
        for base, truth in bases:
            for first in range(0, len(partners.tests), AT_ONCE):
                look(pairs(problem, base, truth, partners.part(first, first + AT_ONCE)))
    return None if best is None else best[1]


def _may_grow(test: Test) -> bool:
    return not isinstance(test, And) or len(test.tests) < 3


def _saved(problem: SceneProblem, candidates: Candidates, residual: np.ndarray, left: float) -> np.ndarray:
    """(m,) bits saved by adding each candidate."""
    if not candidates.tests:
        return np.zeros(0)
    truths, weight = candidates.truths, problem.searched.astype(np.float32)
    covariances = (truths @ (problem.folds * residual[:, None]).astype(np.float32)).astype(np.float64)
    mass, squares = truths @ weight, np.einsum("mt,mt,t->m", truths, truths, weight)
    spread = squares - mass * mass / max(float(weight.sum()), 1.0)
    gain = np.clip(across(covariances, spread, PRIOR) / left, 0.0, 1.0)
    shorter = -problem.independent / 2 * np.log2(1 - gain + EXACT)
    return np.asarray(shorter - candidates.bits - LEVEL_BITS)


def simplified(problem: SceneProblem, fit: Fit) -> Fit:
    """The same with changes that make it shorter, the best first."""
    while True:
        others = [fitted(problem, tests) for tests in _changes(fit)]
        best = min(others, key=lambda one: one.length, default=fit)
        if best.length >= fit.length - 1e-9:
            return fit
        fit = best


def _changes(fit: Fit) -> Iterator[tuple[Test, ...]]:
    tests = fit.tests
    for i, test in enumerate(tests):
        rest = tests[:i] + tests[i + 1 :]
        yield rest
        if isinstance(test, And):
            for part in test.tests:
                if part not in rest:
                    yield (*rest, part)
        for j, other in enumerate(rest):
            if j >= i and (joined := _joined(test, other)) is not None:
                yield (*(t for t in rest if t != other), joined)
            if (either := _either(test, other)) is not None:
                yield (*(t for t in rest if t != other), either)
            exception = _exception(test, other)
            if exception is not None and exception not in rest:
                yield (*(t for t in rest if t != other), exception)


def _joined(first: Test, second: Test) -> Test | None:
    """One test that shows any of the concepts of two, where both stand in the same frame."""
    match first, second:
        case Shows(one, a), Shows(two, b) if a == b and not {*one} & {*two}:
            return Shows((*one, *two), a)
        case (Anywhere(one), Anywhere(two)) if (inner := _joined(one, two)) is not None:
            return Anywhere(inner)
        case (Beside(one, a), Beside(two, b)) if a == b and (inner := _joined(one, two)) is not None:
            return Beside(inner, a)
        case (And(one), And(two)) if len(one) == len(two) and sum(t not in two for t in one) == 1:
            mine, theirs = next(t for t in one if t not in two), next(t for t in two if t not in one)
            inner = _joined(mine, theirs)
            return None if inner is None else And(tuple(inner if t == mine else t for t in one))
    return None


def _either(first: Test, second: Test) -> Test | None:
    """For a test, and another one where the first does not hold: either of them."""
    if not isinstance(second, And) or len(second.tests) != 2 or Not(first) not in second.tests:
        return None
    other = next(test for test in second.tests if test != Not(first))
    return _joined(first, other) or Or((first, other))


def _exception(whole: Test, part: Test) -> Test | None:
    """For a test and a conjunction that it is in: the test without the rest of the conjunction."""
    parts = whole.tests if isinstance(whole, And) else (whole,)
    if not isinstance(part, And) or not {*parts} < {*part.tests}:
        return None
    rest = [test for test in part.tests if test not in parts]
    return And((*parts, Not(rest[0]))) if len(rest) == 1 and not isinstance(rest[0], Not) else None


def program_of(problem: SceneProblem, fit: Fit) -> Program | None:
    """The program with strengths fitted on all parts; None without a test that has one."""
    if not fit.tests:
        return None
    columns = np.stack([problem.column(test) for test in fit.tests])
    bias, *values = strengths(columns, problem.target, problem.weight).tolist()
    clauses = [Clause(problem.scale * v, t) for v, t in zip(values, fit.tests, strict=True)]
    clauses.sort(key=lambda clause: -abs(clause.strength))
    program = quantise(Program(problem.scale * bias, tuple(clauses)))
    return program if program.clauses else None
