"""Intervals over documents: a statistic is a function of how often each document counts, and leaving each out once
says how much it hangs on which documents were drawn.

Tokens of one document are not independent, so whole documents are left out (delete-one jackknife, Efron & Tibshirani
1993, ch. 11). What changes is each document's influence; the influences' spread gives a standard error. Few documents
carry most of what a unit does, so the influences are skewed and heavy-tailed, and a bootstrap of percentiles is too
narrow. Two intervals allow for that, and the wider end of either is reported:

- Student's t, with as many degrees of freedom as the variance of influences with this kurtosis is worth
  (Satterthwaite's rule: 2 (mean of s^2)^2 / var s^2), at most documents less one. The documents that matter most are
  often not in the sample and the standard error falls short: it counts 1 + `TAILS` (excess kurtosis) / documents times;
- Student's t of documents less one under Hall's transformation, which takes the skewness out (Hall 1992,
  J. R. Stat. Soc. B 54:221).

Where no document of the sample holds what the value hangs on, their influences are small and even, and all of this is
too narrow: a correlation of a rare unit can be 0.00 on every sample without the one document in which the unit and its
prediction are loud together. So an interval also reaches as far as one document more could move the value, where the
statistic can say how far that is (`Resampled.one_more`).

One matrix product for a statistic that depends on sums over documents, and no random numbers, except for one that
moves in steps (a median, a rank): leaving out one document says nothing of it, and influences are its covariances with
the documents' weights in bootstrap samples (Efron 2014, J. Am. Stat. Assoc. 109:991).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

LEVEL = 0.95
LEAST_FIRING = 10
"""An interval and a claim need so many documents in which the unit fires: from fewer, how much the next one may differ
cannot be told."""
TAILS = 1.5
"""Chosen, as `SHARED`, on recorded neurons, other than those of the table of `glossator bench coverage`."""
SHARED = 0.5
"""One document more that raises a statistic raises what it is compared with as well: of the room that it makes between
the two, so much of the other's is taken off."""
_AT_ONCE = 256  # documents left out in one call, so that memory does not grow with their square
_BOOTSTRAP = 1000
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, or None with the reason why it is undefined.

    low, high: two-sided interval, None with the reason `no_interval` if there is none; n: independent items
    (documents or units).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None
    no_interval: str | None = None


@dataclass(frozen=True, eq=False)
class Resampled:
    """A statistic as a function of how often each document counts.

    under: weights (b, documents) -> values (b,), NaN where undefined; reason: why it is undefined on the whole
    sample, None when it is defined; deciding: how many documents decide the value, mostly those in which the unit
    fires, None for all of them; bounds: least and greatest possible value; in_steps: whether it moves in steps;
    one_more: how far one document more, of the kind that raises it most, would raise it.
    """

    documents: int
    under: Callable[[np.ndarray], np.ndarray]
    reason: str | None = None
    deciding: int | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    in_steps: bool = False
    one_more: float = 0.0

    @property
    def value(self) -> float | None:
        """The statistic on the sample itself (each document once), None if undefined."""
        if self.reason is not None:
            return None
        value = float(self.under(np.ones((1, self.documents)))[0])
        return value if np.isfinite(value) else None


@dataclass(frozen=True, eq=False)
class Jackknifed:
    """A statistic on its sample and without each document in turn. value: None with a `reason` where undefined;
    without (documents,), NaN where undefined; bounds: of `Resampled`; no_interval: why there is no interval, or None;
    one_more: how far down and up one document more could move it.
    """

    value: float | None
    without: np.ndarray
    reason: str | None = None
    no_interval: str | None = None
    bounds: tuple[float, float] = (-math.inf, math.inf)
    one_more: tuple[float, float] = (0.0, 0.0)

    @property
    def documents(self) -> int:
        return len(self.without)

    @cached_property
    def spread(self) -> Spread | None:
        """None if no document makes a difference."""
        return spread_of_influences((self.documents - 1) * (self.without.mean() - self.without), self.value or 0.0)

    def __sub__(self, other: Jackknifed) -> Jackknifed:
        """The difference of two statistics that are defined on the same documents."""
        assert self.value is not None and other.value is not None
        why_not = self.no_interval or other.no_interval
        (down, up), (down_of_other, up_of_other) = self.one_more, other.one_more
        return Jackknifed(
            self.value - other.value,
            self.without - other.without,
            None,
            why_not,
            one_more=(
                down + max(up_of_other - SHARED * up, 0.0),
                down_of_other + max(up - SHARED * up_of_other, 0.0),
            ),
        )


