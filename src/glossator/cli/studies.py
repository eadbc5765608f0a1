"""`glossator studies`: list the studies below a folder."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, console, emit, make_table, print_table
from glossator.cli.spec_options import STUDIES


def studies(path: Path = typer.Argument(STUDIES, help="Folder to search for studies."), json: bool = JSON) -> None:
    """List the studies below a folder, with their units by status.

    \b
    Examples:
      glossator studies
      glossator studies ~/experiments --json
    """
    from glossator.store.find import describe, find_studies

    found = [describe(folder) for folder in find_studies(path)]
    if json:
        emit(found)
        return
    from rich.text import Text

    out = console()
    if not found:
        out.print(f"No study below {path}. Make one: glossator run --subject smollm2-135m --site mlp.12", markup=False)
        return
    table = make_table()
    for name in ("study", "state", "subject", "sites", "ok", "insufficient", "abstained", "failed"):
        table.add_column(name, justify="left" if name in ("study", "state", "subject", "sites") else "right")
    for entry in found:
        counts = (
            [str(entry["units"][status]) for status in ("ok", "insufficient", "abstained", "failed")]
            if entry["units"]
            else ["–"] * 4
        )
        table.add_row(
            *(Text(str(entry[k])) for k in ("folder", "state", "subject")), Text(", ".join(entry["sites"])), *counts
        )
    print_table(out, table)
