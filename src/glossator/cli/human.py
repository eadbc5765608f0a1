"""`glossator human`: tasks for people out of a study, their answers back into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.people import estimate
from glossator.cli.printing import JSON, clean, console, emit, make_table, print_table
from glossator.cli.spec_options import BUDGET, KEY_VARIABLE, OFFLINE, PRICES, make_access

if TYPE_CHECKING:
    from rich.console import Console

human = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Ask people: simulate, compare, label; score them as machines are scored.",
)
KEPT = typer.Option(None, help="File that keeps its answers. Default: human/answers.sqlite in the study.")


@human.command("export")
def export(
    study: Path = typer.Argument(..., help="Folder of a finished study."),
    task: str = typer.Option(..., help="simulation, preference, labelling, gibberish or paraphrase."),
    out: Path = typer.Option(..., help="Folder for the page, the form and the manifest."),
    units: str | None = typer.Option(
        None, help="How many units to draw, 'all', or names between commas. Default: as many as one sitting takes."
    ),
    method: list[str] | None = typer.Option(
        None, help="Whose explanations are shown; repeat it for more. Default: the first (simulation) or all methods."
    ),
    top: int | None = typer.Option(None, min=0, help="Passages of each item where the unit fires most."),
    random: int | None = typer.Option(None, min=0, help="Passages of each item drawn at random."),
    seed: int = typer.Option(0, min=0, help="Seed of what is drawn and of all orders."),
    json: bool = JSON,
) -> None:
    """Write tasks that a person fills in a browser or an editor.

    The page works without a network. Which method wrote what, and what the unit does in passages to rate, is not in
    the files; the key stays in the study.

    \b
    Examples:
      glossator human export studies/demo --task simulation --out for-ann
      glossator human export studies/demo --task preference --units 12 --seed 1 --out for-bob
    """
    from glossator.human import draw_tasks, export_tasks
    from glossator.study import open_study

    with open_study(study) as opened:
        settings = _settings(task, method, top, random)
        drawn = draw_tasks(opened, task, units=units, seed=seed, settings=settings)
        manifest = export_tasks(opened, drawn, out)
    if json:
        emit({"folder": str(out), **manifest})
        return
    page = next(name for name in manifest["files"] if name.endswith(".html"))
    form = next(name for name in manifest["files"] if name != page)
    shown = console()
    shown.print(f"{len(manifest['items'])} items, {manifest['answers']} answers to give.", markup=False)
    shown.print(f"Page:  {(out / page).resolve().as_uri()}", markup=False, soft_wrap=True)
    shown.print(f"Form:  {out / form}", markup=False, soft_wrap=True)
    shown.print(f"Then:  glossator human import {study} FILE", markup=False, soft_wrap=True)


def _settings(task: str, methods: list[str] | None, top: int | None, random: int | None) -> Any:
    """The task's settings with what the flags say; `UserError` for a flag that the task does not have."""
    from dataclasses import fields

    from glossator.errors import UserError
    from glossator.human import settings_of

    kind = settings_of(task)
    given = {"methods": tuple(methods) if methods else None, "top": top, "random": random}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in {f.name for f in fields(kind)}:
            flag = "--method" if name == "methods" else f"--{name}"
            raise UserError(f"{task} has no such option", value=flag)
    return kind(**given)


