"""Populations that intervals are tried on: real neurons with an explanation, on all held-out documents of a recording.

Each neuron is taken twice: as it is, and above its 99.9 % quantile, which fires in few documents as a sparse latent
does. Explanations are programs, induced on other documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.planted import evidence_of
from glossator.explainers import explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.inputs.tokens import TokenWindows
from glossator.programs import Lexicon, execute
from glossator.recording import Recording
from glossator.simulators.calibration import fit_calibration
from glossator.statistics import Resampled, pearson_by_document, pearson_terms, sums_by, variance_explained
from glossator.units import Unit

FRACTIONS = (0.2, 0.04, 0.01, 0.75)
"""Most of the text is held out: it stands for all text."""
RARE = 0.999
KINDS = ("neuron", "sparse")


def recorded(chosen: dict[str, Any]) -> Recording:
    """The recording, made once and kept; of every unit all windows. Its own units are drawn from each site."""
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
        site: tuple(sorted(rng.choice(subject.site(site).width or 0, chosen["units"], replace=False).tolist()))
        for site in chosen["sites"]
    }
    plan = recording_spec(subject, windowed, chosen["sites"], units=units, seed=chosen["seed"])
    folder = Path(chosen["folder"] or cache_folder() / "benchmarks") / f"coverage-{fingerprint(plan)}"
    return record(plan, subject, windowed, folder)


@dataclass(frozen=True, eq=False)
class Source:
    """A recording whose windows to explain, to calibrate on and held out are taken apart once for all units."""

    recording: Recording
    lexicon: Lexicon
    windows: dict[int, TokenWindows]

    @classmethod
    def of(cls, recording: Recording) -> Source:
        lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
        windows = {s: recording.windows.take(np.flatnonzero(recording.split_of_input == s)) for s in (0, 1, 3)}
        return cls(recording, lexicon, windows)

    def values(self, unit: Unit) -> dict[int, np.ndarray]:
        """Activations (windows, width) float64, nothing below 0, by split."""
        rows = {s: np.flatnonzero(self.recording.split_of_input == s) for s in self.windows}
        return {s: np.maximum(self.recording.values(unit, rows[s]), 0).astype(np.float64) for s in rows}


def population_of(source: Source, unit: Unit, kind: str, explainer: ProgramExplainer) -> Population | None:
    """None where the explainer abstains or its program is constant."""
    windows, values, lexicon = source.windows, source.values(unit), source.lexicon
    seen = values[0][windows[0].valid]
    cut, threshold = (
        (float(np.quantile(seen, RARE)), 0.0) if kind == "sparse" else (0.0, float(np.quantile(seen, 0.99)))
    )
    values = {s: np.maximum(v - cut, 0) for s, v in values.items()}
    evidence = evidence_of(unit, windows[0], values[0])
    evidence = replace(
        evidence, statistics=replace(evidence.statistics, firing_threshold=threshold, input_threshold=threshold)
    )
    explained = explain_one(explainer, evidence, n=1)
    if not explained:
        return None
    programs = [explained[0].program, explain_one(LookupExplainer(), evidence)[0].program]
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
        r, r_baseline = (replace(pearson_by_document(sums), deciding=firing) for sums in (own, baseline))
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
