"""The recording loop: forward passes, shard by shard, resumable after the last finished shard.

The subject's forward pass is the floor. Everything else must hide beside it: values are taken from the hooks once,
turned and summed while they are in the cache, and written once per shard.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from glossator import __version__
from glossator.engines import one_core_pool
from glossator.errors import UserError
from glossator.files import fingerprint, plain, read_json, write_json
from glossator.inputs import Grid, Inputs
from glossator.readouts.base import Readout
from glossator.recording.background import Background
from glossator.recording.claiming import another, check_spec, claim
from glossator.recording.dense import DenseShards, Room
from glossator.recording.dense_merge import merge_dense
from glossator.recording.keys import as_stored
from glossator.recording.reader import FORMAT, Recording, dense_folder, open_recording
from glossator.recording.saved_inputs import save_inputs
from glossator.recording.sparse import SparseShards, merge_sparse, not_finite
from glossator.recording.spec import Plan, RecordingSpec, make_plan, plan_sites, source_of
from glossator.recording.store import (
    PART,
    SHARD,
    Checksums,
    Shard,
    describe_files,
    disk_errors,
    hidden_folder,
    locked,
    open_shard,
    save,
    show_shard,
    sync,
)
from glossator.recording.streams import Bar, in_streams, streams_of
from glossator.subjects.base import grid_of, width_of

if TYPE_CHECKING:
    from glossator.corpora import ProbeSet
    from glossator.subjects.base import Subject

_PIECE_BYTES = 1 << 20  # of values on their way to the disk
SHARD_SECONDS = 5.0
"""No batch is begun in a shard that is so old: a recording that is killed loses little more than that."""


def record(
    spec: RecordingSpec,
    subject: Subject,
    probes: ProbeSet,
    folder: str | Path,
    *,
    readouts: Mapping[str, Readout] | None = None,
    progress: bool | None = None,
) -> Recording:
    """Run the subject over the inputs and write the activations of its units to `folder`; a finished recording is
    opened.

    An interrupted recording of the same spec goes on after its last whole shard and ends with the same bytes.
    progress: a bar with rate and time left on stderr; None shows it on a terminal only.
    Raises `UserError` when the folder holds something else, and when the disk is full or read-only.
    """
    folder, readouts = Path(folder), dict(readouts or {})
    check_spec(spec, subject, probes, readouts)
    if (folder / "manifest.json").exists():
        recording = open_recording(folder)
        if recording.spec != spec:
            raise another(plain(recording.spec), plain(spec), folder)
        _clean(folder)
        return recording
    inputs = subject.counted(probes.inputs)
    plan = planned(spec, subject, inputs, readouts)
    with disk_errors(folder), contextlib.ExitStack() as others:
        claim(spec, folder)
        for part in range(len(plan.parts)):
            others.enter_context(locked(_lock(folder, part)))
        keys, shards = _run(spec, plan, subject, inputs, folder, readouts, progress)
        _finish(spec, plan, keys, shards, subject, replace(probes, inputs=inputs), folder)
    return open_recording(folder)


def record_part(
    spec: RecordingSpec,
    subject: Subject,
    probes: ProbeSet,
    folder: str | Path,
    part: int,
    *,
    readouts: Mapping[str, Readout] | None = None,
) -> None:
    """Record one of the parts of a recording (`planned(...).parts`), in any process that sees `folder`.

    Several processes may record parts of a folder at once; `record` then finds them there, and merges them into the
    bytes that it would have made alone. A part that another process is at is waited for.
    Raises `UserError` as `record` does, and for a part that there is not.
    """
    folder, readouts = Path(folder), dict(readouts or {})
    check_spec(spec, subject, probes, readouts)
    inputs = subject.counted(probes.inputs)
    plan = planned(spec, subject, inputs, readouts)
    if not 0 <= part < len(plan.parts):
        raise UserError("no such part of the recording", value=part, allowed=f"0 to {len(plan.parts) - 1}")
    done = folder / "manifest.json"
    with disk_errors(folder):
        if done.exists():  # a job that was handed out twice
            return
        claim(spec, folder)
        with locked(_lock(folder, part)):
            if done.exists():  # `record` was waited for
                return
            _run(spec, plan, subject, inputs, folder, readouts, progress=False, rows=plan.parts[part])


def _lock(folder: Path, part: int) -> Path:
    """Held by the process that records a part; `_clean` removes it."""
    return folder / f".part-{part}{PART}"


def part_is_recorded(folder: str | Path, plan: Plan, part: int) -> bool:
    """Whether the shards in the folder hold all of a part; what is in them is checked when they are merged."""
    row, end = plan.parts[part]
    while row < end and (place := _shard(Path(folder), row) / SHARD).exists():
        row = int(read_json(place, "a shard's list", "Delete the shard and record again")["end"])
    return row >= end


def planned(spec: RecordingSpec, subject: Subject, inputs: Inputs, readouts: Mapping[str, Readout]) -> Plan:
    """Batches, shards and the panel of a recording of these inputs."""
    sources = {}
    for site in map(subject.site, dict.fromkeys(map(source_of, spec.sites))):
        sources[site.name] = (width_of(subject, site.name, inputs), site.kind, grid_of(site, inputs))
    encoded = {name: (r.width, "sparse" if r.sparse else "dense") for name, r in readouts.items()}
    return make_plan(spec, plan_sites(spec, sources, encoded), len(inputs))


def _run(
    spec: RecordingSpec,
    plan: Plan,
    subject: Subject,
    inputs: Inputs,
    folder: Path,
    readouts: dict[str, Readout],
    progress: bool | None,
    rows: tuple[int, int] | None = None,
) -> tuple[list[np.ndarray], list[Shard]]:
    """Record what no finished shard of these rows holds, of all by default; returns the running top k of the dense
    units of each grid, and the shards in order."""
    begin, until = rows or (0, plan.windows)
    streams = streams_of(subject, plan)
    rooms = 2 if plan.most_batches >= 2 * streams > 2 else 1  # while one shard is finished, the next is filled
    most = plan.most_batches // rooms
    if most > streams:  # no stream waits for the others at a shard's end
        most -= most % streams
    plan = replace(plan, most_batches=most)
    pool, aside = one_core_pool(streams), one_core_pool(streams)
    dense = {g: DenseShards(spec, plan.dense_on(g), g.places, aside, readouts) for g in plan.dense_grids}
    free = deque({g: Room(plan.dense_on(g), g.places) for g in dense} for _ in range(rooms))
    sparse = {site.name: SparseShards(plan, site) for site in plan.sites if site.kind == "sparse"}
    grids = {site.source: site.grid for site in plan.sites}
    sources = list(grids)
    valid_at = {grid: inputs.valid_at(grid) for grid in dict.fromkeys(grids.values())}
    piece = max(_PIECE_BYTES // 2, *(grid.places for grid in dense)) if dense else 0

    def take(rooms: Rooms, number: int, first: int, end: int, source: str, values: torch.Tensor) -> None:
        """One source site's values in a batch."""
        grid = grids[source]
        valid = valid_at[grid][first:end]
        if grid in dense:
            dense[grid].add(rooms[grid], number, source, values, valid)
        for name, collector in sparse.items():
            if source_of(name) == source:
                found, indices = values if isinstance(values, tuple) else (values, None)
                if name in readouts:
                    if not torch.isfinite(values[torch.from_numpy(valid)]).all():  # which a readout may call silence
                        raise not_finite(source)
                    found, indices = readouts[name].read(values)
                collector.add(first, found, indices, valid)

    def run(rooms: Rooms, number: int, first: int, end: int) -> None:
        with torch.inference_mode():
            subject.visit(inputs.take(np.arange(first, end)), sources, partial(take, rooms, number, first, end))

    def finish(rooms: Rooms, shard: Shard, background: Background) -> Rooms:
        hidden, checksums = hidden_folder(shard.folder), Checksums()
        for place, (grid, values) in zip(_dense_folders(plan, hidden), dense.items(), strict=True):
            values.finish(rooms[grid], shard.first, shard.end, _made(place), background, checksums)
        for number, collector in enumerate(sparse.values()):
            collector.finish(_made(hidden / f"sparse-{number}"), background, checksums)
        background.do_aside(show_shard, hidden, shard, checksums)
        return rooms

    finishing: deque[Future[Rooms]] = deque()
    with (
        pool,
        aside,
        Bar(inputs, progress) as bar,
        Background(piece) as background,
        ThreadPoolExecutor(1, thread_name_prefix="recording-shards") as in_order,
    ):
        shards: list[Shard] = []
        while (first := shards[-1].end if shards else begin) < until:
            earlier = (place := _shard(folder, first)).exists()
            while finishing and (earlier or not free):
                free.append(finishing.popleft().result())
            if earlier:
                shards.append(_earlier(place, plan, dense, bar))
                continue
            shard, room = Shard(place, first, first), free.popleft()
            batches = plan.batches(first, _next(folder, first))
            for batch in in_streams(pool, partial(run, room), batches, SHARD_SECONDS):
                bar.advance(*batch)
                shard = replace(shard, end=max(shard.end, batch[1]))
            finishing.append(in_order.submit(finish, room, shard, background))
            shards.append(shard)
        for future in finishing:
            future.result()
    return [values.keys for values in dense.values()], shards


