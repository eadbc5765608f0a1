"""A yes/no answer from a graded prediction: the cut is chosen on the calibrate split, so that no score gains from a
threshold that was fitted to the scored text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
