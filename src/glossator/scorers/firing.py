"""Firing tokens: do the tokens at which the unit fires get the highest predictions (AUPRC), and, above a threshold, how
far are the tokens predicted to fire those that do (F1, IoU, precision, recall)?

A token fires above the unit's firing threshold; it is predicted to fire above the simulated value with the best F1 on
the calibrate split. Precision is None if no token is predicted to fire; F1 and IoU are then 0, which is what they
measure. AUPRC needs no threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import SETTINGS, Sample
from glossator.scorers.threshold import best_threshold, f1
from glossator.scores import Score
from glossator.statistics import Resampled, average_precision, ratio, sums_by, undefined
from glossator.units import Unit

SILENT = "no token fires here"

Statistic = Callable[[Trial, Explanation], Resampled]
Parts = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class FiringScorer(Scorer):
    """`firing.auprc`, `firing.f1`, `firing.iou`, `firing.precision` and `firing.recall`, each on top-and-random and on
    random-only windows."""

    split: Split = "test"
    name: ClassVar[str] = "firing"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        scores = []
        for setting in SETTINGS:
            trial = lab.trial(evidence, setting, self.split)
            how = {
                "firing": f"above {evidence.statistics.firing_threshold:g}",
                "firing_rule": evidence.statistics.firing_rule,
                "firing_tokens": int(fires(trial, trial.test).sum()),
            }
            scores.append(trial.score("firing.auprc", "AUPRC", explanation, auprc, how=how))
            cut = {**how, "threshold": "best F1 on the calibrate split", "calibrated_on": trial.calibrate.kinds}
            for name, (measure, statistic) in MEASURES.items():
                scores.append(trial.score(name, measure, explanation, statistic, how=cut))
        return scores


def fires(trial: Trial, sample: Sample) -> np.ndarray:
    """Which tokens (t,) fire."""
    return sample.activations > trial.evidence.statistics.firing_threshold


def named(trial: Trial, explanation: Explanation) -> np.ndarray | str:
    """Which scored tokens (t,) the explanation predicts to fire; or the reason why there is no threshold."""
    return trial.lab.kept(("named",), (trial, explanation), lambda: _named(trial, explanation))


def _named(trial: Trial, explanation: Explanation) -> np.ndarray | str:
    threshold = best_threshold(fires(trial, trial.calibrate), trial.predicted_to_fit(explanation), f1)
    if threshold is None:
        return "the calibrate split lacks firing or silent tokens to set a threshold on"
    return trial.predicted(explanation) > threshold


def auprc_of(trial: Trial, values: np.ndarray) -> Resampled:
    """Average precision of predictions (t,); those that are the same everywhere get the share of firing tokens."""
    sample, firing = trial.test, fires(trial, trial.test)
    if not firing.any():
        return without(trial, SILENT)
    return average_precision(firing, values, sample.group_of_place, sample.groups)


def precision_of(trial: Trial, chosen: np.ndarray) -> Resampled:
    return _ratio(trial, chosen, lambda both, named, firing: (both, named), "no token is called firing")


def recall_of(trial: Trial, chosen: np.ndarray) -> Resampled:
    return _ratio(trial, chosen, lambda both, named, firing: (both, firing), SILENT)


def f1_of(trial: Trial, chosen: np.ndarray) -> Resampled:
    return _ratio(trial, chosen, lambda both, named, firing: (2 * both, named + firing), SILENT)


def iou_of(trial: Trial, chosen: np.ndarray) -> Resampled:
    return _ratio(trial, chosen, lambda both, named, firing: (both, named + firing - both), SILENT)


def _ratio(trial: Trial, chosen: np.ndarray, parts: Parts, reason: str) -> Resampled:
    """A ratio of what `parts` makes of each document's tokens named rightly, named, and firing; chosen (t,) bool: the
    tokens named."""
    firing = fires(trial, trial.test)
    if not firing.any():
        return without(trial, SILENT)
    sums = sums_by(trial.test.group_of_place, trial.test.groups, chosen & firing, chosen, firing)
    return ratio(*parts(*sums.T), reason=reason, bounds=(0.0, 1.0))


def without(trial: Trial, reason: str) -> Resampled:
    """No value, for this reason."""
    return Resampled(trial.test.groups, undefined, reason)


def auprc(trial: Trial, explanation: Explanation) -> Resampled:
    return auprc_of(trial, trial.predicted(explanation))


def at_threshold(measure: Callable[[Trial, np.ndarray], Resampled]) -> Statistic:
    """The measure of the tokens that an explanation predicts to fire."""

    def of_explanation(trial: Trial, explanation: Explanation) -> Resampled:
        found = named(trial, explanation)
        return without(trial, found) if isinstance(found, str) else measure(trial, found)

    return of_explanation


MEASURES = {
    "firing.f1": ("F1", at_threshold(f1_of)),
    "firing.iou": ("IoU", at_threshold(iou_of)),
    "firing.precision": ("precision", at_threshold(precision_of)),
    "firing.recall": ("recall", at_threshold(recall_of)),
}
