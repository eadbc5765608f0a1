"""`glossator show`: one unit in the terminal, the most important first."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.card import print_card, print_people
from glossator.cli.printing import (
    JSON,
    clean,
    console,
    emit,
    highlighted,
    in_the_middle,
    interval,
    make_table,
    number,
    print_indented,
    print_table,
)

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.explorer.exemplars import ShownInput
    from glossator.scores import Score
    from glossator.store.results import Chosen, UnitResult


def show(
    unit: str = typer.Argument(
        ..., help="Unit such as smollm2-135m/mlp.12/575, its end (mlp.12/575), or the folder of a study."
    ),
    study: Path | None = typer.Option(
        None, help="Folder of the study; default: the newest below studies/ that has the unit."
    ),
    top: int = typer.Option(8, min=0, help="Number of top windows."),
    random: int = typer.Option(4, min=0, help="Number of random windows."),
    whole: bool = typer.Option(False, "--whole", help="Show whole windows instead of one line around each peak."),
    every_score: bool = typer.Option(False, "--all-scores", help="All scores, not only the main ones."),
    costs: bool = typer.Option(
        False, "--costs", help="Show instead how long each shard of a study took and where; give the study's folder."
    ),
    json: bool = JSON,
) -> None:
    """Show one unit: its explanation, peaks, scores, other explanations and human scores. Of a folder: its summary.

    Windows are from the test split, which no explainer saw. Each shows true activations above predictions, with both
    values at the unit's peak on the left. In a pipe, [brackets] with the activation replace colour.

    The card has two columns: observational scores (does the explanation predict?) and causal ones (does intervening on
    the unit do what it says?). Below each score are its baselines, the margin over each with a 95 % interval, and q,
    the false-discovery rate at which the unit beats that baseline, over all units of the study.

    \b
    Examples:
      glossator show smollm2-135m/mlp.12/575
      glossator show mlp.12/575 --study studies/demo --top 20
      glossator show studies/demo
      glossator show studies/demo --costs
    """
    if costs:
        show_costs(Path(unit), json)
        return
    if (Path(unit) / "manifest.json").is_file():
        show_study(Path(unit), json)
        return
    from glossator.explorer.exemplars import shown_inputs
    from glossator.human.report import people_on
    from glossator.store.find import study_with
    from glossator.study.context import StudyContext

    opened, found = study_with(unit, study)
    with opened:
        result = opened.result(found)
        context = StudyContext.to_show(opened)
        windows = shown_inputs(result, context, top, random) if result.statistics else []
        people = people_on(opened, str(found))
        if json:
            q = q_values(result)
            emit(as_json(str(opened.folder), result, windows) | {"q_values": q, "people": people})
            return
        out = console()
        print_head(out, str(opened.folder), result)
        if windows:
            print_windows(out, windows, whole)
        print_scores(out, result, opened.spec.card, every_score)
        print_people(out, people)


def show_study(folder: Path, json: bool) -> None:
    """What `run` prints of a finished study."""
    from glossator.cli.run import as_json as study_as_json
    from glossator.cli.run import print_study
    from glossator.study import open_study

    with open_study(folder) as opened:
        if json:
            emit(study_as_json(opened))
        else:
            print_study(opened)


def show_costs(folder: Path, json: bool) -> None:
    """How long each shard of a study took and where it ran, whether or not the study is finished."""
    from glossator.study.work import shards_in_log

    ran = shards_in_log(folder)
    if json:
        emit(ran)
        return
    out, table = console(), make_table("Shards")
    for name in ("stage", "shard", "units", "seconds", "engine", "host", "process"):
        table.add_column(name, justify="left" if name in ("stage", "engine", "host") else "right")
    for one in ran:
        table.add_row(
            one.stage, str(one.shard), str(one.units), f"{one.seconds:.2f}", one.engine, clean(one.host), str(one.pid)
        )
    print_table(out, table)
    for stage in dict.fromkeys(one.stage for one in ran):
        seconds = sum(one.seconds for one in ran if one.stage == stage)
        workers = len({(one.host, one.pid) for one in ran if one.stage == stage})
        out.print(f"{stage}: {seconds:.1f} s in {workers} process{'' if workers == 1 else 'es'}", markup=False)


def q_values(result: UnitResult) -> list[dict[str, Any]]:
    """A unit's q-values over the study's units, for each method, score and baseline."""
    return [
        {"method": chosen.method, "score": score.name, "baseline": baseline, "q": margin.q}
        for chosen in result.explanations
        for score in chosen.scores
        for baseline, margin in score.margins.items()
        if margin.q is not None
    ]


def as_json(folder: str, result: UnitResult, windows: list[ShownInput]) -> dict[str, Any]:
    from glossator.store.results import to_plain

    shown = [
        {
            "kind": w.kind,
            "document": w.group,
            "tokens": list(w.pieces),
            "true": [round(v, 5) for v in w.true.tolist()],
            "predicted": None if w.predicted is None else [rounded(v) for v in w.predicted.tolist()],
        }
        for w in windows
    ]
    return {"study": folder, **to_plain(result), "windows": shown}


def rounded(value: float) -> float | None:
    """None if there is no prediction."""
    return None if isnan(value) else round(value, 5)


def print_head(out: Console, folder: str, result: UnitResult) -> None:
    """The unit, its explanation, its score and how often it fires."""
    from glossator.store.ranking import default_of

    out.print(str(result.unit), style="bold", markup=False, end="")
    said = "" if result.status == "ok" and not result.reason else f"  {clean(f'{result.status}: {result.reason}')}"
    out.print(f"{said}  ({folder})", markup=False, soft_wrap=True)
    if (best := result.best()) is not None:
        print_headlines(out, best)
        if best.sentence:
            print_indented(out, best.sentence, "" if best.headline else "bold", by=0)
        if (score := default_of(best)) is not None:
            print_indented(out, f"{best.method}: {in_one_line(score)}", by=0)
        for flag in best.flags:
            print_indented(out, f"Caution: {flag}.", "yellow", by=0)
    if result.statistics:
        s = result.statistics
        places = next((name for name in ("cells", "inputs") if f"random {name}" in s["firing_rule"]), "tokens")
        known = [f"maximum {number(s['maximum'], 3)}"]  # of an imported unit no more may be
        if "mean" in s:
            known.insert(0, f"mean {number(s['mean'], 3)}")
        if "firing_rate" in s:
            known.insert(0, f"fires on {s['firing_rate']:.2%} of random {places} ({s['firing_rule']})")
        told = ", ".join(known).replace("), ", "); ", 1)
        print_indented(out, f"{told[0].upper()}{told[1:]}.", "dim", by=0)


def print_headlines(out: Console, chosen: Chosen) -> None:
    """The headline and how much of the activation it accounts for; other reasons to fire below it, if there are any."""
    for place, named in enumerate(chosen.named):
        share = "" if named.share is None else f" ({named.share:.0%} of the activation)"
        print_indented(out, f"{'also ' if place else ''}{clean(str(named))}{share}", "bold", by=2 if place else 0)
    if chosen.peaks is not None and chosen.peaks.words:
        print_indented(out, f"strongest on: {clean(', '.join(chosen.peaks.words))}", by=2)


def in_one_line(score: Score) -> str:
    """`correlation.top-and-random 0.61 [0.52, 0.70]; lookup 0.40, mismatched 0.02`."""
    from glossator.store.summary import baselines_of_scores

    baselines = ", ".join(
        f"{baseline} {number(score.baselines[baseline])}" for baseline in baselines_of_scores([score])
    )
    why = score.how.get("no_interval") if score.low is None and score.value is not None else None
    parts = [f"{score.name} {interval(score)}", f"no interval, {why}" if why else "", baselines]
    return "; ".join(part for part in parts if part) if score.value is not None else parts[0]


def print_scores(out: Console, result: UnitResult, card: str, every_score: bool) -> None:
    """The card of the best explanation, then all others with their cards."""
    best = result.best()
    for chosen in sorted(result.explanations, key=lambda e: e is not best):
        _print_explanation(out, chosen, said=chosen is best)
        if chosen.scores:
            print_card(out, chosen.scores, card, every_score=every_score)


def _print_explanation(out: Console, chosen: Chosen, said: bool) -> None:
    from glossator.language_models.costs import cost_in_words

    out.print()
    if not said:
        print_headlines(out, chosen)
        if chosen.sentence:
            print_indented(out, chosen.sentence, "bold" if chosen.rank == 0 else "", by=0)
    bits = "" if chosen.bits is None else f", {chosen.bits:.0f} bits"
    select = "" if chosen.select is None else f", r on the select split {number(chosen.select)}"
    print_indented(
        out, f"{chosen.method}, candidate {chosen.rank + 1}{bits}{select}", "underline" if said else "", by=0
    )
    if chosen.provenance["model"]:
        cost = cost_in_words(chosen.provenance["cost"])
        print_indented(out, f"{chosen.provenance['model']}{f', {cost}' if cost else ''}", by=2)
    if chosen.program and len(chosen.program) < 2000:
        print_indented(out, chosen.program, "dim", by=2)


def print_windows(out: Console, windows: Sequence[ShownInput], whole: bool = False) -> None:
    """Each window with true and predicted activations, in one line around the unit's peak or whole."""
    from rich.text import Text

    colour = out.is_terminal and not out.no_color
    largest = max((w.peak(w.true) for w in windows), default=0.0)
    named = "windows" if windows and windows[0].grid.kind == "tokens" else "inputs"
    kind = ""
    for w in windows:
        if w.kind != kind:
            kind = w.kind
            where = f"Top test {named}" if kind == "top" else f"Random test {named}"
            out.print(f"\n{where}", style="bold")
        pieces, at = list(w.pieces), w.peak_at
        if w.image is not None:
            out.print(in_words(w, at), soft_wrap=True, markup=False)
            continue
        for name, values in (("true", w.true), ("pred", w.predicted)):
            if values is None:
                continue
            label = f"{name} {number(None if isnan(values[at]) else float(values[at])):>6}  "
            parts = highlighted(pieces, [0.0 if isnan(v) else v for v in values.tolist()], largest, colour)
            line = Text().join(parts) if whole else in_the_middle(parts, at, min(out.width, WIDEST) - len(label))
            out.print(Text.assemble((label, "dim"), line), soft_wrap=whole and not colour, crop=False)


def in_words(shown: ShownInput, at: int) -> str:
    """An image as a line: its value where the unit is strongest, what was predicted there, and where that is."""
    values = {"true": shown.true, "pred": shown.predicted}
    said = "  ".join(f"{name} {number(float(v[at])):>6}" for name, v in values.items() if v is not None)
    where = f", strongest at row/column {shown.pieces[at]} of {shown.grid}" if shown.grid.places > 1 else ""
    return f"{said}  image of group {shown.group}{where}"


WIDEST = 140
"""Width of a window's line; tokens further from the peak are rarely relevant."""
