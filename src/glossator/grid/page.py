"""A grid on one page: scores by layer and by size of the subject, beside the token lookup table; costs; all numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from glossator import __version__
from glossator.explorer.lines import Line, Point, legend, line_plot
from glossator.files import write_bytes
from glossator.grid.results import GridResults, Row
from glossator.language_models.costs import in_words
from glossator.statistics import Estimate
from glossator.store.ranking import DEFAULT_SCORES

PAGE = "grid.html"
LOOKUP = "token lookup table"


def write_page(path: Path, results: GridResults) -> None:
    """Write the page of a grid; it loads nothing."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    here = package_files("glossator.explorer") / "templates"
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    plots = [
        (title, about, Markup(svg), legend(lines))
        for title, about, svg, lines in (*plots_by_layer(results), *plots_by_size(results))
        if svg
    ]
    text = page.from_string((here / "grid.html").read_text(encoding="utf-8")).render(
        results=results,
        plots=plots,
        estimate=in_brackets,
        words=in_words,
        css=Markup((here / "grid.css").read_text(encoding="utf-8")),
        version=__version__,
    )
    write_bytes(path, text.encode())


def plots_by_layer(results: GridResults) -> Iterable[tuple[str, str, str, list[Line]]]:
    """(title, what it shows, SVG, lines) for each subject, score and side: mean score by layer."""
    for subject in dict.fromkeys(row.subject for row in results.rows):
        for score in DEFAULT_SCORES:
            for polarity in dict.fromkeys(row.polarity for row in results.rows):
                rows = [r for r in results.rows if r.subject == subject and r.score == score]
                rows = [r for r in rows if r.polarity == polarity and r.layer is not None]
                lines = lines_of(rows, lambda row: float(row.layer or 0))
                side = "" if polarity == "+" else ", negative polarity"
                label = f"{subject}: {score} by layer{side}"
                svg = line_plot(lines, label, "layer", "mean Pearson r")
                yield f"{subject}{side}", f"{score} by layer", svg, lines


def plots_by_size(results: GridResults) -> Iterable[tuple[str, str, str, list[Line]]]:
    """The same by the number of parameters of the subject, over all sites; none if there is one size."""
    if len({results.sizes[name] for name in results.sizes}) < 2:
        return
    for score in DEFAULT_SCORES:
        rows = [r for r in results.rows if r.score == score and r.polarity == "+" and r.subject in results.sizes]
        several = {row.subject for row in rows if row.site is None}
        rows = [r for r in rows if (r.site is None) == (r.subject in several)]
        lines = lines_of(rows, lambda row: float(results.sizes[row.subject]))
        svg = line_plot(lines, f"{score} by size of the subject", "parameters", "mean Pearson r", logarithmic=True)
        yield "By size of the subject", score, svg, lines


def lines_of(rows: Sequence[Row], place: Any) -> list[Line]:
    """A line for each series, sorted by place, and the lookup table's own, dashed, from the cells that have it.

    The table's values are those beside the first series at each place: all cells score it on the same windows.
    """
    own = [row for row in rows if row.method != "lookup"]
    tables = [row for row in rows if row.method == "lookup"] or own
    series = list(dict.fromkeys(row.series for row in own))
    lines = [
        Line(name, _points([r for r in own if r.series == name], place, lambda row: row.value), colour)
        for colour, name in enumerate(series)
    ]
    return [*lines, Line(LOOKUP, _points(tables, place, lambda row: row.lookup), dashed=True)]


def _points(rows: Sequence[Row], place: Any, estimate: Any) -> tuple[Point, ...]:
    points: dict[float, Point] = {}
    for row in rows:
        found: Estimate = estimate(row)
        if found.value is not None:
            points.setdefault(place(row), Point(place(row), found.value, found.low, found.high))
    return tuple(points[x] for x in sorted(points))


def in_brackets(found: Estimate, digits: int = 2) -> str:
    """`0.31 [0.28, 0.34]`, or a dash."""
    if found.value is None:
        return "–"
    text = f"{found.value:.{digits}f}"
    if found.low is not None and found.high is not None:
        text += f" [{found.low:.{digits}f}, {found.high:.{digits}f}]"
    return text.replace("-", "−")
