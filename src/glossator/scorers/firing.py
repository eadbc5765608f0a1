"""Firing tokens: do the tokens at which the unit fires get the highest predictions (AUPRC), and, above a threshold, how
far are the tokens predicted to fire those that do (F1, IoU, precision, recall)?

A token fires above the unit's firing threshold; it is predicted to fire above the simulated value with the best F1 on
the calibrate split. Precision is None if no token is predicted to fire; F1 and IoU are then 0, which is what they
measure. AUPRC needs no threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import TOKEN_VALUES
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import SETTINGS, Sample
from glossator.scorers.threshold import best_threshold, f1
from glossator.scores import Score
from glossator.statistics import Resampled, average_precision, ratio, sums_by, undefined
from glossator.units import Unit

SILENT = "no token fires here"

Parts = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class FiringScorer:
    """`firing.auprc`, `firing.f1`, `firing.iou`, `firing.precision` and `firing.recall`, each on top-and-random and on
    random-only windows."""

    split: Split = "test"
    needs: frozenset[str] = frozenset({TOKEN_VALUES})

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
            for name, statistic in MEASURES.items():
                scores.append(trial.score(name, "fraction", explanation, statistic, how=cut))
        return scores


def fires(trial: Trial, sample: Sample) -> np.ndarray:
    """Which tokens (t,) fire."""
    return sample.activations > trial.evidence.statistics.firing_threshold


def counts(trial: Trial, explanation: Explanation) -> np.ndarray | str:
    """Per document: tokens named rightly, named, firing (documents, 3); or the reason why there is no threshold."""
    return trial.lab.kept(("firing",), (trial, explanation), lambda: _counts(trial, explanation))


def _counts(trial: Trial, explanation: Explanation) -> np.ndarray | str:
    threshold = best_threshold(fires(trial, trial.calibrate), trial.predicted_to_fit(explanation), f1)
    if threshold is None:
        return "the calibrate split lacks firing or silent tokens to set a threshold on"
    named, firing = trial.predicted(explanation) > threshold, fires(trial, trial.test)
    return sums_by(trial.test.group_of_place, trial.test.groups, named & firing, named, firing)


def auprc(trial: Trial, explanation: Explanation) -> Resampled:
    """Average precision of the prediction; one that is the same everywhere gets the share of firing tokens."""
    sample, firing = trial.test, fires(trial, trial.test)
    if not firing.any():
        return Resampled(sample.groups, undefined, SILENT)
    return average_precision(firing, trial.predicted(explanation), sample.group_of_place, sample.groups)


def precision(trial: Trial, explanation: Explanation) -> Resampled:
    return _ratio(trial, explanation, lambda both, named, firing: (both, named), "no token is called firing")


def recall(trial: Trial, explanation: Explanation) -> Resampled:
    return _ratio(trial, explanation, lambda both, named, firing: (both, firing), SILENT)


def f1_score(trial: Trial, explanation: Explanation) -> Resampled:
    return _ratio(trial, explanation, lambda both, named, firing: (2 * both, named + firing), SILENT)


def iou(trial: Trial, explanation: Explanation) -> Resampled:
    return _ratio(trial, explanation, lambda both, named, firing: (both, named + firing - both), SILENT)


MEASURES = {"firing.f1": f1_score, "firing.iou": iou, "firing.precision": precision, "firing.recall": recall}


def _ratio(trial: Trial, explanation: Explanation, parts: Parts, reason: str) -> Resampled:
    found = counts(trial, explanation)
    if isinstance(found, str):
        return Resampled(trial.test.groups, undefined, found)
    if not found[:, 2].any():
        return Resampled(trial.test.groups, undefined, SILENT)
    top, bottom = parts(*found.T)
    return ratio(top, bottom, reason=reason, bounds=(0.0, 1.0))
