"""Which inputs a judge sees, and the correct answer to each: fixed before anything is asked.

The items are a pure function of the evidence and a seed, so every explanation and baseline of a unit gets the very same
items. They come from the scored split alone, and both answers are correct equally often.
"""

from __future__ import annotations

import itertools
import zlib
from dataclasses import dataclass, field

import numpy as np

from glossator.evidence import Evidence, Exemplars, Split
from glossator.inputs import text_of
from glossator.units import Unit

LEAST = 4
"""Items of each answer that a score needs; below it there is no plan but a reason."""


@dataclass(frozen=True, eq=False)
class WindowItems:
    """Inputs in the order in which they are asked about.

    rows (m,) row numbers in `exemplars`; positive (m,) bool, whether the unit fires there; reason: why there are none.
    """

    exemplars: Exemplars
    rows: np.ndarray
    positive: np.ndarray
    reason: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def documents(self) -> np.ndarray:
        """(m,) the corpus document of each item."""
        return self.exemplars.groups[self.rows]

    @property
    def texts(self) -> list[str]:
        """The items as texts; raises `MissingPower` where the inputs have none."""
        return [text_of(self.exemplars.inputs, int(row)) for row in self.rows]

    @property
    def counts(self) -> dict[str, int]:
        """How many items there are of each answer, and how their windows were drawn."""
        kinds, numbers = np.unique(self.exemplars.kinds[self.rows], return_counts=True)
        drawn = {f"drawn_{kind}": int(n) for kind, n in zip(kinds, numbers, strict=True)}
        return {"firing": int(self.positive.sum()), "silent": int((~self.positive).sum()), **drawn}


@dataclass(frozen=True, eq=False)
class IntruderItems:
    """Questions of which one window among several is silent.

    rows (q, k) of `exemplars`; marks: for each question the masks (k, width) of marked tokens; place (q,) where the
    silent window stands, 0..k-1; every place is right equally often, up to a remainder.
    """

    exemplars: Exemplars
    rows: np.ndarray
    marks: np.ndarray
    place: np.ndarray
    reason: str | None = None
    texts: list[list[str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def positive(self) -> np.ndarray:
        """The correct answers."""
        return self.place

    @property
    def documents(self) -> np.ndarray:
        """(q,) the document of each question's silent window."""
        return self.exemplars.groups[self.rows[np.arange(len(self)), self.place]]


def unit_rng(unit: Unit, seed: int, purpose: str) -> np.random.Generator:
    """A generator that depends on the unit, seed and purpose only."""
    return np.random.default_rng([seed, zlib.crc32(f"{unit}|{purpose}".encode())])


def firing_tokens(exemplars: Exemplars, threshold: float) -> np.ndarray:
    """(n, places) bool: valid places above the unit's firing threshold."""
    return (exemplars.activations > threshold) & exemplars.valid


def plan_windows(evidence: Evidence, split: Split, most: int, rng: np.random.Generator) -> WindowItems:
    """Up to `most` windows of the split, half of them windows in which the unit fires."""
    exemplars = evidence.split(split)
    if evidence.status != "ok":
        return _no_windows(exemplars, f"insufficient evidence: {evidence.reason}")
    return balanced_windows(exemplars, evidence.statistics.input_threshold, most, rng)


def balanced_windows(exemplars: Exemplars, threshold: float, most: int, rng: np.random.Generator) -> WindowItems:
    """Up to `most` windows, half of them firing: spread over the strengths of firing; the silent ones by chance from
    all silent windows.

    Complete inputs only, where each half can be filled with them, so that a short text is no cue.
    """
    maxima = exemplars.maxima
    fires = maxima > threshold
    usable = exemplars.valid.any(axis=1)
    firing, silent = np.flatnonzero(fires), np.flatnonzero(usable & ~fires)
    each = min(most // 2, len(firing), len(silent))
    if each < LEAST:
        return _no_windows(exemplars, f"{len(firing)} firing and {len(silent)} silent windows, {LEAST} of each needed")
    whole = exemplars.inputs.complete
    if min(whole[firing].sum(), whole[silent].sum()) >= each:
        firing, silent = firing[whole[firing]], silent[whole[silent]]
    chosen = spread(firing[np.argsort(-maxima[firing], kind="stable")], each, rng)
    rows = np.concatenate([chosen, rng.choice(silent, each, replace=False)])
    order = rng.permutation(len(rows))
    return WindowItems(exemplars, rows[order], (np.arange(len(rows)) < each)[order])


def spread(ranked: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n of these, one by chance from each of n equal stretches of the ranking."""
    borders = np.linspace(0, len(ranked), n + 1).astype(int)
    return np.array([ranked[rng.integers(low, high)] for low, high in itertools.pairwise(borders.tolist())])


def balanced_places(questions: int, places: int, rng: np.random.Generator) -> np.ndarray:
    """(questions,) where the right answer stands: every place equally often: constant answers score chance."""
    return rng.permutation(np.arange(questions) % places)


def _no_windows(exemplars: Exemplars, reason: str) -> WindowItems:
    return WindowItems(exemplars, np.empty(0, int), np.empty(0, bool), reason)
