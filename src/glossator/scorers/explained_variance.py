"""How much of the activations a calibrated simulation explains; three measures, three names.

- `explained-variance.centred`: 1 - sum (y-p)^2 / sum (y-mean y)^2, the textbook R squared. 0: always predict the mean.
- `explained-variance.uncentred`: 1 - sum (y-p)^2 / sum y^2, called rsquared in the code of Bills et al. 2023. 0: always
  predict zero, so it is never the lower of the two.
- `absolute-deviation-explained`: 1 - sum |y-p| / sum |y|, also theirs.

All can be negative. Where their code gives minus infinity (a unit that never fires), the value here is None with the
reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import SETTINGS
from glossator.scores import Score
from glossator.statistics import AT_MOST_ALL, Resampled, ratio, sums_by, undefined, variance_explained
from glossator.units import Unit

SILENT = "the unit never fires here"


@dataclass(frozen=True)
class ExplainedVarianceScorer(Scorer):
    """The three measures, each on top-and-random and on random-only windows, under the lab's calibration."""

    split: Split = "test"
    name: ClassVar[str] = "explained-variance"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        scores = []
        for setting in SETTINGS:
            trial = lab.trial(evidence, setting, self.split)
            how = {"calibration": lab.calibration, "calibrated_on": trial.calibrate.kinds}
            why_not = None
            if lab.calibration != "uncalibrated" and not len(trial.calibrate):
                why_not = "no windows in the calibrate split to calibrate on"
            for name, statistic in MEASURES.items():
                scores.append(trial.score(name, "fraction", explanation, statistic, how=how, why_not=why_not))
        return scores


def centred(trial: Trial, explanation: Explanation) -> Resampled:
    return centred_of(trial.test.truth, trial.calibrated(explanation), *_documents(trial))


def uncentred(trial: Trial, explanation: Explanation) -> Resampled:
    return uncentred_of(trial.test.truth, trial.calibrated(explanation), *_documents(trial))


def absolute(trial: Trial, explanation: Explanation) -> Resampled:
    return absolute_of(trial.test.truth, trial.calibrated(explanation), *_documents(trial))


MEASURES = {
    "explained-variance.centred": centred,
    "explained-variance.uncentred": uncentred,
    "absolute-deviation-explained": absolute,
}


def centred_of(truth: np.ndarray, prediction: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """1 - sum (y-p)^2 / sum (y-mean y)^2 over tokens (t,), the mean taken anew in every resample."""
    if truth.min() == truth.max():
        return Resampled(documents, undefined, "the true activations are constant")
    y, error = truth - truth.mean(), truth - prediction
    sums = sums_by(index, documents, np.ones_like(y), y, y * y, error * error)
    return Resampled(documents, lambda weights: variance_explained(weights @ sums), bounds=AT_MOST_ALL)


def uncentred_of(truth: np.ndarray, prediction: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """1 - sum (y-p)^2 / sum y^2 over tokens (t,)."""
    sums = sums_by(index, documents, (truth - prediction) ** 2, truth * truth)
    return ratio(sums[:, 0], sums[:, 1], one_minus=True, reason=SILENT, bounds=AT_MOST_ALL)


def absolute_of(truth: np.ndarray, prediction: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """1 - sum |y-p| / sum |y| over tokens (t,)."""
    sums = sums_by(index, documents, np.abs(truth - prediction), np.abs(truth))
    return ratio(sums[:, 0], sums[:, 1], one_minus=True, reason=SILENT, bounds=AT_MOST_ALL)


def _documents(trial: Trial) -> tuple[np.ndarray, int]:
    return trial.test.group_of_place, trial.test.groups
