"""Human scores beside the model's: as `glossator show` displays them, and in the report `human/report.html`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from glossator.human.folder import HumanFolder
from glossator.study import Study

MAIN = ("correlation", "explained-variance.centred", "detection.auroc")
"""Scores of human simulations that are shown; all of them stand in `results.json`."""
Results = Mapping[str, Any]


def people_on(study: Study, unit: str) -> dict[str, list[dict[str, Any]]]:
    """The annotations of one unit, see `of_unit`; empty if no answer was imported."""
    return of_unit(HumanFolder(study).results() or {}, unit)


def of_unit(results: Results, unit: str) -> dict[str, list[dict[str, Any]]]:
    """simulations: human ratings of an explanation, with their scores and the model's on the same passages;
    labels: explanations that people wrote, with their scores; rewrites: the same explanation in other words. Kinds of
    which there is nothing are left out."""
    kinds = {
        "simulations": results.get("simulation", {}).get("explanations", []),
        "labels": results.get("labelling", {}).get("explanations", []),
        "rewrites": results.get("paraphrase", {}).get("rewrites", []),
    }
    found = {kind: [entry for entry in entries if entry["unit"] == unit] for kind, entries in kinds.items()}
    return {kind: entries for kind, entries in found.items() if entries}


def beside_machine(simulation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any] | None]]:
    """(name, annotator's score, model's score) of the main scores of one simulation result."""
    machine = {score["name"]: score for score in simulation["machine"]}
    for score in main_scores(simulation["scores"]):
        yield score["name"], score, machine.get(score["name"])


def main_scores(scores: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The scores of `MAIN` in both settings, or all scores if there is none of them; if none has a value, the first
    one, whose reason holds for all."""
    main = [s for s in scores if s["name"].rpartition(".")[0] in MAIN] or list(scores)
    return main if any(s["value"] is not None for s in main) else main[:1]


def means_beside_machine(results: Results) -> list[dict[str, Any]]:
    """One row for each person, method and main score: person, machine and their paired difference over units."""
    rows = []
    for mean in results.get("simulation", {}).get("means", []):
        for name, found in mean["scores"].items():
            method, _, score = name.partition(": ")
            values = {kind: found[kind] for kind in ("person", "machine", "difference")}
            if score.rpartition(".")[0] in MAIN and any(v["value"] is not None for v in values.values()):
                rows.append({"rater": mean["rater"], "method": method, "score": score, **values})
    return rows


def win_rates(results: Results) -> list[dict[str, Any]]:
    """One row for each ordered pair of methods: how often it is preferred, the difference in score, and the check for
    explanations that only models can read."""
    preference = results.get("preference", {})
    check = preference.get("steganography", {"advantages": []})
    told = {(a["method"], a["against"]): a for a in check["advantages"]}
    rows = []
    for row in preference.get("win_rates", []):
        found = told.get((row["method"], row["against"]))
        known = {"score": None, "why": "", "flagged": None} if found is None else found
        rows.append({**row, "difference": known["score"], "why": known["why"], "flagged": bool(known["flagged"])})
    return rows


REPORT = "report.html"


def write_people_report(study: Study, results: Mapping[str, Any]) -> Path:
    """Write the report of a study and of human results; returns its path. The same answers give the same bytes."""
    from glossator.explorer.export import export_file

    path = HumanFolder(study).path / REPORT
    return export_file(study, path, people=prepared(results, study.names())).path


def prepared_of(study: Study) -> dict[str, Any] | None:
    """What pages show of the answers that were imported into a study; None where there are none."""
    results = HumanFolder(study).results()
    return None if results is None else prepared(results, sorted(_annotated_units(results)))


def _annotated_units(results: Mapping[str, Any]) -> set[str]:
    simulation, labelling = results.get("simulation", {}), results.get("labelling", {})
    entries = (*simulation.get("explanations", []), *labelling.get("explanations", []))
    return {str(one["unit"]) for one in (*entries, *results.get("paraphrase", {}).get("rewrites", []))}


def prepared(results: Mapping[str, Any], units: list[str]) -> dict[str, Any]:
    """The human results that the page shows: tables over all units, and the annotations of each unit by its name."""
    preference, gibberish = results.get("preference", {}), results.get("gibberish", {})
    paraphrase, simulation = results.get("paraphrase", {}), results.get("simulation", {})
    check = preference.get("steganography", {})
    named = [
        ("preferred to the placebo", preference.get("over_placebo")),
        ("first shown wins", preference.get("first_shown")),
        ("preference and score", check.get("correlation")),
        ("alpha, ratings", simulation.get("agreement", {}).get("alpha")),
        ("alpha, preference", preference.get("agreement", {}).get("alpha")),
        ("alpha, readability", gibberish.get("agreement", {}).get("alpha")),
    ]
    return {
        "answers": results["answers"],
        "means": means_beside_machine(results),
        "win_rates": win_rates(results),
        "held_against": check.get("score", ""),
        "readable": gibberish.get("readable", {}),
        "kept": paraphrase.get("methods", []),
        "kept_score": paraphrase.get("score", ""),
        "lines": [(name, found) for name, found in named if found is not None],
        "units": {unit: _of_unit(results, unit) for unit in units},
    }


def _of_unit(results: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """Main scores alone, and of each only what the page draws."""
    found = of_unit(results, unit)
    return {
        "simulations": [
            {"rater": s["rater"], "method": s["method"],
             "pairs": [[_short(person), _short(machine)] for _, person, machine in beside_machine(s)]}
            for s in found.get("simulations", [])
        ],
        "labels": [
            {"who": label["method"].partition(":")[2], "text": label["text"],
             "scores": [_short(s) for s in main_scores(label["scores"])]}
            for label in found.get("labels", [])
        ],
        "rewrites": [
            {"by": r["by"], "text": r["text"], "original": _short(r["original"]), "rewritten": _short(r["rewritten"])}
            for r in found.get("rewrites", [])
        ],
    }  # fmt: skip


def _short(score: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if score is None:
        return None
    return {key: score[key] for key in ("name", "value", "low", "high", "reason", "baselines")}
