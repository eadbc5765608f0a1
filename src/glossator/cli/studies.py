"""Studies on disk: `glossator studies` lists them, `verify` checks their files, `search` searches explanations."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, Row, console, emit, interval, make_table, print_rows, print_table
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


def search(
    words: list[str] = typer.Argument(..., help="Words that must all occur in the explanation."),
    study: Path | None = typer.Option(None, help="One study; default: all below studies/."),
    limit: int = typer.Option(20, min=1, help="Number of results to print."),
    json: bool = JSON,
) -> None:
    """Search explanations by their words, best match first.

    Words match by their stems; the last one may be a prefix. Words in more than 5,000 explanations do not count for
    the order; where there are no others, the units with the highest scores come first.

    \b
    Examples:
      glossator search numbers
      glossator search after comma --study studies/demo
    """
    from glossator.store.find import finished_studies, open_studies
    from glossator.store.ranking import default_of
    from glossator.study import open_study

    found = []
    for opened in [open_study(study)] if study else open_studies(finished_studies()):
        with opened:
            found += [(opened.folder, unit, chosen) for unit, chosen in opened.search(" ".join(words), limit)]
    found = found[:limit]
    if json:
        emit([{"study": str(folder), "unit": unit, "explanation": chosen} for folder, unit, chosen in found])
        return
    out = console()
    if not found:
        out.print("No explanation contains all of these words.")
        return
    rows = []
    for _, unit, chosen in found:
        score = default_of(chosen)
        said = ". ".join(part for part in (str(chosen.headline or ""), chosen.sentence) if part)
        rows.append(Row([unit, "" if score is None else f"{score.name} {interval(score)}"], said))
    print_rows(out, ["unit", "score [95 %]"], rows, left=2)
