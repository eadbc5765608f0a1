"""Merging the shards of dense sites into the final files, a block of units at a time.

exponents.npy int16 (units,): the values of panel.npy and extra_values.npy are to be multiplied by two to these powers;
panel.npy float16 (units, panel windows, width), panel_begun.npy int16 (units,) and panel_runs.npy int32 (runs, 4): see
`panel`; top_rows.npy int32 and
top_maxima.npy float32 (units, 2, k), largest first, -1 where a unit has fewer windows; extra_offsets, extra_rows and
extra_values: per unit the values of those top windows that are not in the panel, by row; sums.npy float64 (4, units):
sums of x, x^2, x^3, x^4.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from glossator.recording.background import in_turn
from glossator.recording.dense import DenseShards
from glossator.recording.keys import halve_some, maxima_of, rows_of
from glossator.recording.panel import joined, piece_of
from glossator.recording.spec import Plan
from glossator.recording.store import PANEL, PIECE, ArrayReader, ArrayWriter, Checksums, Shard, offsets_of, save

_LEAST_BYTES, _READ_BYTES, _MOST_BYTES = 1 << 20, 512 << 10, 32 << 20
"""Of a block of units: as few as worth a read from every shard, as large blocks are asked of the system each time."""
_UNIT_BLOCK = 512
_AHEAD = 3  # blocks that are read while one is written
_THREADS = 2 * _AHEAD  # as many for the panel as for the extra windows, which are merged at the same time


def merge_dense(values: DenseShards, shards: list[Shard], folder: Path, checksums: Checksums) -> None:
    """Write the finished dense files of one grid into `folder`, which holds its panel and is called as those of the
    shards are."""
    keys, plan, width = values.keys, values.plan, values.width
    places = [shard.folder / folder.name for shard in shards]
    ends = {end for _, end in plan.parts}
    last = [place for shard, place in zip(shards, places, strict=True) if shard.end in ends]
    save(folder / "sums.npy", np.sum([ArrayReader(place / "sums.npy").all() for place in last], axis=0), checksums)
    each = np.stack([ArrayReader(place / "exponents.npy").all() for place in places])
    exponents = each.max(axis=0)
    save(folder / "exponents.npy", exponents, checksums)
    parts = [_Held(s, place, times) for s, place, times in zip(shards, places, exponents - each, strict=True)]
    save(folder / "panel_begun.npy", values.begun, checksums)
    runs = [ArrayReader(place / "panel_runs.npy").all() for place in places]
    save(folder / "panel_runs.npy", joined(runs), checksums)
    with ThreadPoolExecutor(_THREADS) as pool, ThreadPoolExecutor(1) as aside:
        panel = aside.submit(_merge_panel, values, parts, pool, checksums)
        extra = _merge_top(keys, plan, folder, pool, checksums)
        _merge_extra(extra, plan, width, parts, folder, pool, checksums)
        panel.result()


def _block_bytes(shards: int) -> int:
    return min(_MOST_BYTES, max(_LEAST_BYTES, shards * _READ_BYTES))


class _Held(NamedTuple):
    """A shard, its folder of dense values, and how many times each unit's values in it are to be halved (units,)."""

    shard: Shard
    folder: Path
    times: np.ndarray


class _Extra(NamedTuple):
    """Each unit's top windows of both polarities that are not in the panel, once each."""

    offsets: np.ndarray
    rows: np.ndarray


