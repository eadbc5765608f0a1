"""A score against its baseline: the difference on the same documents, and its p-value.

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
    statistic: Resampled, baselines: Mapping[str, Resampled | None], *, level: float = LEVEL
) -> tuple[Estimate, dict[str, float | None], dict[str, Margin]]:
    """The statistic with its interval, the values of its baselines, and its margins over them: the parts of a `Score`.

    baselines: the same statistic of the baselines over the same documents (`constant` for chance); None if a
    baseline has none.
    """
    ours = jackknife(statistic)
    theirs = {name: None if baseline is None else jackknife(baseline) for name, baseline in baselines.items()}
    values = {name: None if baseline is None else baseline.value for name, baseline in theirs.items()}
    return estimate_of(ours, level), values, margins(ours, theirs, level)


def margins(ours: Jackknifed, theirs: Mapping[str, Jackknifed | None], level: float = LEVEL) -> dict[str, Margin]:
    """The margins over those baselines that have one."""
    found = {name: None if baseline is None else margin(ours, baseline, level) for name, baseline in theirs.items()}
    return {name: m for name, m in found.items() if m is not None}


def margin(ours: Jackknifed, theirs: Jackknifed, level: float = LEVEL) -> Margin | None:
    """Ours - theirs with its paired interval and p; None if one of them is undefined or they are of other documents.

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


EXCHANGES = 999
_AT_ONCE = 100_000  # tokens for which is drawn at once
_PIECE = 256


def exchange_p(truth: np.ndarray, prediction: np.ndarray, documents: np.ndarray) -> float:
    """How often the prediction (t,) correlates as well with the truth (t,) of other documents, one-sided.

    documents (t,): tokens of one stand together, in order. In each of `EXCHANGES` draws every document gets the truth
    of another one, from a chance place on, begun again where it ends too early. What the truth does within a document
    (runs, bursts, firing throughout) and how documents differ stay as they are under the null; only what truth and
    text have to do with each other is undone. The value itself counts among the draws, so p is never 0.
    """
    starts = np.flatnonzero(np.r_[True, documents[1:] != documents[:-1]])
    lengths = np.diff(np.r_[starts, len(documents)])
    y, p = (values - values.mean() for values in (truth, prediction))
    y, p, size = y / np.abs(y).max(), p / p.std(), len(documents)
    observed = float(_correlations(y.sum(), y @ y, y @ p, size))
    # Each document's truth, followed by its beginning, so that a piece that is read of it stands in one place.
    longer = lengths + _PIECE
    again = np.concatenate([np.resize(y[a : a + n], m) for a, n, m in zip(starts, lengths, longer, strict=True)])
    first_of = np.cumsum(longer) - longer
    sums, squares = (np.concatenate([[0.0], np.cumsum(values)]) for values in (again, again**2))
    given, offset = _exchanged(lengths, size)
    total, square, fits = np.zeros((3, EXCHANGES))
    for document, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        read = given[:, document]
        for within in range(0, length, _PIECE):
            place = first_of[read] + (offset[:, document] + within) % lengths[read]
            n = min(_PIECE, length - within)
            total += sums[place + n] - sums[place]
            square += squares[place + n] - squares[place]
            fits += np.lib.stride_tricks.sliding_window_view(again, n)[place] @ p[start + within : start + within + n]
    drawn = _correlations(total, square, fits, size)
    return (1 + int((drawn >= observed - 1e-9).sum())) / (1 + int(np.isfinite(drawn).sum()))


def _exchanged(lengths: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which document each document is given in each draw, and the place in it that is read first."""
    rng, at_once = np.random.default_rng(0), max(1, _AT_ONCE // size)
    given, offset = [], []
    for first in range(0, EXCHANGES, at_once):
        shape = (min(at_once, EXCHANGES - first), len(lengths))
        given.append(rng.permuted(np.broadcast_to(np.arange(len(lengths)), shape), axis=1))
        offset.append((rng.random(shape) * lengths[given[-1]]).astype(np.int64))
    return np.concatenate(given), np.concatenate(offset)


def _correlations(total: np.ndarray, squares: np.ndarray, fits: np.ndarray, size: int) -> np.ndarray:
    """Pearson r of `size` values with a prediction of mean 0 and deviation 1, from their sum, the sum of their squares
    and of their products with it; NaN if they are constant."""
    variance = np.asarray(squares / size - (total / size) ** 2)
    undefined = np.full(variance.shape, np.nan)
    return np.divide(fits / size, np.sqrt(np.maximum(variance, 0)), out=undefined, where=variance > 1e-12)
