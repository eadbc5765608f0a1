"""Recording sparse sites: an inverted index, unit -> (token position, activation), built shard by shard.

A shard's entries arrive in the order of positions; a stable radix sort by unit leaves each unit's list in that order.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from glossator.errors import UserError
from glossator.recording.background import Background
from glossator.recording.keys import exponents_of, powers
from glossator.recording.packing import pack
from glossator.recording.spec import Plan, SitePlan
from glossator.recording.store import ArrayReader, ArrayWriter, Checksums, offsets_of, save

_SMALLEST = np.float16(2.0**-14)
_BLOCK_POSTINGS = 4 << 20
_PIECE = 8 << 20


class SparseShards:
    """Collects one site's nonzero activations until the shard ends, then writes them as a small index of its own."""

    def __init__(self, plan: Plan, site: SitePlan):
        self.plan, self.site = plan, site
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._local = None if site.all_units else np.full(site.width, -1, np.int64)
        if self._local is not None:
            self._local[site.units] = np.arange(len(site.units))
        self._unit_type = np.uint16 if len(site.units) <= 2**16 else np.uint32

    def add(self, first: int, values: torch.Tensor, indices: torch.Tensor | None, valid: np.ndarray) -> None:
        """Add a batch that starts at window row `first`: a top-k pair, or values alone, (n, width, site width)."""
        if indices is None:
            position, unit = (a.cpu().numpy() for a in torch.nonzero(values.flatten(0, 1), as_tuple=True))
            activation = values.flatten(0, 1)[position, unit].float().cpu().numpy()
        else:
            k = values.shape[-1]
            activation = values.reshape(-1).float().cpu().numpy()
            unit = indices.reshape(-1).cpu().numpy()
            position = np.repeat(np.arange(activation.size // k), k)
        keep = (activation != 0) & valid.ravel()[position]
        if not np.isfinite(activation[keep]).all():
            raise not_finite(self.site.name)
        if self._local is not None:
            unit = self._local[unit]
            keep &= unit >= 0
        position = (position[keep] + first * valid.shape[1]).astype(np.uint32)
        self._parts.append((unit[keep].astype(self._unit_type), position, activation[keep]))

    def finish(self, folder: Path, background: Background, checksums: Checksums) -> None:
        """Hand the shard's index to the writing thread and start the next shard."""
        units, positions, activations = (np.concatenate([part[i] for part in self._parts]) for i in range(3))
        self._parts = []
        order = radix_order(units)
        counts = np.bincount(units, minlength=len(self.site.units))
        offsets = offsets_of(counts)
        halves, exponents = _as_halves(activations[order], offsets)
        background.do(save, folder / "offsets.npy", offsets, checksums)
        background.do(save, folder / "exponents.npy", exponents, checksums)
        background.do(save, folder / "positions.npy", positions[order], checksums)
        background.do(save, folder / "activations.npy", halves, checksums)


def not_finite(site: str) -> UserError:
    """The error for a site that gave a value that is not a number, or infinite."""
    return UserError(
        f"{site} gave values that are not finite", fix="Record with dtype float32, or check the subject's weights"
    )


def _as_halves(activations: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float16 (n,) and int16 powers of two (units,) that stand for these float32 values, which lie unit by unit."""
    some = np.flatnonzero(np.diff(offsets))
    largest = np.zeros(len(offsets) - 1, np.float32)
    if len(some):
        largest[some] = np.maximum.reduceat(np.abs(activations), offsets[some])
    exponents = exponents_of(largest)
    scales = np.repeat(powers(-exponents), np.diff(offsets))
    return _no_less(activations * scales), exponents


def _no_less(values: np.ndarray) -> np.ndarray:
    """float16; what is below its smallest number with all its digits becomes that one: a posting is never 0."""
    halves = values.astype(np.float16)
    return np.where(np.abs(halves) < _SMALLEST, np.copysign(_SMALLEST, halves), halves)


def radix_order(units: np.ndarray) -> np.ndarray:
    """The stable order by unit: one counting pass per 16 bits."""
    order = np.argsort(units.astype(np.uint16), kind="stable")
    if units.dtype == np.uint16:
        return order
    return order[np.argsort((units >> 16).astype(np.uint16)[order], kind="stable")]


def merge_sparse(site: SitePlan, shards: list[Path], folder: Path, checksums: Checksums) -> None:
    """One index from those of the shards: offsets int64 (units + 1,), positions packed (`packing`) as gaps uint8 and
    bits uint8 (units,), activations float16, and the powers of two by which a unit's activations are to be multiplied,
    exponents int16 (units,)."""
    offsets = [ArrayReader(shard / "offsets.npy").all() for shard in shards]
    total = np.sum(offsets, axis=0)
    save(folder / "offsets.npy", total, checksums)
    each = np.stack([ArrayReader(shard / "exponents.npy").all() for shard in shards])
    exponents = each.max(axis=0)
    save(folder / "exponents.npy", exponents, checksums)
    sources = [(ArrayReader(s / "positions.npy"), ArrayReader(s / "activations.npy")) for s in shards]
    shape = (int(total[-1]),)
    bits: list[np.ndarray] = []
    with (
        tempfile.TemporaryFile(dir=folder) as gaps,  # how long they are is known at the end
        ArrayWriter(folder / "activations.npy", np.float16, shape, checksums) as activations,
    ):
        for first, end in _blocks(total):
            start = total[first]
            size = int(total[end] - start)
            block_positions, block_activations = np.empty(size, np.uint32), np.empty(size, np.float16)
            written = total[first:end] - start
            for (from_positions, from_activations), place, own in zip(sources, offsets, each, strict=True):
                counts = np.diff(place[first : end + 1])
                there = np.repeat(written - (place[first:end] - place[first]), counts) + np.arange(counts.sum())
                block_positions[there] = from_positions.read(place[first], place[end])
                scales = np.repeat(powers((own - exponents)[first:end]), counts)
                block_activations[there] = _no_less(from_activations.read(place[first], place[end]) * scales)
                written = written + counts
            block_gaps, block_bits = pack(block_positions, np.diff(total[first : end + 1]))
            gaps.write(block_gaps.data)
            bits.append(block_bits)
            activations.write(block_activations)
        size = gaps.tell()
        gaps.seek(0)
        with ArrayWriter(folder / "gaps.npy", np.uint8, (size,), checksums) as packed:
            while piece := gaps.read(_PIECE):
                packed.write(np.frombuffer(piece, np.uint8))
    save(folder / "bits.npy", np.concatenate([np.zeros(0, np.uint8), *bits]), checksums)


def _blocks(offsets: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of units of about `_BLOCK_POSTINGS` postings, at least one unit each."""
    blocks, first, units = [], 0, len(offsets) - 1
    while first < units:
        end = int(np.searchsorted(offsets, offsets[first] + _BLOCK_POSTINGS, side="right")) - 1
        end = min(units, max(first + 1, end))
        blocks.append((first, end))
        first = end
    return blocks
