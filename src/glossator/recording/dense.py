"""Recording dense sites: exact top-k windows of both polarities, exact moments, values of the reference sample (panel).

All dense units of all sites share one axis of columns. A shard's values are held as float16, window by window and each
unit's side by side, with a power of two for each unit and some windows. At its end those of the panel are written where
they stay, and the windows that still belong to a unit's top k so far are kept with their values; the rest is dropped.
What stays in memory between shards is one key per unit, polarity and place.

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
from glossator.recording.keys import LARGEST_SMALL, exponents_of, halve_some, pack, powers
from glossator.recording.panel import IN_PLACE_BYTES, PanelFile, begun_with, piece_of, runs_above
from glossator.recording.sparse import not_finite
from glossator.recording.spec import Plan, RecordingSpec, SitePlan
from glossator.recording.store import PANEL, PIECE, ArrayReader, ArrayWriter, Checksums, damaged, offsets_of, save

_CHUNK_VALUES = 1 << 19  # worked on at a time: they stay in the cache
_UNIT_BLOCK = 512
_IN_LINE = 32  # float16 in a cache line


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

    plan: of the sites of one grid alone, width: how many places that has; pool: runs what finishing a shard takes;
    panel: the file of the panel's values; readouts: of the sites whose values are computed from those of their
    source. Shards are finished in order, one at a
    time, while batches of the next may come in, into another room.
    """

    def __init__(
        self,
        spec: RecordingSpec,
        plan: Plan,
        width: int,
        pool: ThreadPoolExecutor,
        panel: Path,
        readouts: Mapping[str, Readout] | None = None,
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
        self._pool, self._of_thread = pool, threading.local()

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
        if not hasattr(self._of_thread, "bench"):
            self._of_thread.bench = _Bench()
        for site, found in self._read(source, values):
            chosen = None if site.all_units else torch.as_tensor(site.units, device=values.device).long()
            step = max(1, _CHUNK_VALUES // (self.width * len(site.units)))
            for first in range(0, len(valid), step):
                rows = slice(first, first + step)
                chunk = found[rows], valid[rows], chosen, row + first
                self._add_chunk(self._of_thread.bench, room, batch, site, *chunk)

    def _add_chunk(
        self,
        bench: _Bench,
        room: Room,
        batch: int,
        site: SitePlan,
        part: torch.Tensor,
        mask: np.ndarray,
        chosen: torch.Tensor | None,
        row: int,
    ) -> None:
        """Maxima, values and power sums of a few windows, which start at `row` of the batch."""
        n, units, columns = len(mask), len(site.units), site.columns
        holes = None if mask.all() else torch.from_numpy(np.flatnonzero(~mask)).to(part.device)
        # Models whose channels come first give a unit's places side by side, as they are stored.
        by_unit = holes is None and not part.is_contiguous() and part.transpose(1, 2).is_contiguous()
        x = part.transpose(1, 2) if by_unit else part
        places, of_units = (2, 1) if by_unit else (1, 2)
        if chosen is not None:
            x = x.index_select(of_units, chosen)
        scaled = bench.get("x", tuple(x.shape), torch.float32, x.device)
        empty = torch.from_numpy(~mask.any(1))
        if holes is not None:
            x = scaled.copy_(x)
            flat, there = x.view(-1, units), torch.from_numpy(mask.argmax(1)).to(x.device)
            first = holes // self.width * self.width + there[holes // self.width]
            flat.index_copy_(0, holes, flat.index_select(0, first))  # for the maxima: a value that is there anyway
            if empty.any():
                x[empty.to(x.device)] = 0
        high, low = x.amax(places).float(), x.amin(places).float().neg_()
        bound = max(high.max().item(), low.max().item())
        if not np.isfinite(bound):
            raise not_finite(site.name)
        if empty.any():
            high[empty], low[empty] = -torch.inf, -torch.inf
        here = slice(batch * self.plan.batch + row, batch * self.plan.batch + row + n)
        room.maxima[0, here, columns] = high
        room.maxima[1, here, columns] = low
        if holes is not None:
            flat.index_fill_(0, holes, 0)
        exponents = exponents_of(torch.maximum(high.amax(0), low.amax(0)).cpu().numpy())
        exponents = np.maximum(exponents, self.begun[columns])
        room.exponents[here, columns] = torch.from_numpy(exponents)
        factors = torch.from_numpy(powers(-exponents)).to(x.device)
        torch.mul(x, factors[:, None] if by_unit else factors, out=scaled)
        second = bench.get("second", tuple(x.shape), torch.float32, x.device)
        stored = torch.ops.aten.hardshrink.out(scaled, LARGEST_SMALL, out=second)  # 0 for what would lack digits
        if not by_unit:
            padded = (*x.shape[:2], _odd_lines(units))
            stored = bench.get("halves", padded, torch.float16, x.device)[..., :units].copy_(stored).mT
        room.raw[here, columns].copy_(stored.contiguous() if stored.is_cuda else stored)
        if by_unit:
            sums = _power_sums(scaled.view(-1, self.width), second.view(-1, self.width)).view(4, n, units).sum(1)
        else:
            sums = _power_sums(scaled.view(-1, units).t(), second.view(-1, units).t())
        room.sums[batch, :, columns] += sums * torch.from_numpy(np.ldexp(1.0, np.arange(1, 5)[:, None] * exponents))

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


class _Bench:
    """A worker's own buffers, used again for every chunk."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, torch.device], torch.Tensor] = {}

    def get(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """A contiguous tensor of this shape whose content is left over."""
        size = int(np.prod(shape))
        buffer = self._buffers.get((name, device))
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name, device] = torch.empty(size, dtype=dtype, device=device)
        return buffer[:size].view(shape)


def _odd_lines(values: int) -> int:
    """At least so many float16 that fill an odd number of cache lines: rows of that length fall on all sets of a cache,
    so that it holds a column of them while it is turned."""
    return (-(-values // _IN_LINE) | 1) * _IN_LINE


def _power_sums(x: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """Sums of x, x^2, x^3, x^4 over each row's few hundred values in float32, as float64 (4, rows); square: room for
    x^2.

    x is scaled so that none of these leaves the range of float32.
    """
    ones = torch.ones(x.shape[1], device=x.device)
    torch.mul(x, x, out=square)
    first, second = x.mv(ones), square.mv(ones)
    third = x.mul_(square).mv(ones)
    return torch.stack([first, second, third, square.square_().mv(ones)]).double().cpu()
