"""A second opinion without data: what a neuron would respond to if nothing but its input weights and the embedding of a
token decided, as a program with a headline of its own.

Each token of the explain split gets its strength under the input weights (`glossator.subjects.token_weights`), whatever
stands before it; the program explainer explains these strengths. So no activation is read, and the text only says how
common each token is. Deep in a network the embedding is a small part of what a neuron reads, and the two opinions need
not agree; the score `weights-agreement` says whether they do (after WeightLens, arXiv:2510.14936).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from glossator.evidence import Exemplars, ExplainEvidence, UnitStatistics
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation
from glossator.subjects.token_weights import input_strengths
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.programs import Lexicon
    from glossator.subjects.transformer import TransformerSubject

TOP = 40
FIRING_QUANTILE = 0.99
RULE = "99 % quantile of the strengths of the explain split's random tokens"


@dataclass(frozen=True)
class InputWeightsExplainer(Explainer):
    """`input-weights`: a program of what the input weights alone say of tokens. subject: a model with an `mlp.L`."""

    subject: TransformerSubject
    lexicon: Lexicon | None = None

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        """The weights of all units of a site are read together; raises `MissingPower` for units that are no neurons."""
        as_if = [
            by_weights(one, strengths[one.exemplars.windows.tokens])
            for one, strengths in zip(evidence, strengths_of(self.subject, [e.unit for e in evidence]), strict=True)
        ]
        found = ProgramExplainer(lexicon=self.lexicon).explain(as_if, n=n, seed=seed)
        return [one if isinstance(one, Abstained) else [_renamed(e) for e in one] for one in found]


def strengths_of(subject: TransformerSubject, units: Sequence[Unit]) -> list[np.ndarray]:
    """The strength of each token of the vocabulary (V,), of the unit's polarity and at least 0, for each unit."""
    found: dict[Unit, np.ndarray] = {}
    for site in dict.fromkeys(unit.site for unit in units):
        here = [unit for unit in units if unit.site == site]
        strengths = input_strengths(subject, site, [unit.index for unit in here])
        for place, unit in enumerate(here):
            found[unit] = np.maximum(unit.sign * strengths[:, place], 0.0)
    return [found[unit] for unit in units]


def by_weights(evidence: ExplainEvidence, strengths: np.ndarray) -> ExplainEvidence:
    """The random windows of this evidence with these strengths (n, width) in place of activations."""
    random = np.flatnonzero(evidence.exemplars.in_random)
    windows = evidence.exemplars.windows.take(random)
    values = np.where(windows.valid, strengths[random], 0.0).astype(np.float32)
    maxima = values.max(axis=1)
    kinds = np.full(len(random), "random", dtype="<U9")
    top = np.argsort(-maxima, kind="stable")[:TOP]
    kinds[top[maxima[top] > 0]] = "top"
    seen = values[windows.valid].astype(np.float64)
    threshold = max(float(np.quantile(seen, FIRING_QUANTILE)), 1e-6 * float(seen.max())) if len(seen) else 0.0
    statistics = UnitStatistics(
        len(seen), float(seen.mean()), float(seen.var()), None, None, float(seen.max()), threshold,
        float((seen > threshold).mean()), RULE,
    )  # fmt: skip
    exemplars = Exemplars(windows, values, kinds, np.ones(len(random), bool))
    return ExplainEvidence(evidence.unit, exemplars, statistics, evidence.fingerprint)


def _renamed(explanation: Explanation) -> Explanation:
    return replace(explanation, provenance=replace(explanation.provenance, method="input-weights"))
