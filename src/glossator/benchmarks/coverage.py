"""`glossator bench coverage`: how often 95 % intervals hold the truth, on real neurons and few documents.

Neurons are recorded over a large text. The truth of a score is its value on all of the held-out documents; samples of
n of them, drawn with replacement, get the interval that a study would print, and coverage is counted. Each neuron is
taken twice: as it is, and above its 99.9 % quantile, which fires in few documents as a sparse latent does. Explanations
are programs, induced on other documents; the margin is that of the correlation over the lookup table's.

The method was chosen on neurons of `mlp.2` and `mlp.12`; those of `reported` were not looked at before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glossator.benchmarks.planted import evidence_of
from glossator.engines import in_parallel
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.programs import Lexicon, execute
from glossator.recording import Recording
from glossator.simulators.calibration import fit_calibration
from glossator.statistics import (
    LEAST_FIRING,
    Jackknifed,
    Resampled,
    interval,
    jackknife,
    pearson_of_sums,
    pearson_terms,
    sums_by,
    variance_explained,
)
from glossator.units import Unit
from glossator.windows import TokenWindows

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "sites": ("mlp.2", "mlp.7", "mlp.12", "mlp.17"),
    "reported": ("mlp.7", "mlp.17"),
    "recorded_units": 60,
    "units": 40,
    "tokens": 480_000,
    "width": 64,
    "documents": (10, 20, 45, 200),
    "samples": 25,
    "null_documents": (3, 10, 40),
    "nulls": 120,
    "seed": 0,
    "folder": None,
}
QUICK = {"sites": ("mlp.2",), "reported": ("mlp.2",), "recorded_units": 4, "units": 4, "tokens": 24_000,
         "documents": (10, 20), "nulls": 6}  # fmt: skip
FRACTIONS = (0.2, 0.04, 0.01, 0.75)
"""Most of the text is held out: it stands for all text."""
RARE = 0.999
RESAMPLES = 200
SCORES = ("correlation", "explained_variance", "auroc", "margin")
FIRING = ((1, 3), (4, 9), (10, 14), (15, 29), (30, 59), (60, None))
"""Numbers of firing documents in a sample, from and to."""


@dataclass(frozen=True, eq=False)
class Population:
    """One unit and its explanation on all held-out documents.

    own, baseline, errors (documents, k): sums for the correlation, the baseline's, and explained variance; wins
    (documents, documents): how often a firing window of one document has a larger prediction than a silent one of the
    other, ties half; positive, negative (documents,): numbers of firing and of silent windows; fires (documents,).
    """

    kind: str
    own: np.ndarray
    baseline: np.ndarray
    errors: np.ndarray
    wins: np.ndarray
    positive: np.ndarray
    negative: np.ndarray
    fires: np.ndarray

    def statistics(self, documents: np.ndarray) -> dict[str, tuple[Resampled, ...]]:
        """The scores of a sample of documents, some of them more than once; of the margin, score and baseline."""
        n = len(documents)
        own, baseline, errors = self.own[documents], self.baseline[documents], self.errors[documents]
        wins = self.wins[np.ix_(documents, documents)]
        positive, negative = self.positive[documents], self.negative[documents]
        firing = int(self.fires[documents].sum())
        r, r_baseline = (
            Resampled(n, lambda w, sums=sums: pearson_of_sums(w @ sums), None, firing, (-1.0, 1.0))  # type: ignore[misc]
            for sums in (own, baseline)
        )
        return {
            "correlation": (r,),
            "explained_variance": (
                Resampled(n, lambda w: variance_explained(w @ errors), None, firing, (-np.inf, 1.0)),
            ),
            "auroc": (
                Resampled(
                    n,
                    lambda w: ((w @ wins) * w).sum(axis=1) / _positive_or_nan((w @ positive) * (w @ negative)),
                    None,
                    min(int((positive > 0).sum()), int((negative > 0).sum())),
                    (0.0, 1.0),
                ),
            ),
            "margin": (r, r_baseline),
        }


def _positive_or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, np.nan)


def pairs_won(
    largest: np.ndarray, positive: np.ndarray, document: np.ndarray, documents: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """wins, positive and negative of `Population`, from windows (m,)."""
    silent = np.flatnonzero(~positive)
    silent = silent[np.argsort(largest[silent], kind="stable")]
    values, of_silent = largest[silent], document[silent]
    wins = np.zeros((documents, documents))
    for value, of_window in zip(largest[positive], document[positive], strict=True):
        below, upto = np.searchsorted(values, value, "left"), np.searchsorted(values, value, "right")
        wins[of_window] += np.bincount(of_silent[:below], minlength=documents) / 2
        wins[of_window] += np.bincount(of_silent[:upto], minlength=documents) / 2
    numbers = [np.bincount(document[which], minlength=documents) for which in (positive, ~positive)]
    return wins, numbers[0], numbers[1]


@dataclass(frozen=True)
class Trial:
    """One interval. firing: documents in which the unit fires; reported: whether a study would print the interval;
    low, high, and those of a percentile bootstrap."""

    score: str
    kind: str
    documents: int
    firing: int
    reported: bool
    truth: float
    ends: tuple[float, float]
    percentile: tuple[float, float]


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Coverage of each score by number of documents, of firing documents and kind of unit; null claims of the inducer.

    options: `quick`, and any name of `DEFAULTS`; folder: where the recording is kept, the cache by default.
    """
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    recording = recorded(chosen)
    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    explainer = ProgramExplainer(lexicon=lexicon)
    units = [(site, int(i)) for site in chosen["reported"] for i in recording.units(site)[: chosen["units"]]]
    found = in_parallel(lambda unit: _of_unit(recording, *unit, explainer, lexicon, chosen), units)
    trials = [trial for of_unit in found for trial in of_unit]
    return {
        "options": chosen | {"quick": quick},
        **{score: summary([t for t in trials if t.score == score], chosen["documents"]) for score in SCORES},
        "null_claims": null_claims(_split(recording, 0), explainer, chosen),
    }


