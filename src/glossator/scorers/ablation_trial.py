"""One unit in the ablation score: its windows, its replacement values, and those of a random other unit of its site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from glossator.causal.acting import InPlace, part_of
from glossator.causal.edits import check_outputs
from glossator.errors import MissingPower
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.inputs.tokens import TokenWindows
from glossator.readouts.base import Readout
from glossator.scorers.items import unit_rng
from glossator.scorers.lab import Lab, Trial
from glossator.simulators.calibration import fit_calibration
from glossator.statistics import document_index, in_words
from glossator.subjects.base import known_width
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

RANDOM_UNIT = "random-unit"
TRIED = 4
"""Random other units that are looked at until one is not constant."""
FITTED_HERE = 32
"""Windows on which another unit's values are taken from the subject, where no recording has them."""
ROUNDING = 1e-11
"""Nats a token by which float32's rounding may move the outputs; other types': by the square of their rounding step."""
POSITIONS = "spliced at every valid position, divergence averaged over every valid position"
MEAN = "mean"

Planned: TypeAlias = "tuple[str, str]"
"""A name for what takes a unit's place: the unit, and the mean or the explanation whose simulation it is."""


@dataclass(frozen=True, eq=False)
class Moved:
    """The change of each token's next-token distribution, in nats (t,): spliced, with the simulation in the unit's
    place; ablated, with its mean; document (t,) 0..documents-1; rounding: mean divergence that is nothing."""

    spliced: np.ndarray
    ablated: np.ndarray
    document: np.ndarray
    documents: int
    rounding: float = ROUNDING

    @property
    def why_not(self) -> str | None:
        nats = float(self.ablated.mean()) if len(self.ablated) else 0.0
        if nats > self.rounding:
            return None
        return f"mean ablation moves the outputs by {nats:.2g} nats a token: nothing to compare with"


