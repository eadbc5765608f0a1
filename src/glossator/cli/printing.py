"""What commands print: tables for people, JSON for machines, never both."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from glossator.terminal import is_unicode, neutral, neutral_json, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from glossator.scores import Score
    from glossator.store.ranking import Ranked
    from glossator.units import Unit

JSON = typer.Option(False, "--json", help="Print JSON on stdout, and nothing else there.")
WIDE = 160
READABLE = 110
"""Columns beyond which words are hard to read: text is wrapped there, whatever the width of the terminal."""
LONG_WORDS = 30
"""Cells that are longer stand below their row where a table does not fit."""
GAP = 2
QUIET = typer.Option(False, "--quiet", help="No progress bars.")


def emit(value: Any) -> None:
    """Print a value as JSON, what a terminal would obey escaped."""
    from glossator.files import plain

    text = json.dumps(plain(value), ensure_ascii=not is_unicode(sys.stdout), allow_nan=False, indent=1)
    sys.stdout.write(neutral_json(text) + "\n")


def say(line: str) -> None:
    """A line for the person at the terminal, on stderr."""
    sys.stderr.write(neutral(line) + "\n")


def console() -> Console:
    """A console on stdout; where that is no terminal, lines are as long as COLUMNS says, or as two columns of scores
    take.

    It is the one way by which text gets on stdout: what a terminal would obey in it, markup included, stays text.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class NeutralConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            if isinstance(renderable, Text) and (plain := neutral(renderable.plain)) != renderable.plain:
                renderable = renderable.copy()
                renderable.plain = plain
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(neutral(segment.text), segment.style)

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    # In a notebook too a command prints lines, and no HTML of its own.
    settings: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "force_jupyter": False}
    made = NeutralConsole(**settings)
    told = os.environ.get("COLUMNS", "")
    return made if made.is_terminal or (told.isdigit() and int(told)) else NeutralConsole(**settings, width=WIDE)


def print_table(out: Console, table: Any) -> None:
    """Print a table as it is where it fits; else its columns as `print_rows` does, long words below their row."""
    if _needed(out, table) <= out.width:
        out.print(table)
        return
    columns = [(str(c.header), c.justify, [str(cell) for cell in c.cells]) for c in table.columns]
    words = [c for c in columns[1:] if c[1] == "left" and max(map(len, c[2]), default=0) > LONG_WORDS]
    kept = sorted((c for c in columns if c not in words), key=lambda c: c[1] == "right")
    notes = ["; ".join(filter(None, cells)) for cells in zip(*(c[2] for c in words), strict=True)]
    cells = zip(*(c[2] for c in kept), strict=True)
    rows = [Row(row, notes[i] if notes else "") for i, row in enumerate(cells)]
    if table.title:
        out.print(str(table.title), style="bold", markup=False)
    print_rows(out, [c[0] for c in kept], rows, left=max(1, sum(c[1] == "left" for c in kept)))
    out.print()


def print_whole(out: Console, part: Any) -> None:
    """Print a table, or words; what is wider than the terminal is left to the terminal, and nothing is cut."""
    from rich.segment import Segments
    from rich.table import Table

    if isinstance(part, Table) and (needed := _needed(out, part)) > out.width:
        out.print(Segments(list(out.render(part, out.options.update(width=needed)))), crop=False, end="")
    else:
        out.print(part)


def _needed(out: Console, table: Any) -> int:
    """Cells of width in which no line of a table has to be broken."""
    from rich.measure import Measurement

    return Measurement.get(out, out.options.update(width=10_000), table).maximum


def make_table(title: str | None = None, *, plain: bool = False) -> Any:
    """A table with a line under its head, or none at all when it stands within other text."""
    from rich import box
    from rich.table import Table

    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        box=None if plain else box.SIMPLE_HEAD,
        header_style="dim" if plain else "bold",
    )


def number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def interval(score: Score) -> str:
    """`0.61 [0.52, 0.70]`, or the reason why there is no value."""
    return f"– ({score.reason})" if score.value is None else in_brackets(score.value, score.low, score.high)


def in_brackets(value: float | None, low: float | None, high: float | None) -> str:
    """`0.61 [0.52, 0.70]`, without the interval if there is none."""
    return number(value) if low is None or high is None else f"{number(value)} [{number(low)}, {number(high)}]"


@dataclass(frozen=True)
class Row:
    """One line of a table: its cells, and what is written out below it in the whole width."""

    cells: Sequence[str]
    note: str = ""


