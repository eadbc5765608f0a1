"""The values of the reference sample (panel) of dense units: written once, each shard's at their final place.

Where a unit's values go does not depend on what comes later, but the power of two by which they are multiplied in the
end does: it is that of its largest magnitude anywhere. Values are therefore stored with the power that was known when
they came, which is nearly always the last one, since powers begin with `HEADROOM`. Those with a greater one are listed,
and what has less than the last is halved as it is read.
"""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path

import numpy as np

from glossator.recording.keys import exponents_of, halve
from glossator.recording.store import header_of

IN_PLACE_BYTES = 4096
"""Of one unit's values in a shard: where they are fewer, the shard keeps them, to be put into place with others."""
FIRST_INPUTS = 4
"""The exponents that units begin with are found on so many inputs."""
HEADROOM = 8
"""A unit may exceed its largest magnitude on the first inputs by two to this power before its exponent has to grow."""


class StoredPanel:
    """The values of a finished recording, float16 (units, panel inputs, width): mapped, a private copy of the pages of
    those that are halved as they are first read.

    exponents int16 (units,); begun and runs where values were stored with others: the exponents that the units began
    with, and see `runs_above`.
    """

    def __init__(
        self, values: np.ndarray, exponents: np.ndarray, begun: np.ndarray | None = None, runs: np.ndarray | None = None
    ):
        self._values, self._exponents = values, exponents
        self._begun = exponents if begun is None else begun
        self._runs = np.empty((0, 4), np.int32) if runs is None else runs
        self._as_written = self._exponents != self._begun
        self._lock = threading.Lock()

    def of(self, units: slice) -> np.ndarray:
        """(units, panel inputs, width), each unit's to be multiplied by two to the power of its exponent."""
        if self._as_written[units].any():
            with self._lock:
                self._bring_to_the_end(units)
        found = self._values[units]
        found.flags.writeable = False
        return found

    def _bring_to_the_end(self, units: slice) -> None:
        for unit in units.start + np.flatnonzero(self._as_written[units]):
            times = np.full(self._values.shape[1], self._exponents[unit] - self._begun[unit])
            first, end = np.searchsorted(self._runs[:, 0], [unit, unit + 1])
            for _, start, stop, exponent in self._runs[first:end].tolist():
                times[start:stop] = self._exponents[unit] - exponent
            halve(self._values[unit], times)
            self._as_written[unit] = False


class PanelFile:
    """`panel.npy` of one grid while it is filled: float16 (units, panel inputs, width).

    Pieces of different shards lie beside each other and may be written by different processes; whoever writes one
    again writes the same bytes.
    """

    def __init__(self, path: Path, units: int, inputs: int, width: int):
        self.path, self._shape, self._unit = path, (units, inputs, width), inputs * width * 2
        self._row = width * 2
        self._header = header_of(np.float16, self._shape)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._put(0, memoryview(self._header))
        os.ftruncate(self._file, len(self._header) + units * self._unit)

    def write(self, piece: np.ndarray, pair: int, values: np.ndarray) -> None:
        """Write values (n, width) of the pairs (unit, input) of a piece, from number `pair` on; the checksums of the
        piece are brought up to date."""
        first, count, checksums = int(piece[0]), int(piece[1]), piece[2:]
        data, done, size = values.reshape(-1).view(np.uint8).data, 0, count * self._row
        while done < len(data):
            unit, skip = divmod(pair * self._row + done, size)
            part = data[done : done + size - skip]
            self._put(len(self._header) + unit * self._unit + first * self._row + skip, part)
            checksums[unit] = zlib.crc32(part, int(checksums[unit]))
            done += len(part)

    def checksum(self, pieces: list[np.ndarray]) -> int:
        """CRC-32 of the whole file from those of its pieces, in order."""
        of_unit, size = np.zeros(self._shape[0], np.uint32), 0
        for piece in pieces:
            added = int(piece[1]) * self._row
            of_unit, size = _followed(of_unit, added) ^ piece[2:], size + added
        while len(of_unit) > 1:
            if len(of_unit) % 2:
                of_unit = np.concatenate([of_unit[:1] * np.uint32(0), of_unit])  # 0 before others changes nothing
            of_unit, size = _followed(of_unit[::2], size) ^ of_unit[1::2], size * 2
        header = np.array([zlib.crc32(self._header)], np.uint32)
        return int((_followed(header, self._shape[0] * self._unit) ^ of_unit)[0])

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def _put(self, start: int, data: memoryview) -> None:
        while data:
            done = os.pwrite(self._file, data, start)
            start, data = start + done, data[done:]


