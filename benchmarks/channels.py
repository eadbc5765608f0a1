"""`glossator bench channels`: how well are channels of EfficientNet-Lite0 described, by whom, on rendered scenes?

Every method names the same randomly chosen channels from the explain split, or abstains. Its labels are then executed
on images that it never saw: do they tell the cells and images in which the channel fires from others? Of some channels
of each layer the agent makes its own images, and the predictive protocol (`agents.predictive`) has new scenes drawn
from the labels alone. A random concept is the label to beat. What was found is kept in `out`, so that a run can be
resumed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glossator.agents import Budget, Makers, SceneStudio, experiment, image_unit
from glossator.agents.authors import ProgramAuthor, ProgramPicker, SceneGrammar
from glossator.agents.predictive import Label, predictive
from glossator.corpora import probe_set
from glossator.evidence import Evidence, ExplainEvidence
from glossator.explainers import Abstained
from glossator.files import write_json
from glossator.fitting import SiteValues, concept_directions, dissect
from glossator.fitting.dissecting import random_rotation
from glossator.image_programs.overlap import NO_REGION, UNSAID
from glossator.inputs.annotations import annotations_of
from glossator.programs import Clause, Program, parse_program
from glossator.programs.running import run as executed
from glossator.programs.scene.atoms import Shows
from glossator.programs.scene.english import noun
from glossator.recording import Recording, draw, open_recording, record, recording_spec
from glossator.registry import load
from glossator.scenes import SceneImages, random_scenes
from glossator.statistics import SHARE, Estimate, mean_over_units, paired_difference
from glossator.subjects import open_subject
from glossator.units import Unit, unit_rng

DEFAULTS: dict[str, Any] = {
    "subject": "efficientnet-lite0", "sites": "blocks.5.depthwise,blocks.10.depthwise,blocks.14.depthwise",
    "images": 1600, "channels": 30, "tested": 10, "agent_inputs": 100, "candidates": 200, "rotations": 2, "seed": 0,
    "out": None,
}  # fmt: skip
QUICK = {"subject": "renders-cnn", "sites": "layers.4", "images": 240, "channels": 3, "tested": 1, "rotations": 1,
         "agent_inputs": 60, "candidates": 60}  # fmt: skip
EXPLAINERS = ("program", "dissection", "milan", "one-shot")
AGENT, RANDOM = "agent", "random-label"
METHODS = (*EXPLAINERS, AGENT, RANDOM)
NOTHING = 0.5
"""The AUC of a method that abstains: it tells nothing from anything."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Per site and method: share of channels named, AUC of cells and of images on the test split (an abstention counts
    as .5), predictive AUC, each with an interval over channels and the difference from random labels; of the site, its
    detectors beside random bases, and the directions of concepts beside single units."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    with tempfile.TemporaryDirectory() as own:
        out = Path(chosen["out"] or own)
        subject: Any = open_subject(chosen["subject"])
        sites = chosen["sites"].split(",")
        recording = _recording(out / "recording", subject, sites, chosen)
        rows = {site: _rows(out, subject, recording, site, chosen) for site in sites}
        wholes = {site: _site(out, recording, site, chosen) for site in sites}
    return {
        "options": chosen | {"quick": quick},
        "methods": {site: {m: _figures(rows[site], m) for m in METHODS} for site in sites},
        "all": {m: _figures([row for site in sites for row in rows[site]], m) for m in METHODS},
        "sites": wholes,
        "channels": [row for site in sites for row in rows[site]],
    }


def _recording(folder: Path, subject: Any, sites: Sequence[str], chosen: dict[str, Any]) -> Recording:
    if (folder / "manifest.json").is_file():
        return open_recording(folder)
    probes = probe_set(SceneImages.of_scenes(random_scenes(chosen["images"], chosen["seed"])), seed=chosen["seed"])
    return record(recording_spec(subject, probes, sites, seed=chosen["seed"]), subject, probes, folder, progress=False)


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """What a file holds, made and written where there is none."""
    if not path.is_file():
        write_json(path, make())
    return json.loads(path.read_text(encoding="utf-8"))


# One channel.


def _rows(out: Path, subject: Any, recording: Recording, site: str, chosen: dict[str, Any]) -> list[dict[str, Any]]:
    """Of randomly chosen channels with enough evidence, in random order."""
    order = np.random.default_rng([chosen["seed"], 1]).permutation(recording.units(site)).tolist()
    rows: list[dict[str, Any]] = []
    for index in order:
        if len(rows) == chosen["channels"]:
            break
        unit, is_tested = Unit(subject.name, site, int(index)), len(rows) < chosen["tested"]
        path = out / "units" / f"{site}-{index}.json"
        row = _kept(path, lambda u=unit, t=is_tested: _row(subject, recording, u, t, chosen))  # type: ignore[misc]
        if row["status"] == "ok":
            rows.append(row)
    return rows