@dataclass(frozen=True, eq=False)
class Fitting:
    """A unit on tokens of the calibrate split: tokens, (t,) numbers of those in the sample that calibrates;
    activations (t,) signed."""

    unit: Unit
    tokens: np.ndarray
    activations: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.activations.mean())

    @property
    def varies(self) -> bool:
        return len(self.activations) > 0 and bool(self.activations.min() < self.activations.max())

    def calibrated(self, to_fit: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Simulated `values` on the unit's scale: a least-squares line to its signed activations, from simulated values
        `to_fit` of all tokens of the calibrating sample."""
        return fit_calibration("linear", to_fit[self.tokens], self.activations).apply(values)


def chosen_windows(sample: Trial, most: int, seed: int) -> np.ndarray:
    """Places of at most so many test windows, by their numbers, so that units with the same random draw are acted upon
    in the same windows."""
    rows = sample.test.rows
    chosen = np.argsort(sample.scored.windows.ids[rows], kind="stable")
    if most >= len(rows):
        return chosen
    return chosen[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


@dataclass(eq=False)
class AblationTrial:
    """One unit's windows and calibrations; windows, tokens, readouts: as in `AblationScorer`."""

    unit: Unit
    evidence: Evidence
    lab: Lab
    split: Split
    most_windows: int
    most_tokens: int | None = None
    readouts: Mapping[str, Readout] = field(default_factory=dict)
    pool_site: str = field(init=False)

    def __post_init__(self) -> None:
        self.readouts, self.pool_site = with_random_pool(self.unit, self.readouts, self.lab.seed)
        self.sample = self.lab.trial(self.evidence, "random-only", self.split)
        scored, rows = self.sample.scored.windows, self.sample.test.rows
        self.chosen = chosen_windows(self.sample, self.most_windows, self.lab.seed)
        self.windows = first_tokens(scored.take(rows[self.chosen]), self.most_tokens)

    @cached_property
    def why_not(self) -> str | None:
        """A reason why no explanation of this unit can be scored."""
        if self.evidence.status != "ok":
            return f"insufficient evidence: {self.evidence.reason}"
        try:
            self.subject  # noqa: B018 - raises where it lacks outputs
            part_of(self.unit, self.readouts)
        except MissingPower as error:
            return str(error)
        if not self.windows.valid.any():
            return f"no random windows in the {self.split} split"
        if not len(self.sample.calibrate):
            return "no windows in the calibrate split to calibrate on"
        if not self.own.varies:
            return "the unit is constant: its mean in its place changes nothing"
        return None

    @property
    def subject(self) -> TransformerSubject:
        """Raises `MissingPower` where it cannot be intervened on."""
        return check_outputs(self.lab.subject)

    @property
    def how(self) -> dict[str, Any]:
        return {
            "split": self.split,
            "windows": {"random": len(self.windows)},
            "tokens": int(self.windows.valid.sum()),
            "positions": POSITIONS,
            "calibration": "least-squares line to the signed activations",
            "calibrated_on": self.sample.calibrate.kinds,
            "mean": self.own.mean * self.unit.sign,
            RANDOM_UNIT: None if self.other is None else str(self.other.unit),
            "interval": in_words(self.lab.level),
            "seed": self.lab.seed,
        }

    def planned(self, explanation: Explanation) -> dict[Planned, InPlace]:
        """The replacements to run in order to score the explanation beside its baselines; equal names mean equal
        values.

        Raises `MissingPower` when the simulator cannot read the explanation; baselines that it cannot read are left
        out.
        """
        found = self._in_place(self.own, explanation)
        for baseline in self.lab.baselines.values():
            try:
                found |= self._in_place(self.own, baseline)
            except MissingPower:
                continue
        return found if self.other is None else found | self._in_place(self.other, explanation)

    def moved(
        self, explanation: Explanation, done: Mapping[Planned, np.ndarray]
    ) -> tuple[Moved, dict[str, Moved | None]]:
        """The effects of the explanation's simulation and of the baselines in the unit's place, from the divergences
        that were run."""
        index, documents = document_index(np.repeat(self.windows.documents, self.windows.valid.sum(axis=1)))
        rounding = rounding_of(self.subject)

        def of(fitting: Fitting | None, spliced: Explanation) -> Moved | None:
            if fitting is None or (key := (str(fitting.unit), spliced.fingerprint)) not in done:
                return None
            return Moved(done[key], done[str(fitting.unit), MEAN], index, documents, rounding)

        own = of(self.own, explanation)
        assert own is not None
        baselines = {name: of(self.own, baseline) for name, baseline in self.lab.baselines.items()}
        return own, baselines | {RANDOM_UNIT: of(self.other, explanation)}

    def _in_place(self, fitting: Fitting, explanation: Explanation) -> dict[Planned, InPlace]:
        """The simulation and the mean in a unit's place."""
        name = str(fitting.unit)
        return {
            (name, MEAN): InPlace(fitting.unit, fitting.mean),
            (name, explanation.fingerprint): self.spliced(fitting, explanation),
        }

    def spliced(self, fitting: Fitting, explanation: Explanation) -> InPlace:
        """The calibrated simulation in a unit's place; `MissingPower` when the simulator cannot read it."""
        flat = fitting.calibrated(self.sample.predicted_to_fit(explanation), self.sample.predicted(explanation))
        values = np.zeros(self.sample.test.mask.shape)
        values[self.sample.test.mask] = flat
        return InPlace(fitting.unit, values[self.chosen, : self.windows.width])

    @cached_property
    def own(self) -> Fitting:
        activations = self.sample.calibrate.activations
        return Fitting(self.unit, np.arange(len(activations)), activations)

    @cached_property
    def other(self) -> Fitting | None:
        """Another unit of the site and polarity, drawn at random, or a random direction if it is alone, that is not
        constant; None if there is none."""
        calibrate = self.sample.calibrate
        windows = self.evidence.calibrate.windows.take(calibrate.rows)
        numbers = np.full(calibrate.mask.shape, -1)
        numbers[calibrate.mask] = np.arange(calibrate.mask.sum())
        candidates: list[tuple[Unit, np.ndarray]] = []
        if self.lab.others is not None:
            found = self.lab.others(self.unit, windows, TRIED, self.lab.seed)
            known, candidates = np.flatnonzero(found.known), list(zip(found.units, found.activations, strict=True))
            candidates = [candidates[i] for i in self._rng.permutation(len(candidates))]
        if not candidates:  # no other unit was recorded
            known = np.arange(min(len(windows), FITTED_HERE))
            candidates = self._others_run(windows.take(known))
        place = numbers[known]
        for unit, activations in candidates:
            fitting = Fitting(unit, place[place >= 0], activations[place >= 0].astype(np.float64))
            if fitting.varies:
                return fitting
        return None

    def read_part(self, fitting: Fitting) -> tuple[InPlace, Mapping[str, Readout]] | None:
        """The mean of what the model reads of a direction, in the place of that part, and the set that has it; None
        where it reads nothing of it. `MissingPower` where it is not known what reads the site, and for other units."""
        from glossator.causal.dormant import read_part
        from glossator.causal.patching import part_values
        from glossator.readouts import direction_set
        from glossator.readouts.parts import Direction

        site, part = part_of(fitting.unit, self.readouts)
        if not isinstance(part, Direction):
            raise MissingPower("only directions can be split by what reads them", value=str(fitting.unit))
        row = read_part(self.subject, site, part.vector)
        if row is None:
            return None
        windows = self.evidence.calibrate.windows.take(self.sample.calibrate.rows[:FITTED_HERE])
        mean = float(part_values(self.subject, windows, site, Direction(row))[windows.valid].mean())
        unit = Unit(fitting.unit.subject, f"read part of {fitting.unit.index} of {fitting.unit.site}", 0)
        return InPlace(unit, mean), {unit.site: direction_set("read-part", site, row)}

    @property
    def _rng(self) -> np.random.Generator:
        return unit_rng(self.unit, self.lab.seed, RANDOM_UNIT)

    def _others_run(self, windows: TokenWindows) -> list[tuple[Unit, np.ndarray]]:
        """Random other units and their signed activations, from the subject itself."""
        from glossator.causal.patching import part_values

        unit, site = self.unit, self.pool_site
        width = self.readouts[site].width if site in self.readouts else known_width(self.subject.site(site))
        named = [replace(unit, site=site, index=int(i)) for i in self._rng.permutation(width)]
        others = [other for other in named if other != unit]
        found = []
        for other in others[:TRIED]:
            site, part = part_of(other, self.readouts)
            found.append((other, part_values(self.subject, windows, site, part)[..., 0] * unit.sign))
        return found


def with_random_pool(unit: Unit, readouts: Mapping[str, Readout], seed: int) -> tuple[Mapping[str, Readout], str]:
    """The readouts, and the site that other units are drawn from. If the unit is alone in its readout, random units of
    its kind take their place."""
    own = readouts.get(unit.site)
    if own is None or own.width > 1 or (random := own.random(TRIED, seed)) is None:
        return readouts, unit.site
    return {**readouts, random.site_name: random}, random.site_name


def first_tokens(windows: TokenWindows, most: int | None) -> TokenWindows:
    """The windows cut to their first tokens."""
    if most is None or most >= windows.width:
        return windows
    return replace(
        windows,
        tokens=windows.tokens[:, :most],
        lengths=np.minimum(windows.lengths, most).astype(windows.lengths.dtype),
        valid=windows.valid[:, :most],
    )


def rounding_of(subject: TransformerSubject) -> float:
    """Mean divergence, in nats a token, that rounding in the subject's own type may bring."""
    import torch

    return ROUNDING * (torch.finfo(subject.dtype).eps / torch.finfo(torch.float32).eps) ** 2
