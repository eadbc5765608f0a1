"""The card of an explanation in the terminal: two columns of scores, each score above its nulls.

Where the terminal is wide enough the columns stand side by side, else one below the other; both are always there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glossator.cli.printing import in_brackets, interval, make_table, number

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.scores import Column, Margin, Score

GAP = 3
MAIN = ("correlation", "explained-variance.centred", "detection.auroc")
"""Observational scores that are shown unless all are asked for, in both settings."""


def print_card(
    out: Console, scores: Sequence[Score], q: Mapping[str, Mapping[str, float]], card: str, *, every_score: bool = True
) -> None:
    """Both columns of one explanation.

    q: name of a score -> null -> q-value; where there are none, p is shown; card: which columns were asked for.
    """
    from rich.console import Group
    from rich.measure import Measurement
    from rich.table import Table

    from glossator.study.card import COLUMNS

    columns = [_column(column, scores, q, card, every_score) for column in COLUMNS]
    # Reasons wrap below their table: only titles and tables say how wide a column has to be.
    widths = [max(Measurement.get(out, out.options, part).maximum for part in parts[:2]) for parts in columns]
    if sum(widths) + GAP <= out.width:
        both = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for width in widths:
            both.add_column(width=width)
        both.add_row(*(Group(*parts) for parts in columns))
        out.print(both)
    else:
        for parts in columns:
            out.print(Group(*parts))


def _column(
    column: Column, scores: Sequence[Score], q: Mapping[str, Mapping[str, float]], card: str, every_score: bool
) -> list[Any]:
    """What stands below each other: the title, then a table and reasons, or why the column is empty."""
    from rich.text import Text

    from glossator.study.card import QUESTIONS, why_empty
    from glossator.study.summary import nulls_of_scores

    own = [score for score in scores if score.column == column]
    title = Text.assemble((column, "bold"), (f"  {QUESTIONS[column]}", "dim"))
    if not own:
        return [title, Text(why_empty(column, card), style="dim")]
    main = [score for score in own if score.name.rpartition(".")[0] in MAIN]
    shown = own if every_score or not main else main
    table = make_table(plain=True)
    corrected = any(q.get(score.name) for score in shown)
    for name in ("score, its nulls", "value [95 %]", "above it by [95 %]", "q" if corrected else "p"):
        table.add_column(name, justify="left" if name == "score, its nulls" else "right", no_wrap=True)
    missing: dict[str, list[str]] = {}
    for score in shown:
        if score.value is None:
            missing.setdefault(str(score.reason), []).append(score.name)
            table.add_row(Text(score.name, style="bold"), "–", "", "")
            continue
        about = Text(f"n {score.n}", style="dim")
        table.add_row(Text(score.name, style="bold"), Text(interval(score), style="bold"), about, "")
        for null in nulls_of_scores([score]):
            of_null = q.get(score.name, {}).get(null)
            margin = score.margins.get(null)
            probability = of_null if corrected or margin is None else margin.p
            cells = (f"  {null}", number(score.nulls[null]), above(margin), small(probability))
            table.add_row(*(Text(cell, style="dim") for cell in cells))
    reasons = [Text(f"{', '.join(names)}: {reason}", style="dim") for reason, names in missing.items()]
    return [title, table, *reasons]


def above(margin: Margin | None) -> str:
    """The score minus a null, with the interval of the difference where both were resampled together."""
    return "–" if margin is None else in_brackets(margin.value, margin.low, margin.high)


def small(probability: float | None) -> str:
    """A p-value or q-value: three digits are as many as a thousand resamples know."""
    return "–" if probability is None else number(probability, 3)
