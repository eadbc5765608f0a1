"""Windows of a unit as people look at them: what it did at each token, and what its explanation said it would do.

They are of the test split, which no explainer saw, and are drawn anew from the recording; nothing is stored twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, Exemplars
from glossator.study.results import UnitResult
from glossator.study.tools import Tools
from glossator.units import Unit

BINS = 40


@dataclass(frozen=True, eq=False)
class ShownWindow:
    """One window without its padding. kind: top or random; document: the id of its document; tokens (t,) ids;
    counts (t,) bool, False where a position is left out; true (t,) signed activations; predicted (t,), NaN where there
    is no prediction, or None where there is none at all."""

    kind: str
    document: str
    tokens: np.ndarray
    counts: np.ndarray
    true: np.ndarray
    predicted: np.ndarray | None

    def peak(self, values: np.ndarray) -> float:
        """The largest of these values at positions that count, at least 0."""
        return float(np.fmax.reduce(values[self.counts], initial=0.0))

    @property
    def peak_at(self) -> int:
        """The position of the unit's largest activation, which the window is shown around; the first of equal ones."""
        return int(np.argmax(np.where(self.counts, self.true, -np.inf)))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Signed activations of random tokens in bins of equal width. edges (BINS + 1,), counts (BINS,)."""

    edges: np.ndarray
    counts: np.ndarray


def shown_windows(result: UnitResult, tools: Tools, top: int, random: int) -> list[ShownWindow]:
    """The test windows with the largest activations, then random ones, with the best explanation's predictions."""
    evidence = tools.evidence(result.unit)
    exemplars = evidence.test
    largest = np.flatnonzero(exemplars.kinds == "top")[:top]
    drawn = np.setdiff1d(np.flatnonzero(np.asarray(exemplars.in_random)), largest)
    if len(drawn) > random:
        drawn = np.sort(tools.rng(result.unit).choice(drawn, random, replace=False))
    chosen = exemplars.take(np.concatenate([largest, drawn]))
    predicted = predictions(result, evidence, chosen, tools)
    kinds = ["top"] * len(largest) + ["random"] * len(drawn)
    return [_window(chosen, predicted, row, kind, tools) for row, kind in enumerate(kinds)]


def predictions(result: UnitResult, evidence: Evidence, exemplars: Exemplars, tools: Tools) -> np.ndarray | None:
    """(n, width) predictions of the unit's best explanation, in units of its activation; None when it makes none, as
    where the simulator could not score the unit."""
    best = result.best()
    if best is None or (result.status == "failed" and not best.scores):
        return None
    try:
        return tools.lab().simulate(best.explanation(result.unit), exemplars).expected
    except MissingPower:
        return None


def _window(shown: Exemplars, predicted: np.ndarray | None, row: int, kind: str, tools: Tools) -> ShownWindow:
    windows, length = shown.windows, int(shown.windows.lengths[row])
    said = None if predicted is None else predicted[row, :length]
    return ShownWindow(
        kind,
        tools.recording.group_ids[int(windows.documents[row])],
        windows.tokens[row, :length],
        windows.valid[row, :length],
        shown.activations[row, :length],
        None if said is None or np.isnan(said[windows.valid[row, :length]]).all() else said,
    )


def histogram(unit: Unit, tools: Tools) -> Histogram:
    """What the unit does on the random panel of the whole recording."""
    recording = tools.recording
    values = recording.panel_values(unit)[recording.windows.valid[recording.panel]]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low == high:
        high = low + 1.0
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    return Histogram(edges, counts)
