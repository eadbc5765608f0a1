"""A study that gets more units: what it found of those it has stays as it is, and only the new ones are worked on.

Their windows are those of the units before: the panel keeps its size and its seed. All units are recorded once more,
as a forward pass costs the same for few and for many, and the new recording takes the old one's place when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.files import plain, write_json
from glossator.recording import Recording, open_recording
from glossator.study.spec import StudySpec
from glossator.study.widen import refuse_language_models
from glossator.study.work import SHARD_UNITS, Work

KEPT = "kept"
RECORDING = "recording"


def grows(spec: StudySpec, held: Mapping[str, Any], differing: set[str], folder: Path) -> bool:
    """Whether the folder's finished study, by its spec, is this one with fewer units; `UserError` where it has more of
    them, is not finished, or was read by a language model, whose cost the folder no longer knows."""
    if differing != {"units"}:
        return False
    now = json.loads(json.dumps(plain(spec.units)))
    if _more(held["units"], now):
        raise UserError(
            "the folder holds this study with more units",
            value=str(folder),
            fix="They can be looked at with glossator show; a study of fewer is made with glossator run --out",
        )
    if not _more(now, held["units"]):
        return False
    if not (folder / "manifest.json").exists() and not (folder / "work" / KEPT).exists():
        raise UserError(
            "units can be added to a finished study only", value=str(folder), fix=f"Finish it: glossator run {folder}"
        )
    refuse_language_models("units", spec, folder)
    return True


def _more(units: Any, than: Any) -> bool:
    """Whether these are all of those units and others: of a random draw, a greater number holds the smaller one's."""
    if units == "all" or than == "all":
        return bool(units == "all" and than != "all")
    if isinstance(units, list) and isinstance(than, list):
        return set(units) > set(than)
    return isinstance(units, int) and isinstance(than, int) and units > than


def grow(spec: StudySpec, work: Work) -> None:
    """Turn the folder into an unfinished study of this spec, some of whose units are done.

    Every step may be repeated: a process that is killed in between leaves a folder that is grown by the next run.
    """
    from glossator.study.store import open_study

    manifest = work.folder / "manifest.json"
    if manifest.exists():
        with open_study(work.folder) as study:
            results = list(study.results())
        for number, first in enumerate(range(0, len(results), SHARD_UNITS)):
            work.save(KEPT, number, results[first : first + SHARD_UNITS])
        manifest.unlink()
    write_json(work.folder / "spec.json", plain(spec))


def lacks_units(recording: Recording, spec: StudySpec) -> bool:
    """Whether a finished recording is of fewer units than the spec."""
    wanted = {site: spec.indices(site, found.width) for site, found in recording.sites.items()}
    return any(
        len(recording.units(site)) < (recording.sites[site].width if units is None else len(units))
        for site, units in wanted.items()
    )


def larger(work: Work) -> Path:
    """Where the recording of more units is made."""
    return work.folder / "work" / RECORDING


def put_in_place(work: Work) -> Recording:
    """The recording of more units, in the place of the one before; what a killed process has begun is ended."""
    target, made = work.folder / RECORDING, larger(work)
    if made.exists():
        before = work.folder / "work" / "replaced"
        shutil.rmtree(before, ignore_errors=True)
        if target.exists():
            os.rename(target, before)
        os.rename(made, target)
        shutil.rmtree(before, ignore_errors=True)
    return open_recording(target)
