"""Yes/no answers from graded predictions: thresholds come from the calibrate split, so that no score gains from a
threshold fitted on scored text. And where a program predicts firing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from glossator.evidence import Evidence
from glossator.programs import Lexicon, Program, execute

Objective = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def best_threshold(positive: np.ndarray, score: np.ndarray, objective: Objective) -> float | None:
    """The cut that maximises the objective when items (n,) with score > cut are called positive.

    objective: (true positives, false positives, positives, negatives) -> value, over all cuts at once. Cuts lie
    halfway between neighbouring scores; among equals the highest wins. None when all items or no items are positive.
    """
    positives = int(positive.sum())
    if positives in (0, len(positive)):
        return None
    order = np.argsort(-score, kind="stable")
    ranked, truth = score[order], positive[order]
    last_of_equals = np.append(np.flatnonzero(ranked[1:] < ranked[:-1]), len(ranked) - 1)
    true_positives = np.cumsum(truth)[last_of_equals]
    values = objective(true_positives, last_of_equals + 1 - true_positives, positives, len(positive) - positives)
    best = last_of_equals[int(np.argmax(values))]
    if best == len(ranked) - 1:  # everything is called positive: cut below the lowest score
        return float(ranked[-1] - (ranked[0] - ranked[-1] or abs(ranked[-1]) or 1.0))
    return float((ranked[best] + ranked[best + 1]) / 2)


def balanced_accuracy(
    true_positives: np.ndarray, false_positives: np.ndarray, positives: int, negatives: int
) -> np.ndarray:
    return (true_positives / positives + 1 - false_positives / negatives) / 2


def f1(true_positives: np.ndarray, false_positives: np.ndarray, positives: int, negatives: int) -> np.ndarray:
    return 2 * true_positives / (true_positives + false_positives + positives)


PROGRAM_RULE = "the program's highest values, at as many tokens of the calibrate split as the unit fires at"


def program_cut(program: Program, evidence: Evidence, lexicon: Lexicon) -> float | str:
    """The value above which a program counts as predicting that the unit fires; or why there is none.

    A program says what to expect on average, so on a unit that is hard to foresee it rarely says as much as the unit's
    firing threshold. It is taken to call firing at as many tokens as the unit fires at, its highest values. Which
    tokens these are plays no part, so nothing is fitted but the rate.
    Of the shares of tokens that the program's values can cut off, the one whose ratio to the unit's firing rate is
    nearest to 1 is taken, never all tokens.
    """
    exemplars = evidence.calibrate
    valid = exemplars.windows.valid
    rate = float((exemplars.activations[valid] > evidence.statistics.firing_threshold).mean()) if valid.any() else 0.0
    if rate == 0.0:
        return "the unit does not fire in the calibrate split"
    values, counts = np.unique(execute(program, exemplars.windows, lexicon)[valid], return_counts=True)
    if len(values) < 2:
        return "the program says the same of every token of the calibrate split"
    share_above = 1.0 - np.cumsum(counts)[:-1] / counts.sum()
    nearest = int(np.argmin(np.abs(np.log(share_above / rate))))
    return float((values[nearest] + values[nearest + 1]) / 2)
