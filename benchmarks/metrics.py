"""`glossator bench metrics`: does a score fall when an explanation misses half of what it got right, and when it claims
as much again that is wrong?

The two sanity tests of NeuronEval (Oikarinen et al. 2025, arXiv:2506.05774), for every observational score. Cases are
units with an explanation's predictions (`metric_cases.py`): real neurons with their programs, as they are and above a
high quantile, and planted units of many densities with their own rule. The tokens that an explanation predicts to fire
are its class.

- missing: half of the firing tokens of the class, by a seeded draw, get predictions of tokens outside it;
- extra: as many silent tokens outside the class as it has tokens get predictions of tokens inside it.

Both changes are made alike in the text that is scored and in the text that thresholds and calibrations are fitted on.
Extra tokens are spread over the text as they are in nature, so top windows hold few of them. A score falls where the
mean fall over draws is above twice its standard error, and above `LEAST` of the score's distance to what a constant
prediction gets. Scores of headlines are those of a class that is predicted as 0 or 1. Scores that ask a judge are
tested with one that makes these mistakes alone (`metric_judges.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.metric_cases import Case, Predicted, cases_of, changed
from benchmarks.metric_judges import UNTESTED, judged_values
from glossator.engines import in_parallel
from glossator.explanations import Explanation, Provenance
from glossator.inputs import Grid, Inputs
from glossator.scorers import headline, peak
from glossator.scorers.lab import Lab, score_explanations
from glossator.scorers.sample import SETTINGS
from glossator.simulators import ACTIVATION, Simulation, Simulator
from glossator.statistics import SHARE, mean_over_units
from glossator.store.ranking import DEFAULT_SCORES

DEFAULTS: dict[str, Any] = {
    "units": 40, "judged_units": 8, "draws": 4, "tokens": None, "seed": 0, "folder": None,
}  # fmt: skip
QUICK = {"units": 4, "judged_units": 2, "draws": 2, "tokens": 24_000}
SCORERS = ("correlation", "explained-variance", "detection", "firing", "peak", "specificity")
TESTS = ("missing", "extra")
LEAST = 0.01
ENOUGH = 0.95
"""A score passes a test if it falls in so many of the cases."""
DENSITIES = (0.001, 0.01, 0.1)
"""Shares of firing tokens at which results are parted."""


Falls = dict[str, dict[str, tuple[bool, float]]]


@dataclass(frozen=True)
class Outcome:
    """Of one case: by score and test, whether it fell, and by what share of its distance to a constant prediction's."""

    kind: str
    density: float
    falls: Falls


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """How often each score falls under both tests, in all and by density; options: `quick`, and any name of `DEFAULTS`;
    units: real neurons; folder: where the recording is kept, the cache by default."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    cases = cases_of(chosen)
    outcomes = in_parallel(lambda case: outcome_of(case, chosen["draws"], chosen["seed"]), cases)
    judged = judged_values(chosen["judged_units"], chosen["draws"], TESTS, chosen["seed"])
    outcomes += [Outcome("planted, judged", density, falls_of(before, after, {})) for density, before, after in judged]
    names = list(dict.fromkeys(name for outcome in outcomes for name in outcome.falls))
    metrics = [metric(name, outcomes) for name in names]
    default = next(m for m in metrics if m["name"] == DEFAULT_SCORES[0])
    return {
        "options": chosen | {"quick": quick},
        "cases": {kind: sum(o.kind == kind for o in outcomes) for kind in dict.fromkeys(o.kind for o in outcomes)},
        "densities": [min(o.density for o in outcomes), max(o.density for o in outcomes)],
        "untested": UNTESTED,
        "default": default["name"],
        "default_passes": default["pass"],
        "metrics": metrics,
    }


def metric(name: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The entry of one score. missing_fall, extra_fall: the median share of the score that is lost; by_density: from
    rare to dense units."""
    found = [(outcome, outcome.falls[name]) for outcome in outcomes if name in outcome.falls]
    parts: dict[str, list[dict[str, tuple[bool, float]]]] = defaultdict(list)
    for outcome, tests in found:
        parts[_range(outcome.density)].append(tests)
    entry: dict[str, Any] = {"name": name, "cases": len(found)}
    for test in TESTS:
        falls = [float(tests[test][0]) for _, tests in found]
        share = mean_over_units(falls, bounds=SHARE)
        entry |= {f"{test}_ok": float(np.mean(falls)), f"{test}_interval": [share.low, share.high],
                  f"{test}_fall": float(np.median([tests[test][1] for _, tests in found]))}  # fmt: skip
    entry["pass"] = all(entry[f"{test}_ok"] >= ENOUGH for test in TESTS)
    entry["by_density"] = {
        part: {**{f"{test}_ok": _share(tests[test][0] for tests in parts[part]) for test in TESTS},
               "cases": len(parts[part])}
        for part in map(_range, (0.0, *DENSITIES))
        if part in parts
    }  # fmt: skip
    return entry


