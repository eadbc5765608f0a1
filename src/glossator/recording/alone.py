"""A recording as one unit knows it, where each unit is known on windows of its own alone.

Such are recordings of files of other tools: they hold a unit's own excerpts, and not what it does on those of others.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.recording.keys import powers
from glossator.recording.reader import Moments, Recording, moments, power_sums
from glossator.units import Unit

KEY = "alone"
"""Of the recorded inputs' spec: {units: {SITE/INDEX: [first window, first random one, end]}, dense: [sites],
told: {SITE/INDEX: statistics}}."""
FOUND_ONCE = ("_random_rows", "_panel_parts", "_panel_slots", "_valid_in_split", "panel", "split_of_input")
"""What a recording keeps of where its inputs stand."""
NOWHERE = -1
"""Split of the inputs on which nothing is known of the unit."""


def known_apart(recording: Recording) -> bool:
    """Whether each unit is known on its own windows alone."""
    return KEY in recording.spec.windows


def as_known_to(recording: Recording, unit: Unit) -> Recording:
    """The recording with the windows of others put outside all splits; itself where units share their windows.

    Its reference sample are the unit's own random windows, of which there may be none.
    """
    if not known_apart(recording):
        return recording
    told: dict[str, Any] = recording.spec.windows[KEY]
    begin, random, end = told["units"].get(f"{unit.site}/{unit.index}", (0, 0, 0))
    dense = unit.site in told["dense"]
    view: Any = copy.copy(recording)
    for name in FOUND_ONCE:
        view.__dict__.pop(name, None)
    view.__class__, view.own = DenseAlone if dense else Alone, (begin, random)
    own = np.zeros(len(recording.split_of_input), bool)
    own[begin:end] = True
    view.__dict__["split_of_input"] = np.where(own, recording.split_of_input, NOWHERE).astype(np.int8)
    view.__dict__["panel"] = np.arange(random, end)
    grid = recording.grid(unit.site)
    valid = recording.valid(unit.site) & own[:, None]
    view.__dict__["_valid_of_grid"] = {grid: valid}
    view.__dict__["_valid_places"] = {grid: int(valid.sum())}
    if dense:
        view.sites = {**recording.sites, unit.site: replace(recording.sites[unit.site], kind="dense")}
        view.stored, view.end = recording, end
    return view


OVER_ALL = ("count", "mean", "variance", "skewness", "kurtosis", "firing_rate", "quantiles")
"""Statistics that say something of all text."""


def told_statistics(recording: Recording, unit: Unit, statistics: dict[str, Any]) -> dict[str, Any]:
    """A unit's statistics without those that its excerpts, which were chosen for being large, cannot know; in their
    place what the file says."""
    if not known_apart(recording):
        return statistics
    told: dict[str, Any] = recording.spec.windows[KEY]
    name = f"{unit.site}/{unit.index}"
    _, random, end = told["units"].get(name, (0, 0, 0))
    sampled = unit.site in told["dense"] and random < end
    kept = statistics if sampled else {k: v for k, v in statistics.items() if k not in OVER_ALL}
    return {**kept, **told["told"].get(name, {})}


class Alone(Recording):
    """What one unit knows. own: its windows that were not drawn at random, which alone are its top ones."""

    own: tuple[int, int]

    def top_rows(self, unit: Unit) -> np.ndarray:
        return self._chosen(unit)[0]

    def top_maxima(self, unit: Unit) -> np.ndarray:
        return self._chosen(unit)[1]

    def _chosen(self, unit: Unit) -> tuple[np.ndarray, np.ndarray]:
        """Its top rows without those that were drawn at random, and the largest value of each."""
        rows, maxima = super().top_rows(unit), super().top_maxima(unit)
        own = (rows >= self.own[0]) & (rows < self.own[1])
        return rows[own], maxima[own]


class DenseAlone(Alone):
    """A unit that is rarely silent, stored as postings and read as a dense one. stored: the recording; end: of its
    windows."""

    stored: Recording
    end: int

    def exponent(self, unit: Unit) -> int:
        return self.stored.exponent(unit)

    def values(self, unit: Unit, rows: np.ndarray) -> np.ndarray:
        if len(rows) and (rows.min() < self.own[0] or rows.max() >= self.end):
            raise UserError(f"nothing is known of {unit} on texts of other units")
        return self.stored.values(unit, rows)

    def panel_values(self, unit: Unit) -> np.ndarray:
        return self.values(unit, self.panel)

    def panel_halves(self, unit: Unit) -> np.ndarray:
        return np.asarray(self.panel_values(unit) / powers(self.exponent(unit)), np.float16)

    def _maxima(self, unit: Unit, rows: np.ndarray) -> np.ndarray:
        valid = self.valid(unit.site)[rows]
        return np.asarray(np.where(valid, self.values(unit, rows), -np.inf).max(axis=1, initial=-np.inf), np.float32)

    def top_rows(self, unit: Unit) -> np.ndarray:
        rows = np.arange(*self.own)
        maxima = self._maxima(unit, rows)
        best = np.argsort(-maxima, kind="stable")[: self.spec.top_k]
        return rows[best[np.isfinite(maxima[best])]]

    def top_maxima(self, unit: Unit) -> np.ndarray:
        return self._maxima(unit, self.top_rows(unit))

    def moments(self, unit: Unit) -> Moments:
        known = self.values(unit, self.panel)[self.valid(unit.site)[self.panel]].astype(np.float64)
        return moments(len(known), power_sums(known))
