"""Does the model go on as before when the simulation takes the unit's place? The ablation score of Bills et al. 2023.

    1 - E[AvgJSD(m(x, n=s(x)) || m(x))] / E[AvgJSD(m(x, n=mu) || m(x))]

m(x) are the next-token distributions of the model, s(x) the calibrated simulation in the unit's place, mu the unit's
mean. 1: the outputs are as with the true activations; 0: no better than the mean; below 0: worse. A unit that hardly
moves the outputs has no score: there is nothing to compare with. Beside the score stands what the same explanation
gives, calibrated anew, in the place of a random other unit of the site, judged against that unit's mean ablation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from glossator.causal.acting import InPlace, divergences_in_place, part_of
from glossator.errors import MissingPower
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import SUBJECT, TOKEN_VALUES
from glossator.scorers.items import unit_rng
from glossator.scorers.lab import Lab
from glossator.scores import Column, Score
from glossator.simulators.calibration import fit_calibration
from glossator.statistics import Resampled, compare, document_index, ratio, sums_by
from glossator.units import Unit

RANDOM_UNIT = "random-unit"
TRIED = 4
"""Random other units that are looked at until one is not constant."""
FITTED_HERE = 32
"""Windows on which another unit's values are taken from the subject, where no recording has them."""
LEAST_SHARE = 0.01
"""In the per-token variant a token counts when mean ablation moves it by this share of the mean over tokens."""
ROUNDING = 1e-11
"""Nats a token below which float32's rounding may have moved the outputs; of other types, by the square of their
rounding step."""
POSITIONS = "spliced at every valid position, divergence averaged over every valid position"


