"""Opening a finished recording, of this format or an earlier one, and checking its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.recording.reader import Recording
from glossator.recording.store import check_size, crc32_of, damaged, reading, sample_of

FORMAT = "glossator-recording/5"
MERGED = "glossator-recording/4"
"""Whose panels have the exponents of the end throughout."""
UNPACKED = "glossator-recording/3"
"""With the positions of sparse sites as they are."""
TOKENS_ALONE = "glossator-recording/2"
"""An older format that is still read: one grid, the tokens of windows."""


def open_recording(folder: str | Path) -> Recording:
    """Open a finished recording.

    Raises `UserError` if there is none, its format is another one, or a file has another size, or other bytes at the
    places that are looked at.
    """
    folder = Path(folder)
    path = folder / "manifest.json"
    if not path.exists():
        unfinished = (folder / "plan.json").exists()
        raise UserError(
            "the recording is not finished" if unfinished else "no recording here",
            value=str(folder),
            fix="Record again with the same settings to resume" if unfinished else "Check the folder's name",
        )
    with reading(path):
        manifest = json.loads(path.read_text("utf-8"))
        written = manifest.get("format"), manifest.pop("fingerprint")
    if written[0] not in (FORMAT, MERGED, UNPACKED, TOKENS_ALONE):
        raise UserError(
            "unknown recording format",
            value=written[0],
            allowed=FORMAT,
            fix="Update glossator, or record again if the format is older",
        )
    if fingerprint(manifest) != written[1]:
        raise damaged(path, "it was changed")
    with reading(path):
        for name, entry in manifest["files"].items():
            check_size(folder / name, entry["size"])
            with reading(folder / name):
                found = sample_of(folder / name)
            if found != entry["sample"]:
                raise damaged(folder / name, "its checksum is wrong")
        return Recording(folder, as_of_now(manifest) | {"fingerprint": written[1]})


def as_of_now(manifest: dict[str, Any]) -> dict[str, Any]:
    """Convert a manifest of the format that was for windows of tokens only to the present one."""
    if manifest["format"] != TOKENS_ALONE:
        return manifest
    grid = {"kind": "tokens", "shape": [manifest["spec"]["width"]]}
    return manifest | {
        "inputs": {"kind": "tokens", "vocabulary": manifest["vocabulary"]},
        "grids": [grid | {"valid_places": manifest["valid_tokens"]}],
        "sites": [entry | {"grid": grid} for entry in manifest["sites"]],
    }


def verify(recording: Recording) -> None:
    """Read every file and compare its checksum with the manifest; `UserError` names the first damaged one."""
    for name, entry in recording.manifest["files"].items():
        with reading(recording.folder / name):
            found = crc32_of(recording.folder / name)
        if found != entry["crc32"]:
            raise damaged(recording.folder / name, "its checksum is wrong")
