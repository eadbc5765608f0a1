"""`glossator verify`: is every file of a study as it was written?"""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, console, emit


def verify(study: Path = typer.Argument(..., help="Folder of a study, finished or not."), json: bool = JSON) -> None:
    """Read all files of a study and compare them with what was written.

    Checksums of the recording, its shards, the database and the report, the database from inside, and whether the
    parts belong together; one line a file. The exit code is 1 when something is wrong. Opening a study compares sizes
    and some blocks of large files; this reads everything.

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
