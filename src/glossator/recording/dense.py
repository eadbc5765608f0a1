"""Recording dense sites: exact top-k windows of both polarities, exact moments, values of the reference sample (panel).

All dense units of all sites share one axis of columns. A shard's values are held as float16, window by window and each
unit's side by side, with a power of two for each unit in each window or in a few. At its end those of the panel are
written where they stay, and the windows that still belong to a unit's top k so far are kept with their values; the rest
is dropped. What stays in memory between shards is one key per unit, polarity and place.

Where a shard ends changes nothing in the finished recording: sums are added batch by batch within a part of the plan,
values are rounded once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from glossator.readouts.base import Readout
from glossator.recording.background import Background, in_turn
from glossator.recording.chunks import CHUNK_VALUES, Bench, Target, take_in
from glossator.recording.keys import halve_some, pack
from glossator.recording.panel import IN_PLACE_BYTES, PanelFile, begun_with, piece_of, runs_above
from glossator.recording.sparse import not_finite
from glossator.recording.spec import Plan, RecordingSpec, SitePlan
from glossator.recording.store import PANEL, PIECE, ArrayReader, ArrayWriter, Checksums, damaged, offsets_of, save

_UNIT_BLOCK = 512


class Room:
    """Memory for the batches of one shard."""

    def __init__(self, plan: Plan, width: int):
        units, batch, most = plan.dense_units, plan.batch, plan.most_batches
        # NumPy asks the system for huge pages, which spares most of the page faults.
        self.raw = torch.from_numpy(np.empty((most * batch, units, width), np.float16))
        self.maxima = torch.empty((2, most * batch, units), dtype=torch.float32)
        self.exponents = torch.empty((most * batch, units), dtype=torch.int16)
        self.sums = torch.zeros((most, 4, units), dtype=torch.float64)


class DenseShards:
    """Accumulates batches into a shard and shards into the running top k; see `dense_merge` for the finished files.

    plan: of the sites of one grid alone, width: how many places that has; pool: runs what finishing a shard takes, and
    what adding a batch takes where batches come one at a time (alone), while no shard is finished; panel: the file of
    the panel's values; readouts: of the sites whose values are computed from those of their source. Shards are finished
    in order, one at a time, while batches of the next may come in, into another room.
    """

    def __init__(
        self,
        spec: RecordingSpec,
        plan: Plan,
        width: int,
        pool: ThreadPoolExecutor,
        panel: Path,
        readouts: Mapping[str, Readout] | None = None,
        *,
        alone: bool = False,
    ):
        units = plan.dense_units
        self.plan, self.width = plan, width
        self._readouts: dict[str, Readout] = dict(readouts or {})
        self.keys = np.zeros((units, 2, spec.top_k), np.uint64)
        self.total = np.zeros((4, units))
        self.begun = np.zeros(units, np.int16)
        self.panel = PanelFile(panel, units, len(plan.panel), width)
        self._in_panel = np.zeros(plan.windows, bool)
        self._in_panel[plan.panel] = True
        self._pool, self._alone, self._of_thread = pool, alone, threading.local()

    def begin(self, source: str, values: torch.Tensor, valid: np.ndarray) -> None:
        """Set the exponents that the units of one source site begin with; as `add`, of the first inputs."""
        for site, found in self._read(source, values):
            found = torch.where(torch.from_numpy(valid)[..., None].to(found.device), found, 0)
            if site.units.size < found.shape[2]:
                found = found.index_select(2, torch.as_tensor(site.units, device=found.device).long())
            largest = found.abs().amax((0, 1)).float()
            if not torch.isfinite(largest).all():
                raise not_finite(site.name)
            self.begun[site.columns] = begun_with(largest.cpu().numpy())

    def _read(self, source: str, values: torch.Tensor) -> Iterator[tuple[SitePlan, torch.Tensor]]:
        """The dense sites of a source site, and the values of all their units."""
        for site in self.plan.sites:
            if site.kind == "dense" and site.source == source:
                yield site, self._readouts[site.name].read(values) if site.name in self._readouts else values

    def add(self, room: Room, batch: int, source: str, values: torch.Tensor, valid: np.ndarray, row: int = 0) -> None:
        """Add one source site's part of a batch of a shard: values (n, width, site width), valid (n, width), of the
        batch's inputs from `row` on.

        Values at invalid positions may be anything. Batches may come from several threads at once.
        """
        sums = room.sums[batch].numpy()
        for site, found in self._read(source, values):
            step = max(1, CHUNK_VALUES // (self.width * len(site.units)))
            begin = batch * self.plan.batch + row
            parts = [slice(first, min(first + step, len(valid))) for first in range(0, len(valid), step)]
            take = partial(self._take_in, room, begin, site, found, valid)
            # A stream alone has all cores, which the operations of torch share but a compiled loop does not.
            alone = self._alone and found.device.type == "cpu"
            for of_part in self._pool.map(take, parts) if alone else map(take, parts):
                sums[:, site.columns] += of_part

    def _take_in(
        self, room: Room, begin: int, site: SitePlan, found: torch.Tensor, valid: np.ndarray, rows: slice
    ) -> np.ndarray:
        """Put values of these rows at a site into the room from row `begin` on, and return their power sums."""
        if not hasattr(self._of_thread, "bench"):
            self._of_thread.bench = Bench()
        here, columns = slice(begin + rows.start, begin + rows.stop), site.columns
        chosen = None if site.all_units else torch.as_tensor(site.units, device=found.device).long()
        target = Target(room.raw[here, columns], room.maxima[:, here, columns], room.exponents[here, columns])
        sums = take_in(found[rows], valid[rows], chosen, self.begun[columns], target, self._of_thread.bench)
        if sums is None:
            raise not_finite(site.name)
        return sums

    def finish(
        self, room: Room, first: int, end: int, folder: Path, background: Background, checksums: Checksums
    ) -> None:
        """Hand the shard of these rows to the writing thread, for files in `folder` and for the panel, and free its
        memory."""
        units, local, maxima = self._update(room.maxima.numpy(), first, end - first)
        stored = ~self._in_panel[first:end][local]
        if first % self.plan.part == 0:
            self.total = np.zeros_like(self.total)
        for sums in room.sums[: self.plan.batches_in(first, end)].numpy():
            self.total += sums
        each = room.exponents[: end - first].numpy()
        exponents = each.max(axis=0)
        before, rows = int(np.searchsorted(self.plan.panel, first)), self.plan.panel_in(first, end) - first
        for name, array in {
            "offsets": offsets_of(np.bincount(units, minlength=len(self.keys))),
            "rows": local + np.uint32(first),
            "maxima": maxima,
            "value_offsets": offsets_of(np.bincount(units[stored], minlength=len(self.keys))),
            "sums": self.total.copy(),
            "exponents": exponents,
            "begun": self.begun,
            "panel_runs": runs_above(each[rows], self.begun, before),
        }.items():
            background.do(save, folder / f"{name}.npy", array, checksums)
        units, local = units[stored], local[stored]

        def of_units(part: slice) -> tuple[np.ndarray, np.ndarray]:
            return units[part], local[part]

        def of_panel(part: slice) -> tuple[np.ndarray, np.ndarray]:
            number = np.arange(part.start, part.stop)
            return number // len(rows), rows[number % len(rows)]

        def halved(part: slice, found: np.ndarray) -> None:
            halve_some(found, exponents[units[part]] - each[local[part], units[part]])

        self._write(room, len(units), of_units, folder / "values.npy", background, checksums, halved)
        count = len(self.keys) * len(rows)
        if len(rows) * self.width * 2 < IN_PLACE_BYTES:
            self._write(room, count, of_panel, folder / PANEL, background, checksums)
        else:
            piece = piece_of(len(self.keys), before, len(rows))
            self._pass_on(room, count, of_panel, partial(self.panel.write, piece), background)
            background.do(save, folder / PIECE, piece, checksums)
        room.sums.zero_()

    def restore(self, first: int, end: int, folder: Path) -> None:
        """Restore a finished shard's windows and the sums of its part so far after a restart; `UserError` if its units
        began with other exponents."""
        if not np.array_equal(ArrayReader(folder / "begun.npy").all(), self.begun):
            raise damaged(folder / "begun.npy", "its units began with other powers of two")
        self.total = ArrayReader(folder / "sums.npy").all()
        offsets, rows, maxima = (ArrayReader(folder / f"{name}.npy").all() for name in ("offsets", "rows", "maxima"))
        units = np.repeat(np.arange(len(self.keys)), np.diff(offsets))
        of_shard = np.full((2, end - first, len(self.keys)), -np.inf, np.float32)
        of_shard[:, rows.astype(np.int64) - first, units] = maxima.T
        self._update(of_shard, first, end - first)

    def _update(self, maxima: np.ndarray, first: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Merge a shard's maxima (2, at least n, units) into the keys.

        Returns what entered the top k, by column then row: columns, rows within the shard, maxima of both polarities.
        """
        blocks = [slice(u, min(u + _UNIT_BLOCK, len(self.keys))) for u in range(0, len(self.keys), _UNIT_BLOCK)]
        parts = list(self._pool.map(lambda block: self._update_block(maxima[:, :n, block], first, block), blocks))
        units, local, picked = (np.concatenate([part[i] for part in parts]) for i in range(3))
        return units, local, picked

    def _update_block(self, maxima: np.ndarray, first: int, block: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n = maxima.shape[1]
        maxima = np.ascontiguousarray(maxima.transpose(2, 0, 1))
        fresh = pack(maxima, np.arange(first, first + n))
        merged = np.concatenate([self.keys[block], np.sort(fresh, axis=2)], axis=2)
        merged.sort(axis=2, kind="stable")  # which merges two sorted runs, in a fraction of the time
        self.keys[block] = merged[:, :, n:]
        least = np.maximum(merged[:, :, n], 1)  # key 0 is no window
        units, local = np.nonzero((fresh >= least[:, :, None]).any(axis=1))
        picked = maxima[units, :, local]
        return (units + block.start).astype(np.int32), local.astype(np.uint32), picked

    def _write(
        self,
        room: Room,
        count: int,
        pairs: Callable[[slice], tuple[np.ndarray, np.ndarray]],
        path: Path,
        background: Background,
        checksums: Checksums,
        finish: Callable[[slice, np.ndarray], None] | None = None,
    ) -> None:
        """Write the values of `count` (columns, local rows), in that order, to a file of their own."""
        writer = ArrayWriter(path, np.float16, (count, self.width), checksums)
        background.keep(writer)
        self._pass_on(room, count, pairs, lambda _, found: writer.write(found), background, finish)
        background.do(writer.close)

    def _pass_on(
        self,
        room: Room,
        count: int,
        pairs: Callable[[slice], tuple[np.ndarray, np.ndarray]],
        write: Callable[[int, np.ndarray], None],
        background: Background,
        finish: Callable[[slice, np.ndarray], None] | None = None,
    ) -> None:
        """Gather the values of `count` (columns, local rows), float16 (n, width) at a time, finish them, and have the
        writing thread write them in that order, with the number of the first."""
        rows = room.raw.view(-1, self.width)
        step = max(1, background.values // self.width)

        def written(start: int, buffer: torch.Tensor, found: torch.Tensor) -> None:
            write(start, found.numpy())
            background.release(buffer)

        def gather(start: int) -> tuple[int, torch.Tensor, torch.Tensor]:
            part = slice(start, min(start + step, count))
            u, j = pairs(part)
            place = j.astype(np.int64) * len(self.keys) + u
            buffer = background.buffer()
            found = buffer[: len(u) * self.width].view(len(u), self.width)
            torch.index_select(rows, 0, torch.from_numpy(place), out=found)
            if finish:
                finish(part, found.numpy())
            return start, buffer, found

        for start, buffer, found in in_turn(self._pool, gather, range(0, count, step)):
            background.do(written, start, buffer, found)
