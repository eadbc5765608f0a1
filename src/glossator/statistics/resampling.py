"""Resampling whole documents: a statistic is a function of how often each document counts, so that one matrix of
weights gives its bootstrap, and thousands of units are scored without a Python loop over resamples.

Tokens of one document are not independent, so documents, never tokens, are drawn with replacement (cluster
bootstrap, Efron & Tibshirani 1993, ch. 8; two-sided percentile intervals, ch. 13). Drawing D documents out of D is a
multinomial weight for each document; a statistic that depends on sums over documents is then one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95


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


@dataclass(frozen=True, eq=False)
class Drawn:
    """A statistic on its sample and on resamples of it. value: None with a `reason` where undefined; draws
    (resamples,), NaN where undefined; documents: how many were resampled."""

    value: float | None
    draws: np.ndarray
    documents: int
    reason: str | None = None


def draw(statistic: Resampled, *, seed: int = 0, resamples: int = RESAMPLES) -> Drawn:
    """The statistic and its bootstrap over documents; None with a reason for fewer than 2 documents.

    Two statistics of the same documents, drawn with the same arguments, are drawn in step.
    """
    n, nothing = statistic.documents, np.empty(0)
    if n < 2:
        return Drawn(None, nothing, n, f"fewer than 2 documents ({n})")
    value = statistic.value
    if value is None:
        return Drawn(None, nothing, n, statistic.reason or "undefined on this sample")
    return Drawn(value, statistic.under(resample_weights(n, resamples, seed)), n)


def estimate_of(drawn: Drawn, level: float = LEVEL) -> Estimate:
    """The value with its percentile interval."""
    if drawn.value is None:
        return Estimate(None, n=drawn.documents, reason=drawn.reason)
    low, high, defined = percentile_interval(drawn.draws, level)
    return Estimate(drawn.value, low, high, drawn.documents, defined=defined)


def estimate(statistic: Resampled, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Estimate:
    """The statistic with its bootstrap interval over documents; None with a reason for fewer than 2 documents."""
    return estimate_of(draw(statistic, seed=seed, resamples=resamples), level)


def undefined(weights: np.ndarray) -> np.ndarray:
    """The `under` of a statistic that has a reason instead of a value."""
    return np.full(len(weights), np.nan)


def constant(value: float, documents: int) -> Resampled:
    """A number that no document changes, such as chance."""
    return Resampled(documents, lambda weights: np.full(len(weights), float(value)))
