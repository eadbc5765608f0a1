"""`glossator human`: export tasks for annotators, import their answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from glossator.cli.card import estimate
from glossator.cli.printing import JSON, clean, console, emit, make_table, print_table
from glossator.cli.spec_options import takes_flags

if TYPE_CHECKING:
    from rich.console import Console

    from glossator.study.models import Access

human = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Human annotators: export tasks, import answers, score them as models are scored.",
)


@human.command("export")
def export(
    study: Path = typer.Argument(..., help="Folder of a finished study."),
    task: str = typer.Option(..., help="simulation, preference, labelling, gibberish, paraphrase or readability."),
    out: Path = typer.Option(..., help="Folder for the page, the form and the manifest."),
    units: str | None = typer.Option(
        None, help="Number of random units, 'all', or names separated by commas. Default: enough for one session."
    ),
    method: list[str] | None = typer.Option(
        None, help="Method whose explanations to use; repeatable. Default: the first (simulation) or all methods."
    ),
    top: int | None = typer.Option(None, min=0, help="Number of top passages per item."),
    random: int | None = typer.Option(None, min=0, help="Number of random passages per item."),
    seed: int = typer.Option(0, min=0, help="Seed of all random draws and orders."),
    json: bool = JSON,
) -> None:
    """Write tasks to complete in a browser or an editor.

    The page works offline. The files reveal neither which method wrote what nor the true activations of passages to
    rate; the key stays in the study.

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
    """The task's settings with the given flags; `UserError` for a flag that the task lacks."""
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
@takes_flags
def import_(
    access: Access,
    study: Path = typer.Argument(..., help="Folder of the study that the tasks were exported from."),
    file: list[Path] = typer.Argument(..., help="Answer files: JSON saved from a page, or forms (TSV, Markdown)."),
    rater: str | None = typer.Option(None, help="Annotator's name, for files without one."),
    replace: bool = typer.Option(False, help="Replace earlier answers of the same annotator."),
    lm: str | None = typer.Option(None, help="Language model that simulates text explanations, as for run."),
    simulator: str | None = typer.Option(None, help="Simulator for text explanations."),
    score: str | None = typer.Option(None, help="Score to compare with preferences and rewrites."),
    json: bool = JSON,
) -> None:
    """Check answer files, store them in the study and score all answers so far.

    Simulations get the same scores as models, on the same passages; labels become explanations named human:NAME;
    preferences give win rates, agreement and a check for explanations that only models can read.

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
            access=access,
        )
    if json:
        emit(results)
    else:
        print_results(console(), results, study)


@human.command("paraphrase")
@takes_flags
def paraphrase(
    access: Access,
    study: Path = typer.Argument(..., help="Folder of a finished study."),
    lm: str = typer.Option(..., help="Language model that paraphrases explanations, as for run."),
    units: str | None = typer.Option(None, help="Number of random units, 'all', or names separated by commas."),
    method: list[str] | None = typer.Option(None, help="Method whose explanations to use; repeatable. Default: all."),
    simulator: str | None = typer.Option(None, help="Simulator for both texts."),
    score: str | None = typer.Option(None, help="Score to compare."),
    seed: int = typer.Option(0, min=0, help="Seed of all random draws."),
    json: bool = JSON,
) -> None:
    """Let a language model paraphrase explanations: do they keep their score?

    A code hidden in the exact words does not survive this. To ask annotators instead: export --task paraphrase.

    \b
    Example:
      glossator human paraphrase studies/demo --lm inprocess:smollm2-135m --units 8
    """
    from glossator.human import paraphrase as ask
    from glossator.study import open_study

    with open_study(study) as opened:
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
    for name in ("task", "annotator", "answered", "missing"):
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
    if readability := results.get("readability"):
        _readability(out, readability)
    if paraphrase := results.get("paraphrase"):
        _paraphrase(out, paraphrase)
    out.print(f"Results: {study / 'human' / 'results.json'}", markup=False, soft_wrap=True)
    out.print(f"Report:  {Path(results['report']).resolve().as_uri()}", markup=False, soft_wrap=True)


def _simulation(out: Console, simulation: dict[str, Any]) -> None:
    from glossator.human.report import means_beside_machine

    table = make_table("Human simulation, beside the model's on the same passages")
    for name in ("annotator", "score", "human [95 %]", "model [95 %]", "difference [95 %]"):
        table.add_column(name, justify="left" if name in ("annotator", "score") else "right")
    for row in means_beside_machine({"simulation": simulation}):
        values = (row["person"], row["machine"], row["difference"])
        table.add_row(row["rater"], f"{row['method']}: {row['score']}", *map(estimate, values))
    print_table(out, table)
    out.print(f"agreement (alpha): {estimate(simulation['agreement']['alpha'])}", markup=False)


def _labelling(out: Console, labelling: dict[str, Any]) -> None:
    table = make_table("Human explanations")
    for name in ("unit", "method", "explanation", "score", "value"):
        table.add_column(name, overflow="fold")
    for label in labelling["explanations"]:
        first = label["scores"][0]
        value = f"– ({short(first['reason'])})" if first["value"] is None else estimate(first)
        table.add_row(label["unit"].split("/", 1)[-1], label["method"], clean(label["text"]), first["name"], value)
        if label["note"]:
            table.add_row("", "", f"treated as text: {clean(label['note'])}", "", "")
    print_table(out, table)


def _preference(out: Console, preference: dict[str, Any]) -> None:
    from glossator.human.report import win_rates

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


def _readability(out: Console, readability: dict[str, Any]) -> None:
    table = make_table(f"Units recognised among five (chance {readability['chance']:.2f})")
    for name in ("method", "description", "answers", "right [95 %]", "headline above it [95 %]"):
        table.add_column(name, justify="right" if "[" in name or name == "answers" else "left")
    for row in readability["kinds"]:
        above = estimate(row["headline_above"]) if "headline_above" in row else ""
        table.add_row(row["method"], row["kind"], str(row["answers"]), estimate(row["right"]), above)
    print_table(out, table)
    out.print(readability["sampling"], markup=False)
    out.print(f"agreement (alpha): {estimate(readability['agreement']['alpha'])}", markup=False)


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
        out.print(f"{paraphrase['unchanged']} rewrites repeat the text and do not count", markup=False)


def short(reason: str) -> str:
    """A reason without the text it is about; for a missing simulator, how to get one."""
    said = reason.partition(": ")[0]
    return f"{said}; simulate text with --lm" if "no program to execute" in reason else said
