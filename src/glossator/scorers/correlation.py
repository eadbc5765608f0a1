"""Correlation of simulated and true activations, the score of Bills et al. 2023.

Pooled: Pearson r over all tokens of all windows, their preferred score. The per-window mean has its own name, because
the two are often confused and differ. Both use the uncalibrated simulation: a linear map cannot change the size of r,
and a negative slope would only hide a wrong sign. Where their code gives NaN (constant truth or prediction), the value
here is None with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import ONE_VALUE, SETTINGS
from glossator.scores import Score
from glossator.statistics import (
    Resampled,
    pearson,
    pearson_of_sums,
    pearson_terms,
    ratio,
    sums_by,
    undefined,
    why_constant,
)
from glossator.units import Unit

BILLS = "that of Bills et al. 2023, whose windows hold few of the tokens at which an explanation is wrong"


@dataclass(frozen=True)
class CorrelationScorer(Scorer):
    """`correlation.*` pooled and `correlation.per-window.*`, each on top-and-random and on random-only windows."""

    split: Split = "test"
    name: ClassVar[str] = "correlation"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        scores = []
        for setting in SETTINGS:
            trial = lab.trial(evidence, setting, self.split)
            how = {"pooled": "over all tokens"} | ({} if setting == "random-only" else {"setting": BILLS})
            scores.append(trial.score("correlation", "Pearson r", explanation, pooled, how=how))
            how |= {"pooled": "mean over windows whose true activations vary; a constant prediction counts 0"}
            why_not = ONE_VALUE if trial.scored.grid.places == 1 else None
            scores.append(
                trial.score(
                    "correlation.per-window", "mean Pearson r", explanation, per_window, how=how, why_not=why_not
                )
            )
        return scores


def pooled(trial: Trial, explanation: Explanation) -> Resampled:
    """Pearson r over all scored tokens."""
    return pearson(trial.test.truth, trial.predicted(explanation), trial.test.group_of_place, trial.test.groups)


def per_window(trial: Trial, explanation: Explanation) -> Resampled:
    """Mean over windows of the Pearson r within each.

    A window with constant truth has nothing to predict and is left out. One with varying truth and a constant
    prediction counts 0, or an explanation would gain by staying silent where it is wrong; so the same windows count
    for every explanation and baseline.
    """
    sample, predicted = trial.test, trial.predicted(explanation)
    reason = why_constant(sample.truth, predicted)
    if reason:
        return Resampled(sample.groups, undefined, reason)
    sums = sample.input_sums(*pearson_terms(sample.truth, predicted))
    varies = sample.input_max(sample.truth) > -sample.input_max(-sample.truth)
    r = np.where(varies, np.nan_to_num(pearson_of_sums(sums)), 0.0)
    by_document = sums_by(sample.group_of_input, sample.groups, r, varies)
    return ratio(
        by_document[:, 0],
        by_document[:, 1],
        reason="the true activations are constant in every window",
        bounds=(-1.0, 1.0),
    )
