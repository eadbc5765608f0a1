"""Statistics over units: means, paired differences and ratios, rank correlation; the jackknife leaves out units.

Of many units tested at once, which beat their baseline? Of 1,000 units with worthless explanations, 50 have p < 0.05.
Selecting those with q < 0.05 keeps the expected share of false ones among the selected at 5 %, whatever the number of
units (Benjamini & Hochberg 1995). This holds for independent and positively dependent p-values, as those of units on
the same text are assumed to be; `dependence="any"` assumes nothing (Benjamini & Yekutieli 2001) and costs power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from glossator.statistics.of_documents import pearson_of_sums, ratio
from glossator.statistics.resampling import LEVEL, Estimate, Jackknifed, Resampled, estimate, estimate_of, undefined

LEAST_RANKED = 8
MOST_LEFT_OUT, GROUPS = 2000, 100
ROWS = 64


def largest(values: np.ndarray, n: int) -> np.ndarray:
    """Indices of the n largest values, largest first, ties by index."""
    if n <= 0:
        return np.empty(0, np.int64)
    if n >= len(values):
        return np.argsort(-values, kind="stable")
    best = np.flatnonzero(values >= _below(values, n))
    return best[np.argsort(-values[best], kind="stable")][:n]


def _below(values: np.ndarray, n: int) -> float:
    """A number that the n largest values reach and few others do."""
    rows = min(ROWS, len(values) // (4 * n))
    if rows < 2:
        return float(np.partition(values, len(values) - n)[len(values) - n])
    columns = len(values) // rows
    greatest = values[: rows * columns].reshape(rows, columns).max(axis=0)  # n of them are n different values
    return float(np.partition(greatest, columns - n)[columns - n])


Bounds = tuple[float, float]
UNBOUNDED = (-math.inf, math.inf)
SHARE = (0.0, 1.0)
AT_MOST_ALL = (-math.inf, 1.0)
"""Of what there is to explain or to preserve; an explanation may make it worse."""


def evenly(count: int, most: int) -> np.ndarray:
    """Places (n,) int64 among `count` that are spread evenly from the first to the last, all where there are no more
    than `most`."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, most)).round().astype(np.int64))


def mean_over_units(values: Sequence[float | None], *, bounds: Bounds = UNBOUNDED, level: float = LEVEL) -> Estimate:
    """Mean of one score over units with an interval over units; units without a value are left out (n counts
    the others).

    bounds: the least and greatest possible value of the score (`glossator.scores.range_of`), which the interval then
    keeps; they are disregarded where a value lies outside.
    """
    present = np.array([v for v in values if v is not None], np.float64)
    if len(present) < 2:
        return Estimate(
            None, n=len(present), reason=f"fewer than 2 units have a value ({len(present)} of {len(values)})"
        )
    mean = float(present.mean())
    found = estimate_of(Jackknifed(mean, mean - (present - mean) / (len(present) - 1)), level)
    kept = bounds[0] <= present.min() and present.max() <= bounds[1]
    return _within(found, bounds, level) if kept else found


def _within(found: Estimate, bounds: Bounds, level: float) -> Estimate:
    """The estimate with an interval that keeps the bounds.

    It is made on a scale without ends: the logit of the value's place between two bounds, the logarithm of its distance
    from one. To first order it reaches as far there as before (the delta method). Means of few units near an end of
    their range are skewed towards the other end, and so is this interval: it covers the truth more often than one that
    is cut at the bound. Between two bounds no values spread more than those that are at one or the other, so it is no
    wider than the exact interval of such (Clopper & Pearson 1934); where all units are at one bound, it is that one.
    """
    least, greatest = bounds
    value, low, high = found.value, found.low, found.high
    if value is None or low is None or high is None or (math.isinf(least) and math.isinf(greatest)):
        return found
    below, above = value - least, greatest - value
    if math.isinf(below) or math.isinf(above):
        if low == high:
            return found
        end, distance = (greatest, -above) if math.isinf(below) else (least, below)
        ends = [end + distance * math.exp((one - value) / distance) for one in (low, high)]
        return replace(found, low=ends[0], high=ends[1])
    share, whole = below / (below + above), below + above
    exact = _exact(share, found.n, level)
    if 0 < share < 1 and low < high:
        slope = 1 / (share * (1 - share))
        odds = [share / (1 - share) * math.exp(min((one - value) / whole * slope, 700.0)) for one in (low, high)]
        exact = max(exact[0], odds[0] / (1 + odds[0])), min(exact[1], odds[1] / (1 + odds[1]))
    elif 0 < share < 1:
        return found
    return replace(found, low=least + whole * exact[0], high=least + whole * exact[1])


def _exact(share: float, n: int, level: float) -> tuple[float, float]:
    """The ends between which lies the chance of which this share came up in n draws."""
    from scipy.special import betaincinv

    hits, tail = share * n, (1 - level) / 2
    low = 0.0 if hits <= 0 else float(betaincinv(hits, n - hits + 1, tail))
    return low, 1.0 if hits >= n else float(betaincinv(hits + 1, n - hits, 1 - tail))


