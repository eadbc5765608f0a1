"""The score of SASC: how much more a module gives texts with a concept than texts without, in sigma of its corpus.

Singh et al. 2023, section 3: (mean f(Text+) - mean f(Text-)) / sigma, where sigma is the standard deviation of f over
the n-grams of the reference corpus. Texts around one name are no independent draws: whatever the module makes of that
name moves all of them. What is drawn is the name. So p is the rank of a score among those of names drawn at random,
tested in the same way on texts of their own, and the interval is as wide as their scores scatter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glossator.explainers.naming.halves import LEAST
from glossator.scores import Score
from glossator.statistics import permutation_p

LEAST_RANDOM = 39
"""Fewer random names with a score give no interval and no p: the least p would be above 2.5 %."""


def difference(positive: np.ndarray, negative: np.ndarray, sigma: float) -> float | None:
    """Mean of the finite responses of one side minus that of the other, in sigma; None where a side has too few."""
    known = [values[np.isfinite(values)] for values in (positive, negative)]
    if min(map(len, known)) < LEAST or not sigma > 0:
        return None
    return float((known[0].mean() - known[1].mean()) / sigma)


def in_sigma(
    name: str,
    positive: np.ndarray,
    negative: np.ndarray,
    sigma: float,
    *,
    random: np.ndarray | None = None,
    ranked: float | None = None,
    how: dict[str, Any] | None = None,
) -> Score:
    """The difference of means in sigma, with a one-sided p and a 95 % interval from the scores of random names.

    positive, negative (n,): responses, NaN where there is none; those are left out and counted in `how`. random (m,):
    scores of random names, NaN where they have none; p = (1 + those at least as large) / (1 + m), of `ranked` where
    the score itself was not made as theirs were. The interval is the value minus the middle 95 % of the random names'
    scores about their median, which is the baseline `random_name`; without enough of them there is neither, and where
    nearly all score alike there is no interval.
    """
    known = [int(np.isfinite(values).sum()) for values in (positive, negative)]
    details = {
        "positive": known[0],
        "negative": known[1],
        "missing": len(positive) + len(negative) - sum(known),
        "sigma": sigma,
        **(how or {}),
    }
    value = difference(positive, negative, sigma)
    if value is None:
        reason = f"fewer than {LEAST} texts with a response on one side ({known[0]} with, {known[1]} without)"
        reason = reason if min(known) < LEAST else "the module is constant on the corpus"
        return Score(name, None, "sigma", n=sum(known), reason=reason, how=details)
    drawn = np.empty(0) if random is None else random[np.isfinite(random)]
    details["random_names"] = len(drawn)
    if len(drawn) < LEAST_RANDOM:
        details |= {"interval": f"none: fewer than {LEAST_RANDOM} random names have this score", "p": None}
        return Score(name, value, "sigma", n=sum(known), how=details)
    details |= {"interval": "scatter of random names", "p": permutation_p(value if ranked is None else ranked, drawn)}
    high_end, middle, low_end = np.quantile(drawn, [0.975, 0.5, 0.025], method="weibull").tolist()
    if not high_end > low_end:  # nothing scatters: that is no certainty
        details["interval"] = "none: random names score alike"
        return Score(name, value, "sigma", n=sum(known), baselines={"random_name": middle}, how=details)
    low, high = value - (high_end - middle), value - (low_end - middle)
    return Score(name, value, "sigma", low, high, sum(known), baselines={"random_name": middle}, how=details)