def jackknife(statistic: Resampled) -> Jackknifed:
    """The statistic with each document left out once; None with a reason for fewer than 2 documents."""
    n = statistic.documents
    unknown = np.full(n, np.nan)
    value = statistic.value if n >= 2 else None
    if value is None:
        few = "undefined on this sample" if n >= 2 else f"fewer than 2 documents ({n})"
        return Jackknifed(None, unknown, statistic.reason or few)
    if statistic.deciding is not None and statistic.deciding < LEAST_FIRING:
        few = f"only {statistic.deciding} of {n} documents decide it, {LEAST_FIRING} needed"
        return Jackknifed(value, unknown, None, few, statistic.bounds)
    without = _in_steps(statistic, value) if statistic.in_steps else _without_each(statistic)
    hangs = None if np.isfinite(without).all() else "it is undefined without one of the documents"
    return Jackknifed(value, without, None, hangs, statistic.bounds, (0.0, statistic.one_more))


def without_intervals(statistic: Resampled) -> Jackknifed:
    """The statistic on its sample alone, where no interval is asked for."""
    value, unknown = statistic.value, np.full(statistic.documents, np.nan)
    reason = None if value is not None else statistic.reason or "undefined on this sample"
    return Jackknifed(value, unknown, reason, "no interval was asked for")


def _without_each(statistic: Resampled) -> np.ndarray:
    n = statistic.documents
    pieces = [(first, min(first + _AT_ONCE, n)) for first in range(0, n, _AT_ONCE)]
    return np.concatenate([statistic.under(_leaving_out(n, *piece)) for piece in pieces])


@lru_cache(maxsize=8)
def _leaving_out(documents: int, first: int, end: int) -> np.ndarray:
    weights = np.ones((end - first, documents))
    weights[np.arange(end - first), np.arange(first, end)] = 0.0
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=8)
def _bootstrap_weights(documents: int) -> np.ndarray:
    drawn = np.random.default_rng(0).multinomial(documents, np.full(documents, 1 / documents), _BOOTSTRAP)
    weights = drawn.astype(np.float64)
    weights.flags.writeable = False
    return weights


def _in_steps(statistic: Resampled, value: float) -> np.ndarray:
    """What leaving out each document would give if a straight line in the weights were fitted to bootstrap samples."""
    n = statistic.documents
    weights = _bootstrap_weights(n)
    draws = statistic.under(weights)
    defined = np.isfinite(draws)
    if defined.mean() < 0.5:
        return np.full(n, np.nan)
    moved = draws[defined] - draws[defined].mean()
    influence = moved @ weights[defined] / len(moved) * n
    influence -= influence.mean()
    # The samples' own noise is in each covariance: together they must spread as the draws do.
    spread = math.sqrt(float((influence**2).mean()) / (n - 1))
    scale = float(moved.std(ddof=1)) * math.sqrt(n / (n - 1)) / spread if spread > 0 else 0.0
    return value - scale * influence / (n - 1)


def estimate(statistic: Resampled, *, level: float = LEVEL) -> Estimate:
    """The statistic with its interval over documents; None with a reason for fewer than 2 documents."""
    return estimate_of(jackknife(statistic), level)


def estimate_of(found: Jackknifed, level: float = LEVEL) -> Estimate:
    """The value with its interval."""
    if found.value is None:
        return Estimate(None, n=found.documents, reason=found.reason)
    ends = interval(found, level)
    if ends is None:
        return Estimate(found.value, n=found.documents, no_interval=found.no_interval)
    return Estimate(found.value, *ends, n=found.documents)


def interval(found: Jackknifed, level: float = LEVEL) -> tuple[float, float] | None:
    """(low, high) of a statistic that has a value, within its bounds; None if there is no interval."""
    assert found.value is not None
    if found.no_interval is not None:
        return None
    below, above = found.spread.reach(level) if found.spread is not None else (0.0, 0.0)
    if max(found.one_more) > 0:
        scale = _quantile(level, found.documents - 1) / _quantile(LEVEL, found.documents - 1)
        below, above = max(below, scale * found.one_more[0]), max(above, scale * found.one_more[1])
    least, greatest = found.bounds
    return max(found.value - below, least), min(found.value + above, greatest)


