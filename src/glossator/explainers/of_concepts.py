"""From a concept that images show to an explanation: what all explainers that name units by such concepts share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from glossator.engines import in_parallel
from glossator.evidence import ExplainEvidence
from glossator.explainers import Explained
from glossator.explanations import Explanation, Headline, Mode, Provenance
from glossator.image_programs.headline import SHARE
from glossator.image_programs.overlap import Covered, covered, strongest
from glossator.image_programs.problem import SceneProblem, make_problem
from glossator.image_programs.search import fitted, program_of
from glossator.inputs import WHOLE
from glossator.programs import Clause, Program
from glossator.programs.base import Test
from glossator.programs.language import And, Not, Or
from glossator.programs.scene.atoms import Anywhere, Beside, Shows
from glossator.programs.scene.english import noun, sentence

TOP_SHARE = 0.01
"""Weight of top images against random ones where a program's strengths are fitted, as in the program explainer."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The explain split of a unit of images, as these explainers look at it."""

    evidence: ExplainEvidence
    seed: int = 0

    @cached_property
    def random(self) -> np.ndarray:
        """The rows of the random images, of all where none are."""
        rows = np.flatnonzero(self.evidence.exemplars.in_random)
        return rows if len(rows) else np.arange(len(self.evidence.exemplars))

    @cached_property
    def covered(self) -> Covered:
        """Where concepts are in all images of the explain split."""
        exemplars = self.evidence.exemplars
        return covered(exemplars.inputs, exemplars.grid)

    @property
    def values(self) -> np.ndarray:
        """(n, places)"""
        return self.evidence.exemplars.activations

    def threshold(self, share: float) -> float:
        """What this share of the cells of random images exceeds; of whole images, of which there are few, that above
        which the unit fires."""
        if self.evidence.exemplars.grid == WHOLE:
            return self.evidence.statistics.firing_threshold
        return float(np.quantile(self.values[self.random], 1 - share, method="lower"))

    def mask(self, share: float) -> np.ndarray:
        """(n, places) bool, where the unit is strongest."""
        return strongest(self.values, self.threshold(share))

    def top(self, n: int) -> np.ndarray:
        """The rows of the images with the largest activations, largest first."""
        return np.argsort(-self.evidence.exemplars.maxima, kind="stable")[:n]

    def regions(self, rows: np.ndarray, share: float) -> np.ndarray:
        """(rows, places) bool: where the unit is strongest in each of these images, at least at its peak."""
        mask = self.mask(share)[rows]
        peaks = self.values[rows] >= self.values[rows].max(axis=1, keepdims=True)
        return np.where(mask.any(axis=1, keepdims=True), mask, peaks)

    @cached_property
    def problem(self) -> SceneProblem:
        return make_problem(self.evidence, TOP_SHARE, self.seed)

    def explanation(
        self, test: Test, method: str, settings: dict[str, Any], *, rank: int = 0, text: str | None = None,
        model: str | None = None,
    ) -> Explanation:  # fmt: skip
        """A test as an explanation: its strength fitted, its headline the places of which it is true.

        text: the words, where they are not those of the program.
        """
        program = self.program(test)
        whole = self.evidence.exemplars.grid == WHOLE
        sharp = test if whole else made_sharp(test)
        headline = Headline(text or noun(test, whole=whole), Program(0.0, (Clause(1.0, sharp),)))
        where = self.problem.column(sharp) >= 0.5
        total = float(self.problem.target.sum())
        share = float(self.problem.target[where].sum()) / total if total else 0.0
        strength = self.problem.scale * float(self.problem.target[where].mean()) if where.any() else 0.0
        return Explanation(
            self.evidence.unit,
            text or sentence(program, whole=whole),
            Provenance(method, settings, self.evidence.fingerprint, self.seed, model),
            program,
            rank,
            headline,
            (Mode(headline, round(share, 4), float(f"{strength:.4g}")),),
        )

    def program(self, test: Test) -> Program:
        """The test with a strength fitted to the unit; where that would say "less", with its mean where it holds: the
        one who names a unit by it means more."""
        program = program_of(self.problem, fitted(self.problem, (test,)))
        if program is not None and program.clauses[0].strength > 0:
            return program
        truth = self.problem.column(test)
        mean = float(truth @ self.problem.target) / float(truth.sum()) if truth.any() else 0.0
        return Program(0.0, (Clause(float(f"{self.problem.scale * mean:.3g}") or 1.0, test),))


def made_sharp(test: Test) -> Test:
    """The test true or false at a cell: a concept is there from `SHARE` of the cell on."""
    match test:
        case Shows(concepts, None):
            return Shows(concepts, SHARE)
        case And(tests) | Or(tests):
            return replace(test, tests=tuple(map(made_sharp, tests)))
        case Not(inner) | Anywhere(inner) | Beside(inner):
            return replace(test, test=made_sharp(inner))
    return test


def each_alone(
    explain: Callable[[Shown], Explained], evidence: Sequence[ExplainEvidence], seed: int
) -> list[Explained]:
    """Each unit by itself, on all cores."""
    return in_parallel(lambda one: explain(Shown(one, seed)), evidence)
