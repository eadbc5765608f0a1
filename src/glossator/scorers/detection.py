"""Detection: can the explanation tell inputs in which the unit fires from inputs in which it does not?

An input is positive if its largest activation is above the unit's threshold for inputs (a window of tokens, if any of
its tokens fires); its predicted score is its largest simulated value. AUROC needs no threshold; balanced accuracy uses
the one that is best on the calibrate split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import SETTINGS, Sample
from glossator.scorers.threshold import balanced_accuracy, best_threshold
from glossator.scores import Score
from glossator.statistics import Resampled, auroc, mean_of_hits_and_rejections, undefined
from glossator.units import Unit


@dataclass(frozen=True)
class DetectionScorer(Scorer):
    """`detection.auroc` and `detection.balanced-accuracy`, each on top-and-random and on random-only windows."""

    split: Split = "test"
    name: ClassVar[str] = "detection"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        scores = []
        for setting in SETTINGS:
            trial = lab.trial(evidence, setting, self.split)
            how = {
                "positive": f"largest activation above {evidence.statistics.input_threshold:g}",
                "firing_rule": evidence.statistics.firing_rule,
                "predicted": "largest simulated value of the window",
                "positive_windows": int(fires(trial, trial.test).sum()),
            }
            scores.append(trial.score("detection.auroc", "AUROC", explanation, window_auroc, how=how))
            cut = {**how, "threshold": "best balanced accuracy on the calibrate split",
                   "calibrated_on": trial.calibrate.kinds}  # fmt: skip
            scores.append(
                trial.score("detection.balanced-accuracy", "balanced accuracy", explanation, at_threshold, how=cut)
            )
        return scores


def fires(trial: Trial, sample: Sample) -> np.ndarray:
    """In which inputs (m,) the unit fires."""
    return sample.input_max(sample.activations) > trial.evidence.statistics.input_threshold


def window_auroc(trial: Trial, explanation: Explanation) -> Resampled:
    """AUROC of the window maximum of the simulation."""
    sample = trial.test
    return auroc(
        fires(trial, sample),
        sample.input_max(trial.predicted(explanation)),
        sample.group_of_input,
        sample.groups,
    )


def at_threshold(trial: Trial, explanation: Explanation) -> Resampled:
    """Mean of the hit rate among firing windows and the rejection rate among silent ones."""
    sample, documents = trial.test, trial.test.groups
    positive = fires(trial, sample)
    if positive.all() or not positive.any():
        return Resampled(documents, undefined, f"the unit fires in {'every' if positive.any() else 'no'} input")
    to_fit = trial.calibrate
    threshold = best_threshold(
        fires(trial, to_fit), to_fit.input_max(trial.predicted_to_fit(explanation)), balanced_accuracy
    )
    if threshold is None:
        return Resampled(
            documents, undefined, "the calibrate split lacks firing or silent windows to set a threshold on"
        )
    called = sample.input_max(trial.predicted(explanation)) > threshold
    return mean_of_hits_and_rejections(positive, called.astype(np.float64), sample.group_of_input, documents)
