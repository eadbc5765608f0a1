"""Shared by scorers: each explanation is simulated once per split, baselines are scored on the same windows, and every
number gets its interval in one way.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from glossator import registry
from glossator.errors import MissingPower
from glossator.evidence import Evidence, Exemplars, Split
from glossator.explanations import Explanation
from glossator.resources import OPENED, Resources
from glossator.scorers import DEFAULT_SCORERS, Scorer
from glossator.scorers.other_units import Others
from glossator.scorers.sample import SETTINGS, TRUTH, Sample, Setting, any_sample, draw_sample
from glossator.scores import Score
from glossator.simulators import ACTIVATION, Simulation, Simulator
from glossator.simulators.calibration import fit_calibration
from glossator.simulators.program import ProgramSimulator
from glossator.statistics import (
    LEVEL,
    Jackknifed,
    Resampled,
    estimate_of,
    in_words,
    jackknife,
    margins,
    without_intervals,
)
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.programs import Lexicon

LARGEST = float(np.finfo(np.float32).max)
"""Predictions beyond it are infinite: no activation is, and their squares could not be summed."""
MOST_TO_FIT = 400
"""Calibrations and thresholds are fitted on at most so many windows of a kind; more would only take time."""


LEAST_READ = 0.5
"""An explanation that a simulator reads in a smaller share of a split's windows has no score but a reason."""


