"""Agreement with the weights: does an explanation that was found in data predict what the neuron's input weights alone
say of each token?

Pearson r, over the tokens of the scored windows, of the prediction with the strength of each token under the input
weights and the embedding, whatever stands before it (`glossator.explainers.input_weights`). No activation is read. Low
values do not make an explanation wrong: a neuron may read what earlier layers have added. They say where the two
disagree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, Split
from glossator.explainers.input_weights import strengths_of
from glossator.explanations import Explanation
from glossator.recording.texts import token_model
from glossator.scorers import SUBJECT, TOKEN_VALUES, Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scores import Score
from glossator.statistics import Resampled, pearson
from glossator.subjects.base import Subject
from glossator.units import Unit

if TYPE_CHECKING:
    pass

DISAGREE = "the weights alone disagree"


@dataclass(frozen=True)
class WeightsAgreementScorer(Scorer):
    """`weights-agreement.random-only`; `how.flag` stands where no agreement is found (the interval reaches 0)."""

    split: Split = "test"
    name: ClassVar[str] = "weights-agreement"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, SUBJECT})
    simulated: ClassVar[bool | None] = True

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        subject = lab.subject
        trial = lab.trial(evidence, "random-only", self.split)
        strengths, why_not = lab.kept(("input strengths",), (evidence,), lambda: _strengths(subject, unit))

        def agreement(trial: Trial, one: Explanation) -> Resampled:
            sample = trial.test
            by_weights = sample.flat(strengths[trial.scored.windows.tokens])
            return pearson(by_weights, trial.predicted(one), sample.group_of_place, sample.groups)

        how = {"truth": "strength of each token under the input weights and the embedding"}
        score = trial.score(self.name, "Pearson r", explanation, agreement, how=how, why_not=why_not)
        if score.value is not None and (score.value <= 0 or (score.low is not None and score.low <= 0)):
            score = replace(score, how={**score.how, "flag": DISAGREE})
        return [score]


def _strengths(subject: Subject, unit: Unit) -> tuple[np.ndarray, str | None]:
    """Those of the vocabulary (V,), and None; or nothing, and why there are none."""
    try:
        return strengths_of(token_model(subject, "weights-agreement"), [unit])[0], None
    except MissingPower as error:
        return np.zeros(0), str(error)
