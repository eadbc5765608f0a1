"""Human simulation: annotators read an explanation and rate tokens 0..10; ratings are scored like a model's.

The passages are from the test split, with a few from the calibrate split for fitting calibration and thresholds. Only
the key says which are which, and the file holds no activation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glossator.errors import MissingPower, UserError
from glossator.evidence import Evidence, Exemplars, Split
from glossator.explanations import Explanation
from glossator.human.sources import Source, drawn_rows, passages_of, sealed, unsealed
from glossator.human.tasks import Drawn, Passage, SimulationItem
from glossator.inputs import Grid, Inputs, token_windows
from glossator.scorers.baselines import baselines_beside
from glossator.scorers.lab import Lab, score_explanation
from glossator.scores import Score
from glossator.simulators import ZERO_TO_TEN, Simulation, Simulator
from glossator.study.context import StudyContext
from glossator.units import Unit, parse_unit

SCORERS = ("correlation", "explained-variance", "detection")
UNITS = 5


@dataclass(frozen=True)
class SimulationSettings:
    """How many passages of each item: top and random ones of the test split, and half-and-half of calibrate.

    methods: whose explanations are simulated; none named: the study's first method.
    """

    top: int = 5
    random: int = 5
    calibrate_top: int = 2
    calibrate_random: int = 2
    methods: tuple[str, ...] = ()


def draw_simulation(source: Source, units: Sequence[Unit], settings: SimulationSettings) -> Drawn:
    """One item for each unit and method."""
    items = []
    for unit in units:
        evidence, arms = source.context.evidence(unit), source.arms(unit)
        for method in settings.methods or tuple(arms)[:1]:
            if method in arms:
                items.append(_item(source, evidence, arms[method], method, settings))
    return source.drawn("simulation", {**vars(settings)}, items)


def _item(
    source: Source, evidence: Evidence, explanation: Explanation, method: str, settings: SimulationSettings
) -> tuple[SimulationItem, dict[str, Any]]:
    rng = source.rng("passages", evidence.unit, method)
    parts: list[Passage] = []
    places: list[dict[str, Any]] = []
    parts_shown: tuple[tuple[Split, int, int], ...] = (
        ("test", settings.top, settings.random),
        ("calibrate", settings.calibrate_top, settings.calibrate_random),
    )
    for split, top, random in parts_shown:
        exemplars = evidence.split(split)
        tops, randoms = drawn_rows(exemplars, top, random, rng)
        rows = np.union1d(tops, randoms).astype(np.int64)
        parts += passages_of(exemplars.take(rows), levels=False)
        places += [
            {"split": split, "window": int(exemplars.windows.ids[row]), "top": bool(row in tops),
             "random": bool(row in randoms)}
            for row in rows
        ]  # fmt: skip
    order = rng.permutation(len(parts))
    item = SimulationItem("", explanation.text, tuple(parts[i] for i in order))
    key = {"method": method, "explanation": sealed(explanation), "windows": [places[i] for i in order]}
    return item, {"unit": str(evidence.unit), **key}


class PersonSimulator(Simulator):
    """Ratings of one explanation by window; other explanations are left to `otherwise`.

    ratings: window id -> (width,) 0..10; they count as the simulation of `rated`, and only of that object.
    """

    def __init__(self, rated: Explanation, ratings: Mapping[int, np.ndarray], otherwise: Simulator):
        self.rated, self.ratings, self.otherwise = rated, ratings, otherwise

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """(n, width) ratings, whole numbers 0..10; `MissingPower` when a window has none."""
        windows = token_windows(inputs, grid)
        if explanation is not self.rated:
            return self.otherwise.simulate(explanation, windows)
        expected = np.zeros((len(windows), windows.width), np.float32)
        for row, window in enumerate(windows.ids.tolist()):
            if window not in self.ratings:
                raise MissingPower("the annotator did not rate this window", value=window)
            rated = self.ratings[window]
            expected[row, : len(rated)] = rated
        return Simulation(expected, ZERO_TO_TEN)


@dataclass(frozen=True)
class SimulationResult:
    """One annotator's ratings of one explanation.

    scores: of the ratings; machine: of the study's own simulator on the very same windows, as far as it could read them
    (`how` says where it could not); windows: how many of each
    split were rated whole; missing: how many passages were not.
    """

    unit: str
    method: str
    text: str
    rater: str
    windows: dict[str, int]
    missing: int
    scores: tuple[Score, ...]
    machine: tuple[Score, ...]


def score_simulation(
    item: SimulationItem, key: Mapping[str, Any], rater: str, values: Mapping[str, Any], context: StudyContext
) -> SimulationResult:
    """Score one annotator's ratings of one item; passages without complete ratings are left out and counted."""
    unit, explanation = parse_unit(key["unit"]), unsealed(key["explanation"])
    rated = {slot: place for slot, place in zip(item.slots, key["windows"], strict=True) if slot in values}
    whole = context.evidence(unit)
    check_same_tokens(item, key, whole)
    evidence = rated_evidence(whole, list(rated.values()))
    ratings = {place["window"]: np.array(values[slot], np.float32) for slot, place in rated.items()}
    lab = context.lab(baselines_beside(explanation, evidence.explain, ["lookup"]))
    machine = _machine_scores(unit, explanation, evidence, lab, context)
    person = replace(lab.for_unit(lab.baselines), simulator=PersonSimulator(explanation, ratings, _simulator(lab)))
    by_person = _scores(unit, explanation, evidence, person)
    return SimulationResult(
        str(unit),
        key["method"],
        explanation.text,
        rater,
        {"test": len(evidence.test), "calibrate": len(evidence.calibrate)},
        len(item.slots) - len(rated),
        tuple(replace(s, how={**s.how, "simulator": f"human:{rater}"}) for s in by_person),
        tuple(machine),
    )


