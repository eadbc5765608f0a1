"""What commands print: tables for people, JSON for machines, never both."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from glossator.explorer.tokens import visible
from glossator.terminal import is_unicode, neutral, neutral_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from glossator.scores import Score
    from glossator.study.summary import Headline

JSON = typer.Option(False, "--json", help="Print JSON on stdout, and nothing else there.")
WIDE = 160
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
    """A console on stdout; where that is no terminal, lines are as long as two columns of scores take.

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

    settings: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    made = NeutralConsole(**settings)
    return made if made.is_terminal else NeutralConsole(**settings, width=WIDE)


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
    """`0.61 [0.52, 0.70]`, without the interval where there is none."""
    return number(value) if low is None or high is None else f"{number(value)} [{number(low)}, {number(high)}]"


def score_table(title: str, rows: Sequence[Headline], nulls: Sequence[str], controls: Sequence[str]) -> Any:
    """Explained units with their observational headline beside its nulls, and, where any unit has one, the causal
    headline beside the controls of its own; the card of a unit (`glossator show`) has all nulls of both."""
    from rich.text import Text

    table = make_table(title)
    table.add_column("unit", no_wrap=True)
    table.add_column("explanation", ratio=1, overflow="fold")
    of_correlation = all(row.score.measure == "Pearson r" for row in rows)
    table.add_column(f"{'r' if of_correlation else 'score'} [95 %]", no_wrap=True, justify="right")
    for null in nulls:
        table.add_column(null, justify="right", no_wrap=True)
    causal = next((row.causal.name for row in rows if row.causal is not None), None)
    if causal is not None:
        table.add_column(f"causal: {causal} [95 %]", justify="right", overflow="fold")
        for null in controls:
            table.add_column(null, justify="right", no_wrap=True)
    for row in rows:
        unit = f"{row.result.unit.site}/{row.result.unit.index}{'-' if row.result.unit.polarity == '-' else ''}"
        values = [number(row.score.nulls.get(null)) for null in nulls]
        if causal is not None:
            acted = row.causal
            values.append("–" if acted is None else interval(acted))
            values += ["–" if acted is None else number(acted.nulls.get(null)) for null in controls]
        table.add_row(unit, Text(clean(row.chosen.text)), interval(row.score), *values)
    return table


def clean(text: str) -> str:
    """A text on one line without control characters, which a terminal would obey."""
    return visible(text)


def highlighted(texts: Sequence[str], values: Sequence[float], largest: float, colour: bool) -> Text:
    """Tokens with their activations: as background colour, or in brackets with the value where there is no colour."""
    from rich.text import Text

    line = Text()
    for text, value in zip(texts, values, strict=True):
        share = min(1.0, max(0.0, value / largest)) if largest > 0 else 0.0
        if colour:
            line.append(visible(text), style=shade(share) if share >= 0.05 else None)
        elif share >= 0.25:
            space = text[:1] == " "
            line.append(f"{' ' if space else ''}[{visible(text[1:] if space else text)} {value:.2g}]")
        else:
            line.append(visible(text))
    return line


def shade(share: float) -> str:
    """Black on a colour from pale yellow (0) to strong orange (1): readable on light and dark terminals alike."""
    low, high = (255, 243, 205), (247, 120, 20)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return f"black on #{red:02x}{green:02x}{blue:02x}"
