"""Integers that sort like the floats they represent.

A window's maximum and its row in one 64-bit key: any sorting routine gives the same exact order, larger maximum first,
lower row first among equals; 0 stands for "no window". And float16 as int16, which NumPy sorts and compares far faster.

What a unit did is kept as float16 times a power of two of its own, chosen by its largest magnitude. Multiplying a unit
by a power of two therefore changes nothing but that power, and no magnitude is too large or too small to be kept.
"""

from __future__ import annotations

import numpy as np

TOP = 15  # stored magnitudes are below 2^15
LEAST = -100  # of what counts as a magnitude at all: below 2^-100 a unit is 0
_NORMAL = 1 << 10  # the bits of the smallest float16 that has all its digits, 2^-14
LARGEST_SMALL = float(np.nextafter(np.float32(2.0**-14 - 2.0**-25), np.float32(0)))
"""What is larger does not become smaller than 2^-14 as it is rounded to float16."""
_ROWS = 1024  # worked on at a time: they stay in the cache
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


def exponents_of(largest: np.ndarray) -> np.ndarray:
    """int16: the powers of two by which float16 values are to be multiplied, from the largest magnitudes."""
    exponents = np.frexp(largest)[1]
    return (np.where(largest > 0, np.maximum(exponents, LEAST), LEAST) - TOP).astype(np.int16)


def powers(exponents: np.ndarray | int) -> np.ndarray:
    """float32: two to these powers, exactly."""
    return np.ldexp(np.float32(1), exponents)


def halve(halves: np.ndarray, times: np.ndarray) -> None:
    """Divide rows of float16 (n, width), in place, by two so many (n,) times.

    What falls below the smallest float16 with all its digits becomes 0, so that dividing in steps is dividing at once.
    """
    bits, steps = halves.view(np.uint16), np.minimum(times, 31).astype(np.uint16)[:, None] << np.uint16(10)
    for start in range(0, len(bits), _ROWS):
        part, step = bits[start : start + _ROWS], steps[start : start + _ROWS]
        kept = (part & np.uint16(0x7FFF)) >= step + np.uint16(_NORMAL)
        np.subtract(part, step, out=part)
        np.multiply(part, kept, out=part)


def halve_some(halves: np.ndarray, times: np.ndarray) -> None:
    """`halve` the rows that are to be halved at all, of values without small ones."""
    some = np.flatnonzero(times)
    if len(some) == len(halves):
        halve(halves, times)
    elif len(some):
        taken = halves[some]
        halve(taken, times[some])
        halves[some] = taken


def as_stored(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float16 values (n, ...) and int16 powers of two (n,) that stand for these finite ones, as in a recording."""
    exponents = exponents_of(np.abs(values).reshape(len(values), -1).max(axis=1, initial=0))
    return rounded(values, exponents.reshape(-1, *[1] * (values.ndim - 1))), exponents


def rounded(values: np.ndarray, exponents: np.ndarray | int) -> np.ndarray:
    """float16: values as a unit with this exponent is stored, which they do not exceed."""
    halves = (np.asarray(values, np.float32) * powers(-np.asarray(exponents))).astype(np.float16)
    halves[np.abs(halves) < np.float16(2.0**-14)] = 0
    return halves


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
