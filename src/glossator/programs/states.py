"""What tests of context compute, on arrays (n, width) of windows x places. Nothing looks ahead.

Running sums and maxima along each row take the place of loops over places, so that a test costs a few passes.
"""

from __future__ import annotations

import numpy as np


def shift(values: np.ndarray, by: int) -> np.ndarray:
    """Each row moved `by` places to the right, 0 (False) coming in from the left."""
    if by == 0:
        return values
    moved = np.zeros_like(values)
    if by < values.shape[1]:
        moved[:, by:] = values[:, :-by]
    return moved


def greatest_of_last(values: np.ndarray, k: int) -> np.ndarray:
    """The greatest of the k values that end at each place, by doubling."""
    k = min(k, max(values.shape[1], 1))
    reach = 1
    while reach * 2 <= k:
        values = np.maximum(values, shift(values, reach))
        reach *= 2
    return np.maximum(values, shift(values, k - reach))


def between(opens: np.ndarray, closes: np.ndarray) -> np.ndarray:
    """Whether something is open at each place: what opens and closes toggles, opening twice is opening once."""
    both = opens & closes
    toggles = running(both)
    if np.array_equal(both, opens | closes):
        return shift(toggles % 2 == 1, 1) & ~closes
    last = last_before(opens ^ closes)
    return (_at(opens, last) ^ ((shift(toggles, 1) - _at(toggles, last)) % 2 == 1)) & ~closes


def nested(opens: np.ndarray, closes: np.ndarray, depth: int) -> np.ndarray:
    """Whether at least `depth` are open before and after each place, every opening counted."""
    total = np.cumsum(opens.astype(np.int32) - closes, axis=1, dtype=np.int32)
    now = total - np.minimum(np.minimum.accumulate(total, axis=1), 0) if total.size else total
    return np.minimum(shift(now, 1), now) >= depth


def last_before(holds: np.ndarray) -> np.ndarray:
    """Place of the last token before each where a test holds, -1 for none."""
    there = np.flatnonzero(holds)
    before = np.append(np.int32(-1), there.astype(np.int32))
    last = np.repeat(before, np.diff(there, prepend=-1, append=holds.size - 1)).reshape(holds.shape)
    starts = np.arange(len(holds), dtype=np.int32) * np.int32(holds.shape[1])
    return np.maximum(last - starts[:, None], np.int32(-1))


def running(holds: np.ndarray) -> np.ndarray:
    """How often a test held up to and including each place."""
    return np.cumsum(holds, axis=1, dtype=np.int32)


def counted(holds: np.ndarray, since: np.ndarray | None) -> np.ndarray:
    """How often a test held before each place; since: after the place of `last_before` only."""
    until = running(holds)
    before = shift(until, 1)
    return before if since is None else before - _at(until, since)


NEAR = 8
"""So many places back are looked at one by one."""


def same(keys: np.ndarray, low: int, high: int | None) -> np.ndarray:
    """Whether the same key last stood low..high places back; -1 equals nothing."""
    if low == 1 and high is not None and high <= NEAR:
        found = np.zeros(keys.shape, bool)
        for back in range(1, min(keys.shape[1] - 1, high) + 1):
            found[:, back:] |= keys[:, back:] == keys[:, :-back]
        return found & (keys != -1)
    gap = distance_to_same(keys)
    return gap >= low if high is None else (gap >= low) & (gap <= high)


def agrees(keys: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Whether the token at the place of `last_before` has the same key; -1 equals nothing."""
    return (_at(keys, last, -1) == keys) & (keys != -1)


def pairs(keys: np.ndarray) -> np.ndarray:
    """A key for each place and the one before, -1 where either has none."""
    previous = np.full(keys.shape, -1, np.int64)
    previous[:, 1:] = keys[:, :-1]
    joint = previous * (int(keys.max(initial=0)) + 1) + keys
    return np.where((previous == -1) | (keys == -1), -1, joint)


def follows_as_before(keys: np.ndarray, n: int) -> np.ndarray:
    """Whether the n keys before each place stood together earlier, and the last time the same key followed them."""
    if n > keys.shape[1]:
        return np.zeros(keys.shape, bool)
    context = keys.astype(np.int64)
    for length in range(1, n):
        if length > 1:  # small numbers, however long the run
            _, numbered = np.unique(context, return_inverse=True)
            context = np.where(context == -1, -1, numbered.reshape(keys.shape))
        context = pairs(context)
    before = np.full(keys.shape, -1, np.int64)
    before[:, 1:] = context[:, :-1]
    gap = distance_to_same(before)
    places = np.arange(keys.shape[1], dtype=np.int32)
    return (gap > 0) & (keys != -1) & (_at(keys, places - gap) == keys)


def distance_to_same(keys: np.ndarray) -> np.ndarray:
    """How many tokens back the same key stands in its row, 0 where it is new or -1."""
    bits = max(keys.shape[1] - 1, 1).bit_length()  # key and place in one number sort faster than places by key
    joint = np.sort((keys.astype(np.int64) << bits) + np.arange(keys.shape[1]), axis=1)
    ordered, order = joint >> bits, (joint & ((1 << bits) - 1)).astype(np.int32)
    gap = np.zeros_like(order)
    gap[:, 1:] = np.where(ordered[:, 1:] == ordered[:, :-1], order[:, 1:] - order[:, :-1], 0)
    gap[ordered == -1] = 0
    result = np.zeros_like(gap)
    np.put_along_axis(result, order, gap, axis=1)
    return result


def _at(values: np.ndarray, places: np.ndarray, none: int = 0) -> np.ndarray:
    """The value at a place of the same row, `none` where the place is -1."""
    rows = (np.arange(len(values)) * values.shape[1])[:, None]
    found = values.reshape(-1)[np.maximum(places, 0) + rows] if values.size else values
    return np.where(places >= 0, found, values.dtype.type(none))
