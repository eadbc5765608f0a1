"""From the results of all units to a finished study: the database, the report, and the manifest last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from glossator import __version__, registry
from glossator.errors import UserError
from glossator.files import plain, write_json
from glossator.store.database import DATABASE, build_database, described
from glossator.store.study import FORMAT, Study
from glossator.study.tools import Tools
from glossator.study.work import Work
from glossator.units import Unit

REPORT = "report.html"


def finish(
    units: Sequence[Unit],
    kept: Iterator[dict[str, Any]],
    tools: Tools,
    work: Work,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write what the study of these units consists of; the manifest comes last, so its presence means that the study is
    complete.

    kept: results, as `packed` makes them, of units that were not scored now; more: other facts about the study.
    """
    folder, recording = work.folder, tools.recording
    made_with = {"glossator": __version__, "numpy": np.__version__, **recording.manifest["made_with"]}
    facts = {"recording": recording.fingerprint, "subject": recording.spec.subject, **made_with, **(more or {})}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "spec": plain(tools.spec),
        "fingerprint": tools.spec.fingerprint,
        "subject": recording.spec.subject,
        "recording": recording.fingerprint,
        "made_with": made_with,
    }
    with work.timed("database"):
        results = merged(units, kept, work.rows("score"))
        build_database(folder / DATABASE, tools.spec, results, facts, work.asked())
    with work.timed("report"), Study(folder, manifest) as study:
        manifest["units"] = study.counts
        registry.load("reports", "html")(folder / REPORT, study, tools.for_showing())
    manifest["files"] = {name: described(folder / name) for name in (DATABASE, REPORT, "spec.json")}
    if identities := tools.models.identities():
        manifest["language_models"] = identities
    write_json(folder / "manifest.json", manifest)


def merged(units: Iterable[Unit], *streams: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results of all units from several streams of them, each of which has its own units in this order."""
    heads = [next(stream, None) for stream in streams]
    for unit in units:
        name = str(unit)
        place = next((p for p, head in enumerate(heads) if head is not None and head["unit"] == name), None)
        if place is None:
            raise UserError("the study lacks a result", value=name, fix="Delete its folder `work` and run again")
        head = heads[place]
        assert head is not None
        yield head
        heads[place] = next(streams[place], None)
