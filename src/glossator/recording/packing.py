"""Ascending positions of many units, packed: of each the gap to the one before, in as many bits as the unit's widest.

A unit's bits begin at a whole byte, lowest first, so that any unit is read alone and nothing has to be known of others
but how many positions and bits they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MOST_BITS = 32
_ROOM = 8  # bytes after the last one, which bits of a wide gap are written to as zeros


def pack(positions: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (bytes,) and the bits of a gap, uint8 (units,): positions uint32, `counts` (units,) of each unit in turn,
    ascending within it."""
    first = np.cumsum(counts) - counts
    some = np.flatnonzero(counts)
    gaps = positions.astype(np.int64)
    gaps[1:] -= positions[:-1].astype(np.int64) + 1
    gaps[first[some]] = positions[first[some]]
    bits = np.zeros(len(counts), np.uint8)
    if len(some):
        widest = np.maximum.reduceat(gaps, first[some])
        bits[some] = np.maximum(np.frexp(widest.astype(np.float64))[1], 1)
    starts = _starts(counts, bits)
    at_bit = (np.arange(len(gaps)) - np.repeat(first, counts)) * np.repeat(bits.astype(np.int64), counts)
    byte = np.repeat(starts[:-1], counts) + (at_bit >> 3)
    shifted = gaps.astype(np.uint64) << (at_bit & 7).astype(np.uint64)
    size = int(starts[-1]) + _ROOM
    found = np.zeros(size)
    for k in range((int(bits.max(initial=0)) + 14) // 8):  # no two gaps share a bit, so their sum puts them together
        found += np.bincount(byte + k, (shifted >> np.uint64(8 * k)) & np.uint64(255), minlength=size)
    return found[: starts[-1]].astype(np.uint8), bits


def _starts(counts: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """int64 (units + 1,): the byte at which each unit begins, and the end."""
    return np.concatenate([[0], np.cumsum((counts * bits.astype(np.int64) + 7) // 8)])


@dataclass(eq=False)
class PackedPositions:
    """What `pack` made; offsets int64 (units + 1,): where each unit's positions begin among those of all."""

    gaps: np.ndarray
    bits: np.ndarray
    offsets: np.ndarray

    @cached_property
    def _starts(self) -> np.ndarray:
        return _starts(np.diff(self.offsets), self.bits)

    def of(self, unit: int) -> np.ndarray:
        """uint32: the positions of one unit."""
        count, bits = int(self.offsets[unit + 1] - self.offsets[unit]), int(self.bits[unit])
        packed = self.gaps[self._starts[unit] : self._starts[unit + 1]]
        each = np.zeros((count, MOST_BITS), np.uint8)
        each[:, :bits] = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
        gaps = np.packbits(each, axis=1, bitorder="little").view("<u4")[:, 0].astype(np.uint32)
        return np.cumsum(gaps, dtype=np.uint32) + np.arange(count, dtype=np.uint32)
