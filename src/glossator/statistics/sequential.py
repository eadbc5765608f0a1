"""Tests that stay valid whenever one stops: e-values of a success rate.

An e-value is a bet against a hypothesis with stake 1; if the hypothesis is true, its expected value is at most 1
however one decides when to stop (Ville's inequality: it ever reaches 1/alpha with probability at most alpha).
Grünwald, de Heide & Koolen 2024; Wang & Ramdas 2022 for many at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def rate_above(successes: int, trials: int, rate: float = 0.5) -> float:
    """The e-value against "the success rate is at most `rate`": a bet spread evenly over all higher rates."""
    return _evidence(successes, trials, rate)


def rate_below(successes: int, trials: int, rate: float = 0.5) -> float:
    """The e-value against "the success rate is at least `rate`"."""
    return _evidence(trials - successes, trials, 1 - rate)


def rate_at_least(successes: int, trials: int, alpha: float = 0.05) -> float:
    """The success rate that is reached with probability 1 - alpha, whenever one stops: the lowest one that the e-values
    do not reject."""
    low, high = 0.0, successes / trials if trials else 0.0
    for _ in range(40):
        rate = (low + high) / 2
        if 0 < rate < 1 and rate_above(successes, trials, rate) >= 1 / alpha:
            low = rate
        else:
            high = rate
    return low


def _evidence(successes: int, trials: int, rate: float) -> float:
    if not 0 <= successes <= trials or not 0 < rate < 1:
        raise ValueError(f"{successes} successes of {trials} against a rate of {rate}")
    from scipy.special import betainc, betaln

    a, b = successes + 1, trials - successes + 1
    above = 1 - betainc(a, b, rate)  # share of the uniform bet's likelihood that lies above the rate
    if above <= 0:
        return 0.0
    log = betaln(a, b) + math.log(above) - successes * math.log(rate) - (trials - successes) * math.log(1 - rate)
    return float(math.exp(min(log - math.log(1 - rate), 700.0)))


def rejected(e_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses are rejected at a false-discovery rate of alpha, however they depend on one another (e-BH)."""
    count, order = len(e_values), np.argsort([-value for value in e_values], kind="stable")
    last = 0
    for k, place in enumerate(order.tolist(), 1):
        if e_values[place] >= count / (alpha * k):
            last = k
    chosen = set(order[:last].tolist())
    return [place in chosen for place in range(count)]
