"""`glossator grid`: compare explainers, simulators, subjects and language models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glossator.cli.printing import JSON, QUIET, console, emit, make_table, print_table
from glossator.cli.spec_options import takes_flags
from glossator.units import marked

if TYPE_CHECKING:
    from glossator.grid.results import GridResults
    from glossator.study.models import Access


@takes_flags
def grid(
    access: Access,
    spec: Path = typer.Argument(..., help="A grid in TOML."),
    out: Path = typer.Option(..., help="Folder of the grid; may hold an earlier or smaller run of it."),
    quiet: bool = QUIET,
    json: bool = JSON,
) -> None:
    """Run a grid of studies: explainer x simulator x subject x language model.

    Each cell is a study in OUT/cells, on the same units and text as the others of its subject. The program explainer
    and the token lookup table are always included. Repeat the command to resume an interrupted grid or to run what you
    added to the spec. OUT/grid.html has the plots. Cells that cannot run are listed, with exit code 1.

    \b
    Example:
      glossator grid grid.toml --out studies/grid

    \b
    A grid; other keys are those of a study, the same in every cell:
      explainers = ["bills"]
      simulators = ["lm-all-at-once", "lm-json"]
      lms = ["inprocess:smollm2-135m"]
      units = 16
      [[subjects]]
      subject = "smollm2-135m"
      sites = ["mlp.3", "mlp.12", "mlp.21"]
    """
    from glossator.files import write_json
    from glossator.grid.page import PAGE, write_page
    from glossator.grid.results import as_json, grid_results
    from glossator.grid.runner import RESULTS, run_grid
    from glossator.grid.spec import load_grid

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    done = run_grid(load_grid(spec), out, access=access, progress=False if quiet else None, say=say)
    results = grid_results(done)
    write_page(out / PAGE, results)
    write_json(out / RESULTS, as_json(results))
    if json:
        emit({"grid": str(out), "page": str(out / PAGE), **as_json(results)})
    else:
        print_grid(results, out / PAGE)
    if results.failures:
        raise typer.Exit(1)


def print_grid(results: GridResults, page: Path) -> None:
    """Means of every cell over its sites, their costs, and the path of the page."""
    from rich.text import Text

    from glossator.grid.page import in_brackets
    from glossator.language_models.costs import in_words

    out = console()
    table = make_table()
    numbers = ("units", "mean [95 %]", "lookup", "over lookup", "over program")
    for name in ("subject", "site", "read as", "score", *numbers):
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=name in numbers)
    several = {row.subject for row in results.rows if row.site is None}
    for row in results.rows:
        if (row.site is None) == (row.subject in several):
            estimates = (row.value, row.lookup, row.over_lookup, row.over_program)
            place = (row.site or "all") + marked(row.polarity)
            units = f"{row.value.n} of {row.units}"
            told = (Text(row.subject), Text(place), Text(row.series), row.score)
            table.add_row(*told, units, *(in_brackets(e) for e in estimates))
    print_table(out, table)
    for cost in results.costs:
        if cost.costs:
            out.print(f"{cost.cell}: {in_words(cost.usage)}", markup=False, soft_wrap=True)
    for cell, reason in results.failures:
        out.print(f"not run: {cell}: {reason}", markup=False, soft_wrap=True)
    out.print(f"Page: {page.resolve().as_uri()}", markup=False, soft_wrap=True)
