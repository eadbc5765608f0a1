"""Units beside a unit: those that fire on the same inputs, that write alike, or whose explanations mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import MissingPower
from glossator.explorer.pages.parts import rounded
from glossator.recording import Recording
from glossator.recording.alone import known_apart
from glossator.store.study import Study
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.readouts.base import Readout

MOST = 12
LEAST_SHARED = 2
"""One input in common says nothing."""


@dataclass(frozen=True)
class Neighbour:
    """A unit beside another. shared: top inputs that both have, of how many the two have at most (`of`); by_chance: how
    many two units would share that have nothing to do with each other; same_peak: inputs of these in which both are
    strongest at the same place; cosine: of what they write, or of their explanations."""

    unit: str
    text: str | None
    score: float | None
    shared: int | None = None
    of: int | None = None
    by_chance: float | None = None
    same_peak: int | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class Neighbours:
    """by: firing, weights or meaning; why: why there are none where there are none."""

    unit: str
    by: str
    units: list[Neighbour]
    why: str = ""


class Firing:
    """Which units of a study have which inputs among their strongest: an index, made once for each state of its file.

    places (entries,): units, ascending within an input; starts (inputs + 1,): of each input's; own: how many of them
    each unit has. Takes a second for 100,000 dense units, longer for sparse ones.
    """

    def __init__(self, study: Study, recording: Recording):
        self.recording = recording
        self.apart = known_apart(recording)
        rows, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for site, polarity, found in [] if self.apart else _units_of(study, recording):
            top, owner = top_rows(recording, site, polarity, found[:, 1])
            rows.append(top)
            places.append(found[owner, 0])
        inputs = len(recording.split_of_input)
        entries, owners = np.concatenate(rows), np.concatenate(places)
        order = np.lexsort((owners, entries))
        self.places = owners[order].astype(np.int32)
        self.starts = np.searchsorted(entries[order], np.arange(inputs + 1))
        self.own = np.bincount(owners, minlength=study.size + 1)
        self.inputs = inputs

    def beside(self, study: Study, unit: Unit, most: int = MOST) -> Neighbours:
        """The units that share most of their strongest inputs with this one, by the cosine of the two sets."""
        if self.apart:
            return Neighbours(unit.short, "firing", [], "each unit is known on excerpts of its own")
        own = self.recording.top_rows(unit)
        here = study.row(unit).place
        parts = [self.places[self.starts[row] : self.starts[row + 1]] for row in own.tolist()]
        found = np.bincount(np.concatenate(parts), minlength=len(self.own)) if parts else np.zeros(len(self.own), int)
        for place in study.places_of(unit.site, unit.index):  # its other polarity too
            found[place] = 0
        found[here] = 0
        likely = np.flatnonzero(found >= LEAST_SHARED)
        alike = found[likely] / np.sqrt(self.own[likely] * max(len(own), 1))
        chosen = likely[np.lexsort((likely, -alike))[:most]]
        by_chance = len(own) * self.own[chosen] / max(self.inputs, 1)
        rows = {row.place: row for row in study.rows_at(chosen.tolist())}
        units = []
        for place, chance in zip(chosen.tolist(), by_chance.tolist(), strict=True):
            row = rows[place]
            at_most = int(min(len(own), self.own[place]))
            same = self._same_peak(unit, row.unit, own)
            units.append(
                Neighbour(row.unit.short, row.headline or row.text, rounded(row.score), int(found[place]), at_most,
                          rounded(chance), same)
            )  # fmt: skip
        return Neighbours(
            unit.short, "firing", units, "" if units else "no other unit shares two of its strongest inputs"
        )

    def _same_peak(self, unit: Unit, other: Unit, own: np.ndarray) -> int | None:
        """None where the two have values at different places of an input."""
        recording = self.recording
        if recording.grid(unit.site) != recording.grid(other.site) or recording.grid(unit.site).places < 2:
            return None
        both = np.intersect1d(own, recording.top_rows(other))
        valid = recording.valid(unit.site)[both]
        peaks = [np.where(valid, recording.values(one, both), -np.inf).argmax(axis=1) for one in (unit, other)]
        return int((peaks[0] == peaks[1]).sum())


def _units_of(study: Study, recording: Recording) -> list[tuple[str, str, np.ndarray]]:
    """(site, polarity, (units, 2) place and number) of all units that were recorded."""
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for place, site, index, polarity in study.query('SELECT id, site, "index", polarity FROM units ORDER BY id'):
        if site in recording.sites:
            found.setdefault((site, polarity), []).append((place, index))
    known = {site: recording.units(site) for site, _ in found}
    return [
        (site, polarity, pairs[np.isin(pairs[:, 1], known[site])])
        for (site, polarity), listed in found.items()
        if len(pairs := np.array(listed, np.int64))
    ]


def top_rows(recording: Recording, site: str, polarity: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs among the strongest of units of a site, int64, and which of the units each is of."""
    if (block := recording.top_block(site, -1 if polarity == "-" else 1)) is not None:
        rows = block[np.searchsorted(recording.units(site), indices)]
        owner, column = np.nonzero(rows >= 0)
        return rows[owner, column].astype(np.int64), owner
    each = [recording.top_rows(Unit(recording.spec.subject, site, int(i), polarity)) for i in indices]  # type: ignore[arg-type]
    lengths = [len(rows) for rows in each]
    return np.concatenate([np.empty(0, np.int64), *each]), np.repeat(np.arange(len(each)), lengths)


