"""Whether every file of a study is intact: full checksums, internal consistency of the database, matching parts.

Opening a study compares sizes and some blocks of large files, which costs nothing; this reads everything.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.readouts.base import load_kind
from glossator.recording.spec import source_of
from glossator.recording.store import crc32_of, open_shard
from glossator.store.database import DATABASE
from glossator.store.folder import ANSWERS, places_of_readouts
from glossator.study.work import Work

MANIFEST = "manifest.json"
PLAN = "plan.json"


@dataclass(frozen=True)
class Checked:
    """A file or folder of a study, relative to it, and what is wrong with it, empty when nothing is."""

    file: str
    wrong: str = ""


def verify_study(folder: str | Path) -> Iterator[Checked]:
    """Check a study, finished or not, file by file; `UserError` when there is none."""
    folder = Path(folder)
    if not (folder / "spec.json").exists() and not (folder / MANIFEST).exists():
        raise UserError("no study here", value=str(folder), fix="List studies with: glossator studies")
    study, wrong = _manifest(folder / MANIFEST) if (folder / MANIFEST).exists() else ({}, "")
    if study or wrong:
        yield Checked(MANIFEST, wrong or _fits(study, folder))
        yield from _files(folder, study, "")
    yield from _databases(folder)
    yield from _recording(folder / "recording")
    for kind, place in places_of_readouts(folder):
        yield Checked(place.relative_to(folder).as_posix(), _said(load_kind, kind, place, source_of(place.name)))
    work = Work(folder)
    for path in sorted((folder / "work").glob("*/[0-9]*.jsonl")):
        yield Checked(path.relative_to(folder).as_posix(), _said(work.shard, path.parent.name, int(path.stem)))


def _manifest(path: Path) -> tuple[dict[str, Any], str]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return {}, str(error)
    return (found, "") if isinstance(found, dict) else ({}, "it holds no table")


def _fits(study: dict[str, Any], folder: Path) -> str:
    """What does not belong together: the study's spec and its fingerprint, its recording and the one that is there."""
    from glossator.store.spec import make_spec

    try:
        if make_spec(study["spec"]).fingerprint != study["fingerprint"]:
            return "its spec does not have its fingerprint"
    except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
        return f"its spec cannot be read ({error})"
    recording, _ = _manifest(folder / "recording" / MANIFEST)
    if recording and recording.get("fingerprint") != study.get("recording"):
        return "the recording is not the one that it was made from"
    return ""


def _files(folder: Path, manifest: dict[str, Any], before: str) -> Iterator[Checked]:
    """The files that a manifest names."""
    entries = manifest.get("files")
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        yield Checked(before + name, _compared(folder / name, entry))


def _compared(path: Path, entry: Any) -> str:
    try:
        if path.stat().st_size != entry["size"]:
            return f"{path.stat().st_size} bytes, not {entry['size']}"
        return "" if crc32_of(path) == entry["crc32"] else "its checksum is wrong"
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return error.strerror or str(error)
    except (KeyError, TypeError):
        return "the manifest has no size and checksum of it"


def _databases(folder: Path) -> Iterator[Checked]:
    """Databases from inside, as a checksum says nothing of how a file was before it was written."""
    for name in (DATABASE, ANSWERS):
        if (folder / name).exists():
            yield Checked(f"{name}, inside", _inside(folder / name))


def _inside(path: Path) -> str:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2)) as opened:
            said = [row[0] for row in opened.execute("PRAGMA integrity_check(3)")]
            if said != ["ok"]:
                return "; ".join(said)
            lacking = opened.execute("PRAGMA foreign_key_check").fetchall()
            return f"{len(lacking)} rows of {lacking[0][0]} refer to nothing" if lacking else ""
    except sqlite3.Error as error:
        return str(error)


def _recording(folder: Path) -> Iterator[Checked]:
    if (folder / MANIFEST).exists():
        manifest, wrong = _manifest(folder / MANIFEST)
        rest = {name: value for name, value in manifest.items() if name != "fingerprint"}
        if not wrong and fingerprint(rest) != manifest.get("fingerprint"):
            wrong = "it does not have its fingerprint"
        yield Checked(f"recording/{MANIFEST}", wrong)
        yield from _files(folder, manifest, "recording/")
    elif (folder / PLAN).exists():
        yield Checked(f"recording/{PLAN}", _manifest(folder / PLAN)[1])
        for shard in sorted(place for place in (folder / "shards").glob("*") if place.name.isdigit()):
            yield Checked(f"recording/shards/{shard.name}", _said(open_shard, shard))


def _said(check: Any, *args: Any) -> str:
    """What a check complains of."""
    try:
        check(*args)
    except UserError as error:
        return str(error)
    return ""