def paired_difference(
    ours: Sequence[float | None],
    theirs: Sequence[float | None],
    *,
    bounds: Bounds = UNBOUNDED,
    level: float = LEVEL,
) -> Estimate:
    """Mean of ours - theirs over the units that have both, left out together; bounds: of either."""
    a, b = _paired(ours, theirs)
    apart = bounds[1] - bounds[0]
    return mean_over_units(list(a - b), bounds=(-apart, apart), level=level)


def paired_ratio(
    ours: Sequence[float | None],
    theirs: Sequence[float | None],
    *,
    level: float = LEVEL,
) -> Estimate:
    """Mean of ours / mean of theirs over the units that have both, left out together."""
    a, b = _paired(ours, theirs)
    if len(a) < 2:
        return Estimate(None, n=len(a), reason=f"fewer than 2 units have both values ({len(a)})")
    if b.sum() <= 0:
        return Estimate(None, n=len(a), reason="the mean to compare with is not positive")
    return estimate(ratio(a, b), level=level)


def rank_correlation(
    ours: Sequence[float | None],
    theirs: Sequence[float | None],
    *,
    level: float = LEVEL,
) -> Estimate:
    """Spearman's rank correlation over the units that have both values, ties by their mean rank; the others are ranked
    again when a unit is left out.

    None for fewer than 8 units: so few are often in the same order by chance, and then every resample is as well. Of
    more than `MOST_LEFT_OUT` units, `GROUPS` groups drawn at random are left out in turn.
    """
    a, b = _paired(ours, theirs)
    if len(a) < LEAST_RANKED:
        return Estimate(None, n=len(a), reason=f"fewer than {LEAST_RANKED} units have both values ({len(a)})")

    def under(weights: np.ndarray) -> np.ndarray:
        x, y = _weighted_ranks(a, weights), _weighted_ranks(b, weights)
        terms = (np.ones_like(x), x, y, x * x, y * y, x * y)
        return pearson_of_sums(np.stack([(weights * term).sum(axis=1) for term in terms], axis=-1))

    constant = next((name for name, v in (("first", a), ("second", b)) if v.min() == v.max()), None)
    reason = None if constant is None else f"the {constant} score is the same for all units"
    if reason is None and len(a) > MOST_LEFT_OUT:
        group = np.random.default_rng(0).permutation(len(a)) % GROUPS
        grouped = Resampled(GROUPS, lambda weights: np.concatenate([under(row[group][None]) for row in weights]))
        return replace(estimate(replace(grouped, bounds=(-1.0, 1.0)), level=level), n=len(a))
    return estimate(Resampled(len(a), undefined if reason else under, reason, bounds=(-1.0, 1.0)), level=level)


def _weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean ranks (b, n), about their middle, in samples that hold each value as often as its weight says."""
    distinct, group = np.unique(values, return_inverse=True)
    of_group = np.zeros((len(weights), len(distinct)))
    np.add.at(of_group.T, group.reshape(-1), weights.T)
    ranks = np.cumsum(of_group, axis=1) - of_group / 2
    return ranks[:, group.reshape(-1)] - weights.sum(axis=1, keepdims=True) / 2


def _paired(ours: Sequence[float | None], theirs: Sequence[float | None]) -> tuple[np.ndarray, np.ndarray]:
    both = [(a, b) for a, b in zip(ours, theirs, strict=True) if a is not None and b is not None]
    pairs = np.array(both, np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


Dependence = Literal["positive", "any"]


def q_values(p_values: Sequence[float | None], dependence: Dependence = "positive") -> list[float | None]:
    """The smallest false-discovery rate at which each unit is called; None stays None and does not count as tested.

    q of the i-th smallest p = min over j >= i of p_j m / j, at most 1; times 1 + 1/2 + ... + 1/m for `any` dependence.
    """
    tested = [i for i, p in enumerate(p_values) if p is not None]
    found: list[float | None] = [None] * len(p_values)
    q = adjusted(np.array([p_values[i] for i in tested], np.float64), dependence)
    for place, value in zip(tested, q.tolist(), strict=True):
        found[place] = value
    return found


def adjusted(p: np.ndarray, dependence: Dependence = "positive") -> np.ndarray:
    """The q-values (m,) of p-values (m,), all of which were tested; see `q_values`."""
    if np.isnan(p).any() or (p < 0).any() or (p > 1).any():
        raise ValueError("a p-value is not between 0 and 1")
    m = len(p)
    q = np.empty(m)
    if not m:
        return q
    ranks = np.arange(1, m + 1)
    penalty = float((1 / ranks).sum()) if dependence == "any" else 1.0
    order = np.argsort(p, kind="stable")
    # m / rank is at least 1 and rounding must not make q smaller than p.
    steps = np.maximum(p[order] * m * penalty / ranks, p[order])
    q[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return q


def called(p_values: Sequence[float | None], rate: float = 0.05, dependence: Dependence = "positive") -> list[bool]:
    """Which units are called above their baseline at this false-discovery rate; those without a p-value are not."""
    return [q is not None and q <= rate for q in q_values(p_values, dependence)]