def piece_of(units: int, first: int, count: int) -> np.ndarray:
    """uint32 (2 + units,): the first of a shard's panel inputs, how many it has, and CRC-32 of each unit's values."""
    return np.concatenate([np.array([first, count], np.uint32), np.zeros(units, np.uint32)])


_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31  # the polynomial 1: a checksum's highest bit stands for the lowest power


def _times(factor: int, checksums: np.ndarray) -> np.ndarray:
    """The products of a polynomial and others, uint32, over GF(2) and modulo that of CRC-32."""
    product = np.zeros_like(checksums)
    for bit in range(31, -1, -1):
        product ^= ((checksums >> np.uint32(bit)) & np.uint32(1)) * np.uint32(factor)
        factor = factor >> 1 ^ (_POLYNOMIAL if factor & 1 else 0)
    return product


def _product(a: int, b: int) -> int:
    """`_times` for two polynomials alone."""
    product = 0
    for bit in range(31, -1, -1):
        product ^= a if b >> bit & 1 else 0
        a = a >> 1 ^ (_POLYNOMIAL if a & 1 else 0)
    return product


def _followed(checksums: np.ndarray, size: int) -> np.ndarray:
    """What CRC-32 checksums add to those of data with so many more bytes after theirs."""
    factor, power, bits = _ONE, _ONE >> 1, 8 * size
    while bits:
        if bits & 1:
            factor = _product(factor, power)
        power, bits = _product(power, power), bits >> 1
    return _times(factor, checksums)


def begun_with(largest: np.ndarray) -> np.ndarray:
    """int16: the exponents that units begin with, from their largest magnitudes on the first inputs: the least of all
    for one that was silent there."""
    return exponents_of(largest) + np.where(largest > 0, HEADROOM, 0).astype(np.int16)


def runs_above(exponents: np.ndarray, begun: np.ndarray, first: int) -> np.ndarray:
    """int32 (runs, 4): unit, first panel input, end, and exponent, wherever units have others than they began with.

    exponents (panel inputs, units), of the panel's inputs from `first` on.
    """
    unit, slot = np.nonzero((exponents != begun).T)
    exponent = exponents[slot, unit]
    ends = np.flatnonzero((np.diff(unit) != 0) | (np.diff(slot) != 1) | (np.diff(exponent) != 0)) + 1
    starts = np.concatenate([[0], ends])[: len(unit)]
    last = np.concatenate([ends, [len(unit)]])[: len(starts)] - 1
    return np.stack([unit[starts], first + slot[starts], first + slot[last] + 1, exponent[starts]], axis=1).astype(
        np.int32
    )


def joined(runs: list[np.ndarray]) -> np.ndarray:
    """The runs of shards, in order, as those of the whole panel: by unit, those that go on in the next shard as one."""
    every = np.concatenate(runs)
    every = every[np.lexsort((every[:, 1], every[:, 0]))]
    goes_on = (every[1:, [0, 3]] == every[:-1, [0, 3]]).all(axis=1) & (every[1:, 1] == every[:-1, 2])
    starts = np.flatnonzero(np.concatenate([[True], ~goes_on])[: len(every)])
    found = every[starts]
    found[:, 2] = every[np.concatenate([starts[1:] - 1, [len(every) - 1]])[: len(starts)], 2]
    return found
