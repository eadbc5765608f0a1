"""Sums over all tokens that a search makes again and again, as compiled loops.

Each adds in the order of its arguments, as the loops of NumPy and SciPy do. Nothing looks whether numbers are in range.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from glossator.engines import compiled


def load() -> None:
    """Have them compiled, or read, once for all processes that are forked later."""
    nothing = sparse.csr_matrix((0, 1), dtype=np.float32)
    products(nothing, np.zeros((1, 8), np.float32))
    masses_and_squares(nothing, np.zeros((1, 2), np.float32))
    none = np.zeros(0, np.int64)
    sums_below(none, none, np.zeros(0), np.zeros(0), np.zeros((1, 1)), np.zeros(1))
    sums_by_part(none, none, none, np.zeros(0), np.zeros((1, 1)), np.zeros((0, 1), np.float32), 0)


def products(truth: sparse.csr_matrix, values: np.ndarray) -> np.ndarray:
    """float32 truth (rows, s) times values (s, 8): (rows, 8)."""
    assert values.shape[1:] == (8,)
    found = np.empty((truth.shape[0], 8), np.float32)
    _products(truth.indptr, truth.indices, truth.data, values, found)
    return found


@compiled
def _products(starts: np.ndarray, columns: np.ndarray, data: np.ndarray, values: np.ndarray, found: np.ndarray) -> None:
    for row in range(len(found)):
        a = b = c = d = e = f = g = h = np.float32(0)
        for k in range(starts[row], starts[row + 1]):
            true, value = data[k], values[columns[k]]
            a, b, c, d = a + true * value[0], b + true * value[1], c + true * value[2], d + true * value[3]
            e, f, g, h = e + true * value[4], f + true * value[5], g + true * value[6], h + true * value[7]
        found[row, 0], found[row, 1], found[row, 2], found[row, 3] = a, b, c, d
        found[row, 4], found[row, 5], found[row, 6], found[row, 7] = e, f, g, h


def masses_and_squares(truth: sparse.csr_matrix, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 truth (rows, s), and its squares, times counts (s, 2): (rows, 2) each."""
    assert counts.shape[1:] == (2,)
    found = np.empty((2, truth.shape[0], 2), np.float32)
    _masses_and_squares(truth.indptr, truth.indices, truth.data, counts, found)
    return found[0], found[1]


@compiled
def _masses_and_squares(
    starts: np.ndarray, columns: np.ndarray, data: np.ndarray, counts: np.ndarray, found: np.ndarray
) -> None:
    for row in range(found.shape[1]):
        a = b = c = d = np.float32(0)
        for k in range(starts[row], starts[row + 1]):
            true, count = data[k], counts[columns[k]]
            square = true * true
            a, b, c, d = a + true * count[0], b + true * count[1], c + square * count[0], d + square * count[1]
        found[0, row, 0], found[0, row, 1], found[1, row, 0], found[1, row, 1] = a, b, c, d


@compiled
def sums_below(
    numbers: np.ndarray,
    parts: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray,
    sums: np.ndarray,
    masses: np.ndarray,
) -> None:
    """Fill sums (size + 1, parts), of values (t,) in each part, and masses (size + 1,), of weights (t,), with those of
    numbers (t,) below 0, 1, ... size."""
    sums[:], masses[:] = 0, 0
    for k in range(len(numbers)):
        sums[numbers[k] + 1, parts[k]] += values[k]
        masses[numbers[k] + 1] += weights[k]
    for number in range(1, len(masses)):
        sums[number] += sums[number - 1]
        masses[number] += masses[number - 1]


@compiled
def sums_by_part(
    tokens: np.ndarray,
    parts: np.ndarray,
    places: np.ndarray,
    values: np.ndarray,
    sums: np.ndarray,
    found: np.ndarray,
    first: int,
) -> None:
    """Sum values (t,) at some of T places over tokens (T,), which are below s, or s for none, and parts (T,), in sums
    (s + 1, parts), and put these as float32 into found (s, columns) from the first column on."""
    sums[:] = 0
    for k in range(len(places)):
        place = places[k]
        sums[tokens[place], parts[place]] += values[k]
    for token in range(len(found)):
        for part in range(sums.shape[1]):
            found[token, first + part] = sums[token, part]
