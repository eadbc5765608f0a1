"""Specificity: does the explanation fit its own unit better than other units?

The explanation is simulated once; its prediction is correlated with the activations of its unit and of other units of
the site on the same tokens. The score is the share of other units that fit less well; ties count half. A vague
explanation fits many units about as well as its own and ranks near chance, however well it predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.other_units import OtherUnits
from glossator.scores import Score
from glossator.statistics import Resampled, document_index, pearson_of_sums, pearson_terms, sums_by, undefined
from glossator.units import Unit


@dataclass(frozen=True)
class SpecificityScorer(Scorer):
    """`specificity.random-only`: 1 when the own unit is fitted best, 0.5 by chance. others: at most so many.

    On random windows alone: among windows that were chosen for the own unit it fires more than elsewhere, which moves
    its correlations, and with them its rank, whatever the explanation says.
    """

    others: int = 200
    split: Split = "test"
    name: ClassVar[str] = "specificity"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        trial = lab.trial(evidence, "random-only", self.split)
        measure, why_not = "share of other units that fit less well", None
        how: dict[str, Any] = {"fit": "Pearson r", "chance": 0.5}
        if lab.others is None:
            why_not = "the activations of other units are not at hand"
        elif len(trial.test):
            others = self._others(unit, trial)
            how |= {"others": len(others.units), "windows_known": int(others.known.sum())}
            why_not = None if others.units else "no other unit of this site and polarity was recorded"
        return [
            trial.score(
                self.name,
                measure,
                explanation,
                lambda trial, e: rank_among(trial, e, self._others(unit, trial)),
                how=how,
                why_not=why_not,
            )
        ]

    def _others(self, unit: Unit, trial: Trial) -> OtherUnits:
        lab = trial.lab
        assert lab.others is not None
        others, chosen = lab.others, trial.scored.inputs.take(trial.test.rows)
        return lab.kept(("others", self.others), (trial,), lambda: others(unit, chosen, self.others, lab.seed))


def rank_among(trial: Trial, explanation: Explanation, others: OtherUnits) -> Resampled:
    """Share of the other units whose Pearson r with the prediction is below the own unit's, ties half.

    On the windows that are stored for all units; units that are constant there are left out. A constant prediction
    fits all units equally, which is 0.5.
    """
    sample = trial.test
    known = others.known[sample.input_of_place]
    index, documents = document_index(sample.group_of_place[known])
    truth, prediction = sample.truth[known], trial.predicted(explanation)[known]
    flat = sample.own_side(others.activations[:, sample.mask[others.known]].astype(np.float64))
    flat = flat[flat.max(axis=1) > flat.min(axis=1)] if flat.size else flat
    if not known.any() or truth.min() == truth.max():
        return Resampled(documents, undefined, "the unit is constant on the windows that are stored for other units")
    if not len(flat):
        return Resampled(documents, undefined, "every other unit is constant on these windows")
    if prediction.min() == prediction.max():
        return Resampled(documents, lambda weights: np.full(len(weights), 0.5))
    sums = np.stack([sums_by(index, documents, *pearson_terms(y, prediction)) for y in (truth, *flat)], axis=1)

    def under(weights: np.ndarray) -> np.ndarray:
        r = pearson_of_sums(np.einsum("bd,dus->bus", weights, sums, optimize=True))
        own, rest = r[:, :1], r[:, 1:]
        with np.errstate(invalid="ignore"):
            below = np.where(np.isnan(rest), np.nan, (rest < own) + 0.5 * (rest == own))
        defined = ~np.isnan(below)
        share = np.where(defined, below, 0.0).sum(axis=1) / np.maximum(defined.sum(axis=1), 1)
        return np.where(np.isnan(own[:, 0]) | ~defined.any(axis=1), np.nan, share)

    return Resampled(documents, under, bounds=(0.0, 1.0), in_steps=True)
