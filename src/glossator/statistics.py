"""Intervals for scores: every statistic is written as a function of document weights, so that one matrix of
bootstrap weights resamples whole documents, and thousands of units are scored without a Python loop over resamples.

Tokens of one document are not independent, so documents, never tokens, are drawn with replacement (cluster
bootstrap, Efron & Tibshirani 1993, ch. 8; two-sided percentile intervals, ch. 13). Drawing D documents out of D is a
multinomial weight for each document; a statistic that depends on sums over documents is then one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95

_ROUNDING = 1e-10  # a centred sum of squares below this share of its own terms is rounding, so the data are constant


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, or None with the reason why it is undefined.

    low, high: two-sided percentile interval, None when fewer than half of the resamples define the statistic;
    n: independent items (documents or units); defined: share of resamples in which the statistic was defined (the
    interval is over those).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None
    defined: float = 1.0


@dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic as a function of how often each document counts.

    under: weights (b, documents) -> values (b,), NaN where undefined; reason: why it is undefined on the whole
    sample, None when it is defined.
    """

    documents: int
    under: Callable[[np.ndarray], np.ndarray]
    reason: str | None = None

    @property
    def value(self) -> float | None:
        """The statistic on the sample itself (each document once), None where undefined."""
        if self.reason is not None:
            return None
        value = float(self.under(np.ones((1, self.documents)))[0])
        return value if np.isfinite(value) else None


@lru_cache(maxsize=64)
def resample_weights(documents: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """How often each document is drawn: (resamples, documents) float64, each row a multinomial draw; read-only.

    The same arguments give the same array, so scores with the same documents are resampled in step, and their
    differences are paired.
    """
    rng = np.random.default_rng([seed, documents, resamples])
    drawn = rng.integers(0, documents, (resamples, documents))
    drawn += np.arange(resamples)[:, None] * documents
    weights = np.bincount(drawn.ravel(), minlength=resamples * documents).reshape(resamples, documents)
    weights = weights.astype(np.float64)
    weights.flags.writeable = False
    return weights


def percentile_interval(draws: np.ndarray, level: float = LEVEL) -> tuple[float | None, float | None, float]:
    """(low, high, share of draws that are defined); no interval when less than half of the draws are defined."""
    finite = np.sort(draws[np.isfinite(draws)])
    share = len(finite) / max(len(draws), 1)
    if share < 0.5:
        return None, None, share
    positions = np.array([(1 - level) / 2, (1 + level) / 2]) * (len(finite) - 1)
    below = np.floor(positions).astype(int)
    above = np.minimum(below + 1, len(finite) - 1)
    low, high = finite[below] + (positions - below) * (finite[above] - finite[below])
    return float(low), float(high), share


def estimate(statistic: Resampled, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Estimate:
    """The statistic with its bootstrap interval over documents; None with a reason for fewer than 2 documents."""
    n = statistic.documents
    if n < 2:
        return Estimate(None, n=n, reason=f"fewer than 2 documents ({n})")
    value = statistic.value
    if value is None:
        return Estimate(None, n=n, reason=statistic.reason or "undefined on this sample")
    low, high, defined = percentile_interval(statistic.under(resample_weights(n, resamples, seed)), level)
    return Estimate(value, low, high, n, defined=defined)


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
    sums = sums_by(index, documents, *pearson_terms(truth, prediction))
    return Resampled(documents, lambda weights: pearson_of_sums(weights @ sums))


def variance_explained(sums: np.ndarray) -> np.ndarray:
    """1 - sum e^2 / sum (y-mean y)^2 from (..., 4) sums n, y, yy, ee; NaN where y is constant."""
    n, y, yy, ee = np.moveaxis(sums, -1, 0)
    spread = yy - y * y / n
    return 1.0 - np.divide(ee, spread, out=np.full(len(ee), np.nan), where=spread > _ROUNDING * yy)


def ratio(
    numerator: np.ndarray, denominator: np.ndarray, *, one_minus: bool = False, reason: str = "the denominator is 0"
) -> Resampled:
    """sum(numerator) / sum(denominator), or 1 minus it, from per-document sums (documents,) each."""
    sums = np.stack([numerator, denominator], axis=1).astype(np.float64)

    def under(weights: np.ndarray) -> np.ndarray:
        top, bottom = (weights @ sums).T
        value = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0)
        return 1.0 - value if one_minus else value

    return Resampled(len(sums), under, None if sums[:, 1].sum() > 0 else reason)


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

    return Resampled(documents, under)


def mean_over_units(
    values: Sequence[float | None], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Estimate:
    """Mean of one score over units with a bootstrap interval over units; units without a value are left out (n counts
    the others)."""
    present = np.array([v for v in values if v is not None], np.float64)
    if len(present) < 2:
        return Estimate(
            None, n=len(present), reason=f"fewer than 2 units have a value ({len(present)} of {len(values)})"
        )
    return estimate(ratio(present, np.ones(len(present))), seed=seed, resamples=resamples, level=level)


def paired_difference(
    ours: Sequence[float | None],
    theirs: Sequence[float | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Mean of ours - theirs over the units that have both, units resampled together."""
    a, b = _paired(ours, theirs)
    return mean_over_units(list(a - b), seed=seed, resamples=resamples, level=level)


def paired_ratio(
    ours: Sequence[float | None],
    theirs: Sequence[float | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Mean of ours / mean of theirs over the units that have both, units resampled together."""
    a, b = _paired(ours, theirs)
    if len(a) < 2:
        return Estimate(None, n=len(a), reason=f"fewer than 2 units have both values ({len(a)})")
    if b.sum() <= 0:
        return Estimate(None, n=len(a), reason="the mean to compare with is not positive")
    return estimate(ratio(a, b), seed=seed, resamples=resamples, level=level)


def _paired(ours: Sequence[float | None], theirs: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    pairs = np.array(both, np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def undefined(weights: np.ndarray) -> np.ndarray:
    """The `under` of a statistic that has a reason instead of a value."""
    return np.full(len(weights), np.nan)
