"""Integers that sort as the floats that they stand for.

A window's maximum and its row in one 64-bit key: any sorting routine gives the same exact order, larger maximum first,
lower row first among equals; 0 stands for "no window". And float16 as int16, which NumPy sorts and compares far faster.
"""

from __future__ import annotations

import numpy as np

LARGEST_HALF = 65504.0  # of float16; larger magnitudes are stored as this
_LOW = np.uint64(0xFFFFFFFF)


def pack(maxima: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """uint64 keys of float32 maxima and (broadcast) window rows; a maximum of -inf gives 0."""
    bits = (maxima + np.float32(0.0)).view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))
    keys = (ordered.astype(np.uint64) << np.uint64(32)) | (_LOW - rows.astype(np.uint64))
    keys[np.isneginf(maxima)] = 0
    return keys


def rows_of(keys: np.ndarray) -> np.ndarray:
    """int64 window rows, -1 for empty keys."""
    return np.where(keys == 0, -1, (_LOW - (keys & _LOW)).astype(np.int64))


def maxima_of(keys: np.ndarray) -> np.ndarray:
    """float32 maxima, -inf for empty keys."""
    ordered = (keys >> np.uint64(32)).astype(np.uint32)
    bits = np.where(ordered >> 31, ordered & np.uint32(0x7FFFFFFF), ~ordered)
    return np.where(keys == 0, np.float32(-np.inf), bits.astype(np.uint32).view(np.float32))


def order_of(halves: np.ndarray) -> np.ndarray:
    """int16 numbers that are ordered as these float16 ones (-0 just below 0)."""
    bits = halves.view(np.int16)
    return bits ^ ((bits >> 15) & np.int16(0x7FFF))


def half_of(order: int) -> float:
    """The float16 that `order_of` gave this number for."""
    bits = np.int16(order)
    return float((bits ^ ((bits >> 15) & np.int16(0x7FFF))).view(np.float16))


def order_below(value: float) -> int:
    """The largest `order_of` a float16 that is at most `value`: numbers above it stand for larger values."""
    with np.errstate(over="ignore"):
        half = np.float16(value)
    if float(half) > value:
        half = np.nextafter(half, np.float16(-np.inf))
    return int(order_of(np.array([half]) + np.float16(0))[0])