def p_of_zero(found: Jackknifed) -> float | None:
    """Two-sided p that the statistic is 0: below 1 - level exactly where the interval of that level leaves out 0.

    None if there is no interval. Where all documents agree, n of them say no more than 2 / 2^n.
    """
    assert found.value is not None
    if found.no_interval is not None:
        return None
    if found.spread is not None:
        p = found.spread.p_of(found.value)
    else:
        p = 1.0 if abs(found.value) <= _ROUNDING else 2.0 ** (1 - found.documents)
    room = found.one_more[0 if found.value > 0 else 1]
    return max(p, _p_within(abs(found.value) / room, found.documents - 1)) if room > 0 else p


def _quantile(level: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + level) / 2))


def _p_within(distance: float, freedom: float) -> float:
    """Two-sided p of a distance that an interval of `LEVEL` reaches over 1 of."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -distance * _quantile(LEVEL, freedom)))


@dataclass(frozen=True)
class Spread:
    """How far an estimate may be from the truth, from the influences of the documents.

    error: standard error; freedom: degrees of freedom of its square; tails: how much more it counts for heavy tails.
    """

    error: float
    freedom: float
    tails: float
    skewness: float
    n: int

    def reach(self, level: float) -> tuple[float, float]:
        """How far an interval of this level goes below and above the estimate."""
        plain, t = self.tails * _quantile(level, self.freedom), _quantile(level, self.n - 1)
        return self.error * max(plain, self._without_skew(t)), self.error * max(plain, -self._without_skew(-t))

    def p_of(self, distance: float) -> float:
        """Two-sided p of a distance between estimate and truth: what `reach` is the inverse of."""
        from scipy.special import stdtr

        t = distance / self.error
        corrected = math.copysign(1.0, t) * self._with_skew(t)
        plain = 2 * stdtr(self.freedom, -abs(t) / self.tails)
        return float(max(plain, 2 * stdtr(self.n - 1, -max(corrected, 0.0))))

    def _with_skew(self, t: float) -> float:
        """Hall's transformation of a studentised value: what is nearly Student's t of it. Infinite beyond its turning
        point, where it no longer describes anything and Student's t alone decides."""
        g, root = self.skewness, math.sqrt(self.n)
        if -g * t >= 3 * root:
            return math.copysign(math.inf, t)
        return t + g * t * t / (3 * root) + g * g * t**3 / (27 * self.n) + g / (6 * root)

    def _without_skew(self, t: float) -> float:
        """Its inverse."""
        g, root = self.skewness, math.sqrt(self.n)
        if abs(g) < 1e-6:
            return t
        return float(3 * root / g * (np.cbrt(max(1 + g * (t / root - g / (6 * self.n)), 0.0)) - 1))


def spread_of_influences(influence: np.ndarray, value: float) -> Spread | None:
    n = len(influence)
    squares = influence * influence
    variance = float(squares.sum()) / n
    error = math.sqrt(variance / (n - 1))
    if error <= _ROUNDING * max(1.0, abs(value)):
        return None
    if n < 4:
        return Spread(error, n - 1, 1.0, 0.0, n)
    # The usual corrections of both moments for the sample's size (Joanes & Gill 1998).
    skewness = float(squares @ influence) / n / variance**1.5 * math.sqrt(n * (n - 1)) / (n - 2)
    excess = float(squares @ squares) / n / variance**2 - 3
    excess = ((n + 1) * excess + 6) * (n - 1) / ((n - 2) * (n - 3))
    excess = min(max(excess, 0.0), 2 * n * (n - 2) / (n - 1))  # freedom is between n - 1 and 1
    return Spread(error, 2 * n / (excess + 2 * n / (n - 1)), 1 + TAILS * excess / n, skewness, n)


def in_words(level: float = LEVEL, of: str = "documents") -> str:
    """Describes how an interval was made, for `Score.how`."""
    return f"{level:.0%} over {of}, each left out once: Student's t and its skewness-corrected form, the wider ends"


def undefined(weights: np.ndarray) -> np.ndarray:
    """The `under` of a statistic that has a reason instead of a value."""
    return np.full(len(weights), np.nan)


def constant(value: float, documents: int) -> Resampled:
    """A number that no document changes, such as chance."""
    return Resampled(documents, lambda weights: np.full(len(weights), float(value)))
