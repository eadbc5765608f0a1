"""The recording loop: forward passes, shard by shard, resumable after the last finished shard.

The subject's forward pass is the floor. Everything else must hide beside it: values are taken from the hooks once,
turned and summed while they are in the cache, and written by another thread.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from glossator import __version__
from glossator.engines import one_core_pool
from glossator.errors import UserError
from glossator.files import fingerprint, plain, read_array, read_json, write_array, write_json
from glossator.inputs import Grid, Inputs
from glossator.readouts.base import Readout
from glossator.recording.background import Background
from glossator.recording.claiming import another, check_spec, claim
from glossator.recording.dense import DenseShards, Room
from glossator.recording.dense_merge import merge_dense
from glossator.recording.filling import Batch, Shards
from glossator.recording.keys import as_stored
from glossator.recording.opening import FORMAT, open_recording
from glossator.recording.panel import FIRST_INPUTS, PanelFile
from glossator.recording.reader import Recording, dense_folder
from glossator.recording.saved_inputs import save_inputs
from glossator.recording.sparse import SparseShards, merge_sparse, not_finite
from glossator.recording.spec import Plan, RecordingSpec, make_plan, plan_sites, source_of
from glossator.recording.store import (
    PANEL,
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
from glossator.recording.streams import MOST_STREAMS, Bar, in_streams, streams_of
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
        dense, shards = _run(spec, plan, subject, inputs, folder, readouts, others, progress)
        _finish(spec, plan, dense, shards, subject, replace(probes, inputs=inputs), folder)
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
        with locked(_lock(folder, part)), contextlib.ExitStack() as files:
            if done.exists():  # `record` was waited for
                return
            _run(spec, plan, subject, inputs, folder, readouts, files, progress=False, rows=plan.parts[part])


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
    files: contextlib.ExitStack,
    progress: bool | None,
    rows: tuple[int, int] | None = None,
) -> tuple[list[DenseShards], list[Shard]]:
    """Record what no finished shard of these rows holds, of all by default; returns the state of each grid with dense
    units, whose files are closed with `files`, and the shards in order."""
    begin, until = rows or (0, plan.windows)
    streams = streams_of(subject, plan)
    alone = streams == 1
    rooms = 2 if plan.most_batches >= 2 * streams > 2 else 1  # while one shard is finished, the next is filled
    plan = replace(plan, most_batches=plan.most_batches // rooms)
    pool, aside = one_core_pool(streams), one_core_pool(min(MOST_STREAMS, torch.get_num_threads()))
    dense = {
        g: DenseShards(spec, plan.dense_on(g), g.places, aside, _made(place, anew=False) / PANEL, readouts, alone=alone)
        for g, place in zip(plan.dense_grids, _dense_folders(plan, folder), strict=True)
    }
    for values in dense.values():
        files.callback(values.panel.close)
    free = deque({g: Room(plan.dense_on(g), g.places) for g in dense} for _ in range(rooms))
    sparse = {site.name: SparseShards(plan, site) for site in plan.sites if site.kind == "sparse"}
    grids = {site.source: site.grid for site in plan.sites}
    sources = list(grids)
    valid_at = {grid: inputs.valid_at(grid) for grid in dict.fromkeys(grids.values())}
    piece = max(_PIECE_BYTES // 2, *(grid.places for grid in dense)) if dense else 0

    def look() -> None:
        def begin(source: str, values: torch.Tensor) -> None:
            if grids[source] in dense:
                dense[grids[source]].begin(source, values, valid_at[grids[source]][:FIRST_INPUTS])

        with torch.inference_mode():
            subject.visit(inputs.take(np.arange(min(FIRST_INPUTS, len(inputs)))), sources, begin)

    def take(rooms: Rooms, number: int, first: int, end: int, row: int, source: str, values: torch.Tensor) -> None:
        """One source site's values of the inputs from `first` on, which are a batch's from `row` on."""
        grid = grids[source]
        valid = valid_at[grid][first:end]
        if grid in dense:
            dense[grid].add(rooms[grid], number, source, values, valid, row)
        for name, collector in sparse.items():
            if source_of(name) == source:
                found, indices = values if isinstance(values, tuple) else (values, None)
                if name in readouts:
                    if not torch.isfinite(values[torch.from_numpy(valid)]).all():  # which a readout may call silence
                        raise not_finite(source)
                    found, indices = readouts[name].read(values)
                collector.add(first, found, indices, valid)

    def run(batch: Batch[Rooms]) -> None:
        at_once = subject.batch or batch.end - batch.first
        for start in range(batch.first, batch.end, at_once):
            stop = min(start + at_once, batch.end)
            seen = partial(take, batch.filling.room, batch.number, start, stop, start - batch.first)
            with torch.inference_mode():
                subject.visit(inputs.take(np.arange(start, stop)), sources, seen)

    def finish(rooms: Rooms, shard: Shard, background: Background) -> Rooms:
        hidden, checksums = hidden_folder(shard.folder), Checksums()
        for place, (grid, values) in zip(_dense_folders(plan, hidden), dense.items(), strict=True):
            values.finish(rooms[grid], shard.first, shard.end, _made(place), background, checksums)
        for number, collector in enumerate(sparse.values()):
            collector.finish(_made(hidden / f"sparse-{number}"), background, checksums)
        background.do_aside(_show, hidden, shard, checksums, [values.panel for values in dense.values()])
        return rooms

    if dense:
        _begin(dense, folder / "shards" / "begun.npy", look)
    with (
        pool,
        aside,
        Bar(inputs, progress) as bar,
        Background(piece) as background,
        ThreadPoolExecutor(1, thread_name_prefix="recording-shards") as in_order,
    ):
        shards = Shards(
            begin,
            until,
            free,
            batches=lambda row: plan.batches(row, _next(folder, row)),
            folder=partial(_shard, folder),
            restore=lambda place: _earlier(place, plan, dense, bar),
            hand_on=lambda rooms, shard: in_order.submit(finish, rooms, shard, background),
            seconds=SHARD_SECONDS,
        )
        for batch in in_streams(pool, run, shards.next):
            bar.advance(batch.first, batch.end)
            shards.done(batch)
        return list(dense.values()), shards.finish()


Rooms: TypeAlias = dict[Grid, Room]
"""The memory of one shard, by grid."""


def _begin(dense: Mapping[Grid, DenseShards], place: Path, look: Callable[[], None]) -> None:
    """Set the exponents that units begin with, to those of an earlier run or another process, or by a look at the first
    inputs."""
    with locked(place.parent.with_name(f".begun{PART}")):
        if not place.exists():
            if any(shard.name.isdigit() for shard in place.parent.iterdir()):
                fix = "Delete the recording and record again"
                raise UserError("shards of an earlier version", value=str(place.parent), fix=fix)
            look()
            write_array(place, np.concatenate([values.begun for values in dense.values()]))
    begun = read_array(place, "a file of the recording", "Delete the folder and record again")
    first = 0
    for values in dense.values():
        values.begun[:] = begun[first : first + len(values.begun)]
        first += len(values.begun)


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


def _made(folder: Path, *, anew: bool = True) -> Path:
    folder.mkdir(exist_ok=not anew)
    return folder


def _show(hidden: Path, shard: Shard, checksums: Checksums, panels: list[PanelFile]) -> None:
    """Show a shard when what it put into the panels is on the disk."""
    for panel in panels:
        panel.sync()
    show_shard(hidden, shard, checksums)


def _finish(
    spec: RecordingSpec,
    plan: Plan,
    dense: list[DenseShards],
    shards: list[Shard],
    subject: Subject,
    probes: ProbeSet,
    folder: Path,
) -> None:
    """Merge the shards into the finished files, write the manifest, remove the shards."""
    inputs, checksums = probes.inputs, Checksums()
    with ThreadPoolExecutor(1) as aside:  # merging waits for the disk
        known = aside.submit(_keep_inputs, plan, subject, probes, folder, checksums)
        for place, values in zip(_dense_folders(plan, folder), dense, strict=True):
            merge_dense(values, shards, place, checksums)
        number = 0
        for site in plan.sites:
            if site.kind == "sparse":
                name = f"sparse-{number}"
                merge_sparse(site, [shard.folder / name for shard in shards], _fresh(folder / name), checksums)
                number += 1
    sync(p for p in folder.rglob("*.npy") if "shards" not in p.relative_to(folder).parts)
    manifest = {
        "format": FORMAT,
        "spec": plain(spec),
        "inputs": known.result(),
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


def _keep_inputs(plan: Plan, subject: Subject, probes: ProbeSet, folder: Path, checksums: Checksums) -> dict[str, Any]:
    """Write what does not depend on the units; returns what the manifest says of the inputs."""
    held = _fresh(folder / "windows")
    known = save_inputs(probes.inputs, held, checksums)
    save(held / "split.npy", np.asarray(probes.split_of_input, np.int8), checksums)
    save(held / "panel.npy", plan.panel, checksums)
    write_json(held / "documents.json", list(probes.group_ids))
    if (embedding := subject.embedding()) is not None:
        halves, _ = as_stored(np.asarray(embedding)[None])  # what is made of it does not depend on its scale
        save(folder / "embedding.npy", halves[0], checksums)
    return known


def _clean(folder: Path) -> None:
    """Remove what only an unfinished recording needs."""
    shutil.rmtree(folder / "shards", ignore_errors=True)
    (folder / "plan.json").unlink(missing_ok=True)
    for leftover in folder.glob(f".*{PART}"):
        leftover.unlink()


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return _made(folder)
