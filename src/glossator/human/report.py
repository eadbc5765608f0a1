"""The study's report with human scores: `human/report.html`, as the study itself does not change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glossator.files import write_bytes
from glossator.human.folder import HumanFolder
from glossator.human.shown import beside_machine, main_scores, means_beside_machine, of_unit, win_rates
from glossator.study import Study
from glossator.study.tools import Tools

REPORT = "report.html"


def write_people_report(study: Study, results: Mapping[str, Any]) -> Path:
    """Write the report of a study and of human results; returns its path. The same answers give the same bytes."""
    from glossator.explorer.report import render

    path = HumanFolder(study).path / REPORT
    page = render(study, Tools.to_show(study), prepared(results, study.names()))
    write_bytes(path, page.encode())
    return path


def prepared(results: Mapping[str, Any], units: list[str]) -> dict[str, Any]:
    """What the page shows of human results: tables over all units, and what was done with each unit by its name."""
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
