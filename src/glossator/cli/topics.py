"""`glossator topics`: what the explanations of a study are about, and whether groups of units differ in that."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glossator.cli.printing import JSON, Row, clean, console, emit, number, print_rows
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.store import study as stored
    from glossator.store.topics import Topics
    from glossator.units import Unit

BY = ("site", "layer", "subject", "study", "polarity")


def topics(
    studies: list[Path] = typer.Argument(..., help="Folders of finished studies."),
    by: str | None = typer.Option(None, help=f"Group units by {', '.join(BY)}. Default: what differs, site first."),
    groups: Path | None = typer.Option(
        None, help="CSV with columns unit and group, such as regions of voxels; a unit is an id or an index."
    ),
    number_of_topics: int = typer.Option(8, "--topics", min=2, max=100, help="Number of topics."),
    method: str | None = typer.Option(None, help="Explainer whose explanations count. Default: each unit's best."),
    seed: int = typer.Option(0, min=0, help="Seed of the factorisation and of permutations."),
    plot: Path | None = typer.Option(None, help="SVG file. Default: topics.svg in the (first) study's folder."),
    json: bool = JSON,
) -> None:
    """Find topics in headlines and sentences, and their shares by group of units.

    Topics are found without the groups. p is that of permuting groups over units, q the false-discovery rate over
    topics.

    \b
    Examples:
      glossator topics studies/layers --by layer
      glossator topics studies/voxels --groups regions.csv
    """
    from glossator.explorer.shares import share_plot
    from glossator.files import plain, write_bytes, write_json
    from glossator.store.study import open_study
    from glossator.store.topics import KEPT_TOPICS, topics_of

    if by is not None and (by not in BY or groups is not None):
        raise UserError("bad --by", value=by, allowed=f"{', '.join(BY)}, and not together with --groups")
    units: list[tuple[Unit, str, str]] = []
    methods: set[str] = set()
    for folder in studies:
        with open_study(folder) as study:
            units += [(unit, text, folder.resolve().name) for unit, text in explained(study, method)]
            methods.update(study.spec.explainers)
    if not units:
        if method is not None and methods:
            raise UserError(
                "no unit has an explanation by this method", value=method, allowed=", ".join(sorted(methods))
            )
        raise UserError("no unit has an explanation", value=str(studies[0]), fix="Explain units first")
    names, chosen = (_of_file(groups, units), "group") if groups is not None else _by(by, units)
    kept = [place for place, name in enumerate(names) if name]
    if not kept:
        raise UserError("no explained unit is in the list of groups", value=str(groups))
    found = topics_of(
        [units[place][1] for place in kept], [names[place] for place in kept], topics=number_of_topics, seed=seed
    )
    target = plot or studies[0] / "topics.svg"
    write_bytes(target, share_plot(found, f"Topic shares by {chosen}").encode())
    of = [folder.resolve().name for folder in studies]
    kept_as = {"by": chosen, "studies": of, "units": len(kept), "topics": found}
    write_json(studies[0] / KEPT_TOPICS, plain(kept_as))
    if json:
        emit(
            {
                "by": chosen,
                "units": len(kept),
                "without_group": len(units) - len(kept),
                "topics": found,
                "plot": str(target),
            }
        )
    else:
        show(found, chosen, target)


def explained(study: stored.Study, method: str | None) -> Iterator[tuple[Unit, str]]:
    """Units with headlines and sentence of their explanation."""
    for result in study.results():
        best = result.best() if method is None else result.best(method)
        if best is not None:
            headlines = [named.text for named in best.named]
            yield result.unit, ". ".join(dict.fromkeys([*headlines, best.text]))


def _by(by: str | None, units: list[tuple[Unit, str, str]]) -> tuple[list[str], str]:
    """The group of each unit, and what they are grouped by: by default the first of `BY` that differs."""
    if by is not None:
        names = [_group(by, unit, study) for unit, _, study in units]
        if "" in names:
            unit = units[names.index("")][0]
            raise UserError("this site has no layer", value=unit.site, fix="Use --by site")
        return names, by
    for kind in BY:
        names = [_group(kind, unit, study) for unit, _, study in units]
        if len(set(names)) > 1 and "" not in names:
            return names, kind
    return [unit.site for unit, _, _ in units], "site"


def _group(by: str, unit: Unit, study: str) -> str:
    """Empty for a site without a layer."""
    if by == "layer":
        layer = re.search(r"\.(\d+)", unit.site.rpartition("@")[2])
        return "" if layer is None else layer[1]
    return {"site": unit.site, "subject": unit.subject, "study": study, "polarity": unit.polarity}[by]


def _of_file(path: Path, units: list[tuple[Unit, str, str]]) -> list[str]:
    """The group that a file names for each unit, empty where it names none."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError("the groups cannot be read", value=str(path), fix=str(error)) from error
    if not rows or not {"unit", "group"} <= set(rows[0]):
        raise UserError("bad file of groups", value=str(path), allowed="CSV with the columns unit and group")
    known = {str(row["unit"]).strip(): str(row["group"] or "").strip() for row in rows}
    return [
        next((known[name] for name in (str(unit), unit.short, str(unit.index)) if name in known), "")
        for unit, _, _ in units
    ]


def show(found: Topics, by: str, plot: Path) -> None:
    out = console()
    several = len(found.groups) > 1
    told = ", ".join(f"{name} ({units})" for name, units in found.groups)
    out.print(f"Topics of {sum(units for _, units in found.groups)} explanations by {by}: {told}", style="bold",
              markup=False, soft_wrap=True)  # fmt: skip
    rows = []
    for topic in found.topics:
        shares = [f"{100 * mean:.0f} %" for mean, _, _ in topic.shares] if several else []
        tested = [number(topic.p, 4), number(topic.q, 3)] if several else []
        rows.append(
            Row([", ".join(topic.words), f"{100 * topic.share:.0f} %", *tested, *shares], f"“{clean(topic.example)}”")
        )
    head = ["topic", "share", *(["p", "q", *(name for name, _ in found.groups)] if several else [])]
    print_rows(out, head, rows)
    if found.p is not None:
        out.print(f"All topics together: p {number(found.p, 4)}", markup=False)
    out.print(f"Plot: {plot}", markup=False, soft_wrap=True)
