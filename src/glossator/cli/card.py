"""The card of an explanation in the terminal: two columns of scores, each above its baselines.

Where the terminal is wide enough the columns stand side by side, else one below the other; both are always there.
Human scores of a unit stand beside the model's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glossator.cli.printing import clean, in_brackets, interval, make_table, number, print_table, print_whole

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.scores import Column, Margin, Score

GAP = 3
SIGMA = ("sigma.corpus", "sigma.written", "sigma.held-out")
MAIN = ("correlation", "explained-variance.centred", "detection.auroc", "peak.hit", "peak.share", *SIGMA)
"""Observational scores that are shown unless all are asked for, in all their settings."""
HEADINGS = {
    "top-and-random": "top and random windows",
    "random-only": "random windows",
    "top": "top windows",
    "": "own windows",
}
"""Settings that scores are given in, in words; they head the scores that are named without them."""


def print_card(out: Console, scores: Sequence[Score], card: str, *, every_score: bool = True) -> None:
    """Both columns of one explanation, none of it cut whatever the width.

    card: which columns were asked for. Where no score has a q-value, p is shown.
    """
    from rich.console import Group
    from rich.measure import Measurement
    from rich.table import Table

    from glossator.store.card import COLUMNS

    columns = [_column(column, scores, card, every_score) for column in COLUMNS]
    # Reasons wrap below their table: only titles and tables say how wide a column has to be.
    endless = out.options.update(width=1000)
    widths = [max(Measurement.get(out, endless, part).maximum for part in parts[:2]) for parts in columns]
    if sum(widths) + GAP <= out.width:
        both = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for width in widths:
            both.add_column(width=width)
        both.add_row(*(Group(*parts) for parts in columns))
        out.print(both)
        return
    for title, *parts in columns:
        out.print(title, soft_wrap=True)
        for part in parts:
            print_whole(out, part)


def _column(column: Column, scores: Sequence[Score], card: str, every_score: bool) -> list[Any]:
    """What stands below each other: the title, then a table and reasons, or why the column is empty."""
    from rich.text import Text

    from glossator.store.card import QUESTIONS, why_empty

    own = [score for score in scores if score.column == column]
    title = Text.assemble((column, "bold"), (f"  {QUESTIONS[column]}", "dim"))
    if not own:
        return [title, Text(why_empty(column, card), style="dim")]
    main = [score for score in own if name_and_setting(score)[0] in MAIN]
    shown = own if every_score or not main else main
    table = make_table(plain=True)
    corrected = any(margin.q is not None for score in shown for margin in score.margins.values())
    for name in ("score, baselines", "value [95 %]", "margin [95 %]", "q" if corrected else "p"):
        table.add_column(name, justify="left" if name == "score, baselines" else "right", no_wrap=True)
    for setting, heading in HEADINGS.items():
        of_setting = [score for score in shown if name_and_setting(score)[1] == setting]
        if of_setting and (setting or len(of_setting) < len(shown)):
            table.add_row(Text(heading, style="italic"), "", "", "")
        for score in of_setting:
            for cells, style in _rows(score, corrected):
                table.add_row(*(Text(cell, style=style) for cell in cells))
    reasons: dict[str, list[str]] = {}
    for score in shown:
        if score.value is None:
            reasons.setdefault(str(score.reason), []).append(score.name)
        elif score.low is None and (why := score.how.get("no_interval")):
            reasons.setdefault(f"no interval, {why}", []).append(score.name)
    return [title, table, *(Text(f"{', '.join(names)}: {reason}", style="dim") for reason, names in reasons.items())]


def _rows(score: Score, corrected: bool) -> list[tuple[tuple[str, ...], str]]:
    """Cells and style of a score's line and of those of its baselines."""
    from glossator.store.summary import baselines_of_scores

    name = name_and_setting(score)[0]
    if score.value is None:
        return [((name, "–", "", ""), "bold")]
    rows: list[tuple[tuple[str, ...], str]] = [((name, interval(score), f"n {score.n}", ""), "bold")]
    for baseline in baselines_of_scores([score]):
        margin = score.margins.get(baseline)
        probability = None if margin is None else margin.q if corrected else margin.p
        rows.append(((f"  {baseline}", number(score.baselines[baseline]), above(margin), small(probability)), "dim"))
    return rows


def name_and_setting(score: Score) -> tuple[str, str]:
    """`correlation`, `random-only`: the name without the setting that it ends with, and the setting, "" for none."""
    name, _, setting = score.name.rpartition(".")
    if setting in HEADINGS and setting:
        return name, setting
    return score.name, "top" if set(score.how.get("windows", ())) == {"top"} else ""


def above(margin: Margin | None) -> str:
    """The score minus a baseline, with the interval of the difference where both are of the same documents."""
    return "–" if margin is None else in_brackets(margin.value, margin.low, margin.high)


def small(probability: float | None) -> str:
    """A p-value or q-value: three digits are as many as anyone reads."""
    return "–" if probability is None else number(probability, 3)


def print_people(out: Console, people: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Human simulations beside the model's, human explanations and rewrites; prints nothing without any."""
    from rich.text import Text

    from glossator.human.report import beside_machine, main_scores

    if not people:
        return
    out.print("\nHuman annotators", style="bold")
    table = make_table(plain=True)
    for name in ("annotator", "task", "score", "value [95 %]", "compare"):
        justify: Any = "right" if name in ("value [95 %]", "compare") else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=name == "score")
    for simulation in people.get("simulations", ()):
        told = f"rated tokens from the {simulation['method']} explanation"
        for name, person, machine in beside_machine(simulation):
            beside = "" if machine is None else f"model {estimate(machine)}"
            table.add_row(Text(simulation["rater"]), told, name, estimate(person), beside)
            told = ""
    for label in people.get("labels", ()):
        told = f"wrote: {clean(label['text'])}"
        for score in main_scores(label["scores"]):
            baselines = ", ".join(
                f"{baseline} {in_brackets(value, None, None)}" for baseline, value in score["baselines"].items()
            )
            table.add_row(
                Text(label["method"].partition(":")[2]), Text(told), score["name"], estimate(score), baselines
            )
            told = ""
    for rewrite in people.get("rewrites", ()):
        told = f"rewrote it as: {clean(rewrite['text'])}"
        original, rewritten = rewrite["original"], rewrite["rewritten"]
        beside = f"original {estimate(original)}"
        table.add_row(Text(rewrite["by"]), Text(told), rewritten["name"], estimate(rewritten), beside)
    print_table(out, table)


def estimate(found: Mapping[str, Any]) -> str:
    """`0.61 [0.52, 0.70]`, or the reason why there is no value."""
    if found["value"] is None:
        return f"– ({found['reason']})"
    return in_brackets(found["value"], found["low"], found["high"])
