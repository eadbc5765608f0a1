"""Units acted upon: which part of which site a unit is, and what the outputs do when other values take its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.causal.changes import Splice
from glossator.causal.edits import Edit
from glossator.causal.parts import Direction, Latents, Part, Units
from glossator.errors import MissingPower
from glossator.units import Unit
from glossator.windows import TokenWindows


def part_of(unit: Unit, sets: Mapping[str, Any] | None = None) -> tuple[str, Part]:
    """The site of the model that a unit lies at, and its part of it.

    sets: by `NAME@SITE`, the direction set or sparse encoder that such units are read by; `MissingPower` where one is
    needed and not given. Values of the part are not signed: those of a `-` unit are its recorded ones times -1.
    """
    if "@" not in unit.site:
        return unit.site, Units(unit.index)
    if unit.site not in (sets or {}):
        raise MissingPower(
            "acting on this unit needs the directions or the dictionary that it is read by",
            value=str(unit),
            fix="Give it in `sets`, by its NAME@SITE",
        )
    found, site = (sets or {})[unit.site], unit.site.rpartition("@")[2]
    if hasattr(found, "vectors"):
        vector = found.vectors[unit.index]
        return site, Direction(vector, float(found.centre @ vector))
    return site, Latents(found, unit.index)


@dataclass(frozen=True, eq=False)
class InPlace:
    """Values in a unit's place, signed as its activations are recorded: (n, w), or one number for all tokens."""

    unit: Unit
    values: np.ndarray | float

    def edit(self, windows: TokenWindows, sets: Mapping[str, Any] | None = None) -> Edit:
        """At the valid positions of the windows."""
        site, part = part_of(self.unit, sets)
        values = np.broadcast_to(np.asarray(self.values, np.float64), windows.tokens.shape) * self.unit.sign
        return Edit(site, part, Splice(values), windows.valid)


def divergences_in_place(
    subject: Any, windows: TokenWindows, planned: Sequence[InPlace], sets: Mapping[str, Any] | None = None
) -> np.ndarray:
    """How far the next-token distribution at each valid token moves under each replacement, one at a time, in nats:
    float64 (planned, t), tokens in the order of `windows.valid`."""
    from glossator.causal.running import divergences

    found = divergences(subject, windows, [[one.edit(windows, sets)] for one in planned])
    return found[:, windows.valid].astype(np.float64)
