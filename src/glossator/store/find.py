"""Finding studies, and the units in them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from glossator.errors import UserError, near_matches
from glossator.store.results import STATUSES
from glossator.store.study import Study, open_study
from glossator.terminal import neutral
from glossator.units import Unit, parse_unit

STUDIES = Path("studies")
DEEPEST = 6


def find_studies(root: str | Path) -> list[Path]:
    """Folders of studies below `root` (itself included), finished or not, sorted; `UserError` when it is not there."""
    root = Path(root)
    if not root.is_dir():
        if root == STUDIES:
            return []
        raise UserError("no such folder", value=str(root))
    return sorted(_walk(root, 0))


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # not ours to read, or gone meanwhile
        return
    if any(entry.name == "spec.json" for entry in entries) and _reads_as_spec(folder / "spec.json"):
        yield folder
    elif depth < DEEPEST:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _walk(Path(entry.path), depth + 1)


def _reads_as_spec(path: Path) -> bool:
    try:
        return path.is_file() and {"subject", "sites", "explainers"} <= set(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def finished_studies(root: Path = STUDIES) -> list[Path]:
    """Finished studies below a folder, the newest first."""
    found = [f / "manifest.json" for f in find_studies(root)]
    finished = [manifest for manifest in found if manifest.is_file()]
    return [m.parent for m in sorted(finished, key=lambda m: (-m.stat().st_mtime, str(m)))]


def studies_named(folders: Iterable[Path] | None) -> list[Path]:
    """The studies that a command is given: folders of one, of other folders all finished ones below, the newest
    first; without folders those below `studies/`. Raises `UserError` where there is none."""
    found = []
    for folder in [STUDIES] if folders is None else folders:
        inside = folder.is_dir() and not (folder / "spec.json").exists() and not (folder / "manifest.json").exists()
        below = finished_studies(folder) if inside or folder == STUDIES else [folder]
        if not below:
            raise UserError("no finished study here", value=str(folder), fix="Name one, or a folder of some")
        found += below
    return list(dict.fromkeys(found))


def open_studies(folders: Iterable[Path]) -> Iterator[Study]:
    """Each of these studies, to be closed by the caller; of one that cannot be opened is said why, on stderr."""
    for folder in folders:
        try:
            study = open_study(folder)
        except UserError as error:
            sys.stderr.write(f"{neutral(f'left out: {error}')}\n")
        else:
            yield study


def describe(folder: Path) -> dict[str, Any]:
    """What `glossator studies` says of a study, from its small files alone. units: by status, None while unfinished or
    damaged."""
    entry: dict[str, Any] = {"folder": str(folder), "subject": "", "sites": [], "units": None}
    try:
        spec = json.loads((folder / "spec.json").read_text("utf-8"))
        sites = [spec["sites"]] if isinstance(spec["sites"], str) else list(spec["sites"])
        entry |= {"subject": str(spec["subject"]), "sites": [str(site) for site in sites]}
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        units = {status: int(manifest["units"][status]) for status in STATUSES}
        return entry | {"state": "finished", "units": units, "fingerprint": str(manifest["fingerprint"])}
    except FileNotFoundError:
        return entry | {"state": "unfinished"}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return entry | {"state": "damaged"}


def study_with(unit: str, folder: Path | None) -> tuple[Study, Unit]:
    """The study in `folder`, or the newest one below `studies/`, that has a unit whose name is or ends with `unit`.

    Raises `UserError` with near matches when there is none, and when the end fits several units.
    """
    folders = [folder] if folder is not None else finished_studies()
    is_whole = unit.count("/") > 1
    make = f"Make one: glossator run {unit}" if is_whole else "Make one, or name one with --study"
    if not folders:
        raise UserError("no finished study here", value=str(STUDIES), fix=make)
    names: list[str] = []
    for study in open_studies(folders) if folder is None else [open_study(folder)]:
        if len(fitting := study.named(unit)) == 1:
            return study, parse_unit(fitting[0])
        with study:
            names += study.names_like(unit)
        if fitting:
            raise UserError("several units match", value=unit, allowed=near_matches(unit, fitting))
    if is_whole:
        parse_unit(unit)
    where = str(folder) if folder is not None else f"any study below {STUDIES}"
    fix = make if is_whole and folder is None else None
    raise UserError(f"no such unit in {where}", value=unit, allowed=near_matches(unit, names), fix=fix)
