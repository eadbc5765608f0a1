"""From the results of all units to a finished study: the database, the report, and the manifest last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossator import __version__, registry
from glossator.files import plain, write_json
from glossator.recording.store import crc32_of
from glossator.study.costs import summed
from glossator.study.results import STATUSES, UnitResult
from glossator.study.spec import StudySpec
from glossator.study.store import DATABASE, FORMAT, build_database
from glossator.study.tools import Tools
from glossator.study.work import Work

REPORT = "report.html"


def finish(results: Sequence[UnitResult], tools: Tools, work: Work) -> None:
    """Write what the study consists of; the manifest comes last, so its presence means that the study is complete."""
    folder, recording = work.folder, tools.recording
    made_with = {"glossator": __version__, "numpy": np.__version__, **recording.manifest["made_with"]}
    facts = {"recording": recording.fingerprint, "subject": recording.spec.subject, **made_with}
    asked = work.asked()
    with work.timed("database"):
        build_database(folder / DATABASE, tools.spec, results, facts, asked)
    with work.timed("report"):
        registry.load("reports", "html")(folder / REPORT, results, tools.for_showing(), summed(asked))
    manifest = _manifest(folder, tools.spec, results, recording, made_with)
    if identities := tools.models.identities():
        manifest["language_models"] = identities
    write_json(folder / "manifest.json", manifest)


def _manifest(
    folder: Path, spec: StudySpec, results: Sequence[UnitResult], recording: Any, made_with: dict[str, str]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "spec": plain(spec),
        "fingerprint": spec.fingerprint,
        "subject": recording.spec.subject,
        "recording": recording.fingerprint,
        "units": {status: sum(r.status == status for r in results) for status in STATUSES},
        "made_with": made_with,
        "files": {
            name: {"size": (folder / name).stat().st_size, "crc32": crc32_of(folder / name)}
            for name in (DATABASE, REPORT, "spec.json")
        },
    }
