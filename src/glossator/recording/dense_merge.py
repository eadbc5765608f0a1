"""From the shards of dense sites to the finished files, a block of units at a time.

panel.npy float16 (units, panel windows, width); top_rows.npy int32 and
top_maxima.npy float32 (units, 2, k), largest first, -1 where a unit has fewer windows; extra_offsets, extra_rows and
extra_values: per unit the values of those top windows that are not in the panel, by row; sums.npy float64 (4, units):
sums of x, x^2, x^3, x^4.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from glossator.recording.keys import maxima_of, rows_of
from glossator.recording.spec import Plan
from glossator.recording.store import ArrayReader, ArrayWriter, offsets_of, save

_BLOCK_BYTES = 32 << 20


def merge_dense(keys: np.ndarray, plan: Plan, width: int, shards: list[Path], folder: Path) -> None:
    """Write the finished dense files into `folder`; keys: the running top k after the last shard, (units, 2, k)."""
    sums = np.zeros((4, len(keys)))
    for shard in shards:
        sums += ArrayReader(shard / "sums.npy").all()
    save(folder / "sums.npy", sums)
    in_panel = np.zeros(plan.windows + 1, bool)
    in_panel[plan.panel] = True
    in_panel[-1] = True  # row -1, an empty place
    sources = [_ShardPairs(shard, in_panel, plan.windows) for shard in shards]
    _merge_panel(len(keys), plan, width, shards, folder)
    step = max(1, _BLOCK_BYTES // (2 * width * keys.shape[1] * keys.shape[2]))
    blocks = [slice(unit, min(unit + step, len(keys))) for unit in range(0, len(keys), step)]
    counts = []
    with ExitStack() as stack:
        top_rows, top_maxima, extra_rows, extra_values = (
            stack.enter_context(ArrayWriter(folder / f"{name}.npy", dtype, shape))
            for name, dtype, shape in (
                ("top_rows", np.int32, keys.shape),
                ("top_maxima", np.float32, keys.shape),
                ("extra_rows", np.int32, (None,)),
                ("extra_values", np.float16, (None, width)),
            )
        )
        pool = stack.enter_context(ThreadPoolExecutor(2))
        for block in in_turn(pool, lambda block: _merge_block(keys[block], block, sources, in_panel, width), blocks):
            top_rows.write(block.top_rows)
            top_maxima.write(block.top_maxima)
            extra_rows.write(block.extra_rows)
            extra_values.write(block.extra_values)
            counts.append(block.counts)
    save(folder / "extra_offsets.npy", offsets_of(np.concatenate(counts)))


def _merge_panel(units: int, plan: Plan, width: int, shards: list[Path], folder: Path) -> None:
    """Put each unit's panel windows, which lie shard by shard, side by side."""
    parts = [ArrayReader(shard / "panel.npy") for shard in shards]
    counts = [len(plan.panel_of(number)) for number in range(len(shards))]
    ends = np.cumsum(counts)
    step = max(1, _BLOCK_BYTES // (2 * width * len(plan.panel)))
    block = np.empty((step, len(plan.panel), width), np.float16)
    with ArrayWriter(folder / "panel.npy", np.float16, (units, len(plan.panel), width)) as writer:
        for unit in range(0, units, step):
            size = min(step, units - unit)
            for part, count, end in zip(parts, counts, ends, strict=True):
                values = part.read(unit * count, (unit + size) * count)
                block[:size, end - count : end] = values.reshape(size, count, width)
            writer.write(block[:size])


class _Merged(NamedTuple):
    top_rows: np.ndarray
    top_maxima: np.ndarray
    extra_rows: np.ndarray
    extra_values: np.ndarray
    counts: np.ndarray


def _merge_block(
    keys: np.ndarray, block: slice, sources: list[_ShardPairs], in_panel: np.ndarray, width: int
) -> _Merged:
    """The finished entries of a block of units, whose keys these are."""
    keys = np.sort(keys, axis=2)[:, :, ::-1]
    rows = rows_of(keys)
    ordered = np.sort(rows.reshape(len(rows), -1), axis=1)
    wanted = ~in_panel[ordered]
    wanted[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]  # top windows of both polarities once
    unit, _ = np.nonzero(wanted)
    extra = ordered[wanted]
    values = _collect(sources, block, unit * (len(in_panel) - 1) + extra, width)
    return _Merged(rows, maxima_of(keys), extra, values, np.bincount(unit, minlength=len(rows)))


def in_turn(
    pool: ThreadPoolExecutor, call: Callable[[Any], Any], items: Iterable[Any], ahead: int = 2
) -> Iterator[Any]:
    """Results in the order of the items, with at most `ahead` calls running or waiting."""
    waiting: deque[Future[Any]] = deque()
    for item in items:
        waiting.append(pool.submit(call, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _collect(sources: list[_ShardPairs], block: slice, wanted: np.ndarray, width: int) -> np.ndarray:
    """float16 (wanted, width): the values of the wanted pairs of a block of units, from all shards."""
    stored = [source.stored(block) for source in sources]
    buffer = np.empty((sum(len(keys) for keys, _ in stored), width), np.float16)
    start = 0
    for source, (keys, first) in zip(sources, stored, strict=True):
        source.read_values(first, buffer[start : start + len(keys)])
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

    def __init__(self, folder: Path, in_panel: np.ndarray, windows: int):
        names = ("offsets", "rows", "value_offsets", "values")
        self._offsets, self._rows, self._value_offsets, self._values = (ArrayReader(folder / f"{n}.npy") for n in names)
        self._in_panel, self._windows = in_panel, windows

    def stored(self, block: slice) -> tuple[np.ndarray, int]:
        """Keys (column in the block * windows + row) of a block's pairs, and where their values start."""
        offsets = self._offsets.read(block.start, block.stop + 1)
        rows = self._rows.read(offsets[0], offsets[-1]).astype(np.int64)
        keys = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)) * self._windows + rows
        return keys[~self._in_panel[rows]], int(self._value_offsets.read(block.start, block.start + 1)[0])

    def read_values(self, first: int, values: np.ndarray) -> None:
        self._values.read_into(first, values)
