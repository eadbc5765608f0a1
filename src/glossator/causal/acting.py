"""Interventions on units: which part of a site a unit is, and how outputs change when its values are replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.causal.changes import Splice
from glossator.causal.edits import Edit
from glossator.errors import MissingPower
from glossator.inputs.tokens import TokenWindows
from glossator.readouts.base import Readout
from glossator.readouts.parts import Part, Units
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject


def part_of(unit: Unit, readouts: Mapping[str, Readout] | None = None) -> tuple[str, Part]:
    """The site of the model at which a unit is intervened on, and its part of it.

    readouts: by `NAME@SITE`, what such units are read by; `MissingPower` where one is needed and not given, or its
    units cannot be acted upon. Values of the part are not signed: those of a `-` unit are its recorded ones times -1.
    """
    if "@" not in unit.site:
        return unit.site, Units(unit.index)
    if readouts is None or unit.site not in readouts:
        raise MissingPower(
            "intervening on this unit needs the readout of its values",
            value=str(unit),
            fix="Pass it in `readouts`, keyed by its NAME@SITE",
        )
    readout = readouts[unit.site]
    part = readout.part(unit.index)
    if readout.writes_at is None:
        raise MissingPower("the units of this readout cannot be intervened on", value=str(unit))
    return readout.writes_at, part


@dataclass(frozen=True, eq=False)
class InPlace:
    """Values that replace a unit's activations, signed as recorded: (n, w), or one number for all tokens."""

    unit: Unit
    values: np.ndarray | float

    def edit(self, windows: TokenWindows, readouts: Mapping[str, Readout] | None = None) -> Edit:
        """The edit that writes the values at the valid positions of the windows."""
        site, part = part_of(self.unit, readouts)
        values = np.broadcast_to(np.asarray(self.values, np.float64), windows.tokens.shape) * self.unit.sign
        return Edit(site, part, Splice(values), windows.valid)

    def digest(self, windows: TokenWindows) -> str:
        """A digest of what is done to the model on these windows; equal for replacements with the same effect."""
        values = np.broadcast_to(np.asarray(self.values, np.float64) * self.unit.sign + 0.0, windows.tokens.shape)
        place = f"{self.unit.subject}/{self.unit.site}/{self.unit.index}"
        return hashlib.sha256(place.encode() + values[windows.valid].tobytes()).hexdigest()


def divergences_in_place(
    subject: TransformerSubject,
    windows: TokenWindows,
    planned: Sequence[InPlace],
    readouts: Mapping[str, Readout] | None = None,
    clean_passes: Any = None,
) -> np.ndarray:
    """How far the next-token distribution at each valid token moves under each replacement, one at a time, in nats:
    float64 (planned, t), tokens in the order of `windows.valid`. clean_passes: as in `divergences`."""
    from glossator.causal.running import divergences

    edits = [[one.edit(windows, readouts)] for one in planned]
    found = divergences(subject, windows, edits, clean_passes=clean_passes)
    return found[:, windows.valid].astype(np.float64)


MOST_CLEAN = 1 << 26
"""Numbers of a clean pass that are kept: a quarter of a gigabyte in float32."""


@dataclass(frozen=True, eq=False)
class Divergences:
    """A cache of divergences, up to a limit: units of a site share random units, explanations of a unit its mean
    ablation and baselines. Each is run in a pass of its own, so what else was run changes none of them.

    The clean pass over the windows of the last call is kept as well, as long as it is at most `MOST_CLEAN` numbers.
    """

    most: int = 1024
    _kept: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict, repr=False)
    _clean: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    def of(
        self,
        subject: TransformerSubject,
        windows: TokenWindows,
        planned: Sequence[InPlace],
        readouts: Mapping[str, Readout] | None = None,
    ) -> list[np.ndarray]:
        """As `divergences_in_place`, (t,) each."""
        seen = hashlib.sha256(windows.tokens.tobytes() + windows.lengths.tobytes() + windows.valid.tobytes())
        where = (str(subject.fingerprint), str(subject.dtype), str(subject.device), seen.hexdigest())
        keys = [(*where, one.digest(windows)) for one in planned]
        found = {key: self._kept.pop(key) for key in set(keys) & self._kept.keys()}
        new = {key: one for key, one in zip(keys, planned, strict=True) if key not in found}
        if new:
            if where not in self._clean:
                self._clean.clear()
                if windows.tokens.size * len(subject.tokenizer.vocabulary) <= MOST_CLEAN:
                    self._clean[where] = {}
            clean = self._clean.get(where)
            run = divergences_in_place(subject, windows, list(new.values()), readouts, clean)
            found |= zip(new, run, strict=True)
        self._kept.update((key, found[key]) for key in keys)  # what was asked for last is given up last
        while len(self._kept) > self.most:
            del self._kept[next(iter(self._kept))]
        return [found[key] for key in keys]
