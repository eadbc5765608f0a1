"""Statistics over tokens or items, each as a function of document weights: correlation, areas under curves, ratios."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glossator.statistics.resampling import Resampled, undefined

_ROUNDING = 1e-10  # a centred sum of squares below this share of its own terms is rounding, so the data are constant


def document_index(documents: np.ndarray) -> tuple[np.ndarray, int]:
    """Document ids (n,) as numbers 0..D-1 (n,), and D."""
    distinct, index = np.unique(documents, return_inverse=True)
    return index.reshape(-1), len(distinct)


def sums_by(index: np.ndarray, groups: int, *columns: np.ndarray) -> np.ndarray:
    """Sums of each column (n,) within each group: (groups, columns) float64."""
    return np.stack([np.bincount(index, weights=column, minlength=groups) for column in columns], axis=1)


def pearson_of_sums(sums: np.ndarray) -> np.ndarray:
    """Pearson r from (..., 6) sums n, y, p, yy, pp, yp; NaN where y or p is constant."""
    n, y, p, yy, pp, yp = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance_y, variance_p = yy - y * y / n, pp - p * p / n
        r = (yp - y * p / n) / np.sqrt(variance_y * variance_p)
    defined = (variance_y > _ROUNDING * yy) & (variance_p > _ROUNDING * pp)
    return np.where(defined, np.clip(r, -1.0, 1.0), np.nan)


def pearson_terms(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, ...]:
    """The six columns whose sums give Pearson r, centred on the sample's means so that nothing cancels."""
    y, p = truth - truth.mean(), prediction - prediction.mean()
    return np.ones_like(y), y, p, y * y, p * p, y * p


def why_constant(truth: np.ndarray, prediction: np.ndarray) -> str | None:
    """The reason why a correlation of these is undefined, or None."""
    if not len(truth):
        return "no tokens"
    if truth.min() == truth.max():
        return "the true activations are constant"
    if prediction.min() == prediction.max():
        return "the prediction is constant"
    return None


