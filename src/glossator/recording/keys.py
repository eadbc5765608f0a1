"""A window's maximum and its row in one 64-bit number, so that any sorting routine gives the same exact order.

Larger maximum first, lower row first among equals; 0 stands for "no window".
"""

from __future__ import annotations

import numpy as np

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