def _scores(unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
    return score_explanation(unit, explanation, evidence, lab, SCORERS)


def _machine_scores(
    unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab, context: StudyContext
) -> list[Score]:
    """The study's own simulator on the passages that people rated, except for those that it could not read."""
    if context.simulator.executes(explanation):
        return _scores(unit, explanation, evidence, lab)
    evidence = lab.readable([explanation], evidence, ["test", "calibrate"])
    scores = _scores(unit, explanation, evidence, lab)
    return [replace(s, how={**s.how, **lab.how(explanation)}) for s in scores]


def _simulator(lab: Lab) -> Simulator:
    from glossator.simulators.program import ProgramSimulator

    return lab.simulator or ProgramSimulator(lab.lexicon)


def rated_evidence(evidence: Evidence, places: Sequence[Mapping[str, Any]]) -> Evidence:
    """The evidence with only these windows in its test and calibrate splits, each as it was drawn for annotators.

    A window is a top one or a random one by which of the two draws took it: the others of its kind in the study
    say nothing about this sample.
    """
    return replace(
        evidence, test=_taken(evidence.test, places, "test"), calibrate=_taken(evidence.calibrate, places, "calibrate")
    )


def _taken(exemplars: Exemplars, places: Sequence[Mapping[str, Any]], split: str) -> Exemplars:
    wanted = {place["window"]: place for place in places if place["split"] == split}
    taken = exemplars.take(np.flatnonzero(np.isin(exemplars.windows.ids, list(wanted))))
    chosen = [wanted[window] for window in taken.windows.ids.tolist()]
    kinds = np.array(["top" if place["top"] else "random" for place in chosen], exemplars.kinds.dtype)
    return replace(taken, kinds=kinds, in_random=np.array([place["random"] for place in chosen], bool))


def check_same_tokens(item: SimulationItem, key: Mapping[str, Any], evidence: Evidence) -> None:
    """`UserError` when the study's windows are no longer those that annotators saw."""
    there = rated_evidence(evidence, key["windows"])
    shown = {
        (split, int(window)): passage.tokens
        for split, part in (("test", there.test), ("calibrate", there.calibrate))
        for window, passage in zip(part.windows.ids, passages_of(part, levels=False), strict=True)
    }
    for passage, place in zip(item.passages, key["windows"], strict=True):
        if shown.get((place["split"], place["window"])) != passage.tokens:
            raise UserError(
                "the study's windows are not those that the annotators saw",
                value=key["unit"],
                fix="It was recorded again with other text or settings; export the tasks again",
            )
