"""Dense sites while they are recorded: exact top-k windows of both polarities, exact moments, panel values.

All dense units of all sites share one axis of columns. A shard's values are held as float16 in unit-major order; at
its end the windows that still belong to a unit's top k so far are kept with their values, the rest is dropped. What
stays in memory between shards is one key per unit, polarity and place.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from glossator.errors import UserError
from glossator.recording.background import Background
from glossator.recording.keys import pack
from glossator.recording.spec import Plan, RecordingSpec, SitePlan
from glossator.recording.store import ArrayReader, ArrayWriter, save

LARGEST = 65504.0  # of float16; larger magnitudes are stored as this, the moments see the true value
_MOMENT_VALUES = 1 << 19
_UNIT_BLOCK = 512


class DenseShards:
    """Accumulates batches into a shard and shards into the running top k; see `dense_merge` for the finished files."""

    def __init__(self, spec: RecordingSpec, plan: Plan):
        units, width, batch = plan.dense_units, spec.width, plan.batch
        most = max(-(-(end - first) // batch) for first, end in plan.shards)
        self.plan, self.width = plan, width
        self.keys = np.zeros((units, 2, spec.top_k), np.uint64)
        self.raw = torch.empty((most, units, batch * width), dtype=torch.float16)
        self.maxima = torch.empty((2, most * batch, units), dtype=torch.float32)
        self.sums = torch.zeros((4, units), dtype=torch.float64)
        self._in_panel = np.zeros(plan.windows, bool)
        self._in_panel[plan.panel] = True
        self._pool = ThreadPoolExecutor(max(1, torch.get_num_threads()))

    def add(self, batch: int, site: SitePlan, values: torch.Tensor, valid: np.ndarray) -> None:
        """Take in one batch of the open shard: values (n, width, site width), valid bool (n, width).

        Values at invalid positions may be anything; they are overwritten in place.
        """
        n = len(valid)
        x = values if site.all_units else values[..., torch.as_tensor(site.units, device=values.device).long()]
        holes = None if valid.all() else torch.as_tensor(np.flatnonzero(~valid), device=x.device)
        if holes is not None:
            row, position = np.nonzero(~valid)
            x[row, position] = x[row, valid.argmax(1)[row]]
        x = x.float()
        high, low = x.amax(1), x.amin(1).neg_()
        bound = torch.maximum(high.max(), low.max()).item()
        if not np.isfinite(bound):
            raise UserError(
                f"{site.name} gave values that are not finite", fix="Record with dtype float32, or check the subject's weights"
            )
        if holes is not None and (empty := ~valid.any(1)).any():
            high[torch.as_tensor(empty)] = low[torch.as_tensor(empty)] = -torch.inf
        start, columns = batch * self.plan.batch, site.columns
        self.maxima[0, start : start + n, columns] = high
        self.maxima[1, start : start + n, columns] = low
        flat = x.reshape(n * self.width, -1)
        self.sums[:, columns] += _power_sums(flat, torch.as_tensor(valid.ravel(), dtype=torch.float32, device=x.device))
        halves = flat.half() if bound <= LARGEST else flat.clamp(-LARGEST, LARGEST).half()
        if holes is not None:
            halves[holes] = 0
        turned = halves.t()
        self.raw[batch, columns, : n * self.width].copy_(turned.contiguous() if x.is_cuda else turned)

    def finish(self, shard: int, folder: Path, panel_file: Path, background: Background) -> None:
        """Hand what the shard adds to the recording to the writing thread and start the next shard.

        Its top windows go to files in `folder`, its panel windows to their places in `panel_file`.
        """
        first, end = self.plan.shards[shard]
        units, local, maxima = self._update(first, end - first)
        rows = local + first
        stored = ~self._in_panel[rows]
        value_counts = np.bincount(units[stored], minlength=len(self.keys))
        for name, array in {
            "offsets": offsets_of(np.bincount(units, minlength=len(self.keys))),
            "rows": rows.astype(np.uint32),
            "maxima": maxima,
            "value_offsets": offsets_of(value_counts),
            "sums": self.sums.numpy().copy(),
        }.items():
            background.do(save, folder / f"{name}.npy", array)
        writer = ArrayWriter(folder / "values.npy", np.float16, (int(stored.sum()), self.width))
        self._gather(units[stored], local[stored], background, lambda piece, _: writer.write(piece))
        background.do(writer.close)
        self._write_panel(first, end, panel_file, background)
        self.sums.zero_()

    def _write_panel(self, first: int, end: int, panel_file: Path, background: Background) -> None:
        slots = np.flatnonzero((self.plan.panel >= first) & (self.plan.panel < end))
        if not len(slots):
            return
        local, every = self.plan.panel[slots] - first, np.arange(len(self.keys))
        place = slice(int(slots[0]), int(slots[-1]) + 1)
        per_piece = max(1, background.rows // len(slots))
        file = np.lib.format.open_memmap(panel_file, mode="r+")

        def write(piece: np.ndarray, start: int) -> None:
            units = slice(start // len(slots), (start + len(piece)) // len(slots))
            file[units, place] = piece.reshape(-1, len(slots), self.width)

        pieces = (np.repeat(every, len(slots)), np.tile(local, len(every)))
        self._gather(*pieces, background, write, step=per_piece * len(slots))
        background.do(file.flush)

    def restore(self, shard: int, folder: Path) -> None:
        """Take a finished shard's windows back into the running top k, after a restart."""
        first, end = self.plan.shards[shard]
        offsets, rows, maxima = (ArrayReader(folder / f"{name}.npy").all() for name in ("offsets", "rows", "maxima"))
        units = np.repeat(np.arange(len(self.keys)), np.diff(offsets))
        self.maxima.fill_(-torch.inf)
        self.maxima.numpy()[:, rows.astype(np.int64) - first, units] = maxima.T
        self._update(first, end - first)

    def _update(self, first: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Merge the open shard's maxima into the keys.

        Returns what entered the top k, by column then row: columns, rows within the shard, maxima of both polarities.
        """
        blocks = [slice(u, min(u + _UNIT_BLOCK, len(self.keys))) for u in range(0, len(self.keys), _UNIT_BLOCK)]
        parts = list(self._pool.map(lambda block: self._update_block(first, n, block), blocks))
        units, local, maxima = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return units, local, maxima

    def _update_block(self, first: int, n: int, block: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        maxima = np.ascontiguousarray(self.maxima.numpy()[:, :n, block].transpose(2, 0, 1))
        fresh = pack(maxima, np.arange(first, first + n))
        merged = np.concatenate([self.keys[block], fresh], axis=2)
        merged.partition(n, axis=2)
        self.keys[block] = merged[:, :, n:]
        least = np.maximum(merged[:, :, n], 1)  # key 0 is no window
        units, local = np.nonzero((fresh >= least[:, :, None]).any(axis=1))
        return units + block.start, local, maxima[units, :, local]

    def _gather(
        self,
        units: np.ndarray,
        local: np.ndarray,
        background: Background,
        write: Callable[[np.ndarray, int], None],
        step: int | None = None,
    ) -> None:
        """Hand the values of (column, local row) pairs, in that order, to `write` piece by piece: values, first pair."""
        batch, step = self.plan.batch, step or background.rows
        rows = self.raw.view(-1, self.width)

        def pass_on(buffer: torch.Tensor, size: int, start: int) -> None:
            write(buffer[:size].numpy(), start)
            background.release(buffer)

        for start in range(0, len(units), step):
            u, j = units[start : start + step], local[start : start + step]
            place = (j // batch * len(self.keys) + u) * batch + j % batch
            buffer = background.buffer()
            torch.index_select(rows, 0, torch.from_numpy(place), out=buffer[: len(u)])
            background.do(pass_on, buffer, len(u), start)


def _power_sums(flat: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sums of x, x^2, x^3, x^4 over the rows with weight 1: float64 (4, units), float32 within a few hundred rows."""
    total = torch.zeros((4, flat.shape[1]), dtype=torch.float64)
    step = max(64, _MOMENT_VALUES // flat.shape[1])
    for i in range(0, len(flat), step):
        x, w = flat[i : i + step], weights[i : i + step]
        square = x * x
        sums = [x.t().mv(w), square.t().mv(w), (square * x).t().mv(w), square.square_().t().mv(w)]
        total += torch.stack(sums).double().cpu()
    return total


def offsets_of(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
