"""`glossator dissect`: which concepts the units of a site detect, beside the same site in random bases."""

from __future__ import annotations

from pathlib import Path

import typer

from glossator.cli.printing import JSON, console, emit, make_table, number, print_table


def dissect(
    recording: Path = typer.Argument(..., help="A recording of all units of the site, or its study."),
    site: str = typer.Option(..., help="A site of an image model, for example blocks.10.depthwise."),
    rotations: int = typer.Option(3, min=0, help="Random bases of the site that are dissected beside it."),
    seed: int = typer.Option(0, min=0, help="Seed of the rotations."),
    json: bool = JSON,
) -> None:
    """Dissect a site of an image model.

    Network Dissection: a unit detects the concept whose masks its strongest .5 % of cells overlap by an IoU above .04.
    If units meant no more than other directions, a random basis would have as many detectors.

    \b
    Examples:
      glossator record --subject renders-cnn --site layers.4 --units all --inputs renders:2000 --out studies/cnn
      glossator dissect studies/cnn --site layers.4
    """
    from glossator.cli.directions import site_values
    from glossator.fitting.dissecting import Dissected, random_rotation
    from glossator.fitting.dissecting import dissect as dissected

    values = site_values(recording, site)
    own = dissected(values)
    bases = [dissected(values, random_rotation(values.width, seed + i)) for i in range(rotations)]
    if json:
        units = [{"unit": i, "concept": str(c), "iou": iou} for i, (c, iou) in enumerate(own.best)]
        emit({"site": site, "own": own.as_dict(), "rotated": [one.as_dict() for one in bases], "units": units})
        return

    def row(name: str, one: Dissected) -> list[str]:
        kinds = one.as_dict()["concepts_by_kind"]
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return [name, str(len(one.best)), str(len(one.detectors)), str(len(one.concepts)), said]

    table = make_table()
    for column in ("basis", "units", "detectors", "concepts", "of which"):
        table.add_column(column)
    table.add_row(*row("own", own))
    for i, one in enumerate(bases):
        table.add_row(*row(f"random {i + 1}", one))
    print_table(console(), table)
    best = make_table()
    for column in ("unit", "concept", "IoU"):
        best.add_column(column)
    for unit, (concept, iou) in sorted(own.detectors.items(), key=lambda item: -item[1][1])[:10]:
        best.add_row(f"{site}/{unit}", str(concept), number(iou))
    print_table(console(), best)