def recorded(chosen: dict[str, Any]) -> Recording:
    """The recording, made once and kept; of every unit all windows."""
    from glossator.corpora import make_windows, open_corpus
    from glossator.files import fingerprint
    from glossator.recording import record, recording_spec
    from glossator.subjects import load_subject
    from glossator.subjects.weights import cache_folder

    subject = load_subject(chosen["subject"], dtype="float32")
    windowed = make_windows(
        open_corpus("embedded"), subject.tokenizer, chosen["width"], max_tokens=chosen["tokens"], fractions=FRACTIONS,
        seed=chosen["seed"],
    )  # fmt: skip
    rng = np.random.default_rng(chosen["seed"])
    units = {
        site: tuple(sorted(rng.choice(subject.site(site).width or 0, chosen["recorded_units"], replace=False).tolist()))
        for site in chosen["sites"]
    }
    plan = recording_spec(subject, windowed, chosen["sites"], units=units, seed=chosen["seed"])
    folder = Path(chosen["folder"] or cache_folder() / "benchmarks") / f"coverage-{fingerprint(plan)}"
    return record(plan, subject, windowed, folder)


def _split(recording: Recording, split: int) -> TokenWindows:
    return recording.windows.take(np.flatnonzero(recording.split_of_window == split))


def _of_unit(
    recording: Recording, site: str, index: int, explainer: ProgramExplainer, lexicon: Lexicon, chosen: dict[str, Any]
) -> list[Trial]:
    rng = np.random.default_rng([chosen["seed"], *site.encode(), index])
    unit = Unit(recording.spec.subject, site, index)
    found: list[Trial] = []
    for kind in ("neuron", "sparse"):
        population = _population(recording, unit, kind, explainer, lexicon)
        if population is not None:
            found.extend(trials_of(population, chosen["documents"], chosen["samples"], rng))
    return found


