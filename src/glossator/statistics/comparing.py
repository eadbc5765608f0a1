"""A score against its null: the difference on the same documents, and how surprising it would be of nothing.

Both are computed without each document in turn, so that what the documents have in common cancels in the difference.
The p-value is two-sided and inverts the interval of the difference: it is below 0.05 exactly where the 95 % interval
leaves out 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from glossator.scores import Margin
from glossator.statistics.resampling import (
    LEVEL,
    Estimate,
    Jackknifed,
    Resampled,
    estimate_of,
    interval,
    jackknife,
    p_of_zero,
)


def compare(
    statistic: Resampled, nulls: Mapping[str, Resampled | None], *, level: float = LEVEL
) -> tuple[Estimate, dict[str, float | None], dict[str, Margin]]:
    """The statistic with its interval, the values of its nulls, and its margins over them: what a `Score` is made of.

    nulls: the same statistic of the null explanations over the same documents (`constant` for chance); None where a
    null has none.
    """
    ours = jackknife(statistic)
    theirs = {name: None if null is None else jackknife(null) for name, null in nulls.items()}
    values = {name: None if null is None else null.value for name, null in theirs.items()}
    return estimate_of(ours, level), values, margins(ours, theirs, level)


def margins(ours: Jackknifed, theirs: Mapping[str, Jackknifed | None], level: float = LEVEL) -> dict[str, Margin]:
    """The margins over those nulls that have one."""
    found = {name: None if null is None else margin(ours, null, level) for name, null in theirs.items()}
    return {name: m for name, m in found.items() if m is not None}


def margin(ours: Jackknifed, theirs: Jackknifed, level: float = LEVEL) -> Margin | None:
    """Ours - theirs with its paired interval and p; None where one of them is undefined or they are of other documents.

    No interval and no p where one of them has no interval.
    """
    if ours.value is None or theirs.value is None or ours.documents != theirs.documents:
        return None
    difference = ours - theirs
    low, high = interval(difference, level) or (None, None)
    return Margin(ours.value - theirs.value, low, high, p_of_zero(difference))


def permutation_p(observed: float, draws: np.ndarray) -> float:
    """How often draws under the null reach the observed value: (1 + hits) / (1 + draws), one-sided, never 0.

    draws (n,): the statistic of random units, random directions or shuffled labels; undefined ones (NaN) do not count.
    """
    finite = draws[np.isfinite(draws)]
    hits = int((finite >= observed - 1e-12 * max(1.0, abs(observed))).sum())
    return (1 + hits) / (1 + len(finite))


TURNS = 4


def shift_p(truth: np.ndarray, prediction: np.ndarray, width: int) -> float:
    """How often the prediction (t,) fits the truth (t,) as well when the truth is moved along the text, one-sided.

    Every shift by whole tokens, end to start, counts, after each stretch of `width` tokens was turned by a number of
    its own, so that a shift by a window does not find again what returns in every window. What either does along the
    text (runs, bursts, documents that differ) stays as it is under the null; only what they have to do with each other
    is undone. The value itself counts among the draws, so p is never 0.
    """
    y, p = truth - truth.mean(), prediction - prediction.mean()
    observed, rounding = float(y @ p), 1e-9 * float(np.sqrt((y @ y) * (p @ p)))
    rng, spectrum, size = np.random.default_rng(0), np.fft.rfft(p), len(y)
    whole, hits = size - size % width, 0
    place = np.arange(whole).reshape(-1, width)
    for _ in range(TURNS):
        moved = y.copy()
        moved[:whole] = y[place - place % width + (place + rng.integers(0, width, (len(place), 1))) % width].ravel()
        fits = np.fft.irfft(np.fft.rfft(moved).conj() * spectrum, size)
        hits += int((fits >= observed - rounding).sum())
    return (1 + hits) / (1 + TURNS * size)
