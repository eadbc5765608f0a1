"""Recording dense sites: exact top-k windows of both polarities, exact moments, values of the reference sample (panel).

All dense units of all sites share one axis of columns. A shard's values are held as float16 in unit-major order, with
a power of two for each unit and some windows; at its end the windows that still belong to a unit's top k so far are
kept with their values, the rest is dropped. What stays in memory between shards is one key per unit, polarity and
place.

Where a shard ends changes nothing in the finished recording: sums are added batch by batch within a part of the plan,
values are rounded once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from glossator.readouts.base import Readout
from glossator.recording.background import Background, in_turn
from glossator.recording.keys import exponents_of, halve, pack, powers
from glossator.recording.sparse import not_finite
from glossator.recording.spec import Plan, RecordingSpec, SitePlan
from glossator.recording.store import ArrayReader, ArrayWriter, Checksums, offsets_of, save

_CHUNK_VALUES = 1 << 19  # worked on at a time: they stay in the cache
_UNIT_BLOCK = 512


class Room:
    """Memory for the batches of one shard."""

    def __init__(self, plan: Plan, width: int):
        units, batch, most = plan.dense_units, plan.batch, plan.most_batches
        self.raw = torch.empty((most, units, batch * width), dtype=torch.float16)
        self.maxima = torch.empty((2, most * batch, units), dtype=torch.float32)
        self.exponents = torch.empty((most * batch, units), dtype=torch.int16)
        self.sums = torch.zeros((most, 4, units), dtype=torch.float64)


class DenseShards:
    """Accumulates batches into a shard and shards into the running top k; see `dense_merge` for the finished files.

    plan: of the sites of one grid alone, width: how many places that has; pool: runs what finishing a shard takes;
    readouts: of the sites whose values are computed from those of their source. Shards are finished in order, one at a
    time, while batches of the next may come in, into another room.
    """

    def __init__(
        self,
        spec: RecordingSpec,
        plan: Plan,
        width: int,
        pool: ThreadPoolExecutor,
        readouts: Mapping[str, Readout] | None = None,
    ):
        units = plan.dense_units
        self.plan, self.width = plan, width
        self._readouts: dict[str, Readout] = dict(readouts or {})
        self.keys = np.zeros((units, 2, spec.top_k), np.uint64)
        self.total = np.zeros((4, units))
        self._in_panel = np.zeros(plan.windows, bool)
        self._in_panel[plan.panel] = True
        self._pool, self._of_thread = pool, threading.local()

    def add(self, room: Room, batch: int, source: str, values: torch.Tensor, valid: np.ndarray) -> None:
        """Add one source site's part of a batch of a shard: values (n, width, site width), valid (n, width).

        Values at invalid positions may be anything. Batches may come from several threads at once.
        """
        if not hasattr(self._of_thread, "bench"):
            self._of_thread.bench = _Bench()
        for site in self.plan.sites:
            if site.kind != "dense" or site.source != source:
                continue
            chosen = None if site.all_units else torch.as_tensor(site.units, device=values.device).long()
            found = self._readouts[site.name].read(values) if site.name in self._readouts else values
            step = max(1, _CHUNK_VALUES // (self.width * len(site.units)))
            for row in range(0, len(valid), step):
                rows = slice(row, row + step)
                self._add_chunk(self._of_thread.bench, room, batch, site, found[rows], valid[rows], chosen, row)

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
        if chosen is not None:
            part = part.index_select(2, chosen)
        x = bench.get("x", tuple(part.shape), torch.float32, part.device).copy_(part)
        holes = None if mask.all() else np.nonzero(~mask)
        if holes is not None:
            x[holes] = x[holes[0], mask.argmax(1)[holes[0]]]  # for the maxima: a value that is there anyway
            x[~mask.any(1)] = 0
        high, low = x.amax(1), x.amin(1).neg_()
        bound = max(high.max().item(), low.max().item())
        if not np.isfinite(bound):
            raise not_finite(site.name)
        if holes is not None and (empty := ~mask.any(1)).any():
            high[empty] = low[empty] = -torch.inf
        here = slice(batch * self.plan.batch + row, batch * self.plan.batch + row + n)
        room.maxima[0, here, columns] = high
        room.maxima[1, here, columns] = low
        if holes is not None:
            x[holes] = 0
        exponents = exponents_of(torch.maximum(high.amax(0), low.amax(0)).cpu().numpy())
        room.exponents[here, columns] = torch.from_numpy(exponents)
        x.mul_(torch.from_numpy(powers(-exponents)).to(part.device))
        square = bench.get("square", tuple(part.shape), torch.float32, part.device)
        halves = bench.get("halves", tuple(part.shape), torch.float16, part.device)
        halves.copy_(x)
        turned = halves.view(-1, units).t()
        place = slice(row * self.width, (row + n) * self.width)
        room.raw[batch, columns, place].copy_(turned.contiguous() if turned.is_cuda else turned)
        sums = _power_sums(x.view(-1, units), square.view(-1, units))
        room.sums[batch, :, columns] += sums * torch.from_numpy(np.ldexp(1.0, np.arange(1, 5)[:, None] * exponents))

    def finish(
        self, room: Room, first: int, end: int, folder: Path, background: Background, checksums: Checksums
    ) -> None:
        """Hand the shard of these rows to the writing thread, for files in `folder`, and free its memory."""
        units, local, maxima = self._update(room.maxima.numpy(), first, end - first)
        stored = ~self._in_panel[first:end][local]
        if first % self.plan.part == 0:
            self.total = np.zeros_like(self.total)
        for sums in room.sums[: self.plan.batches_in(first, end)].numpy():
            self.total += sums
        exponents = room.exponents[: end - first].amax(0).numpy()
        for name, array in {
            "offsets": offsets_of(np.bincount(units, minlength=len(self.keys))),
            "rows": local + np.uint32(first),
            "maxima": maxima,
            "value_offsets": offsets_of(np.bincount(units[stored], minlength=len(self.keys))),
            "sums": self.total.copy(),
            "exponents": exponents,
        }.items():
            background.do(save, folder / f"{name}.npy", array, checksums)
        units, local = units[stored], local[stored]
        self._write(
            room,
            folder / "values.npy",
            len(units),
            lambda part: (units[part], local[part]),
            exponents,
            background,
            checksums,
        )
        panel = self.plan.panel_in(first, end) - first

        def every(part: slice) -> tuple[np.ndarray, np.ndarray]:
            number = np.arange(part.start, part.stop)
            return number // len(panel), panel[number % len(panel)]

        self._write(room, folder / "panel.npy", len(panel) * len(self.keys), every, exponents, background, checksums)
        room.sums.zero_()

    def restore(self, first: int, end: int, folder: Path) -> None:
        """Restore a finished shard's windows and the sums of its part so far after a restart."""
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
        merged = np.concatenate([self.keys[block], fresh], axis=2)
        merged.sort(axis=2)  # `partition` takes ten times as long while most keys are still 0
        self.keys[block] = merged[:, :, n:]
        least = np.maximum(merged[:, :, n], 1)  # key 0 is no window
        units, local = np.nonzero((fresh >= least[:, :, None]).any(axis=1))
        picked = maxima[units, :, local]
        return (units + block.start).astype(np.int32), local.astype(np.uint32), picked

    def _write(
        self,
        room: Room,
        path: Path,
        count: int,
        pairs: Callable[[slice], tuple[np.ndarray, np.ndarray]],
        exponents: np.ndarray,
        background: Background,
        checksums: Checksums,
    ) -> None:
        """Write the values of `count` (columns, local rows), in that order: float16 (count, width), to be multiplied by
        two to the power of their column's exponent."""
        writer = ArrayWriter(path, np.float16, (count, self.width), checksums)
        background.keep(writer)
        batch, rows, its_exponents = self.plan.batch, room.raw.view(-1, self.width), room.exponents.numpy()

        step = max(1, background.values // self.width)

        def pass_on(buffer: torch.Tensor, found: torch.Tensor) -> None:
            writer.write(found.numpy())
            background.release(buffer)

        def gather(start: int) -> tuple[torch.Tensor, torch.Tensor]:
            u, j = pairs(slice(start, min(start + step, count)))
            number, inside = np.divmod(j.astype(np.int64), batch)
            place = (number * len(self.keys) + u) * batch + inside
            buffer = background.buffer()
            found = buffer[: len(u) * self.width].view(len(u), self.width)
            torch.index_select(rows, 0, torch.from_numpy(place), out=found)
            halve(found.numpy(), exponents[u] - its_exponents[j, u])
            return buffer, found

        for buffer, found in in_turn(self._pool, gather, range(0, count, step)):
            background.do(pass_on, buffer, found)
        background.do(writer.close)


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


def _power_sums(x: torch.Tensor, square: torch.Tensor) -> torch.Tensor:
    """Sums of x, x^2, x^3, x^4 over a few hundred rows in float32, as float64 (4, units); square: room for x^2.

    x is scaled so that none of these leaves the range of float32.
    """
    ones = torch.ones(len(x), device=x.device)
    torch.mul(x, x, out=square)
    first, second = x.t().mv(ones), square.t().mv(ones)
    third = x.mul_(square).t().mv(ones)
    return torch.stack([first, second, third, square.square_().t().mv(ones)]).double().cpu()
