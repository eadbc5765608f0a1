"""Peaks: does an explanation say where in a window the unit fires most, and how strongly?

People look at peaks, and a good correlation over all tokens can miss them. Both scores use the top windows of the
split, so a window counts however often the unit fires in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import Scorer
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import ONE_VALUE
from glossator.scores import Score
from glossator.statistics import Resampled, ratio, sums_by, undefined
from glossator.units import Unit

TIES = "of k tied tokens with the highest prediction one counts at random, so a constant prediction scores at chance"
SHARE = {"predicted": "on the unit's own scale; other scales are calibrated", "pooled": "median over windows"}
NO_PEAK = "the unit is not above 0 at any token of the top windows"


@dataclass(frozen=True)
class PeakScorer(Scorer):
    """`peak.hit` and `peak.share`, on the top windows in which the unit is above 0 at all."""

    split: Split = "test"
    name: ClassVar[str] = "peak"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        trial = lab.trial(evidence, "top", self.split)
        why_not = ONE_VALUE if trial.scored.grid.places == 1 else None
        return [
            trial.score("peak.hit", "fraction of windows", explanation, hits, how={"ties": TIES}, why_not=why_not),
            trial.score("peak.share", "predicted / true", explanation, shares, how=SHARE, why_not=why_not),
        ]


def hits(trial: Trial, explanation: Explanation) -> Resampled:
    return hits_of(trial, trial.predicted(explanation))


def hits_of(trial: Trial, predicted: np.ndarray) -> Resampled:
    """Share of windows in which the maximum of the prediction (t,) falls on the token with the maximum of the truth."""
    sample = trial.test
    called = predicted == sample.input_max(predicted)[sample.input_of_place]
    both, all_called = sample.input_sums(called & is_peak(trial), called).T
    there = sample.input_max(sample.truth) > 0
    sums = sums_by(sample.group_of_input, sample.groups, np.where(there, both / all_called, 0.0), there)
    return ratio(sums[:, 0], sums[:, 1], reason=NO_PEAK, bounds=(0.0, 1.0))


def shares(trial: Trial, explanation: Explanation) -> Resampled:
    return shares_of(trial, trial.in_activations(explanation))


def shares_of(trial: Trial, predicted: np.ndarray) -> Resampled:
    """Median over windows of the prediction (t,) at the true peak divided by the activation there."""
    sample, at_peak = trial.test, is_peak(trial)
    peaks = sample.input_max(sample.truth)
    there = np.flatnonzero(peaks > 0)
    if not len(there):
        return Resampled(sample.groups, undefined, NO_PEAK)
    summed, tied = sample.input_sums(np.where(at_peak, predicted, 0.0), at_peak).T
    found = (summed / np.maximum(tied, 1) / np.where(peaks > 0, peaks, 1.0))[there]
    order = np.argsort(found, kind="stable")
    return weighted_median(found[order], sample.group_of_input[there][order], sample.groups)


def is_peak(trial: Trial) -> np.ndarray:
    """(t,) bool, the tokens at which a window's activation is largest; none in a window without any above 0."""
    sample = trial.test
    return (sample.truth > 0) & (sample.truth == sample.input_max(sample.truth)[sample.input_of_place])


def weighted_median(ordered: np.ndarray, document: np.ndarray, documents: int) -> Resampled:
    """The median of ascending values (m,), as a function of how often the document (m,) of each counts; halfway
    between the two middle ones where the weights fall in halves."""

    def under(weights: np.ndarray) -> np.ndarray:
        running = np.cumsum(weights[:, document], axis=1)
        half = running[:, -1:] / 2
        lower, upper = (running < half).sum(axis=1), (running <= half).sum(axis=1)
        last = len(ordered) - 1
        middle = (ordered[np.minimum(lower, last)] + ordered[np.minimum(upper, last)]) / 2
        return np.where(half[:, 0] > 0, middle, np.nan)

    return Resampled(documents, under, in_steps=True)
