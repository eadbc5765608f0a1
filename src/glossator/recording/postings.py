"""The inverted index of a sparse site: any unit's list is two slices of memory maps, one of them packed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glossator.recording.keys import powers
from glossator.recording.packing import PackedPositions
from glossator.statistics import largest


@dataclass(frozen=True, eq=False)
class Postings:
    """offsets int64 (units + 1,); positions uint32 (row * width + column), ascending in a unit, as they are in
    recordings of earlier formats; activations float16, to be multiplied by two to the power of their unit's exponent,
    int16 (units,)."""

    offsets: np.ndarray
    positions: np.ndarray | PackedPositions
    activations: np.ndarray
    exponents: np.ndarray
    width: int

    def of(self, unit: int) -> tuple[np.ndarray, np.ndarray]:
        """positions and float32 activations of one unit."""
        positions, halves = self.halves(unit)
        return positions, halves.astype(np.float32) * powers(self.exponents[unit])

    def halves(self, unit: int) -> tuple[np.ndarray, np.ndarray]:
        """The positions and float16 activations of one unit as stored, not to be changed."""
        first, end = self.offsets[unit], self.offsets[unit + 1]
        positions = self.positions
        own = positions.of(unit) if isinstance(positions, PackedPositions) else positions[first:end]
        return own, self.activations[first:end]

    def values(self, unit: int, rows: np.ndarray) -> np.ndarray:
        """float32 (rows, width): the unit's activations in these windows, 0 where it has none."""
        positions, activations = self.of(unit)
        values = np.zeros((len(rows), self.width), np.float32)
        if not len(positions) or not len(rows):
            return values
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        row = positions // np.uint32(self.width)
        place = np.searchsorted(ordered, row)
        place[place == len(ordered)] = 0
        hits = np.flatnonzero(ordered[place] == row)
        values[order[place[hits]], positions[hits] % np.uint32(self.width)] = activations[hits]
        return values

    def maxima(self, unit: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
        """rows int64 in which the unit has a value of this sign, ascending, and the largest such value float32."""
        positions, activations = self.of(unit)
        signed = activations * np.float32(sign)
        positive = signed > 0
        if not positive.all():
            positions, signed = positions[positive], signed[positive]
        if not len(positions):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        row = positions // np.uint32(self.width)
        starts = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
        return row[starts].astype(np.int64), np.maximum.reduceat(signed, starts)

    def top(self, unit: int, sign: int, k: int) -> np.ndarray:
        """int64 rows by largest value, descending, lower rows first among equals; at most k."""
        rows, maxima = self.maxima(unit, sign)
        return rows[largest(maxima, k)]