def pearson(truth: np.ndarray, prediction: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """Pearson r pooled over all tokens (n,), as a function of document weights."""
    reason = why_constant(truth, prediction)
    if reason:
        return Resampled(documents, undefined, reason)
    return pearson_by_document(sums_by(index, documents, *pearson_terms(truth, prediction)))


def pearson_by_document(sums: np.ndarray) -> Resampled:
    """Pearson r as a function of document weights, from the six sums of each document (documents, 6)."""
    return Resampled(
        len(sums), lambda weights: pearson_of_sums(weights @ sums), bounds=(-1.0, 1.0), one_more=_one_hit_more(sums)
    )


def _one_hit_more(sums: np.ndarray) -> float:
    """How much larger r would be with one more document in which truth and prediction rise and fall together.

    It is as loud as those that carry the sums of squares: of each its share of the whole, on average over the whole
    (the Herfindahl index, one over the effective number of documents).
    """
    n, y, p, yy, pp, _ = sums.T
    total = sums.sum(axis=0)
    value = float(pearson_of_sums(total[None])[0])
    if not np.isfinite(value):
        return 0.0
    share = []
    for own, squares, mean in ((y, yy, total[1] / total[0]), (p, pp, total[2] / total[0])):
        spread = np.maximum(squares - 2 * mean * own + mean * mean * n, 0.0)
        share.append(float((spread**2).sum() / spread.sum() ** 2))
    return (value + math.sqrt(share[0] * share[1])) / math.sqrt((1 + share[0]) * (1 + share[1])) - value


def variance_explained(sums: np.ndarray) -> np.ndarray:
    """1 - sum e^2 / sum (y-mean y)^2 from (..., 4) sums n, y, yy, ee; NaN where y is constant."""
    n, y, yy, ee = np.moveaxis(sums, -1, 0)
    spread = yy - y * y / n
    return 1.0 - np.divide(ee, spread, out=np.full(len(ee), np.nan), where=spread > _ROUNDING * yy)


def ratio(
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    one_minus: bool = False,
    reason: str = "the denominator is 0",
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Resampled:
    """sum(numerator) / sum(denominator), or 1 minus it, from per-document sums (documents,) each.

    bounds: least and greatest possible value.
    """
    sums = np.stack([numerator, denominator], axis=1).astype(np.float64)

    def under(weights: np.ndarray) -> np.ndarray:
        top, bottom = (weights @ sums).T
        value = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
        return 1.0 - value if one_minus else value

    return Resampled(len(sums), under, None if sums[:, 1].sum() > 0 else reason, bounds=bounds)


def share_beyond_chance(sums: np.ndarray, reason: str) -> Resampled:
    """The share of a total that falls on chosen items, minus the share of items that are chosen: what it is beyond that
    of as many items at random, and 0 where all are chosen.

    sums (documents, 4): the total at chosen items, the total, chosen items, all items; reason: why it is undefined
    where the total is 0.
    """

    def under(weights: np.ndarray) -> np.ndarray:
        inside, total, chosen, items = (weights @ sums).T
        nothing = np.full(len(total), np.nan)
        return np.divide(inside, total, out=nothing, where=total > 0) - chosen / np.maximum(items, 1e-300)

    return Resampled(len(sums), under, None if sums[:, 1].sum() > 0 else reason, bounds=(-1.0, 1.0))


def auroc(positive: np.ndarray, score: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """Area under the ROC curve over items (n,): P(score of a positive > of a negative), ties count half."""
    if positive.all() or not positive.any():
        return Resampled(
            documents, undefined, "all items are positive" if len(positive) and positive.all() else "no positive items"
        )
    order = np.argsort(score, kind="stable")
    ranked, truth, where = score[order], positive[order], index[order]
    negatives_before = np.concatenate([[0], np.cumsum(~truth)])
    # Only negatives are accumulated, and only at the borders of each positive's tie group.
    below = negatives_before[np.searchsorted(ranked, ranked[truth], "left")]
    upto = negatives_before[np.searchsorted(ranked, ranked[truth], "right")]
    of_positive, of_negative = where[truth], where[~truth]

    def under(weights: np.ndarray) -> np.ndarray:
        w = weights[:, of_positive]
        running = np.zeros((len(weights), len(of_negative) + 1))
        np.cumsum(weights[:, of_negative], axis=1, out=running[:, 1:])
        wins = np.einsum("bi,bi->b", w, running[:, below] + running[:, upto]) / 2
        pairs = w.sum(axis=1) * running[:, -1]
        return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)

    # What tells the kinds apart rests on documents that hold either.
    deciding = min(len(np.unique(of_positive)), len(np.unique(of_negative)))
    return Resampled(documents, under, deciding=deciding, bounds=(0.0, 1.0))


def mean_of_hits_and_rejections(positive: np.ndarray, yes: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """Mean of the share of positives answered yes and of the others answered no; yes (n,): 0 to 1 of each answer."""
    sums = sums_by(index, documents, yes * positive, positive, (1 - yes) * ~positive, ~positive)

    def under(weights: np.ndarray) -> np.ndarray:
        hits, positives, rejections, negatives = (weights @ sums).T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((hits / positives + rejections / negatives) / 2)

    return Resampled(documents, under, bounds=(0.0, 1.0))


def average_precision(positive: np.ndarray, score: np.ndarray, index: np.ndarray, documents: int) -> Resampled:
    """Area under the precision-recall curve over items (n,): the mean, over positives, of the precision among all items
    that score as high. Tied items count together, so a constant score has the share of positives."""
    if not positive.any():
        return Resampled(documents, undefined, "no positive items")
    levels, level = np.unique(-score, return_inverse=True)
    level = level.reshape(-1)
    # Precision is only asked at levels that hold a positive; each item counts from the next one of these on.
    asked = np.zeros(len(levels), dtype=bool)
    asked[level[positive]] = True
    step = (np.cumsum(asked) - asked)[level]
    steps = int(asked.sum())
    kept = step < steps
    hits, called = (_counts(index[which], step[which], documents, steps) for which in (positive, kept))

    def under(weights: np.ndarray) -> np.ndarray:
        found, among = weights @ hits, np.cumsum(weights @ called, axis=1)
        precision = np.divide(np.cumsum(found, axis=1), among, out=np.zeros_like(among), where=among > 0)
        total = found.sum(axis=1)
        return np.divide((found * precision).sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)

    return Resampled(documents, under, deciding=len(np.unique(index[positive])), bounds=(0.0, 1.0))


def _counts(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> Any:
    """How often each pair occurs: (height, width), sparse."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(height, width))


LEAST_PRIOR, GREATEST_PRIOR = 0.1, 1000.0


def shrinkage(counts: np.ndarray, sums: np.ndarray, squares: np.ndarray) -> float:
    """Variance within tokens / variance between their means: the prior count that predicts new text best.

    Best linear unbiased prediction under a one-way random effects model; components by the method of moments
    (Searle, Casella & McCulloch 1992, section 3.6). counts, sums, sums of squares by token (k,); result within 0.1 and
    1000.
    """
    n, k = counts.sum(), len(counts)
    if n <= k or k < 2:
        return 1.0
    of_means = (sums * sums / counts).sum()
    within = max(squares.sum() - of_means, 0.0) / (n - k)
    between = (of_means - sums.sum() ** 2 / n - (k - 1) * within) / (n - (counts * counts).sum() / n)
    if between <= 0:
        return GREATEST_PRIOR if within > 0 else LEAST_PRIOR
    return float(np.clip(within / between, LEAST_PRIOR, GREATEST_PRIOR))