@dataclass(frozen=True)
class AblationScorer:
    """`ablation`, over all tokens together, and `ablation.per-token`, the mean over tokens of each one's own score.

    windows: at most so many random windows of the split are run; sets: direction sets and sparse encoders by their
    NAME@SITE, for units of these.
    """

    windows: int = 24
    split: Split = "test"
    sets: Mapping[str, Any] = field(default_factory=dict, compare=False)
    name: ClassVar[str] = "ablation"
    column: ClassVar[Column] = "causal"
    simulates: ClassVar[bool] = True
    needs: frozenset[str] = frozenset({TOKEN_VALUES, SUBJECT})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        bench: _Bench = lab.kept(("ablation", self), (evidence,), lambda: _Bench(self, unit, evidence, lab))
        statistics = {self.name: pooled, f"{self.name}.per-token": per_token}
        if (reason := bench.why_not) is not None:
            nulls: dict[str, float | None] = dict.fromkeys([*lab.nulls, RANDOM_UNIT])
            return [Score(n, None, "fraction", column=self.column, nulls=nulls, reason=reason) for n in statistics]
        own, others = bench.measured(explanation)
        return [self._score(name, of, own, others, bench) for name, of in statistics.items()]

    def _score(
        self,
        name: str,
        statistic: Callable[[Moved], Resampled],
        own: Moved,
        others: Mapping[str, Moved | None],
        bench: _Bench,
    ) -> Score:
        lab, nulls = bench.lab, {n: None if moved is None else statistic(moved) for n, moved in others.items()}
        found, values, margins = compare(statistic(own), nulls, seed=lab.seed, resamples=lab.resamples, level=lab.level)
        how = {**bench.how, "nats": float(own.spliced.mean()), "nats_of_mean_ablation": float(own.ablated.mean())}
        if found.value is not None and found.defined < 1:
            how["resamples_defined"] = round(found.defined, 4)
        return Score(
            name, found.value, "fraction", found.low, found.high, found.n, self.column, values, found.reason, how,
            margins,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Moved:
    """How far each token's next-token distribution moves, in nats (t,): spliced, with the simulation in the unit's
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


def pooled(moved: Moved) -> Resampled:
    """1 - mean divergence with the simulation / mean divergence with the mean, means over all tokens."""
    sums = sums_by(moved.document, moved.documents, moved.spliced, moved.ablated)
    found = ratio(sums[:, 0], sums[:, 1], one_minus=True)
    return Resampled(found.documents, found.under, moved.why_not or found.reason)


def per_token(moved: Moved) -> Resampled:
    """The mean over tokens of 1 - divergence with the simulation / divergence with the mean of that token.

    Tokens that mean ablation moves by less than 1 % of what it does on average are left out: their ratio is noise.
    """
    counts = (moved.ablated > 0) & (moved.ablated >= LEAST_SHARE * moved.ablated.mean())
    quotient = np.divide(moved.spliced, moved.ablated, out=np.zeros_like(moved.spliced), where=counts)
    sums = sums_by(moved.document, moved.documents, quotient, counts)
    found = ratio(sums[:, 0], sums[:, 1], one_minus=True)
    return Resampled(found.documents, found.under, moved.why_not or found.reason)


def rounding_of(subject: Any) -> float:
    """Mean divergence, in nats a token, that rounding in the subject's own type may bring."""
    import torch

    return ROUNDING * (torch.finfo(subject.dtype).eps / torch.finfo(torch.float32).eps) ** 2


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


class _Bench:
    """One unit and the windows that it is acted upon in; what was run is kept for the next explanation."""

    def __init__(self, scorer: AblationScorer, unit: Unit, evidence: Evidence, lab: Lab):
        self.scorer, self.unit, self.evidence, self.lab = scorer, unit, evidence, lab
        self.trial = lab.trial(evidence, "random-only", scorer.split)
        rows, most = self.trial.test.rows, scorer.windows
        chosen = np.arange(len(rows))
        if most < len(chosen):  # the same windows for all units with the same random draw
            chosen = np.sort(np.random.default_rng(lab.seed).choice(len(chosen), most, replace=False))
        self.windows = self.trial.scored.windows.take(rows[chosen])
        self.chosen = chosen
        self._kept: dict[str, np.ndarray] = {}

    @cached_property
    def why_not(self) -> str | None:
        """A reason why no explanation of this unit can be scored; `MissingPower` where none of its subject can."""
        from glossator.causal.edits import check_outputs

        check_outputs(self.subject)
        part_of(self.unit, self.scorer.sets)
        if self.evidence.status != "ok":
            return f"insufficient evidence: {self.evidence.reason}"
        if not len(self.windows):
            return f"no random windows in the {self.scorer.split} split"
        if not len(self.trial.calibrate):
            return "no windows in the calibrate split to calibrate on"
        if not self.own.varies:
            return "the unit is constant: its mean in its place changes nothing"
        return None

    @property
    def subject(self) -> Any:
        return self.lab.resources.get(SUBJECT, self.scorer.name)

    @cached_property
    def own(self) -> Fitting:
        activations = self.trial.calibrate.activations
        return Fitting(self.unit, np.arange(len(activations)), activations)

    @property
    def how(self) -> dict[str, Any]:
        return {
            "split": self.scorer.split,
            "windows": {"random": len(self.windows)},
            "tokens": int(self.windows.valid.sum()),
            "positions": POSITIONS,
            "calibration": "least-squares line to the signed activations",
            "calibrated_on": self.trial.calibrate.kinds,
            "mean": self.own.mean * self.unit.sign,
            RANDOM_UNIT: None if self.other is None else str(self.other.unit),
            "interval": f"{self.lab.level:.0%} percentile bootstrap over documents, {self.lab.resamples} resamples",
            "seed": self.lab.seed,
        }

    def measured(self, explanation: Explanation) -> tuple[Moved, dict[str, Moved | None]]:
        """What the simulation of the explanation does in the unit's place, and what the nulls do; all in one run."""
        todo = {"mean": InPlace(self.unit, self.own.mean), "spliced": self._spliced(explanation, self.own)}
        readable = []
        for name, null in self.lab.nulls.items():
            try:
                todo[f"null {name}"] = self._spliced(null, self.own)
                readable.append(name)
            except MissingPower:
                continue  # this simulator cannot read the null
        if self.other is not None:
            todo["other mean"] = InPlace(self.other.unit, self.other.mean)
            todo["other spliced"] = self._spliced(explanation, self.other)
        done = self._run(todo)
        index, documents = document_index(np.repeat(self.windows.documents, self.windows.valid.sum(axis=1)))

        def moved(spliced: str, ablated: str) -> Moved:
            return Moved(done[spliced], done[ablated], index, documents, rounding_of(self.subject))

        found: dict[str, Moved | None] = {
            name: moved(f"null {name}", "mean") if name in readable else None for name in self.lab.nulls
        }
        found[RANDOM_UNIT] = None if self.other is None else moved("other spliced", "other mean")
        return moved("spliced", "mean"), found

    def _run(self, todo: Mapping[str, InPlace]) -> dict[str, np.ndarray]:
        """Divergences (t,) by name; means and nulls, which do not depend on the explanation, are run once."""
        new = {name: one for name, one in todo.items() if name not in self._kept}
        found = divergences_in_place(self.subject, self.windows, list(new.values()), self.scorer.sets)
        done = dict(zip(new, found, strict=True))
        self._kept |= {name: values for name, values in done.items() if "spliced" not in name}
        return {**self._kept, **done}

    def _spliced(self, explanation: Explanation, fitting: Fitting) -> InPlace:
        """Raises `MissingPower` where the simulator cannot read the explanation."""
        flat = fitting.calibrated(self.trial.predicted_to_fit(explanation), self.trial.predicted(explanation))
        values = np.zeros(self.trial.test.mask.shape)
        values[self.trial.test.mask] = flat
        return InPlace(fitting.unit, values[self.chosen])

    @cached_property
    def other(self) -> Fitting | None:
        """A random other unit of the site and side that is not constant; None where there is none."""
        windows = self.evidence.calibrate.windows.take(self.trial.calibrate.rows)
        numbers = np.full(self.trial.calibrate.mask.shape, -1)
        numbers[self.trial.calibrate.mask] = np.arange(self.trial.calibrate.mask.sum())
        if self.lab.others is not None:
            found = self.lab.others(self.unit, windows, TRIED, self.lab.seed)
            known, candidates = np.flatnonzero(found.known), list(zip(found.units, found.activations, strict=True))
        else:
            known, candidates = np.arange(min(len(windows), FITTED_HERE)), self._run_others(windows)
        place = numbers[known]
        for unit, activations in candidates:
            fitting = Fitting(unit, place[place >= 0], activations[place >= 0].astype(np.float64))
            if fitting.varies:
                return fitting
        return None

    def _run_others(self, windows: Any) -> list[tuple[Unit, np.ndarray]]:
        """Random other units and their signed activations on the first windows, from the subject itself."""
        from glossator.causal.patching import part_values

        unit, sets = self.unit, self.scorer.sets
        width = len(sets[unit.site]) if unit.site in sets else int(self.subject.site(unit.site).width)
        drawn = unit_rng(unit, self.lab.seed, RANDOM_UNIT).permutation(width)
        others = [Unit(unit.subject, unit.site, int(i), unit.polarity) for i in drawn if i != unit.index][:TRIED]
        some = windows.take(np.arange(min(len(windows), FITTED_HERE)))
        found = []
        for other in others:
            site, part = part_of(other, sets)
            found.append((other, part_values(self.subject, some, site, part)[..., 0] * unit.sign))
        return found