def _population(
    recording: Recording, unit: Unit, kind: str, explainer: ProgramExplainer, lexicon: Lexicon
) -> Population | None:
    """None where the explainer abstains or its program is constant."""
    windows = {split: _split(recording, split) for split in (0, 1, 3)}
    values = {
        s: np.maximum(recording.values(unit, np.flatnonzero(recording.split_of_window == s)), 0).astype(np.float64)
        for s in windows
    }
    seen = values[0][windows[0].valid]
    cut, threshold = (
        (float(np.quantile(seen, RARE)), 0.0) if kind == "sparse" else (0.0, float(np.quantile(seen, 0.99)))
    )
    values = {s: np.maximum(v - cut, 0) for s, v in values.items()}
    evidence = evidence_of(unit, windows[0], values[0])
    evidence = replace(evidence, statistics=replace(evidence.statistics, firing_threshold=threshold))
    explained = explainer.explain(unit, evidence, n=1)
    if not explained:
        return None
    programs = [explained[0].program, LookupExplainer().explain(unit, evidence)[0].program]
    predicted, table = (execute(p, windows[3], lexicon)[windows[3].valid].astype(np.float64) for p in programs if p)
    truth, truth_to_fit = values[3][windows[3].valid], values[1][windows[1].valid]
    to_fit = execute(programs[0], windows[1], lexicon)[windows[1].valid].astype(np.float64) if programs[0] else seen
    if predicted.min() == predicted.max():
        return None
    calibrated = fit_calibration("linear", to_fit, truth_to_fit).apply(predicted)
    lengths = windows[3].valid.sum(axis=1)
    of_window = np.unique(windows[3].documents, return_inverse=True)[1]
    document, documents = np.repeat(of_window, lengths), int(of_window.max()) + 1
    starts = np.cumsum(lengths) - lengths
    centred = truth - truth.mean()
    return Population(
        kind,
        sums_by(document, documents, *pearson_terms(truth, predicted)),
        sums_by(document, documents, *pearson_terms(truth, table)),
        sums_by(document, documents, np.ones_like(centred), centred, centred**2, (truth - calibrated) ** 2),
        *pairs_won(
            np.maximum.reduceat(predicted, starts), np.maximum.reduceat(truth, starts) > threshold, of_window, documents
        ),
        np.bincount(document, truth > threshold, minlength=documents) > 0,
    )


def trials_of(
    population: Population, documents: Sequence[int], samples: int, rng: np.random.Generator
) -> Iterator[Trial]:
    """Intervals of samples of each number of documents. Samples without a firing document have no score."""
    everything = np.arange(len(population.fires))
    truths = {name: _value(parts) for name, parts in population.statistics(everything).items()}
    for n in documents:
        for _ in range(samples):
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
                    yield Trial(name, population.kind, n, firing, enough, truth, ends, _percentile(parts, found, rng))


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
        "kinds": {kind: by_documents(t for t in reported if t.kind == kind) for kind in ("neuron", "sparse")},
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


def counted(trials: Sequence[Trial]) -> dict[str, float]:
    """Coverage, shares of misses with the truth above and below, median width, and that of a percentile bootstrap."""
    truth = np.array([t.truth for t in trials])
    low, high = np.array([t.ends for t in trials]).T
    first, last = np.array([t.percentile for t in trials]).T
    return {
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
        "truth_above": float(np.mean(truth > high)),
        "truth_below": float(np.mean(truth < low)),
        "median_width": float(np.median(high - low)),
        "percentile_bootstrap": float(np.mean((first <= truth) & (truth <= last))),
        "intervals": len(trials),
    }


def _grouped(trials: Iterable[Trial], key: Callable[[Trial], int]) -> dict[int, list[Trial]]:
    found: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        found[key(trial)].append(trial)
    return found


def null_claims(windows: TokenWindows, explainer: ProgramExplainer, chosen: dict[str, Any]) -> dict[str, float]:
    """Share of units that have nothing to do with the text and are explained all the same, by the number of documents
    that they are active in: at all tokens there, at a tenth, or at one, in turn."""
    explainer.warm(evidence_of(Unit("null", "null", 0), windows, np.zeros(windows.tokens.shape)))

    def claimed(job: tuple[int, int]) -> bool:
        active, number = job
        rng = np.random.default_rng([chosen["seed"], active, number])
        unit = Unit("null", "null", number)
        return bool(explainer.explain(unit, evidence_of(unit, windows, null_unit(windows, active, number, rng)), n=1))

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
