"""Candidate tests: every concept that the images show and every statistic of pixels, alone, beside, or in pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from glossator.image_programs.problem import SceneProblem
from glossator.inputs import WHOLE
from glossator.inputs.annotations import Concept
from glossator.programs.base import Test
from glossator.programs.language import And, Not
from glossator.programs.scene.atoms import POSITIONS, STATISTICS, Anywhere, Beside, Looks, Shows, Together
from glossator.programs.scene.bits import scene_bits

SETTINGS = ("background", "light", "weather", "count")
"""Kinds of concepts that hold of a whole scene, so that they are the same at every cell."""
ORDER = ("noun", "label", "class", "background", "light", "weather", "colour", "size", "relation", "count")
"""Of concepts that cover the same, the first kind is said."""
QUALITIES = ("colour", "size")
FEWEST = 3
"""A concept is tried if so many images of the explain split show it."""
LEVELS = (0.5, 0.75, 0.9, 0.97)
"""Quantiles of a statistic at which a threshold is tried."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """tests (m,) with truths (m, T) float32 and lengths in bits (m,)."""

    tests: tuple[Test, ...]
    truths: np.ndarray
    bits: np.ndarray

    def part(self, first: int, last: int) -> Candidates:
        return Candidates(self.tests[first:last], self.truths[first:last], self.bits[first:last])

    def without(self, kind: type[Test]) -> Candidates:
        """Those that are not of this kind."""
        rows = [i for i, test in enumerate(self.tests) if not isinstance(test, kind)]
        return Candidates(tuple(self.tests[i] for i in rows), self.truths[rows], self.bits[rows])


def shown(problem: SceneProblem) -> list[Concept]:
    """The concepts that are worth trying; none where nothing is known of the content."""
    annotations = getattr(problem.inputs, "annotations", None)
    if annotations is None:
        return []
    ordered = sorted(annotations.concepts, key=lambda one: ORDER.index(one.kind))
    counts = {concept: int(annotations.present(concept).sum()) for concept in ordered}
    return [concept for concept, count in counts.items() if FEWEST <= count < len(problem.inputs)]


def singles(problem: SceneProblem) -> Candidates:
    """Tests of one concept or one statistic."""
    tests = [test for test in _singles(problem)]
    return of_tests(problem, tests)


def of_tests(problem: SceneProblem, tests: list[Test]) -> Candidates:
    """These tests with their truths; of those that are true of the same places the shortest, constant ones left out."""
    kept: dict[bytes, tuple[Test, np.ndarray, float]] = {}
    for test in tests:
        column = problem.column(test)
        if len(column) and column.min() < column.max():
            length, key = scene_bits(test), column.tobytes()
            if key not in kept or length < kept[key][2]:
                kept[key] = (test, column, length)
    truths = np.stack([c for _, c, _ in kept.values()]) if kept else np.zeros((0, len(problem.flat)), np.float32)
    return Candidates(tuple(t for t, _, _ in kept.values()), truths, np.array([b for _, _, b in kept.values()]))


def _singles(problem: SceneProblem) -> Iterator[Test]:
    cells = problem.grid != WHOLE
    for concept in shown(problem):
        test = Shows((str(concept),))
        yield test
        if cells and concept.kind not in SETTINGS:
            yield Beside(test, 1)
            yield Anywhere(test)
    statistics = [name for name in STATISTICS if cells or name not in POSITIONS]
    for name in statistics:
        test_of = Looks(name)
        yield test_of
        column = problem.column(test_of)
        for least in np.unique(np.round(16 * np.quantile(column, LEVELS)) / 16) if len(column) else ():
            if 0 < least <= 1:
                yield Looks(name, float(least))


def pairs(problem: SceneProblem, base: Test, truth: np.ndarray, others: Candidates) -> Candidates:
    """The base and each other test, the base without each, and on whole images both at one spot."""
    parts = base.tests if isinstance(base, And) else (base,)
    use = [i for i, test in enumerate(others.tests) if test not in parts and Not(test) not in parts]
    added = [others.tests[i] for i in use]
    tests: list[Test] = [And((*parts, test)) for test in (*added, *map(Not, added))]
    with_others = np.minimum(truth, others.truths[use])
    truths = np.concatenate([with_others, np.minimum(truth, 1 - others.truths[use])])
    bits = np.array([scene_bits(test) for test in tests])
    if problem.grid == WHOLE and isinstance(base, Shows) and _is_thing(base):
        bound = of_tests(problem, [
            Together((base.concepts[0], test.concepts[0]))
            for test in added
            if isinstance(test, Shows) and Concept.of(test.concepts[0]).kind in QUALITIES
        ])  # fmt: skip
        tests, truths = [*tests, *bound.tests], np.concatenate([truths, bound.truths])
        bits = np.concatenate([bits, bound.bits])
    return Candidates(tuple(tests), truths, bits)


def _is_thing(test: Shows) -> bool:
    return len(test.concepts) == 1 and Concept.of(test.concepts[0]).kind in ("noun", "class")
