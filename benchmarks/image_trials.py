"""Who finds out what planted units of images do, with equally many images: the experimenter against one-shot
explainers, by exact truth, by prediction, and on units that respond to nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.image_units import SIDE, Case, Labelled, Method, World, agent, explained, random_label
from glossator.agents import SceneStudio
from glossator.agents.authors import ProgramAuthor, ProgramJudge, ProgramPicker, SceneGrammar
from glossator.agents.predictive import Label, predictive, preferred
from glossator.explainers.dissection import DissectionExplainer
from glossator.explainers.milan import MilanExplainer
from glossator.explainers.one_shot import OneShotExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.fitting.comparison import share_interval
from glossator.inputs import WHOLE
from glossator.planted.image_grading import grade_images, hard_scenes
from glossator.planted.images import IMAGE_KINDS, NOUNS, PlantedImageUnit, planted_images
from glossator.scenes.pictures import Renderer
from glossator.statistics import SHARE, mean_over_units

METHODS: dict[str, Method] = {
    "agent": agent,
    "one-shot": explained(OneShotExplainer(agree=0.65), pooled=False),
    "milan": explained(MilanExplainer(), pooled=False),
    "dissection": explained(DissectionExplainer(), pooled=False),
    "program": explained(ProgramExplainer(lexicon=None), pooled=True),
    "random": random_label,
}
"""What is compared; `program` is the search for programs, which looks at all its images and makes no experiment. What
one-shot summaries must agree on was chosen for them on the seeds of development."""
KINDS = tuple(kind for kind in IMAGE_KINDS if kind != "null")
CANDIDATES, SHOWN = 120, 8
"""Prompts from which an author chooses, and inputs of each sort that a judge of two labels sees."""


def trials(units: int, null_units: int, images: int, seed: int) -> dict[str, Any]:
    """units: of each kind; images: that each method may look at, for each unit."""
    world = World.drawn(seed + 1000)
    planted = planted_images(units, seed, KINDS)
    rows = [_row(Case(one, world, i, images, seed)) for i, one in enumerate(planted)]
    nulls = planted_images(null_units, seed, ("null",))
    claimed = [
        {name: method(Case(one, world, len(planted) + i, images, seed)) for name, method in METHODS.items()}
        for i, one in enumerate(nulls)
    ]
    exact = {name: {kind: [row["exact"][name] for row in rows if row["kind"] == kind] for kind in KINDS}
             for name in METHODS}  # fmt: skip
    made = {name: [found[name].label is not None for found in claimed] for name in METHODS}
    wrong = {name: [not row["exact"][name] for row in rows if row["said"][name] is not None] for name in METHODS}
    return {
        "recovery": {name: {kind: _mean(of) for kind, of in kinds.items()} for name, kinds in exact.items()},
        "recovery_intervals": {name: {kind: _interval(of) for kind, of in k.items()} for name, k in exact.items()},
        "predictive_auc": {name: _mean([row["auc"][name] for row in rows]) for name in METHODS},
        "predictive": {name: _predictive(rows, name) for name in METHODS},
        "agent_preferred": {name: _over([row["preferred"][name] for row in rows]) for name in METHODS
                            if name != "agent"},
        "images_per_unit": {name: _mean([row["images"][name] for row in rows]) for name in METHODS},
        "false_claims": {name: _mean(of) for name, of in made.items()},
        "false_claims_intervals": {name: _interval(of) for name, of in made.items()},
        "null_units": len(nulls),
        "claims_not_exact": {name: {"share": _mean(of), "claims": len(of)} for name, of in wrong.items()},
        "image_units": rows,
    }  # fmt: skip


def _row(case: Case) -> dict[str, Any]:
    found = {name: method(case) for name, method in METHODS.items()}
    grades = {name: grade_images(case.planted, _program(one), _grid(one), case.seed) for name, one in found.items()}
    tested = _predicted(case, {name: one.label for name, one in found.items() if one.label is not None})
    return {
        "name": case.planted.name,
        "kind": case.planted.kind,
        "truth": case.planted.english,
        "said": {name: None if one.label is None else one.label.headline for name, one in found.items()},
        "exact": {name: grade.exact for name, grade in grades.items()},
        "agreement": {name: round(grade.agreement, 4) for name, grade in grades.items()},
        # Who says nothing, or nothing that predicts anything, leaves it to chance.
        "auc": {name: tested.get(name, {}).get("auc", 0.5) for name in METHODS},
        "predicted": tested,
        "preferred": _preferred(case, found),
        "images": {name: one.images for name, one in found.items()},
    }


def _program(one: Labelled) -> Any:
    return None if one.label is None else one.label.program


def _grid(one: Labelled) -> Any:
    return WHOLE if one.label is None else one.label.grid


def _predicted(case: Case, labels: Mapping[str, Label]) -> dict[str, dict[str, float]]:
    """By method, what the predictive protocol says; nothing of labels for which no prompts can be written."""
    grammar = SceneGrammar(NOUNS)
    author, picker = ProgramAuthor(grammar, CANDIDATES), ProgramPicker(grammar)
    draw = SceneStudio(Renderer(side=SIDE)).draw
    found = predictive(case.under_test(), labels, author, picker, draw, seed=case.seed)
    return {
        name: {"auc": one.auc, "gap": one.gap, "own": one.own, "most": one.most.value, "least": one.least.value}
        for name, one in found.items()
        if one.auc is not None and one.gap is not None and one.own is not None
        and one.most.value is not None and one.least.value is not None
    }  # fmt: skip


def _preferred(case: Case, found: Mapping[str, Labelled]) -> dict[str, float | None]:
    """Is the agent's label preferred to each other one, by who sees scenes in which the unit is active or silent?"""
    shown = _shown(case.planted, case.seed)
    told: dict[str, float | None] = {}
    judge = ProgramJudge(SceneGrammar(NOUNS))
    ours = found["agent"].label
    for name, one in found.items():
        if name == "agent":
            continue
        if ours is None or one.label is None:
            told[name] = 0.5 if ours is None and one.label is None else float(ours is not None)
        else:
            told[name] = preferred(ours, one.label, shown, judge, case.seed)
    return told


def _shown(planted: PlantedImageUnit, seed: int) -> list[tuple[str, bool]]:
    scenes = hard_scenes(planted.parts, seed + 7, 100)
    active = planted.level(scenes) == 1
    rows = [*np.flatnonzero(active)[:SHOWN], *np.flatnonzero(~active)[:SHOWN]]
    return [(scenes.scenes[row].caption(), bool(active[row])) for row in rows]


def _predictive(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    tested = [row["predicted"][name] for row in rows if name in row["predicted"]]
    found = mean_over_units([row["auc"][name] for row in rows], bounds=SHARE)
    return {
        "auc": found.value,
        "interval": [found.low, found.high],
        "tested": len(tested),
        **{key: _mean([one[key] for one in tested]) for key in ("gap", "own", "most", "least")},
        "by_kind": {kind: _mean([row["auc"][name] for row in rows if row["kind"] == kind]) for kind in KINDS},
    }


def _over(values: Sequence[float | None]) -> dict[str, Any]:
    found = mean_over_units(values, bounds=SHARE)
    return {"share": found.value, "interval": [found.low, found.high], "n": found.n}


def _mean(values: Sequence[Any]) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _interval(hits: Sequence[bool]) -> list[float] | None:
    return list(share_interval(float(np.mean(hits)), len(hits))) if len(hits) else None