@human.command("import")
def import_(
    study: Path = typer.Argument(..., help="Folder of the study that the tasks were exported from."),
    file: list[Path] = typer.Argument(..., help="Filled files: JSON saved from a page, or forms (TSV, Markdown)."),
    rater: str | None = typer.Option(None, help="Name of the person, for files that have none."),
    replace: bool = typer.Option(False, help="Put new answers of the same person in place of old ones."),
    lm: str | None = typer.Option(None, help="Language model that reads explanations in words, as for run."),
    simulator: str | None = typer.Option(None, help="Simulator that reads explanations in words."),
    score: str | None = typer.Option(None, help="Score that preferences and rewrites are held against."),
    budget: str | None = BUDGET,
    lm_cache: Path | None = KEPT,
    prices: Path | None = PRICES,
    key_variable: list[str] | None = KEY_VARIABLE,
    offline: bool = OFFLINE,
    json: bool = JSON,
) -> None:
    """Check filled files, keep them in the study and score all answers it has.

    People's simulations get the scores of machines, on the same passages; labels become explanations named
    human:NAME; preferences give win rates, agreement and the check for explanations that only machines can read.

    \b
    Example:
      glossator human import studies/demo simulation-1a2b3c4d-ann.json
    """
    from glossator.human import import_answers
    from glossator.study import open_study

    with open_study(study) as opened:
        results = import_answers(
            opened,
            file,
            rater=rater,
            replace_old=replace,
            lm=lm,
            simulator=simulator,
            score=score,
            access=make_access(budget, lm_cache, prices, offline, key_variable, lm),
        )
    if json:
        emit(results)
    else:
        print_results(console(), results, study)


@human.command("paraphrase")
def paraphrase(
    study: Path = typer.Argument(..., help="Folder of a finished study."),
    lm: str = typer.Option(..., help="Language model that says explanations in other words, as for run."),
    units: str | None = typer.Option(None, help="How many units to draw, 'all', or names between commas."),
    method: list[str] | None = typer.Option(None, help="Whose explanations; repeat it for more. Default: all methods."),
    simulator: str | None = typer.Option(None, help="Simulator that reads both texts."),
    score: str | None = typer.Option(None, help="Score that must be kept."),
    seed: int = typer.Option(0, min=0, help="Seed of what is drawn."),
    budget: str | None = BUDGET,
    lm_cache: Path | None = KEPT,
    prices: Path | None = PRICES,
    key_variable: list[str] | None = KEY_VARIABLE,
    offline: bool = OFFLINE,
    json: bool = JSON,
) -> None:
    """Let a language model say explanations in other words: do they keep their score?

    A code that hides in the exact words does not survive it. With people in the model's place: export --task
    paraphrase.

    \b
    Example:
      glossator human paraphrase studies/demo --lm inprocess:smollm2-135m --units 8
    """
    from glossator.human import paraphrase as ask
    from glossator.study import open_study

    with open_study(study) as opened:
        access = make_access(budget, lm_cache, prices, offline, key_variable, lm)
        settings = _settings("paraphrase", method, None, None)
        results = ask(
            opened, lm, units=units, seed=seed, simulator=simulator, score=score, access=access, settings=settings
        )
    if json:
        emit(results)
    else:
        print_results(console(), results, study)


def print_results(out: Console, results: dict[str, Any], study: Path) -> None:
    table = make_table("Answers")
    for name in ("task", "person", "answered", "missing"):
        table.add_column(name, justify="right" if name == "answered" else "left")
    for a in results["answers"]:
        missing = "; ".join(f"{n} {reason}" for reason, n in a["missing"].items())
        table.add_row(a["task"], a["rater"], f"{a['answered']} of {a['asked']}", missing)
    print_table(out, table)
    if simulation := results.get("simulation"):
        _simulation(out, simulation)
    if labelling := results.get("labelling"):
        _labelling(out, labelling)
    if preference := results.get("preference"):
        _preference(out, preference)
    if gibberish := results.get("gibberish"):
        table = make_table("Readable English")
        table.add_column("method")
        table.add_column("share [95 %]", justify="right")
        for method, found in gibberish["readable"].items():
            table.add_row(method, estimate(found))
        print_table(out, table)
        out.print(f"agreement (alpha): {estimate(gibberish['agreement']['alpha'])}", markup=False)
    if paraphrase := results.get("paraphrase"):
        _paraphrase(out, paraphrase)
    out.print(f"Results: {study / 'human' / 'results.json'}", markup=False, soft_wrap=True)
    out.print(f"Report:  {Path(results['report']).resolve().as_uri()}", markup=False, soft_wrap=True)