def _row(subject: Any, recording: Recording, unit: Unit, is_tested: bool, chosen: dict[str, Any]) -> dict[str, Any]:
    evidence = draw(recording, unit)
    if evidence.status != "ok":
        return {"unit": str(unit), "status": evidence.reason}
    grid, labels, why = evidence.explain.exemplars.grid, {}, {}
    for method in EXPLAINERS:
        (found,) = load("explainers", method)().explain([evidence.explain], n=1, seed=chosen["seed"])
        if isinstance(found, Abstained):
            why[method] = found.reason
        else:
            labels[method] = Label.of(found[0], grid)
    labels[RANDOM] = _random_label(evidence.explain, chosen["seed"])
    row: dict[str, Any] = {"unit": str(unit), "status": "ok"}
    if is_tested:
        tested, studio = image_unit(subject, unit, evidence.explain), SceneStudio()
        answer = experiment(
            tested, Makers(studio), budget=Budget(inputs=chosen["agent_inputs"], seconds=3600), seed=chosen["seed"]
        )
        if answer.headline is not None and answer.program is not None:
            labels[AGENT] = Label(answer.headline, parse_program(answer.program), grid, AGENT)
        else:
            why[AGENT] = str(answer.reason)
        row["agent_inputs"] = answer.spent["inputs"]
        author, picker = ProgramAuthor(SceneGrammar(), chosen["candidates"]), ProgramPicker(SceneGrammar())
        told = predictive(tested, labels, author, picker, studio.draw, seed=chosen["seed"])
        row["predictive"] = {m: {"auc": one.auc, "gap": one.gap, "reason": one.reason} for m, one in told.items()}
    row["labels"] = {m: {"headline": one.headline, "program": str(one.program)} for m, one in labels.items()}
    row["abstained"] = why
    row["auc"] = {m: _held_out(label, evidence) for m, label in labels.items()}
    return row


def _random_label(evidence: ExplainEvidence, seed: int) -> Label:
    annotations = annotations_of(evidence.exemplars.inputs)
    known = [c for c in annotations.concepts if c.kind not in NO_REGION and c not in UNSAID]
    common = [c for c in known if annotations.present(c).sum() >= 3]
    concept = common[int(unit_rng(seed, evidence.unit, 9).integers(len(common)))]
    test = Shows((str(concept),))
    return Label(noun(test), Program(0.0, (Clause(1.0, test),)), evidence.exemplars.grid, RANDOM)


def _held_out(label: Label, evidence: Evidence) -> dict[str, float | None]:
    """AUC of firing cells, and of images in which the channel fires, among random ones of the test split."""
    test, statistics = evidence.test.of("random"), evidence.statistics
    assert label.program is not None
    predicted = executed(label.program, test.inputs, test.grid, None)
    truth = test.activations
    return {
        "cells": _auc(predicted.ravel(), truth.ravel() > statistics.firing_threshold),
        "images": _auc(predicted.max(axis=1), truth.max(axis=1) > statistics.input_threshold),
    }


def _auc(predicted: np.ndarray, positive: np.ndarray) -> float | None:
    from scipy.stats import rankdata

    n, m = int(positive.sum()), int((~positive).sum())
    if not n or not m:
        return None
    return float((rankdata(predicted)[positive].sum() - n * (n + 1) / 2) / (n * m))


# A site.


def _site(out: Path, recording: Recording, site: str, chosen: dict[str, Any]) -> dict[str, Any]:
    def make() -> dict[str, Any]:
        values = SiteValues(recording, site)
        bases = [dissect(values, random_rotation(values.width, chosen["seed"] + i)) for i in range(chosen["rotations"])]
        made = concept_directions("concepts", values, seed=chosen["seed"]).made["concepts"]
        both = [one for one in made if one["iou"] is not None]
        return {
            "own": dissect(values).as_dict(),
            "rotated": [one.as_dict() for one in bases],
            "net2vec": {
                "concepts": len(both),
                "iou": float(np.mean([one["iou"] for one in both])),
                "unit_iou": float(np.mean([one["unit_iou"] for one in both])),
                "better": float(np.mean([one["iou"] > one["unit_iou"] for one in both])),
            },
        }

    found: dict[str, Any] = _kept(out / "sites" / f"{site}.json", make)
    return found


# Figures.


def _figures(rows: Sequence[dict[str, Any]], method: str) -> dict[str, Any]:
    asked = [row for row in rows if method != AGENT or "predictive" in row]
    named = [row for row in asked if method in row["labels"]]
    found: dict[str, Any] = {"channels": len(asked), "named": len(named)}
    for grid in ("cells", "images"):
        own = [_value(row, method, grid) for row in asked]
        random = [_value(row, RANDOM, grid) for row in asked]
        found[f"auc_{grid}"] = _estimate(mean_over_units(own, bounds=SHARE))
        where_named = [_value(row, method, grid) for row in named]
        found[f"auc_{grid}_where_named"] = _estimate(mean_over_units(where_named, bounds=SHARE))
        found[f"auc_{grid}_above_random"] = _estimate(paired_difference(own, random))
    tested = [row["predictive"] for row in asked if "predictive" in row]
    told, beside = ([_predictive(one, name) for one in tested] for name in (method, RANDOM))
    found["predictive_auc"] = _estimate(mean_over_units(told, bounds=SHARE))
    found["predictive_above_random"] = _estimate(paired_difference(told, beside))
    return found


def _predictive(told: dict[str, Any], method: str) -> float:
    """Of a label that predicts the same of all prompts none can be written: it tells nothing either."""
    value = told.get(method, {}).get("auc")
    return NOTHING if value is None else float(value)


def _value(row: dict[str, Any], method: str, grid: str) -> float:
    value = row["auc"].get(method, {}).get(grid)
    return NOTHING if value is None else float(value)


def _estimate(one: Estimate) -> dict[str, Any]:
    return {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