Rooms: TypeAlias = dict[Grid, Room]
"""The memory of one shard, by grid."""


def _dense_folders(plan: Plan, folder: Path) -> list[Path]:
    """Where a shard or a recording keeps the dense values of each grid."""
    return [folder / dense_folder(number) for number in range(len(plan.dense_grids))]


def _earlier(place: Path, plan: Plan, dense: Mapping[Grid, DenseShards], bar: Bar) -> Shard:
    """A shard of an earlier run, checked and taken into the state."""
    shard = open_shard(place)
    if shard.end > plan.end_of_part(shard.first):
        raise UserError("a shard of an earlier version", value=str(place), fix="Delete the recording and record again")
    for folder, shards_of_grid in zip(_dense_folders(plan, place), dense.values(), strict=True):
        shards_of_grid.restore(shard.first, shard.end, folder)
    bar.advance(shard.first, shard.end, earlier=True)
    return shard


def _next(folder: Path, first: int) -> int | None:
    """The row with which the next shard of an earlier run begins, where one before it was deleted."""
    rows = (int(place.name) for place in (folder / "shards").iterdir() if place.name.isdigit())
    return min((row for row in rows if row > first), default=None)


def _shard(folder: Path, first: int) -> Path:
    """The folder of the shard that begins with this window row."""
    return folder / "shards" / f"{first:09d}"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _finish(
    spec: RecordingSpec,
    plan: Plan,
    keys: list[np.ndarray],
    shards: list[Shard],
    subject: Subject,
    probes: ProbeSet,
    folder: Path,
) -> None:
    """Merge the shards into the finished files, write the manifest, remove the shards."""
    checksums: Checksums = {}
    for place, grid, keys_of_grid in zip(_dense_folders(plan, folder), plan.dense_grids, keys, strict=True):
        merge_dense(keys_of_grid, plan.dense_on(grid), grid.places, shards, _fresh(place), checksums)
    number = 0
    for site in plan.sites:
        if site.kind == "sparse":
            name = f"sparse-{number}"
            merge_sparse(site, [shard.folder / name for shard in shards], _fresh(folder / name), checksums)
            number += 1
    inputs, held = probes.inputs, _fresh(folder / "windows")
    known = save_inputs(inputs, held, checksums)
    save(held / "split.npy", np.asarray(probes.split_of_input, np.int8), checksums)
    save(held / "panel.npy", plan.panel, checksums)
    write_json(held / "documents.json", list(probes.group_ids))
    if (embedding := subject.embedding()) is not None:
        halves, _ = as_stored(np.asarray(embedding)[None])  # what is made of it does not depend on its scale
        save(folder / "embedding.npy", halves[0], checksums)
    sync(p for p in folder.rglob("*.npy") if "shards" not in p.relative_to(folder).parts)
    manifest = {
        "format": FORMAT,
        "spec": plain(spec),
        "inputs": known,
        "windows": plan.windows,
        "panel_windows": len(plan.panel),
        "grids": [
            {"kind": g.kind, "shape": g.shape, "valid_places": int(inputs.valid_at(g).sum())}
            for g in dict.fromkeys((*plan.dense_grids, *(site.grid for site in plan.sites)))
        ],
        "sites": [
            {"name": s.name, "source": s.source, "kind": s.kind, "width": s.width, "start": s.start}
            | {"grid": {"kind": s.grid.kind, "shape": s.grid.shape}}
            for s in plan.sites
        ],
        "made_with": {"glossator": __version__, "torch": torch.__version__},
        "files": describe_files(folder, checksums),
    }
    write_json(folder / "manifest.json", manifest | {"fingerprint": fingerprint(manifest)})
    _clean(folder)


def _clean(folder: Path) -> None:
    """Remove what only an unfinished recording needs."""
    shutil.rmtree(folder / "shards", ignore_errors=True)
    (folder / "plan.json").unlink(missing_ok=True)
    for leftover in folder.glob(f".*{PART}"):
        leftover.unlink()


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return _made(folder)
