"""`glossator bench coverage`: how often 95 % intervals hold the truth, on real neurons and few documents.

The truth of a score is its value on all of the held-out documents of a recording; samples of n of them, drawn with
replacement, get the interval that a study would print, and coverage is counted. The margin is that of the correlation
over the lookup table's.

The method was developed on neurons of `mlp.2`, `mlp.4`, `mlp.5`, `mlp.7`, `mlp.9`, `mlp.11`, `mlp.12`, `mlp.15`,
`mlp.17`, `mlp.20`, `mlp.22`, `mlp.25` and `mlp.27`; those of the default sites were not looked at before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.planted import evidence_of
from benchmarks.populations import KINDS, Population, Source, population_of, recorded
from glossator.engines import in_parallel
from glossator.explainers import explain_one
from glossator.explainers.program import ProgramExplainer
from glossator.inputs.tokens import TokenWindows
from glossator.statistics import LEAST_FIRING, Jackknifed, Resampled, interval, jackknife
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "sites": ("mlp.1", "mlp.14", "mlp.23"),
    "units": 30,
    "tokens": 240_000,
    "width": 64,
    "documents": (10, 20, 45, 200),
    "samples": 96,
    "compared": 24,
    "null_documents": (3, 10, 40),
    "nulls": 120,
    "seed": 0,
    "folder": None,
}
QUICK = {"sites": ("mlp.2",), "units": 4, "tokens": 24_000, "documents": (10, 20), "nulls": 6}
RESAMPLES = 200
SCORES = ("correlation", "explained_variance", "auroc", "margin")
FIRING = ((1, 3), (4, 9), (10, 14), (15, 29), (30, 59), (60, None))
"""Numbers of firing documents in a sample, from and to."""


@dataclass(frozen=True)
class Trial:
    """One interval. firing: documents in which the unit fires; reported: whether a study would print the interval;
    ends: low and high; percentile: those of a percentile bootstrap, None where it was not made."""

    score: str
    kind: str
    documents: int
    firing: int
    reported: bool
    truth: float
    ends: tuple[float, float]
    percentile: tuple[float, float] | None


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Coverage of each score by number of documents, of firing documents and kind of unit; null claims of the inducer.

    options: `quick`, and any name of `DEFAULTS`; samples: of each number of documents, from each unit; compared: of so
    many, the percentile bootstrap as well; folder: where the recording is kept, the cache by default.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    source = Source.of(recorded(chosen))
    explainer = ProgramExplainer(lexicon=source.lexicon)
    explain = source.windows[0]
    explainer.warm(evidence_of(Unit("null", "null", 0), explain, np.zeros(explain.tokens.shape)))
    units = [Unit(chosen["subject"], site, int(i)) for site in chosen["sites"] for i in source.recording.units(site)]
    found = in_parallel(lambda unit: _of_unit(source, unit, explainer, chosen), units)
    trials = [trial for of_unit in found for trial in of_unit]
    return {
        "options": chosen | {"quick": quick},
        "explained": {kind: sum(any(t.kind == kind for t in of_unit) for of_unit in found) for kind in KINDS},
        **{score: summary([t for t in trials if t.score == score], chosen["documents"]) for score in SCORES},
        "null_claims": null_claims(explain, explainer, chosen),
    }


def _of_unit(source: Source, unit: Unit, explainer: ProgramExplainer, chosen: dict[str, Any]) -> list[Trial]:
    rng = np.random.default_rng([chosen["seed"], *unit.site.encode(), int(unit.index)])
    populations = [population_of(source, unit, kind, explainer) for kind in KINDS]
    how = chosen["documents"], chosen["samples"], rng, chosen["compared"]
    return [trial for population in populations if population for trial in trials_of(population, *how)]


def trials_of(
    population: Population, documents: Sequence[int], samples: int, rng: np.random.Generator, compared: int = 0
) -> Iterator[Trial]:
    """Intervals of samples of each number of documents; of the first `compared`, the percentile bootstrap as well.
    Samples without a firing document have no score."""
    everything = np.arange(len(population.fires))
    truths = {name: _value(parts) for name, parts in population.statistics(everything).items()}
    for n in documents:
        for number in range(samples):
            drawn = rng.integers(0, len(everything), n)
            firing = int(population.fires[drawn].sum())
            for name, parts in population.statistics(drawn).items():
                # As if enough documents decided it; whether they do is told apart afterwards.
                left_out = [jackknife(replace(part, deciding=None)) for part in parts]
                truth = truths[name]
                if truth is None or any(one.value is None for one in left_out):
                    continue
                found = left_out[0] if len(left_out) == 1 else left_out[0] - left_out[1]
                ends = interval(found)
                if ends is not None:
                    enough = all(p.deciding is None or p.deciding >= LEAST_FIRING for p in parts)
                    percentile = _percentile(parts, found, rng) if number < compared else None
                    yield Trial(name, population.kind, n, firing, enough, truth, ends, percentile)


def _value(parts: tuple[Resampled, ...]) -> float | None:
    values = [part.value for part in parts]
    if values[0] is None or values[-1] is None:
        return None
    return values[0] if len(values) == 1 else values[0] - values[-1]


def _percentile(parts: tuple[Resampled, ...], found: Jackknifed, rng: np.random.Generator) -> tuple[float, float]:
    """What a percentile bootstrap over documents gives, to compare with."""
    weights = rng.multinomial(found.documents, np.full(found.documents, 1 / found.documents), RESAMPLES).astype(float)
    draws = parts[0].under(weights) - (parts[1].under(weights) if len(parts) > 1 else 0.0)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return float(low), float(high)


def summary(trials: Sequence[Trial], documents: Sequence[int]) -> dict[str, Any]:
    """Coverage by number of documents, of both kinds of units together and apart, and by that of firing documents."""
    reported = [t for t in trials if t.reported]

    def by_documents(some: Iterable[Trial]) -> dict[str, Any]:
        of_n = _grouped(some, lambda t: t.documents)
        return {str(n): counted(of_n[n]) for n in documents if n in of_n}

    return {
        "documents": by_documents(reported),
        "kinds": {kind: by_documents(t for t in reported if t.kind == kind) for kind in KINDS},
        "firing_documents": {
            f"{least}-{most}" if most else f"{least}-": counted(some)
            for least, most in FIRING
            if (some := [t for t in trials if least <= t.firing <= (most or t.firing)])
        },
        "without_interval": {
            str(n): sum(not t.reported for t in of_n) / len(of_n)
            for n, of_n in sorted(_grouped(trials, lambda t: t.documents).items())
        },
    }


def counted(trials: Sequence[Trial]) -> dict[str, float | None]:
    """Coverage, shares of misses with the truth above and below, median width, and that of a percentile bootstrap."""
    truth = np.array([t.truth for t in trials])
    low, high = np.array([t.ends for t in trials]).T
    return {
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
        "truth_above": float(np.mean(truth > high)),
        "truth_below": float(np.mean(truth < low)),
        "median_width": float(np.median(high - low)),
        "percentile_bootstrap": _share(t.percentile[0] <= t.truth <= t.percentile[1] for t in trials if t.percentile),
        "intervals": len(trials),
    }


def _share(hits: Iterable[bool]) -> float | None:
    found = list(hits)
    return sum(found) / len(found) if found else None


def _grouped(trials: Iterable[Trial], key: Callable[[Trial], int]) -> dict[int, list[Trial]]:
    found: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        found[key(trial)].append(trial)
    return found


def null_claims(windows: TokenWindows, explainer: ProgramExplainer, chosen: dict[str, Any]) -> dict[str, float]:
    """Share of units that have nothing to do with the text and are explained all the same, by the number of documents
    that they are active in: at all tokens there, at a tenth, or at one, in turn."""

    def claimed(job: tuple[int, int]) -> bool:
        active, number = job
        rng = np.random.default_rng([chosen["seed"], active, number])
        unit = Unit("null", "null", number)
        return bool(explain_one(explainer, evidence_of(unit, windows, null_unit(windows, active, number, rng)), n=1))

    return {
        str(active): float(np.mean(in_parallel(claimed, [(active, i) for i in range(chosen["nulls"])])))
        for active in chosen["null_documents"]
    }


def null_unit(windows: TokenWindows, documents: int, number: int, rng: np.random.Generator) -> np.ndarray:
    """Activations (n, width) at chance tokens of so many chance documents."""
    of_text = np.unique(windows.documents)
    where = np.isin(windows.documents, rng.choice(of_text, min(documents, len(of_text)), replace=False))[:, None]
    where = where & windows.valid
    if number % 3 == 1:
        where &= rng.random(where.shape) < 0.1
    elif number % 3 == 2:
        rows, places = np.nonzero(where)
        order = rng.permutation(len(rows))
        one = order[np.unique(windows.documents[rows[order]], return_index=True)[1]]
        where = np.zeros_like(where)
        where[rows[one], places[one]] = True
    return np.where(where, rng.gamma(1.0, size=where.shape), 0.0)
