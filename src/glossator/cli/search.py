"""`glossator search`: full-text search of explanations."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, Row, console, emit, interval, print_rows


def search(
    words: list[str] = typer.Argument(..., help="Words that must all occur in the explanation."),
    study: Path | None = typer.Option(None, help="One study; default: all below studies/."),
    limit: int = typer.Option(20, min=1, help="Number of results to print."),
    json: bool = JSON,
) -> None:
    """Search explanations by their words, best match first.

    Words match by their stems; the last one may be a prefix.

    \b
    Examples:
      glossator search numbers
      glossator search after comma --study studies/demo
    """
    from glossator.store.find import finished_studies, open_studies
    from glossator.store.ranking import headline
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
        score = headline(chosen)
        said = chosen.text if chosen.headline is None else f"{chosen.headline}. {chosen.text}"
        rows.append(Row([unit, "" if score is None else f"{score.name} {interval(score)}"], said))
    print_rows(out, ["unit", "score [95 %]"], rows, left=2)
