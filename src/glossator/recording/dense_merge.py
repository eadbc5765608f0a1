"""From the shards of dense sites to the finished files, a block of units at a time.

panel.npy float16 (units, panel windows, width); top_rows.npy int32 and top_maxima.npy float32 (units, 2, k), largest
first, -1 where a unit has fewer windows; extra_offsets, extra_rows, extra_values: per unit the values of those top
windows that are not in the panel, by row; sums.npy float64 (4, units): sums of x, x^2, x^3, x^4.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import numpy as np

from glossator.recording.keys import maxima_of, rows_of
from glossator.recording.spec import Plan
from glossator.recording.store import ArrayReader, ArrayWriter, save

_BLOCK_BYTES = 64 << 20


def merge_dense(keys: np.ndarray, plan: Plan, width: int, shards: list[Path], folder: Path) -> None:
    """Write the finished dense files into `folder`; keys: the running top k after the last shard, (units, 2, k)."""
    keys = np.sort(keys, axis=2)[:, :, ::-1]
    rows = rows_of(keys)
    save(folder / "top_rows.npy", rows.astype(np.int32))
    save(folder / "top_maxima.npy", maxima_of(keys))
    sums = np.zeros((4, len(keys)))
    for shard in shards:
        sums += ArrayReader(shard / "sums.npy").all()
    save(folder / "sums.npy", sums)
    _merge_panel(plan, width, shards, folder / "panel.npy")
    _merge_values(rows.reshape(len(rows), -1), plan, width, shards, folder)


def _merge_panel(plan: Plan, width: int, shards: list[Path], path: Path) -> None:
    parts = [ArrayReader(shard / "panel.npy") for shard in shards]
    units = plan.dense_units
    step = max(1, _BLOCK_BYTES // (2 * width * len(plan.panel)))
    with ArrayWriter(path, np.float16, (units, len(plan.panel), width)) as writer:
        for u in range(0, units, step):
            writer.write(np.concatenate([part.read(u, min(u + step, units)) for part in parts], axis=1))


def _merge_values(top: np.ndarray, plan: Plan, width: int, shards: list[Path], folder: Path) -> None:
    in_panel = np.zeros(plan.windows + 1, bool)
    in_panel[plan.panel] = True
    in_panel[-1] = True  # row -1, an empty place
    step = max(1, _BLOCK_BYTES // (2 * width * top.shape[1]))
    blocks = [slice(u, min(u + step, len(top))) for u in range(0, len(top), step)]
    wanted = [_wanted(top[block], in_panel, plan.windows) for block in blocks]
    counts = [np.bincount(keys // plan.windows, minlength=len(top[block])) for keys, block in zip(wanted, blocks, strict=True)]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    save(folder / "extra_offsets.npy", offsets)
    total = int(offsets[-1])
    sources = [_ShardPairs(shard) for shard in shards]
    with ExitStack() as stack:
        extra_rows = stack.enter_context(ArrayWriter(folder / "extra_rows.npy", np.int32, (total,)))
        extra_values = stack.enter_context(ArrayWriter(folder / "extra_values.npy", np.float16, (total, width)))
        for block, keys in zip(blocks, wanted, strict=True):
            values = np.empty((len(keys), width), np.float16)
            for source in sources:
                source.fill(block, keys, values, in_panel, plan.windows)
            extra_rows.write(keys % plan.windows)
            extra_values.write(values)


def _wanted(top: np.ndarray, in_panel: np.ndarray, windows: int) -> np.ndarray:
    """Sorted unique column * windows + row of a block's top windows outside the panel."""
    unit = np.broadcast_to(np.arange(len(top))[:, None], top.shape)
    outside = ~in_panel[top]
    return np.unique(unit[outside].astype(np.int64) * windows + top[outside])


class _ShardPairs:
    """The (unit, window) pairs that one shard kept."""

    def __init__(self, folder: Path):
        names = ("offsets", "rows", "value_offsets", "values")
        self._offsets, self._rows, self._value_offsets, self._values = (ArrayReader(folder / f"{n}.npy") for n in names)

    def fill(self, block: slice, keys: np.ndarray, values: np.ndarray, in_panel: np.ndarray, windows: int) -> None:
        """Copy this shard's share of a block's wanted values to their places."""
        offsets = self._offsets.read(block.start, block.stop + 1)
        rows = self._rows.read(offsets[0], offsets[-1]).astype(np.int64)
        units = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        stored = ~in_panel[rows]
        have = units[stored] * windows + rows[stored]
        place = np.searchsorted(keys, have)
        place[place == len(keys)] = 0
        kept = np.flatnonzero(keys[place] == have) if len(keys) else np.empty(0, np.int64)
        if len(kept):
            ends = self._value_offsets.read(block.start, block.stop + 1)
            values[place[kept]] = self._values.read(ends[0], ends[-1])[kept]