def print_rows(out: Console, head: Sequence[str], rows: Sequence[Row], *, left: int = 1, bar: bool = False) -> None:
    """A table that is never cut: cells stand on one line each, and the last columns that the terminal has no room for
    are written out below their row, each with its name.

    left: how many columns are words, which begin at the left; the others are numbers; bar: except the last, a bar. A
    line that is longer even so is left to the terminal, which wraps it.
    """
    from rich.cells import cell_len
    from rich.text import Text

    widths = [max(cell_len(cell) for cell in column) for column in zip(head, *(row.cells for row in rows), strict=True)]
    words, fitting = {*range(left), *([len(head) - 1] if bar else [])}, len(head)
    while fitting > left + 1 and sum(widths[:fitting]) + GAP * (fitting - 1) + 1 > out.width:
        fitting -= 1

    def line(cells: Sequence[str], style: str) -> Text:
        padded = [
            cell + " " * (width - cell_len(cell)) if place in words else " " * (width - cell_len(cell)) + cell
            for place, (cell, width) in enumerate(zip(cells[:fitting], widths, strict=False))
        ]
        return Text((" " + (" " * GAP).join(padded)).rstrip(), style=style)

    out.print(line(head, "bold"), soft_wrap=True)
    out.print(Text(" " + "─" * min(sum(widths[:fitting]) + GAP * (fitting - 1), out.width - 1), style="dim"))
    for row in rows:
        out.print(line(row.cells, ""), soft_wrap=True)
        beside = [f"{name} {cell}" for name, cell in zip(head[fitting:], row.cells[fitting:], strict=True) if cell]
        for text, style in ((row.note, ""), ("; ".join(beside), "dim")):
            if text:
                print_indented(out, text, style)


def print_indented(out: Console, text: str, style: str = "", by: int = 3) -> None:
    """Words on lines that people can read, each moved to the right; no blank space stands at their ends."""
    from rich.text import Text

    for line in Text(clean(text), style=style).wrap(out, max(20, min(out.width, READABLE) - by)):
        line.rstrip()
        out.print(Text(" " * by).append_text(line), soft_wrap=True)


def score_rows(out: Console, rows: Sequence[Ranked], baselines: Sequence[str], controls: Sequence[str]) -> None:
    """Explained units with their observational headline beside its baselines, and, where any unit has one, the causal
    headline beside the controls of its own; the card of a unit (`glossator show`) has all baselines of both."""
    methods = len({row.chosen.method for row in rows}) > 1
    of_correlation = all(row.score.measure == "Pearson r" for row in rows)
    causal = next((row.causal.name for row in rows if row.causal is not None), None)
    head = ["unit", *(["method"] if methods else []), f"{'r' if of_correlation else 'score'} [95 %]", *baselines]
    head += [] if causal is None else [f"causal: {causal} [95 %]", *controls]
    lines = []
    for row in rows:
        cells = [short_name(row.result.unit), *([row.chosen.method] if methods else []), interval(row.score)]
        cells += [number(row.score.baselines.get(baseline)) for baseline in baselines]
        if causal is not None:
            acted = row.causal
            cells.append("–" if acted is None else interval(acted))
            cells += ["–" if acted is None else number(acted.baselines.get(baseline)) for baseline in controls]
        lines.append(Row(cells, row.chosen.in_short))
    print_rows(out, head, lines, left=1 + methods)


def short_name(unit: Unit) -> str:
    """`mlp.12/345`, `mlp.12/345-`: the unit within its subject."""
    return unit.short


def clean(text: str) -> str:
    """A text on one line without control characters, which a terminal would obey."""
    return visible(text)


def highlighted(texts: Sequence[str], values: Sequence[float], largest: float, colour: bool) -> list[Text]:
    """Tokens with their activations: as background colour, or in brackets with the value where there is no colour."""
    return [_highlighted(text, value, largest, colour) for text, value in zip(texts, values, strict=True)]


def _highlighted(text: str, value: float, largest: float, colour: bool) -> Text:
    from rich.text import Text

    share = min(1.0, max(0.0, value / largest)) if largest > 0 else 0.0
    if colour:
        return Text(visible(text), style=shade(share) if share >= 0.05 else "")
    if share < 0.25:
        return Text(visible(text))
    space, rest = (" ", text[1:]) if text[:1] == " " else ("", text)
    return Text(f"{space}[{visible(rest)} {value:.2g}]" if rest else f"[␣ {value:.2g}]")


def in_the_middle(parts: Sequence[Text], centre: int, width: int) -> Text:
    """One line of at most `width` cells in which the part at `centre` always stands at the same place, so that lines
    below one another can be compared; what does not fit on a side is left out, and … says so."""
    from rich.text import Text

    before, after = int(width * 0.45), width - int(width * 0.45) - parts[centre].cell_len
    left, cut = _fitting(parts[centre - 1 :: -1] if centre else [], before)
    right, more = _fitting(parts[centre + 1 :], after)
    line = Text(" " * (before - sum(part.cell_len for part in left) - cut))
    for part in (Text("…" * cut), *reversed(left), parts[centre], *right, Text("…" * more)):
        line.append_text(part)
    return line


def _fitting(parts: Sequence[Text], width: int) -> tuple[list[Text], bool]:
    """The first parts that fit, with room for a sign that there are more where there are."""
    total = sum(part.cell_len for part in parts)
    if total <= width:
        return list(parts), False
    kept: list[Text] = []
    room = width - 1
    for part in parts:
        room -= part.cell_len
        if room < 0:
            break
        kept.append(part)
    return kept, width > 0


def shade(share: float) -> str:
    """Black on a colour from pale yellow (0) to strong orange (1): readable on light and dark terminals alike."""
    low, high = (255, 243, 205), (247, 120, 20)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return f"black on #{red:02x}{green:02x}{blue:02x}"
