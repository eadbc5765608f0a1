"""`glossator units`: the sites of a subject, or the units of a study in pages."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import (
    JSON,
    Row,
    console,
    emit,
    in_brackets,
    make_table,
    number,
    print_rows,
    print_table,
    short_name,
)


def units(
    subject: str = typer.Argument(
        ..., help="smollm2-135m, minilm, a local folder or a hub id; or the folder of a finished study."
    ),
    order: str = typer.Option("best", help="Order of a study's units: best, worst, causal, q or place."),
    site: str | None = typer.Option(None, help="Only units of this site."),
    status: str | None = typer.Option(None, help="Only units with this status: ok, abstained, ..."),
    method: str | None = typer.Option(None, help="Only units whose best explanation is by this explainer."),
    after: str | None = typer.Option(None, help="Start after this unit, the last one of the previous page."),
    limit: int = typer.Option(20, min=1, help="Number of units to print."),
    json: bool = JSON,
) -> None:
    """List the sites of a subject, or the units of a study in pages.

    Lists each site with its number of units, without downloading built-in subjects. Of a study it lists
    all units.

    \b
    Examples:
      glossator units smollm2-135m
      glossator units ./my-model --json
      glossator units studies/demo --order worst --limit 50
    """
    if (Path(subject) / "manifest.json").is_file() and (Path(subject) / "spec.json").is_file():
        filters = {"site": site, "status": status, "method": method}
        chosen = {name: value for name, value in filters.items() if value is not None}
        print_page(Path(subject), order, chosen, after, limit, json)
        return
    from glossator.subjects import describe_sites

    sites = describe_sites(subject)
    if json:
        emit({"subject": subject, "sites": sites, "units": sum(one.width or 0 for one in sites)})
        return

    table = make_table()
    for name in ("sites", "layers", "units each", "units", "kind", "what"):
        table.add_column(name, justify="right" if "units" in name or name == "layers" else "left")
    groups: dict[tuple[str, int | None, str], list[str]] = {}
    for one in sites:
        groups.setdefault((one.name.partition(".")[0], one.width, one.kind), []).append(one.name)
    for (alias, width, kind), names in groups.items():
        span = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        total = "–" if width is None else f"{width * len(names):,}"
        table.add_row(span, str(len(names)), str(width or "–"), total, kind, MEANING.get(alias, ""))
    out = console()
    print_table(out, table)
    out.print("Any dotted module path is also a site. A unit's id is SUBJECT/SITE/INDEX.")
    if sites:
        out.print(f"Explain some: glossator run --subject {subject} --site {sites[0].name} --units 16", markup=False)


def print_page(folder: Path, order: str, where: dict[str, str], after: str | None, limit: int, json: bool) -> None:
    """One page of a study's units, with the command for the next page."""
    from glossator.store.study import unit_of
    from glossator.study import open_study

    with open_study(folder) as study:
        last = None if after is None else study.row(unit_of(study, after))
        rows = study.page(order, where, last, limit)
        if json:
            emit({"study": str(folder), "order": order, "score": study.ranked_by, "units": rows})
            return
        head = [
            "unit",
            "method",
            f"{study.ranked_by or 'score'} [95 %]",
            study.default_score("causal") or "causal",
            "q",
        ]
    out = console()
    if not rows:
        out.print("No more units." if after else "No such units.")
        return
    lines = []
    for row in rows:
        cells = [short_name(row.unit), row.method or row.status, in_brackets(row.score, row.low, row.high)]
        lines.append(Row([*cells, number(row.causal), number(row.q, 3)], row.headline or row.text or row.reason))
    print_rows(out, head, lines, left=2)
    if len(rows) == limit:
        chosen = "".join(f" --{name} {value}" for name, value in where.items())
        more = f"glossator units {folder} --order {order}{chosen} --after {short_name(rows[-1].unit)}"
        out.print(f"More: {more}", markup=False, soft_wrap=True)


MEANING = {
    "mlp": "inputs of the down projection: neurons",
    "attn": "what attention adds to the residual stream, or to a normed sum",
    "head": "outputs of the heads; unit = head * head_dim + i",
    "resid": "output of the block",
}
