"""A score against its null: the difference on the same resampled documents, and how surprising it would be of nothing.

The p-value is one-sided, of the hypothesis that the score is not above its null. It is the share of bootstrap
resamples in which it is not (one is added above and below, so that it is never 0; Phipson & Smyth 2010), which inverts
the percentile interval of the difference. Few documents make that interval too narrow. So the share is read as a
quantile of the normal distribution and turned into one of Student's t, with as many degrees of freedom as documents
less one: exact for a mean of normal differences (the "expanded" percentiles of Hesterberg 2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from glossator.scores import Margin
from glossator.statistics.resampling import (
    LEVEL,
    RESAMPLES,
    Drawn,
    Estimate,
    Resampled,
    draw,
    estimate_of,
    percentile_interval,
)


def compare(
    statistic: Resampled,
    nulls: Mapping[str, Resampled | None],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[Estimate, dict[str, float | None], dict[str, Margin]]:
    """The statistic with its interval, the values of its nulls, and its margins over them: what a `Score` is made of.

    nulls: the same statistic of the null explanations over the same documents (`constant` for chance); None where a
    null has none.
    """
    ours = draw(statistic, seed=seed, resamples=resamples)
    theirs = {
        name: None if null is None else draw(null, seed=seed, resamples=resamples) for name, null in nulls.items()
    }
    values = {name: None if null is None else null.value for name, null in theirs.items()}
    return estimate_of(ours, level), values, margins(ours, theirs, level)


def margins(ours: Drawn, theirs: Mapping[str, Drawn | None], level: float = LEVEL) -> dict[str, Margin]:
    """The margins over those nulls that have one."""
    found = {name: None if null is None else margin(ours, null, level) for name, null in theirs.items()}
    return {name: m for name, m in found.items() if m is not None}


def margin(ours: Drawn, theirs: Drawn, level: float = LEVEL) -> Margin | None:
    """Ours - theirs with its paired interval and p; None where one of them is undefined or they are of other documents.

    No interval and no p where less than half of the resamples define the difference.
    """
    if ours.value is None or theirs.value is None:
        return None
    if ours.documents != theirs.documents or len(ours.draws) != len(theirs.draws):
        return None
    differences = ours.draws - theirs.draws
    low, high, _ = percentile_interval(differences, level)
    return Margin(
        ours.value - theirs.value, low, high, None if low is None else bootstrap_p(differences, ours.documents)
    )


def bootstrap_p(differences: np.ndarray, documents: int) -> float:
    """One-sided p that the difference is not above 0, from its draws; undefined ones (NaN) do not count."""
    from scipy.special import ndtri, stdtr

    finite = differences[np.isfinite(differences)]
    share = (1 + int((finite <= 0).sum())) / (1 + len(finite))
    if share == 1:
        return 1.0
    # The bootstrap's spread is that of the sample with n, not n - 1, below the sum of squares.
    quantile = float(ndtri(1 - share)) * math.sqrt((documents - 1) / documents)
    return float(stdtr(documents - 1, -quantile))


def permutation_p(observed: float, draws: np.ndarray) -> float:
    """How often draws under the null reach the observed value: (1 + hits) / (1 + draws), one-sided, never 0.

    draws (n,): the statistic of random units, random directions or shuffled labels; undefined ones (NaN) do not count.
    """
    finite = draws[np.isfinite(draws)]
    hits = int((finite >= observed - 1e-12 * max(1.0, abs(observed))).sum())
    return (1 + hits) / (1 + len(finite))
