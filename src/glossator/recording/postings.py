"""The inverted index of a sparse site: any unit's list is two slices of memory maps, one of them packed."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from glossator.recording.keys import powers
from glossator.recording.packing import PackedPositions
from glossator.statistics import largest


@dataclass(frozen=True, eq=False)
class OfUnit:
    """One unit's postings: positions uint32 ascending, as stored; halves float16, as stored; activations float32;
    rows int64, in which its positions lie. All are read-only, as they are kept."""

    positions: np.ndarray
    halves: np.ndarray
    activations: np.ndarray
    rows: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.positions, self.halves, self.activations, self.rows):
            array.flags.writeable = False

    def maxima(self, sign: int) -> tuple[np.ndarray, np.ndarray]:
        """rows int64 in which the unit has a value of this sign, ascending, and the largest such value float32."""
        return self._above if sign > 0 else self._below

    @cached_property
    def _above(self) -> tuple[np.ndarray, np.ndarray]:
        return self._maxima(self.activations)

    @cached_property
    def _below(self) -> tuple[np.ndarray, np.ndarray]:
        return self._maxima(-self.activations)

    def _maxima(self, signed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        row, positive = self.rows, signed > 0
        if not positive.all():
            row, signed = row[positive], signed[positive]
        if not len(row):
            return np.empty(0, np.int64), np.empty(0, np.float32)
        starts = np.flatnonzero(np.concatenate([[True], row[1:] != row[:-1]]))
        rows, maxima = row[starts], np.maximum.reduceat(signed, starts)
        rows.flags.writeable = maxima.flags.writeable = False
        return rows, maxima


@dataclass(eq=False)
class Postings:
    """offsets int64 (units + 1,); positions uint32 (row * width + column), ascending in a unit, as they are in
    recordings of earlier formats; activations float16, to be multiplied by two to the power of their unit's exponent,
    int16 (units,)."""

    offsets: np.ndarray
    positions: np.ndarray | PackedPositions
    activations: np.ndarray
    exponents: np.ndarray
    width: int
    _last: tuple[int, OfUnit] | None = field(default=None, repr=False)

    def of(self, unit: int) -> OfUnit:
        """The postings of one unit. Those of the last unit are kept, since one is asked for many times in turn."""
        last = self._last
        if last is None or last[0] != unit:
            self._last = last = unit, self._read(unit)
        return last[1]

    def _read(self, unit: int) -> OfUnit:
        first, end = self.offsets[unit], self.offsets[unit + 1]
        stored, halves = self.positions, self.activations[first:end]
        positions = stored.of(unit) if isinstance(stored, PackedPositions) else stored[first:end]
        activations = halves.astype(np.float32) * powers(self.exponents[unit])
        return OfUnit(positions, halves, activations, (positions // np.uint32(self.width)).astype(np.int64))

    def values(self, unit: int, rows: np.ndarray) -> np.ndarray:
        """float32 (rows, width): the unit's activations in these windows, 0 where it has none."""
        own = self.of(unit)
        values = np.zeros((len(rows), self.width), np.float32)
        if not len(own.rows) or not len(rows):
            return values
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        place = np.searchsorted(ordered, own.rows)
        place[place == len(ordered)] = 0
        hits = np.flatnonzero(ordered[place] == own.rows)
        values[order[place[hits]], own.positions[hits] % np.uint32(self.width)] = own.activations[hits]
        return values

    def top(self, unit: int, sign: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """int64 rows by largest value, descending, lower rows first among equals, and these values; at most k."""
        rows, maxima = self.of(unit).maxima(sign)
        best = largest(maxima, k)
        return rows[best], maxima[best]
