"""Claiming a study's folder for one spec and one process."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.files import plain, read_json, write_json
from glossator.store.folder import ANSWERS, held, may_be_there
from glossator.store.spec import LATER, StudySpec
from glossator.study.grow import grows
from glossator.study.work import Work


def check_folder(spec: StudySpec, folder: Path) -> bool:
    """Whether the study that the folder holds gets more units or scores; `UserError` when it holds something else or
    cannot be written. Changes nothing."""
    claim = folder / "spec.json"
    more = False
    _check_name(folder)
    if claim.exists():
        paid = f" --lm-cache {folder / ANSWERS}" if (folder / ANSWERS).exists() else ""
        held: Any = read_json(claim, "the study's spec", f"Run the command with --out ANOTHER{paid}")
        mine, held = json.loads(json.dumps(plain(spec))), {**LATER, **held}
        differing = sorted(k for k in {*held, *mine} if held.get(k) != mine.get(k))
        more = grows(spec, held, set(differing), folder)
        if differing and not more:
            raise UserError(
                f"the folder holds another study (they differ in {', '.join(differing)})",
                value=str(folder),
                fix="Choose another folder with --out",
            )
    elif folder.is_dir() and any(not may_be_there(p.name) for p in folder.iterdir()):
        raise UserError("the folder is neither empty nor a study", value=str(folder), fix="Choose another with --out")
    if (folder / "manifest.json").exists() and not more:  # opened, not written
        return False
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "is read-only" if there.is_dir() else "is a file"
        raise UserError(
            "cannot write the study", value=str(folder), fix=f"{there} {why}; choose another folder with --out"
        )
    return more


def _check_name(folder: Path) -> None:
    try:
        os.fsencode(folder)
        folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError("cannot write the study", value=str(folder)[:80], fix=f"{why}; choose another --out") from error


@contextlib.contextmanager
def claimed(spec: StudySpec, folder: Path, progress: bool | None = None) -> Iterator[Work]:
    """Hold the folder for this spec and this process; raises `UserError` when another process works in it."""
    with held(folder) as log:
        if not (folder / "spec.json").exists():
            write_json(folder / "spec.json", plain(spec))
        yield Work(folder, progress, log)