def _share(falls: Iterable[bool]) -> float:
    return float(np.mean(list(falls)))


def _range(density: float) -> str:
    place = int(np.searchsorted(DENSITIES, density, side="right"))
    low, high = (0.0, *DENSITIES)[place], (*DENSITIES, 1.0)[place]
    return f"{low:g} to {high:g}"


def outcome_of(case: Case, draws: int, seed: int) -> Outcome:
    """Score the explanation, a constant one, and the changed ones."""
    before = values_of(case, case.predicted)
    splits = case.predicted
    floor = values_of(case, {split: np.zeros_like(values) for split, values in splits.items()})
    after = {
        test: [values_of(case, changed(case, test, np.random.default_rng([seed, draw]))) for draw in range(draws)]
        for test in TESTS
    }
    return Outcome(case.kind, case.density, falls_of(before, after, floor))


def falls_of(before: dict[str, float], after: dict[str, list[dict[str, float]]], floor: dict[str, float]) -> Falls:
    """By score and test, whether and how far it fell; scores that are undefined under one of the tests are left out."""
    falls: Falls = {name: {} for name in before}
    for test, draws in after.items():
        for name, value in before.items():
            others = np.array([found[name] for found in draws if name in found])
            if len(others):
                room = abs(value - floor.get(name, 0.0))
                share = (value - float(others.mean())) / room if room else 0.0
                falls[name][test] = fell(value, others, floor.get(name, 0.0)), share
    return {name: tests for name, tests in falls.items() if len(tests) == len(after)}


def fell(before: float, after: np.ndarray, floor: float) -> bool:
    """Whether the mean after a change is lower, by more than the noise of the draws and than `LEAST` allows."""
    fall = before - float(after.mean())
    noise = 2 * float(after.std(ddof=1)) / len(after) ** 0.5 if len(after) > 1 else 0.0
    return fall > max(noise, LEAST * abs(before - floor))


def values_of(case: Case, predicted: Predicted) -> dict[str, float]:
    """{score: value} of these predictions (n, width) of the test and calibrate splits; undefined ones are left out."""
    given = Given({case.evidence.split(split).inputs.content(): values for split, values in predicted.items()})
    lab = Lab(simulator=given, others=case.others, intervals=False)
    explanation = Explanation(case.unit, "", Provenance("benchmark"))
    scores = score_explanations(case.unit, [explanation], case.evidence, lab, SCORERS)[0]
    found = {score.name: score.value for score in scores if score.value is not None}
    named = (predicted["test"] > case.cut).astype(np.float64)
    for setting in SETTINGS:
        trial = lab.trial(case.evidence, setting)
        for name, (_, measure, _) in headline.MEASURES.items():
            value = measure(trial, trial.test.flat(named)).value if len(trial.test) else None
            if value is not None:
                found[f"headline.{name}.{setting}"] = value
    trial = lab.trial(case.evidence, "top")
    hit = peak.hits_of(trial, trial.test.flat(named)).value if len(trial.test) else None
    return found if hit is None else {**found, "headline.peak-hit": hit}


@dataclass(frozen=True)
class Given(Simulator):
    """A simulator that was handed its predictions, by the content of the inputs."""

    values: dict[bytes, np.ndarray]

    def reads(self, explanation: Explanation) -> bool:
        """Nothing has to be read by a language model, so whole splits are simulated."""
        return False

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        return Simulation(self.values[inputs.content()], ACTIVATION)