class HasFingerprint(Protocol):
    """Anything that tells its content."""

    @property
    def fingerprint(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Lab(Resources):
    """All that a scorer may use: the resources (`lab.subject`, `lab.lm`, `lab.embedder`, `lab.readouts`,
    `lab.lexicon`), the simulator, other units, settings, and the baselines of the unit at hand.

    simulator: None for the executor of programs; baselines: the explanations that every score is set beside, by name
    (`lookup`, `mismatched`, `token-list`, ...), usually replaced for each unit with `for_unit`; calibration: the map
    that explained variance is scored under, see `glossator.simulators.calibration`; others: reads other units on the
    windows at hand, for scorers that compare units, see `glossator.scorers.other_units`; intervals: whether scores get
    them;
    unread: by split, what the simulator could not read, see `readable`.
    """

    simulator: Simulator | None = None
    others: Others | None = None
    baselines: Mapping[str, Explanation] = field(default_factory=dict)
    calibration: str = "linear"
    seed: int = 0
    level: float = LEVEL
    intervals: bool = True
    unread: dict[str, Any] = field(default_factory=dict)
    _kept: dict[tuple, Any] = field(default_factory=dict, repr=False)

    def for_unit(self, baselines: Mapping[str, Explanation]) -> Lab:
        """The same lab with another unit's baselines and nothing kept from before."""
        return dataclasses.replace(self, baselines=dict(baselines), unread={}, _kept={})

    def simulate(self, explanation: Explanation, exemplars: Exemplars) -> Simulation:
        """The explanation's uncalibrated simulation of all windows of a split, made once.

        Raises `MissingPower` when the simulator cannot read this explanation, or has read too few of these windows.
        """
        found = self._simulated(explanation, exemplars)
        if isinstance(found, MissingPower):
            raise found
        return found

    def _simulated(self, explanation: Explanation, exemplars: Exemplars) -> Simulation | MissingPower:
        def simulated() -> Simulation | MissingPower:
            try:
                return (self.simulator or ProgramSimulator(self.lexicon)).simulate(
                    explanation, exemplars.inputs, exemplars.grid
                )
            except MissingPower as error:
                return error

        found: Simulation | MissingPower = self.kept(("simulation",), (explanation, exemplars), simulated)
        return found

    def how(self, explanation: Explanation) -> dict[str, Any]:
        """What a score says of its simulation."""
        how = {} if self.simulator is None else self.simulator.how(explanation)
        return {**how, "unread": self.unread} if how and self.unread else how

    def readable(
        self,
        explanations: Sequence[Explanation],
        evidence: Evidence,
        splits: Sequence[Split],
        needed: Callable[[Evidence, Split], np.ndarray] | None = None,
    ) -> Evidence:
        """The evidence with those windows of these splits that the simulator reads for every explanation.

        A language model may fail on a window (a refusal, a list of the wrong length), which is then missing, not zero,
        for the baselines as well. An explanation that is read in fewer than half of a split's windows takes no part in
        this, and has no score later on. needed: row numbers of the windows that are wanted at all, such as
        `rows_scored`; the others are not read.
        """
        explanations = [e for e in explanations if not self.executes(e)]
        for split in splits if explanations else ():
            exemplars = evidence.split(split)
            if needed is not None and len(rows := needed(evidence, split)) < len(exemplars):
                exemplars = exemplars.take(rows)
            told = [(e, self._simulated(e, exemplars)) for e in explanations]
            read = [_read_rows(found, exemplars.valid) for _, found in told]
            keep, missing = np.ones(len(exemplars), bool), Counter[str]()
            for (_, found), rows in zip(told, read, strict=True):
                if len(rows) and rows.mean() >= LEAST_READ and isinstance(found, Simulation):
                    keep &= rows
                    missing.update(found.missing)
            kept = exemplars if keep.all() else exemplars.take(np.flatnonzero(keep))
            for (explanation, found), rows in zip(told, read, strict=True):
                if isinstance(found, Simulation):
                    why_not = None if rows[keep].all() else _why_unread(rows[keep], found.missing)
                    found = dataclasses.replace(found, expected=found.expected[keep], distribution=None)
                    found = found if why_not is None else MissingPower(why_not)
                self._kept["simulation", explanation.fingerprint, kept.fingerprint] = found
            if not keep.all():
                self.unread[split] = {"windows": int((~keep).sum()), "of": len(keep), "tokens": dict(missing)}
            changed: dict[str, Any] = {split: kept}
            evidence = dataclasses.replace(evidence, **changed)
        return evidence

    @property
    def required_lexicon(self) -> Lexicon:
        """The lexicon; raises `MissingPower` where there is none, as for inputs without tokens."""
        self.require("lexicon", asked_by="this method")
        assert self.lexicon is not None
        return self.lexicon

    def executes(self, explanation: Explanation) -> bool:
        """Whether predictions cost next to nothing, as those of an executed program do."""
        return self.simulator is None or self.simulator.executes(explanation)

    def rows_scored(self, evidence: Evidence, split: Split) -> np.ndarray:
        """Row numbers, ascending, of the windows of a split that scores are computed from in any setting; of the
        calibrate split those that something is fitted on. No other window needs to be simulated."""
        if split == "calibrate":
            samples = [self.trial(evidence, setting).calibrate for setting in SETTINGS]
        else:
            samples = [self.trial(evidence, setting, split).test for setting in SETTINGS]
        return np.unique(np.concatenate([sample.rows for sample in samples]))

    def trial(self, evidence: Evidence, setting: Setting, split: Split = "test") -> Trial:
        """The windows of one setting of one split, ready to score explanations on."""
        return self.kept(("trial", setting, split), (evidence,), lambda: Trial(self, evidence, setting, split))

    def forget(self) -> None:
        """Give up what is kept; trials refer to the lab, so that their arrays wait for the garbage collector else."""
        self._kept.clear()

    def kept(self, key: tuple, of: tuple[HasFingerprint, ...], make: Callable[[], Any]) -> Any:
        """What `make` gave the first time for this key and things of this content."""
        full_key = (*key, *(thing.fingerprint for thing in of))
        if full_key in self._kept:
            return self._kept[full_key]
        if len(self._kept) > 4096:  # a lab used for many units without `for_unit`
            self._kept.clear()
        return self._kept.setdefault(full_key, make())


class Trial:
    """One setting of one split of a unit's evidence: true tokens, predictions on them, and scores from both.

    scored: the whole split; test, calibrate: the samples that scores are computed on and that calibrations and
    thresholds are fitted on.
    """

    def __init__(self, lab: Lab, evidence: Evidence, setting: Setting, split: Split):
        self.lab, self.evidence, self.setting, self.split = lab, evidence, setting, split
        self.scored = evidence.split(split)
        self.test = draw_sample(self.scored, setting, lab.seed)
        mixed: Setting = "top-and-random" if setting == "top" else setting
        self.calibrate = _calibration_sample(evidence.calibrate, mixed, lab.seed)
        self.fingerprint = f"{evidence.fingerprint} {setting} {split}"

    def predicted(self, explanation: Explanation) -> np.ndarray:
        """Uncalibrated predictions of the scored tokens (t,) float64."""
        return self._flat(explanation, self.split, self.test)

    def predicted_to_fit(self, explanation: Explanation) -> np.ndarray:
        """Uncalibrated predictions of the calibrate tokens, in the order of `self.calibrate`."""
        return self._flat(explanation, "calibrate", self.calibrate)

    def calibrated(self, explanation: Explanation) -> np.ndarray:
        """Predictions of the scored tokens (t,) under the lab's calibration."""
        return self.lab.kept(("calibrated",), (explanation, self), lambda: self._calibrated(explanation))

    def in_activations(self, explanation: Explanation) -> np.ndarray:
        """Predictions of the scored tokens (t,) in the unit's own measure: as they are where the simulator gives
        activations, else calibrated."""
        exemplars = self.scored if self.lab.executes(explanation) else self._scored_part(self.split, self.scored)[1]
        is_activation = self.lab.simulate(explanation, exemplars).scale == ACTIVATION
        return self.predicted(explanation) if is_activation else self.calibrated(explanation)

    def score(
        self,
        name: str,
        measure: str,
        explanation: Explanation,
        statistic: Callable[[Trial, Explanation], Resampled],
        *,
        how: Mapping[str, Any] | None = None,
        why_not: str | None = None,
        beside: tuple[str, Callable[[Trial, Explanation], Resampled]] | None = None,
    ) -> Score:
        """A score from a statistic of (this trial, an explanation), which is applied to the baselines as well.

        why_not: a reason why the number cannot be had at all; it and insufficient evidence give a missing value;
        beside: another statistic for the baselines, with its name.
        """
        of_baselines, statistic_of_baselines = beside or (name, statistic)
        name = f"{name}.{self.setting}" if self.setting in SETTINGS else name
        lab, n = self.lab, self.test.groups
        settings = {
            "split": self.split,
            "windows": dict(self.test.kinds),
            "tokens": len(self.test.truth),
            "truth": TRUTH[self.test.signed],
            "interval": in_words(lab.level),
            "seed": lab.seed,
            **(how or {}),
        }
        if self.evidence.status != "ok":
            why_not = f"insufficient evidence: {self.evidence.reason}"
        elif not self._finite:
            why_not = "the unit's activations are not finite"
        elif not len(self.test):
            why_not = f"no windows for {self.setting} in the {self.split} split"
        if why_not:
            return Score(name, None, measure, n=n, reason=why_not, baselines=dict.fromkeys(lab.baselines), how=settings)
        ours = self._jackknifed(statistic, explanation)
        found = estimate_of(ours, lab.level)
        if found.no_interval is not None:
            settings["no_interval"] = found.no_interval
        baselines = {
            baseline: lab.kept(
                (of_baselines, measure, self.split, self.setting),
                (other, self.evidence),
                partial(self._of_baseline, statistic_of_baselines, other),
            )
            for baseline, other in lab.baselines.items()
        }
        return Score(
            name, found.value, measure, found.low, found.high, n,
            baselines={baseline: None if other is None else other.value for baseline, other in baselines.items()},
            margins=margins(ours, baselines, lab.level), reason=found.reason, how=settings,
        )  # fmt: skip

    @cached_property
    def _finite(self) -> bool:
        """Whether all true activations are numbers, those that are fitted on included."""
        return all(np.isfinite(one.activations[one.valid]).all() for one in (self.scored, self.evidence.calibrate))

    @cached_property
    def firing_documents(self) -> int:
        """The number of scored documents in which the unit fires."""
        fires = self.test.activations > self.evidence.statistics.firing_threshold
        return len(np.unique(self.test.group_of_place[fires]))

    def _jackknifed(self, statistic: Callable[[Trial, Explanation], Resampled], explanation: Explanation) -> Jackknifed:
        found = statistic(self, explanation)
        firing = self.firing_documents
        deciding = firing if found.deciding is None else min(found.deciding, firing)
        if not self.lab.intervals:
            return without_intervals(found)
        return jackknife(dataclasses.replace(found, deciding=deciding))

    def _of_baseline(
        self, statistic: Callable[[Trial, Explanation], Resampled], baseline: Explanation
    ) -> Jackknifed | None:
        """The baseline on the same documents; None where this simulator cannot read it."""
        try:
            return self._jackknifed(statistic, baseline)
        except MissingPower:
            return None

    def _calibrated(self, explanation: Explanation) -> np.ndarray:
        fitted = fit_calibration(self.lab.calibration, self.predicted_to_fit(explanation), self.calibrate.truth)
        return fitted.apply(self.predicted(explanation))

    def _flat(self, explanation: Explanation, split: Split, sample: Sample) -> np.ndarray:
        return self.lab.kept(("flat", split), (explanation, self), lambda: self._read(explanation, split, sample))

    def _read(self, explanation: Explanation, split: Split, sample: Sample) -> np.ndarray:
        """Raises `MissingPower` where a scored token has no prediction: a score of the others would be another score
        than that of the baselines, on tokens that the simulator chose."""
        exemplars = self.evidence.calibrate if split == "calibrate" else self.scored
        if self.lab.executes(explanation):
            simulation = self.lab.simulate(explanation, exemplars)
            values = sample.flat(simulation.expected)
        else:
            rows, some = self._scored_part(split, exemplars)
            simulation = self.lab.simulate(explanation, some)
            values = simulation.expected[np.searchsorted(rows, sample.rows)][sample.mask].astype(np.float64)
        if lacking := int((~(np.abs(values) <= LARGEST)).sum()):
            reasons = "; ".join(simulation.missing) or "no reason given"
            raise MissingPower(f"the simulation has no finite value at {lacking} of {len(values)} tokens ({reasons})")
        return values

    def _scored_part(self, split: Split, exemplars: Exemplars) -> tuple[np.ndarray, Exemplars]:
        """(row numbers, these windows of a split): what scores are computed from, the same object in every trial."""

        def make() -> tuple[np.ndarray, Exemplars]:
            rows = self.lab.rows_scored(self.evidence, split)
            return rows, exemplars if len(rows) == len(exemplars) else exemplars.take(rows)

        return self.lab.kept(("part", split), (self.evidence,), make)


def score_explanations(
    unit: Unit,
    explanations: Sequence[Explanation],
    evidence: Evidence,
    lab: Lab,
    scorers: Sequence[Scorer | str] = DEFAULT_SCORERS,
) -> list[list[Score]]:
    """All scores of each explanation of one unit; simulations, samples and baseline values are made once and shared.

    scorers: objects or registered names. One that lacks a resource, or whose simulator cannot read an explanation,
    gives one missing value with the reason.
    """
    chosen = [registry.load("scorers", s)() if isinstance(s, str) else s for s in scorers]
    try:
        return [[s for scorer in chosen for s in scores_of(scorer, unit, e, evidence, lab)] for e in explanations]
    finally:
        lab.forget()


def scores_of(
    scorer: Scorer, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab, name: str = ""
) -> list[Score]:
    """The scorer's scores; one missing value that says which power or resource is missing, when it cannot score.

    name: stands in a missing value, its registered name by default.
    """
    name = name or scorer.name or type(scorer).__name__
    try:
        lab.require(*(one for one in OPENED if one in scorer.needs), asked_by=name)
        return scorer.score(unit, explanation, evidence, lab)
    except MissingPower as error:
        return [Score(name, None, "none", column=scorer.column, reason=str(error))]


def score_explanation(
    unit: Unit,
    explanation: Explanation,
    evidence: Evidence,
    lab: Lab,
    scorers: Sequence[Scorer | str] = DEFAULT_SCORERS,
) -> list[Score]:
    """`score_explanations` for one explanation."""
    return score_explanations(unit, [explanation], evidence, lab, scorers)[0]


def _calibration_sample(exemplars: Exemplars, setting: Setting, seed: int) -> Sample:
    """The same mix of windows as is scored; when the calibrate split lacks a kind, all its random and top windows."""
    sample = draw_sample(exemplars, setting, seed, MOST_TO_FIT)
    return sample if len(sample) else any_sample(exemplars, seed, MOST_TO_FIT)


def _read_rows(found: Simulation | MissingPower, valid: np.ndarray) -> np.ndarray:
    """(n,) bool: inputs all of whose valid places have a value."""
    if isinstance(found, MissingPower):
        return np.zeros(len(valid), bool)
    return np.asarray((np.isfinite(found.expected) | ~valid).all(axis=1))


def _why_unread(read: np.ndarray, missing: Mapping[str, int]) -> str:
    reasons = "; ".join(f"{reason} ({count} tokens)" for reason, count in sorted(missing.items()))
    return f"the simulator read {read.sum()} of {len(read)} windows: {reasons or 'some tokens have no value'}"
