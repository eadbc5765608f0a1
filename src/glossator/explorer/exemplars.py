"""The inputs displayed for a unit: true activations at each place, and those its explanation predicts.

They are of the test split, which no explainer saw, and are drawn anew from the recording; nothing is stored twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, Exemplars
from glossator.inputs import WHOLE, Grid, TokenWindows
from glossator.recording.alone import as_known_to
from glossator.store.results import UnitResult
from glossator.units import Unit, unit_rng

if TYPE_CHECKING:
    from glossator.study.context import StudyContext

BINS = 40


@dataclass(frozen=True, eq=False)
class ShownInput:
    """One input without its padding.

    kind: top or random; group: the id of its document, scene or run; pieces (p,): the text of each place, of an image
    the rows and columns of its cells; counts (p,) bool, False where a place is left out; true (p,) signed activations;
    predicted (p,), NaN where there is no prediction, or None where there is none at all; image: (height, width, 3)
    uint8, None for text; grid: the places.
    """

    kind: str
    group: str
    pieces: tuple[str, ...]
    counts: np.ndarray
    true: np.ndarray
    predicted: np.ndarray | None
    grid: Grid
    image: np.ndarray | None = None

    def peak(self, values: np.ndarray) -> float:
        """The largest of these values at positions that count, at least 0."""
        return float(np.fmax.reduce(values[self.counts], initial=0.0))

    @property
    def peak_at(self) -> int:
        """The position of the unit's largest activation, which the input is shown around; the first of equal ones."""
        return int(np.argmax(np.where(self.counts, self.true, -np.inf)))


@dataclass(frozen=True, eq=False)
class Histogram:
    """Signed activations at random places in bins of equal width. edges (BINS + 1,), counts (BINS,)."""

    edges: np.ndarray
    counts: np.ndarray


def shown_inputs(result: UnitResult, context: StudyContext, top: int, random: int) -> list[ShownInput]:
    """The test inputs with the largest activations, then random ones, with the best explanation's predictions."""
    evidence = context.evidence(result.unit)
    exemplars = evidence.test
    largest = np.flatnonzero(exemplars.kinds == "top")[:top]
    drawn = np.setdiff1d(np.flatnonzero(np.asarray(exemplars.in_random)), largest)
    if len(drawn) > random:
        drawn = np.sort(unit_rng(context.spec.seed, result.unit).choice(drawn, random, replace=False))
    chosen = exemplars.take(np.concatenate([largest, drawn]))
    predicted = predictions(result, evidence, chosen, context)
    kinds = ["top"] * len(largest) + ["random"] * len(drawn)
    return [shown_input(chosen, predicted, row, kind, context) for row, kind in enumerate(kinds)]


def predictions(
    result: UnitResult, evidence: Evidence, exemplars: Exemplars, context: StudyContext
) -> np.ndarray | None:
    """(n, places) predictions of the unit's best explanation, in units of its activation; None when it makes none, as
    where the simulator could not score the unit."""
    best = result.best()
    if best is None or (result.status == "failed" and not best.scores):
        return None
    try:
        return context.lab().simulate(best.explanation(result.unit), exemplars).expected
    except MissingPower:
        return None


def shown_input(
    chosen: Exemplars, predicted: np.ndarray | None, row: int, kind: str, context: StudyContext
) -> ShownInput:
    inputs, grid, image = chosen.inputs, chosen.grid, None
    if isinstance(inputs, TokenWindows):
        tokens = inputs.tokens[row, : inputs.lengths[row]]
        pieces = tuple(inputs.vocabulary.texts[token] for token in tokens.tolist())
    else:
        given = inputs.show(row)
        image, pieces = given.image, (given.text or "",)
        if grid != WHOLE:
            pieces = tuple(f"{y + 1}/{x + 1}" for y in range(grid.shape[0]) for x in range(grid.shape[1]))
    places = len(pieces)
    counts, said = chosen.valid[row, :places], None if predicted is None else predicted[row, :places]
    return ShownInput(
        kind,
        context.recording.group_ids[int(inputs.groups[row])],
        pieces,
        counts,
        chosen.activations[row, :places],
        None if said is None or np.isnan(said[counts]).all() else said,
        grid,
        image,
    )


def histogram(unit: Unit, context: StudyContext) -> Histogram:
    """What the unit does on the random panel of the whole recording."""
    recording = as_known_to(context.recording, unit)
    values = recording.panel_values(unit)[recording.valid(unit.site)[recording.panel]]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if low == high:
        high = low + 1.0
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    return Histogram(edges, counts)
