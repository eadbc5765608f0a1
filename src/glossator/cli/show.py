"""`glossator show`: one unit in the terminal."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.card import print_card
from glossator.cli.people import print_people
from glossator.cli.printing import JSON, clean, console, emit, highlighted, number

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.study.discoveries import Discoveries
    from glossator.study.exemplars import ShownWindow
    from glossator.study.results import Chosen, UnitResult


def show(
    unit: str = typer.Argument(..., help="Unit such as smollm2-135m/mlp.12/345, or its end: mlp.12/345."),
    study: Path | None = typer.Option(
        None, help="Folder of the study; default: the newest below studies/ that has the unit."
    ),
    top: int = typer.Option(8, min=0, help="How many of the windows where it fires most."),
    random: int = typer.Option(4, min=0, help="How many random windows."),
    every_score: bool = typer.Option(False, "--all-scores", help="All scores, not only the main ones."),
    json: bool = JSON,
) -> None:
    """Show one unit: explanations, their card of scores, highlighted windows, what people said of it.

    The card has two columns: observational scores (does the explanation predict?) and causal ones (does acting on the
    unit do what it says?). Below each score stand its nulls, how far it is above them with a 95 % interval, and q: the
    false-discovery rate at which it is called above that null, over all units of the study. The windows are of the test
    split, which no explainer saw. In a pipe, [brackets] with the activation stand for colour.

    \b
    Examples:
      glossator show smollm2-135m/mlp.12/345
      glossator show mlp.12/345 --study studies/demo --top 20
    """
    from glossator.human.shown import people_on
    from glossator.study.exemplars import shown_windows
    from glossator.study.find import study_with
    from glossator.study.tools import Tools

    opened, found = study_with(unit, study)
    with opened:
        result = opened.result(found)
        tools = Tools.to_show(opened)
        windows = shown_windows(result, tools, top, random) if result.statistics else []
        texts = opened.recording.vocabulary.texts
        discoveries = opened.discoveries()
        people = people_on(opened, str(found))
        if json:
            q = q_values(result, discoveries)
            emit(as_json(str(opened.folder), result, windows, texts) | {"q_values": q, "people": people})
            return
        out = console()
        print_unit(out, str(opened.folder), result, discoveries, opened.spec.card, every_score)
        print_people(out, people)
        if windows:
            _print_windows(out, windows, texts)


def q_values(result: UnitResult, discoveries: Discoveries) -> list[dict[str, Any]]:
    """q-values over the study's units, for each method, score and null of a unit that has one."""
    return [
        {"method": chosen.method, "score": score.name, "null": null, "q": q}
        for chosen in result.explanations
        for score in chosen.scores
        for null, q in discoveries.of_score(str(result.unit), chosen.method, score.name).items()
    ]


def as_json(folder: str, result: UnitResult, windows: list[ShownWindow], texts: tuple[str, ...]) -> dict[str, Any]:
    from glossator.study.results import to_plain

    shown = [
        {
            "kind": w.kind,
            "document": w.document,
            "tokens": [texts[t] for t in w.tokens.tolist()],
            "true": [round(v, 5) for v in w.true.tolist()],
            "predicted": None if w.predicted is None else [rounded(v) for v in w.predicted.tolist()],
        }
        for w in windows
    ]
    return {"study": folder, **to_plain(result), "windows": shown}


def rounded(value: float) -> float | None:
    """None where there is no prediction."""
    return None if isnan(value) else round(value, 5)


def print_unit(
    out: Console,
    folder: str,
    result: UnitResult,
    discoveries: Discoveries,
    card: str,
    every_score: bool,
) -> None:
    out.print(str(result.unit), style="bold", markup=False, end="")
    out.print(
        f"  {result.status}{': ' + result.reason if result.reason else ''}  ({folder})", markup=False, soft_wrap=True
    )
    if result.statistics:
        s = result.statistics
        out.print(
            f"fires on {s['firing_rate']:.2%} of random tokens ({s['firing_rule']}), "
            f"mean {number(s['mean'], 3)}, maximum {number(s['maximum'], 3)}",
            markup=False,
        )
    for chosen in result.explanations:
        _print_explanation(out, chosen)
        if chosen.scores:
            name = str(result.unit)
            q = {score.name: discoveries.of_score(name, chosen.method, score.name) for score in chosen.scores}
            print_card(out, chosen.scores, q, card, every_score=every_score)


def _print_explanation(out: Console, chosen: Chosen) -> None:
    from glossator.study.costs import cost_in_words

    bits = "" if chosen.bits is None else f", {chosen.bits:.0f} bits"
    select = "" if chosen.select is None else f", r on the select split {number(chosen.select)}"
    out.print()
    out.print(clean(chosen.text), style="bold" if chosen.rank == 0 else "", markup=False)
    out.print(f"  {chosen.method}, candidate {chosen.rank + 1}{bits}{select}", markup=False)
    if chosen.provenance["model"]:
        cost = cost_in_words(chosen.provenance["cost"])
        out.print(f"  {chosen.provenance['model']}{f', {cost}' if cost else ''}", markup=False, soft_wrap=True)
    if chosen.program and len(chosen.program) < 2000:
        out.print(f"  {clean(chosen.program)}", style="dim", markup=False)


def _print_windows(out: Console, windows: list[ShownWindow], texts: tuple[str, ...]) -> None:
    colour = out.is_terminal and not out.no_color
    largest = max((w.peak(w.true) for w in windows), default=0.0)
    kind = ""
    for w in windows:
        if w.kind != kind:
            kind = w.kind
            out.print(f"\n{'Top' if kind == 'top' else 'Random'} windows of the test split", style="bold")
        pieces = [texts[t] for t in w.tokens.tolist()]
        out.print(f"true {number(w.peak(w.true), 2):>6}  ", style="dim", end="")
        out.print(highlighted(pieces, w.true.tolist(), largest, colour), soft_wrap=not colour)
        if w.predicted is not None:
            out.print(f"said {number(w.peak(w.predicted), 2):>6}  ", style="dim", end="")
            out.print(highlighted(pieces, w.predicted.tolist(), largest, colour), soft_wrap=not colour)
