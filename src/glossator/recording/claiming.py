"""Claiming a folder for a recording: what does not fit the spec, or belongs to another, is refused at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.files import plain, read_json, write_json
from glossator.readouts.base import Readout
from glossator.recording.spec import RecordingSpec
from glossator.subjects.base import check_takes

if TYPE_CHECKING:
    from glossator.corpora import ProbeSet
    from glossator.subjects.base import Subject


def check_spec(spec: RecordingSpec, subject: Subject, probes: ProbeSet, readouts: dict[str, Readout]) -> None:
    """`UserError` where the spec was made for another subject, other inputs or other readouts."""
    if spec.subject_fingerprint != subject.fingerprint:
        raise UserError(
            "the spec belongs to another subject",
            value=f"{spec.subject} {spec.subject_fingerprint}",
            allowed=subject.fingerprint,
        )
    check_takes(subject, probes.inputs)
    if spec.width != probes.inputs.weight or plain(spec.windows) != plain(probes.spec):
        raise UserError("the spec belongs to other inputs", fix="Make it with recording_spec(subject, probes, sites)")
    if {name: readout.fingerprint for name, readout in readouts.items()} != spec.readouts:
        raise UserError(
            "the readouts differ from those of the spec",
            value=sorted(readouts),
            allowed=", ".join(sorted(spec.readouts)),
        )
    for name, readout in readouts.items():
        if name not in spec.sites or name != readout.site_name:
            raise UserError(
                "a readout of a site that is not recorded",
                value=name,
                allowed=f"{readout.site_name}, and one of the sites",
            )


def claim(spec: RecordingSpec, folder: Path) -> None:
    """Claim the folder for this spec."""
    mine, plan = plain(spec), folder / "plan.json"
    # Listed before the plan is looked for: another process may claim the folder for the same spec in between.
    holds = folder.exists() and any(not place.name.startswith(".") for place in folder.iterdir())
    if plan.exists():
        held = read_json(plan, "the recording's plan", "Delete the folder and record again")
        if held != json.loads(json.dumps(mine)):
            raise another(held, mine, folder)
    elif holds:
        raise UserError("the folder is neither empty nor a recording", value=str(folder), fix="Choose another folder")
    else:
        write_json(plan, mine)
    (folder / "shards").mkdir(exist_ok=True)


def another(held: dict[str, Any], mine: dict[str, Any], folder: Path) -> UserError:
    """The error for a folder that was claimed by another spec; what changed under the same names is named."""
    windows, now = held.get("windows", {}), mine["windows"]
    same_name = held.get("subject") == mine["subject"]
    if same_name and windows.get("vocabulary") != now.get("vocabulary"):
        what = "the subject's tokenizer has changed since this recording was begun"
    elif same_name and held.get("subject_fingerprint") != mine["subject_fingerprint"]:
        what = "the subject has changed since this recording was begun"
    elif windows.get("corpus") == now.get("corpus") and windows.get("corpus_fingerprint") != now.get(
        "corpus_fingerprint"
    ):
        what = "the text has changed since this recording was begun"
    else:
        what = "the folder holds a recording with another spec"
    return UserError(what, value=str(folder), fix="Restore what was recorded, or choose another folder")