def _simulation(out: Console, simulation: dict[str, Any]) -> None:
    from glossator.human.shown import means_beside_machine

    table = make_table("People as simulators, beside the machine on the same passages")
    for name in ("person", "score", "person [95 %]", "machine [95 %]", "difference [95 %]"):
        table.add_column(name, justify="left" if name in ("person", "score") else "right")
    for row in means_beside_machine({"simulation": simulation}):
        values = (row["person"], row["machine"], row["difference"])
        table.add_row(row["rater"], f"{row['method']}: {row['score']}", *map(estimate, values))
    print_table(out, table)
    out.print(f"agreement (alpha): {estimate(simulation['agreement']['alpha'])}", markup=False)


def _labelling(out: Console, labelling: dict[str, Any]) -> None:
    table = make_table("People's explanations")
    for name in ("unit", "method", "explanation", "score", "value"):
        table.add_column(name, overflow="fold")
    for label in labelling["explanations"]:
        first = label["scores"][0]
        value = f"– ({short(first['reason'])})" if first["value"] is None else estimate(first)
        table.add_row(label["unit"].split("/", 1)[-1], label["method"], clean(label["text"]), first["name"], value)
        if label["note"]:
            table.add_row("", "", f"taken as words: {clean(label['note'])}", "", "")
    print_table(out, table)


def _preference(out: Console, preference: dict[str, Any]) -> None:
    from glossator.human.shown import win_rates

    check = preference["steganography"]
    table = make_table("Preferred to")
    for name in ("method", "against", "answers", "win rate [95 %]", f"{check['score']}, difference [95 %]", "check"):
        table.add_column(name, justify="right" if "[" in name or name == "answers" else "left")
    for row in win_rates({"preference": preference}):
        difference = "–" if row["difference"] is None else estimate(row["difference"])
        checked = ("FLAGGED: " if row["flagged"] else "") + row["why"]
        told = (row["method"], row["against"], str(row["answers"]), estimate(row["rate"]))
        table.add_row(*told, difference, checked)
    print_table(out, table)
    for name, found in (
        ("preference against score, correlation over pairs", check["correlation"]),
        ("pairs in which the higher score is preferred", check["agree"]),
        ("preferred to the placebo", preference["over_placebo"]),
        ("preferred because shown first (0.5: no)", preference["first_shown"]),
        ("agreement (alpha)", preference["agreement"]["alpha"]),
    ):
        out.print(f"{name}: {estimate(found)}", markup=False)
    if check["unscored"]:
        reasons = "; ".join(sorted({short(reason) for reason in check["reasons"]}))
        out.print(f"{check['unscored']} pairs without both scores: {reasons}", markup=False)


def _paraphrase(out: Console, paraphrase: dict[str, Any]) -> None:
    table = make_table(f"Rewrites: {paraphrase['score']}")
    for name in ("method", "rewrites", "original minus rewrite [95 %]", "kept [95 %]", "check"):
        table.add_column(name)
    for row in paraphrase["methods"]:
        mark = {True: "FLAGGED", False: "keeps its score", None: "unknown"}[row["flagged"]]
        table.add_row(row["method"], str(row["rewrites"]), estimate(row["drop"]), estimate(row["kept"]), mark)
    print_table(out, table)
    reasons = [r["original"]["reason"] or r["rewritten"]["reason"] for r in paraphrase["rewrites"]]
    for reason in sorted({short(reason) for reason in reasons if reason}):
        out.print(f"not scored: {reason}", markup=False)
    if paraphrase["unchanged"]:
        out.print(f"{paraphrase['unchanged']} rewrites are the text itself and do not count", markup=False)


def short(reason: str) -> str:
    """A reason without the text that it is about; for a missing reader of words, what gives one."""
    said = reason.partition(": ")[0]
    return f"{said}; --lm reads words" if "no program to execute" in reason else said
