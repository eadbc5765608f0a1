"""Activations of other units on the inputs on which a unit is scored, for scores that compare units.

The random inputs of a recording's reference sample are stored for every unit, so any unit of the site can be read on
them. The top inputs of one unit are stored for others only if they happen to be in the sample too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from glossator.inputs.base import Inputs
from glossator.recording.alone import known_apart
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.recording import Recording


@dataclass(frozen=True, eq=False)
class OtherUnits:
    """units: the others; known (n,) bool: which of the inputs asked for are stored for all of them; activations
    (units, known inputs, places) float32, signed."""

    units: list[Unit]
    known: np.ndarray
    activations: np.ndarray


class Others(Protocol):
    """Returns up to `most` other units of the same site and polarity on some inputs, the same ones for the same
    seed."""

    def __call__(self, unit: Unit, inputs: Inputs, most: int, seed: int) -> OtherUnits: ...


def comparison_pool(index: int, order: Sequence[int], most: int) -> list[int]:
    """The units that up to `most` others of one unit may be drawn from: all drawn before it and, if these are fewer
    than `most`, the next ones as well. So units drawn later change nothing."""
    first = max(order.index(index) if index in order else len(order), most)
    return [other for other in order[: first + 1] if other != index]


@dataclass(frozen=True, eq=False)
class RecordedOthers:
    """The other recorded units of the site; order: its units in the order in which they were drawn, None for any."""

    recording: Recording
    order: Callable[[str], Sequence[int]] | None = None

    def __call__(self, unit: Unit, inputs: Inputs, most: int, seed: int) -> OtherUnits:
        indices = self.recording.units(unit.site)
        if self.order is not None:
            indices = np.sort(np.array(comparison_pool(unit.index, self.order(unit.site), most), dtype=np.int64))
        indices = indices[indices != unit.index]
        if len(indices) > most:
            indices = np.sort(np.random.default_rng([seed, unit.index]).choice(indices, most, replace=False))
        units = [Unit(unit.subject, unit.site, int(i), unit.polarity) for i in indices]
        rows = self._rows(inputs)
        if known_apart(self.recording):
            known = np.zeros(len(rows), bool)
        elif self.recording.sites[unit.site].kind == "sparse":
            known = rows >= 0
        else:
            known = (rows >= 0) & self._in_panel[rows]
        values = [self.recording.values(other, rows[known]) for other in units]
        shape = (len(units), int(known.sum()), self.recording.grid(unit.site).places)
        return OtherUnits(units, known, np.stack(values) if values else np.empty(shape, np.float32))

    def _rows(self, inputs: Inputs) -> np.ndarray:
        """(n,) rows of the recording with these inputs' numbers, -1 where there is none."""
        order, ids = self._order
        place = np.minimum(np.searchsorted(ids, inputs.ids), len(ids) - 1)
        return np.where(ids[place] == inputs.ids, order[place], -1)

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        ids = self.recording.inputs.ids
        order = np.argsort(ids, kind="stable")
        return order, ids[order]

    @cached_property
    def _in_panel(self) -> np.ndarray:
        found = np.zeros(len(self.recording.inputs), bool)
        found[self.recording.panel] = True
        return found


@dataclass(frozen=True, eq=False)
class GivenOthers:
    """Units whose activations (n, places) are in memory; ids (n,): the numbers of these inputs, ascending."""

    activations: Mapping[Unit, np.ndarray]
    ids: np.ndarray

    def __call__(self, unit: Unit, inputs: Inputs, most: int, seed: int) -> OtherUnits:
        units = [u for u in self.activations if u != unit and (u.site, u.polarity) == (unit.site, unit.polarity)]
        if len(units) > most:
            chosen = np.random.default_rng([seed, unit.index]).choice(len(units), most, replace=False)
            units = [units[i] for i in sorted(chosen)]
        place = np.minimum(np.searchsorted(self.ids, inputs.ids), len(self.ids) - 1)
        known = self.ids[place] == inputs.ids
        values = [self.activations[u][place[known]] for u in units]
        places = next((values.shape[1] for values in self.activations.values()), 0)
        shape = (len(units), int(known.sum()), places)
        return OtherUnits(units, known, np.stack(values) if values else np.empty(shape, np.float32))
