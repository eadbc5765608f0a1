"""Units with an explanation's predictions, of many densities, and their changes for `glossator bench metrics`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.readability_units import EVIDENCE, SITES, TOKENS, UNITS, english_before, recorded, units_of
from glossator.evidence import Evidence, Exemplars, Split
from glossator.inputs.tokens import TokenWindows
from glossator.planted import planted_units
from glossator.programs import Lexicon, execute, parse_program
from glossator.recording import Recording, draw
from glossator.recording.samplers import random_rows
from glossator.scorers.other_units import GivenOthers
from glossator.scorers.threshold import best_threshold, f1
from glossator.units import Unit

SPLITS: tuple[Split, ...] = ("calibrate", "test")
Predicted = dict[Split, np.ndarray]
"""Values (n, width) at the tokens of each split."""
RARE = 0.999
"""Real neurons are taken above this quantile too: they then fire in few documents, as a sparse latent does."""
CLASS_DENSITIES = (0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5)
CLASSES = 3
"""Planted units of each density that fire at a random set of tokens, however strongly."""
TOP = 50
LEAST_HITS = 10
"""The class of an explanation must hold so many firing tokens of the random test windows: half of fewer is noise."""


@dataclass(frozen=True, eq=False)
class Case:
    """predicted: (n, width) by split, before any change; cut: the class lies above it; density: the share of random
    test tokens at which the unit fires."""

    unit: Unit
    kind: str
    evidence: Evidence
    predicted: Predicted
    cut: float
    density: float
    others: GivenOthers

    def firing(self, split: Split) -> np.ndarray:
        """(n, width) bool."""
        exemplars = self.evidence.split(split)
        return (exemplars.activations > self.evidence.statistics.firing_threshold) & exemplars.valid

    def named(self, split: Split) -> np.ndarray:
        """(n, width) bool, the class."""
        return (self.predicted[split] > self.cut) & self.evidence.split(split).valid


def cases_of(chosen: dict[str, Any]) -> list[Case]:
    """Real neurons with the programs of `english_before`, plain and rare, and planted units."""
    recording = recorded(SITES, UNITS, chosen["tokens"] or TOKENS, chosen["folder"])
    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    before = english_before()
    explained = [unit for unit in units_of(recording) if before[str(unit)]["program"]]
    spread = np.linspace(0, len(explained) - 1, min(chosen["units"], len(explained))).round().astype(int)
    units = [explained[i] for i in spread]
    drawn = [draw(recording, unit, EVIDENCE) for unit in units]
    others = _others(recording, units)
    cases: list[Case | None] = []
    for number, (unit, evidence) in enumerate(zip(units, drawn, strict=True)):
        program = parse_program(before[str(unit)]["program"])
        predicted = {s: execute(program, evidence.split(s).windows, lexicon).astype(np.float64) for s in SPLITS}
        for kind, one in (("real", evidence), ("real, rare", above_quantile(evidence))):
            cases.append(case_of(Unit("cases", "all", number), kind, one, predicted, others))
    frame = {split: _windows(drawn[0].split(split)) for split in SPLITS}
    for number, (activations, predicted) in enumerate(_planted(frame, np.random.default_rng(chosen["seed"]))):
        unit = Unit("cases", "all", len(units) + number)
        cases.append(case_of(unit, "planted", _evidence(drawn[0], unit, frame, activations), predicted, others))
    return [case for case in cases if case is not None]


def case_of(unit: Unit, kind: str, evidence: Evidence, predicted: Predicted, others: GivenOthers) -> Case | None:
    """None where the explanation has no class, or one of too few firing tokens."""
    firing = evidence.calibrate.activations > evidence.statistics.firing_threshold
    valid = evidence.calibrate.valid
    cut = best_threshold(firing[valid], predicted["calibrate"][valid], f1)
    if cut is None or evidence.status != "ok":
        return None
    test = evidence.test
    found = Case(unit, kind, evidence, predicted, cut, 0.0, others)
    random = test.in_random[:, None] & test.valid
    hits = int((found.firing("test") & found.named("test") & random).sum())
    silent_outside = (~found.firing("test") & ~found.named("test") & random).any()
    density = float(found.firing("test")[random].mean())
    return replace(found, density=density) if hits >= LEAST_HITS and silent_outside else None


def above_quantile(evidence: Evidence) -> Evidence:
    """The unit that is what is left of this one above a high quantile of its random tokens."""
    random = evidence.explain.exemplars.of("random")
    cut = float(np.quantile(random.activations[random.valid], RARE))

    def above(exemplars: Exemplars) -> Exemplars:
        return replace(exemplars, activations=np.maximum(exemplars.activations - cut, 0).astype(np.float32))

    statistics = replace(evidence.statistics, firing_threshold=0.0, input_threshold=0.0, firing_rule="above 0")
    return replace(evidence, calibrate=above(evidence.calibrate), test=above(evidence.test), statistics=statistics)


def changed(case: Case, test: str, rng: np.random.Generator) -> Predicted:
    """The predictions after one of the tests, see `benchmarks.metrics`."""
    return {split: _changed(case, split, test, rng) for split in SPLITS}


def _changed(case: Case, split: Split, test: str, rng: np.random.Generator) -> np.ndarray:
    exemplars, firing, named = case.evidence.split(split), case.firing(split), case.named(split)
    values, predicted = case.predicted[split].copy(), case.predicted[split]
    random = exemplars.in_random[:, None]
    free = exemplars.valid & ~named
    candidates = firing & named if test == "missing" else free & ~firing
    source = predicted[free] if test == "missing" else predicted[named]
    if test == "missing":
        share = 0.5
    else:  # as natural text has it; top windows get the same share of their tokens
        share = min(1.0, float((named & random).sum()) / max(int((candidates & random).sum()), 1))
    for part in (random, ~random):
        places = np.flatnonzero(candidates & part)
        chosen = rng.choice(places, round(share * len(places)), replace=False)
        if len(chosen) and len(source):
            values.reshape(-1)[chosen] = rng.choice(source, len(chosen))
    return values


def _windows(exemplars: Exemplars) -> TokenWindows:
    """Those of the random draw."""
    return exemplars.of("random").windows


def _planted(frame: dict[Split, TokenWindows], rng: np.random.Generator) -> Iterator[tuple[Predicted, Predicted]]:
    """(activations, predictions) by split: planted functions that predict themselves, and classes of tokens drawn at
    random that fire now strongly, now weakly, and are predicted as a class."""
    for planted in planted_units():
        own = {split: planted.activations(windows).astype(np.float64) for split, windows in frame.items()}
        yield own, own
    tokens = frame["test"].tokens[frame["test"].valid]
    shares = np.bincount(tokens, minlength=len(frame["test"].vocabulary.texts)) / len(tokens)
    for density in CLASS_DENSITIES:
        for _ in range(CLASSES):
            members, room = np.zeros(len(shares), bool), density
            for token in rng.permutation(np.flatnonzero(shares)):
                if shares[token] <= room:
                    members[token] = True
                    room -= shares[token]
            inside = {split: (members[w.tokens] & w.valid).astype(np.float64) for split, w in frame.items()}
            yield {split: held * rng.gamma(2.0, size=held.shape) for split, held in inside.items()}, inside


def _evidence(like: Evidence, unit: Unit, frame: dict[Split, TokenWindows], activations: Predicted) -> Evidence:
    """All windows are the random draw; the most active ones are top windows too."""
    parts: dict[Split, Exemplars] = {}
    for split, windows in frame.items():
        values = activations[split].astype(np.float32)
        maxima = values.max(axis=1)
        top = np.argsort(-maxima, kind="stable")[:TOP]
        kinds = np.full(len(windows), "random", dtype="<U9")
        kinds[top[maxima[top] > 0]] = "top"
        parts[split] = Exemplars(windows, values, kinds, np.ones(len(windows), bool))
    statistics = replace(like.statistics, firing_threshold=1e-6, input_threshold=1e-6, firing_rule="above 0")
    return Evidence(unit, like.explain, parts["calibrate"], like.select, parts["test"], statistics)


def _others(recording: Recording, units: Sequence[Unit]) -> GivenOthers:
    """The neurons themselves on the random test windows."""
    rows = random_rows(recording, units[0].site, "test", None, EVIDENCE.seed)
    order = np.argsort(recording.inputs.ids[rows], kind="stable")
    values = {Unit("cases", "all", n): recording.values(unit, rows[order]) for n, unit in enumerate(units)}
    return GivenOthers(values, recording.inputs.ids[rows[order]])