class Written:
    """What the units of one site write, as rows of length 1, in the study's order: the nearest by their cosine."""

    def __init__(self, study: Study, site: str, rows: np.ndarray, indices: Sequence[int]):
        """rows (units, d), of units with these numbers, each once."""
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        self.site, self.rows = site, (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        self.number = {index: number for number, index in enumerate(indices)}
        self.indices = np.asarray(indices)

    def beside(self, study: Study, unit: Unit, most: int = MOST) -> Neighbours:
        """The units with the largest |cosine|; the sign is that of what the two polarities write."""
        cosine = self.rows @ self.rows[self.number[unit.index]]
        order = np.argsort(-np.abs(cosine), kind="stable")
        order = order[order != self.number[unit.index]][:most]
        units = []
        for number in order.tolist():
            places = study.places_of(self.site, int(self.indices[number]))
            same = {row.unit.polarity: row for row in study.rows_at(places)}
            row = same.get(unit.polarity) or next(iter(same.values()))
            sign = 1 if row.unit.polarity == unit.polarity else -1
            units.append(
                Neighbour(row.unit.short, row.headline or row.text, rounded(row.score),
                          cosine=rounded(sign * float(cosine[number])))
            )  # fmt: skip
        return Neighbours(unit.short, "weights", units, "" if units else "the study has no other unit of this site")


def written_by(study: Study, site: str, readouts: Mapping[str, Readout], subject: Any = None) -> Written | None:
    """What the study's units of a site write; None for a site of the model itself without the model.

    Raises `MissingPower` where it is not known what they write.
    """
    from glossator.causal.acting import part_of
    from glossator.readouts.parts import row_of

    indices = sorted({i for (i,) in study.query('SELECT "index" FROM units WHERE site = ?', site)})
    if site in readouts:
        of = readouts[site]
        if (decoder := getattr(of, "decoder_rows", None)) is not None:
            return Written(study, site, decoder(indices).float().cpu().numpy(), indices)
        parts = [part_of(Unit(study.manifest["subject"], site, i), readouts)[1] for i in indices]
        return Written(study, site, np.stack([row_of(part) for part in parts]), indices)
    if "@" in site:
        raise MissingPower("the study does not keep the readout of these units", value=site)
    if subject is None:
        return None
    from glossator.subjects.token_weights import written

    return Written(study, site, written(subject, site, indices), indices)
