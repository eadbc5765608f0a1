"""`glossator verify`: check a study's files against their checksums."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, console, emit


def verify(study: Path = typer.Argument(..., help="Folder of a study, finished or not."), json: bool = JSON) -> None:
    """Check every file of a study against its checksum.

    Checks the recording, its shards, the database (also internally) and the report, and that they belong together;
    prints one line per file. The exit code is 1 if anything is wrong. Opening a study checks only sizes and some blocks
    of large files; this reads everything.

    \b
    Example:
      glossator verify studies/layer-12
    """
    from glossator.study.verify import verify_study

    out, found = console(), []
    for checked in verify_study(study):
        found.append(checked)
        if not json:
            out.print(f"{checked.file}: {checked.wrong or 'ok'}", markup=False, soft_wrap=True)
    wrong = [checked for checked in found if checked.wrong]
    if json:
        emit({"study": str(study), "files": found, "wrong": len(wrong)})
    else:
        out.print(f"{len(found)} checked, {len(wrong)} wrong" if wrong else f"{len(found)} checked, all as written")
    if wrong:
        raise typer.Exit(1)
