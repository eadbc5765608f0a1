"""`glossator units`: what can be explained in a subject."""

from __future__ import annotations

import typer

from glossator.cli.printing import JSON, console, emit, make_table, print_table


def units(
    subject: str = typer.Argument(..., help="smollm2-135m, minilm, a local folder or a hub id."), json: bool = JSON
) -> None:
    """List the sites of a subject with their numbers of units.

    Built-in subjects are not downloaded for it.

    \b
    Examples:
      glossator units smollm2-135m
      glossator units ./my-model --json
    """
    from glossator.subjects import describe_sites

    sites = describe_sites(subject)
    if json:
        emit({"subject": subject, "sites": sites, "units": sum(site.width or 0 for site in sites)})
        return

    table = make_table()
    for name in ("sites", "layers", "units each", "units", "kind", "what"):
        table.add_column(name, justify="right" if "units" in name or name == "layers" else "left")
    groups: dict[tuple[str, int | None, str], list[str]] = {}
    for site in sites:
        groups.setdefault((site.name.partition(".")[0], site.width, site.kind), []).append(site.name)
    for (alias, width, kind), names in groups.items():
        span = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        total = "–" if width is None else f"{width * len(names):,}"
        table.add_row(span, str(len(names)), str(width or "–"), total, kind, MEANING.get(alias, ""))
    out = console()
    print_table(out, table)
    out.print("Any dotted module path is a site as well. A unit is named SUBJECT/SITE/INDEX.")
    if sites:
        out.print(f"Explain some: glossator run --subject {subject} --site {sites[0].name} --units 16", markup=False)


MEANING = {
    "mlp": "values that enter the down projection: neurons",
    "attn": "what attention adds to the stream, or gives to a norm of the sum",
    "head": "outputs of the heads; unit = head * head_dim + i",
    "resid": "what leaves the block",
}