def _merge_top(keys: np.ndarray, plan: Plan, folder: Path, pool: ThreadPoolExecutor, checksums: Checksums) -> _Extra:
    in_panel = np.zeros(plan.windows + 1, bool)
    in_panel[plan.panel] = True
    in_panel[-1] = True  # row -1, an empty place

    def merge(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        largest_first = np.sort(keys[start : start + _UNIT_BLOCK], axis=2)[:, :, ::-1]
        rows = rows_of(largest_first)
        ordered = np.sort(rows.reshape(len(rows), -1), axis=1)
        wanted = ~in_panel[ordered]
        wanted[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
        return rows, maxima_of(largest_first), ordered[wanted], wanted.sum(1)

    extra_rows, counts = [], []
    with (
        ArrayWriter(folder / "top_rows.npy", np.int32, keys.shape, checksums) as top_rows,
        ArrayWriter(folder / "top_maxima.npy", np.float32, keys.shape, checksums) as top_maxima,
    ):
        for rows, maxima, extra, count in in_turn(pool, merge, range(0, len(keys), _UNIT_BLOCK)):
            top_rows.write(rows)
            top_maxima.write(maxima)
            extra_rows.append(extra.astype(np.int32))
            counts.append(count)
    found = _Extra(offsets_of(np.concatenate(counts)), np.concatenate(extra_rows))
    save(folder / "extra_offsets.npy", found.offsets, checksums)
    save(folder / "extra_rows.npy", found.rows, checksums)
    return found


def _merge_panel(values: DenseShards, parts: list[_Held], pool: ThreadPoolExecutor, checksums: Checksums) -> None:
    """Put into the panel what shards still hold of it: all of it, in one go past the page cache, or what lies between
    pieces that were written in place."""
    panel, units = values.panel, len(values.keys)
    pieces: list[np.ndarray] = []
    first = 0
    for held, group in groupby(parts, lambda part: (part.folder / PANEL).exists()):
        shards = list(group)
        counts = [len(values.plan.panel_in(part.shard.first, part.shard.end)) for part in shards]
        if held:
            blocks = _side_by_side(values, [part.folder for part in shards], counts, pool)
            if sum(counts) == len(values.plan.panel):
                with ArrayWriter(panel.path, np.float16, (units, sum(counts), values.width), checksums) as writer:
                    for _, block in blocks:
                        writer.write(block)
                return
            pieces.append(piece_of(units, first, sum(counts)))
            for unit, block in blocks:
                panel.write(pieces[-1], unit * sum(counts), block)
        else:
            pieces += [ArrayReader(part.folder / PIECE).all() for part in shards]
        first += sum(counts)
    checksums[panel.path] = panel.checksum(pieces)


def _side_by_side(
    values: DenseShards, folders: list[Path], counts: list[int], pool: ThreadPoolExecutor
) -> Iterator[tuple[int, np.ndarray]]:
    """What shards hold of the panel one after another, so many inputs each: float16 (some units, inputs, width), with
    the first unit."""
    units, count, ends = len(values.keys), sum(counts), np.cumsum(counts)
    step = max(1, _block_bytes(len(folders)) // max(1, 2 * values.width * count))
    readers = [ArrayReader(folder / PANEL) for folder in folders]

    def block(unit: int) -> tuple[int, np.ndarray]:
        size = min(step, units - unit)
        found = np.empty((size, count, values.width), np.float16)
        for reader, part, end in zip(readers, counts, ends, strict=True):
            rows = reader.read(unit * part, (unit + size) * part)
            found[:, end - part : end] = rows.reshape(size, part, values.width)
        return unit, found

    return in_turn(pool, block, range(0, units, step) if count else (), _AHEAD)


def _merge_extra(
    extra: _Extra,
    plan: Plan,
    width: int,
    parts: list[_Held],
    folder: Path,
    pool: ThreadPoolExecutor,
    checksums: Checksums,
) -> None:
    """The values of the extra windows, from among all that entered a top k at some time."""
    in_panel = np.zeros(plan.windows, bool)
    in_panel[plan.panel] = True
    sources = [_ShardPairs(part, in_panel, plan.windows) for part in parts]
    units = len(extra.offsets) - 1
    step = max(1, int(_block_bytes(len(parts)) * units // (2 * width * max(1, len(extra.rows)))))

    def merge(start: int) -> np.ndarray:
        block = slice(start, min(start + step, units))
        offsets = extra.offsets[block.start : block.stop + 1]
        unit = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        return _collect(sources, block, unit * plan.windows + extra.rows[offsets[0] : offsets[-1]], width)

    with ArrayWriter(folder / "extra_values.npy", np.float16, (len(extra.rows), width), checksums) as writer:
        for block in in_turn(pool, merge, range(0, units, step), _AHEAD):
            writer.write(block)


def _collect(sources: list[_ShardPairs], block: slice, wanted: np.ndarray, width: int) -> np.ndarray:
    """float16 (wanted, width): the values of the wanted pairs of a block of units, from all shards."""
    stored = [source.stored(block) for source in sources]
    buffer = np.empty((sum(len(keys) for keys, _ in stored), width), np.float16)
    start = 0
    for source, (keys, first) in zip(sources, stored, strict=True):
        source.read_values(first, block.start + keys // source.windows, buffer[start : start + len(keys)])
        start += len(keys)
    if not len(wanted):
        return buffer[:0]
    have = np.concatenate([keys for keys, _ in stored])
    place = np.searchsorted(wanted, have)
    place[place == len(wanted)] = 0
    kept = np.flatnonzero(wanted[place] == have)
    origin = np.empty(len(wanted), np.int64)
    origin[place[kept]] = kept
    return buffer[origin]


class _ShardPairs:
    """The (unit, window) pairs that one shard kept with their values."""

    def __init__(self, part: _Held, in_panel: np.ndarray, windows: int):
        names = ("offsets", "rows", "value_offsets", "values")
        files = (ArrayReader(part.folder / f"{name}.npy") for name in names)
        self._offsets, self._rows, self._value_offsets, self._values = files
        self._in_panel, self.windows, self._times = in_panel, windows, part.times

    def stored(self, block: slice) -> tuple[np.ndarray, int]:
        """Keys (column in the block * windows + row) of a block's pairs, and where their values start."""
        offsets = self._offsets.read(block.start, block.stop + 1)
        rows = self._rows.read(offsets[0], offsets[-1]).astype(np.int64)
        keys = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * self.windows + rows
        return keys[~self._in_panel[rows]], int(self._value_offsets.read(block.start, block.start + 1)[0])

    def read_values(self, first: int, units: np.ndarray, values: np.ndarray) -> None:
        """Fill the values of the pairs from `first` on, which are of these units."""
        self._values.read_into(first, values)
        halve_some(values, self._times[units])
