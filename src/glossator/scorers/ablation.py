"""Does the simulation preserve the outputs when it replaces the unit? The ablation score of Bills et al. 2023.

    1 - E[AvgJSD(m(x, n=s(x)) || m(x))] / E[AvgJSD(m(x, n=mu) || m(x))]

m(x) are the model's next-token distributions; n=s(x) replaces the unit with the calibrated simulation, n=mu with its
mean. 1: the outputs equal those with the true activations; 0: no better than the mean; below 0: worse. A unit that
hardly changes the outputs has no score, since there is nothing to compare with. Beside the score is that of the same
explanation, recalibrated, replacing a random other unit of the site, against that unit's mean ablation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from glossator.causal.acting import Divergences
from glossator.errors import MissingPower, UserError
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.readouts.base import Readout
from glossator.scorers import SUBJECT, TOKEN_VALUES, Scorer, WindowsRun
from glossator.scorers.ablation_trial import RANDOM_UNIT, AblationTrial, Fitting, Moved, Planned, chosen_windows
from glossator.scorers.lab import Lab
from glossator.scores import Column, Score
from glossator.statistics import AT_MOST_ALL, Resampled, compare, ratio, sums_by
from glossator.units import Unit

LEAST_SHARE = 0.01
"""In the per-token variant a token counts when mean ablation moves it by this share of the mean over tokens."""


@dataclass(frozen=True)
class AblationScorer(Scorer):
    """`ablation`, over all tokens together, and `ablation.per-token`, the mean over tokens of each one's own score; for
    directions at a site that one projection reads also `ablation.read-part`: what mean ablation of the part that is
    read does to the outputs, as a share of what that of the direction does. Near 0 for a dormant pathway.

    windows: at most so many random windows of the split are run, the same for all units that were drawn alike; tokens:
    of each only the first so many, None for all, since more documents say more than longer windows; readouts: by their
    `NAME@SITE`, for units of these.
    """

    windows: int = 32
    tokens: int | None = 32
    split: Split = "test"
    readouts: Mapping[str, Readout] = field(default_factory=dict, compare=False)
    name: ClassVar[str] = "ablation"
    column: ClassVar[Column] = "causal"
    simulated: ClassVar[bool | None] = True
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, SUBJECT})
    measures_outputs: ClassVar[bool] = True
    _run: Divergences = field(default_factory=Divergences, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.windows < 1 or (self.tokens is not None and self.tokens < 1):
            raise UserError(
                "nothing to run", value=f"{self.windows} windows, {self.tokens} tokens", allowed="1 or more"
            )

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        trial = self.trial(unit, evidence, lab)
        if trial.why_not is not None:
            return self.scores(trial, explanation, {})
        planned = trial.planned(explanation)
        found = self._run.of(trial.subject, trial.windows, list(planned.values()), trial.readouts)
        scores = self.scores(trial, explanation, dict(zip(planned, found, strict=True)))
        return scores + self._of_read_part(trial, explanation, dict(zip(planned, found, strict=True)))

    def windows_run(self, evidence: Evidence, lab: Lab) -> WindowsRun:
        sample = lab.trial(evidence, "random-only", self.split)
        first = "" if self.tokens is None else f" at the first {self.tokens} tokens of each"
        how = f"the model was run on these windows with what is predicted in the unit's place{first}"
        return WindowsRun(sample, chosen_windows(sample, self.windows, lab.seed), how)

    def trial(self, unit: Unit, evidence: Evidence, lab: Lab) -> AblationTrial:
        """The windows and calibrations of a unit, made once for all its explanations."""
        return lab.kept(
            ("ablation", self),
            (evidence,),
            lambda: AblationTrial(unit, evidence, lab, self.split, self.windows, self.tokens, self.readouts),
        )

    def scores(self, trial: AblationTrial, explanation: Explanation, done: Mapping[Planned, np.ndarray]) -> list[Score]:
        """The scores, when all that the trial planned for the explanation has been run: divergences (t,) by plan."""
        statistics = {self.name: pooled, f"{self.name}.per-token": per_token}
        if (reason := trial.why_not) is not None:
            baselines: dict[str, float | None] = dict.fromkeys([*trial.lab.baselines, RANDOM_UNIT])
            return [
                Score(n, None, "fraction", column=self.column, baselines=baselines, reason=reason) for n in statistics
            ]
        own, others = trial.moved(explanation, done)
        return [self._score(name, of, own, others, trial) for name, of in statistics.items()]

    def _of_read_part(
        self, trial: AblationTrial, explanation: Explanation, done: Mapping[Planned, np.ndarray]
    ) -> list[Score]:
        """Of a direction, and of the random other one (see `glossator.causal.dormant`)."""
        own, others = trial.moved(explanation, done)
        random = others[RANDOM_UNIT]
        try:
            shares = [self._moved_by_read_part(trial, *both) for both in ((trial.own, own), (trial.other, random))]
        except MissingPower:
            return []
        assert shares[0] is not None
        return [self._score(f"{self.name}.read-part", read_share, shares[0], {RANDOM_UNIT: shares[1]}, trial)]

    def _moved_by_read_part(self, trial: AblationTrial, fitting: Fitting | None, moved: Moved | None) -> Moved | None:
        if fitting is None or moved is None:
            return None
        if (part := trial.read_part(fitting)) is None:
            return replace(moved, spliced=np.zeros_like(moved.ablated))
        in_place, readouts = part
        (nats,) = self._run.of(trial.subject, trial.windows, [in_place], readouts)
        return replace(moved, spliced=nats)

    def _score(
        self,
        name: str,
        statistic: Callable[[Moved], Resampled],
        own: Moved,
        others: Mapping[str, Moved | None],
        trial: AblationTrial,
    ) -> Score:
        lab, baselines = trial.lab, {n: None if moved is None else statistic(moved) for n, moved in others.items()}
        found, values, margins = compare(statistic(own), baselines, level=lab.level)
        how = {**trial.how, "nats": float(own.spliced.mean()), "nats_of_mean_ablation": float(own.ablated.mean())}
        if found.no_interval is not None:
            how["no_interval"] = found.no_interval
        return Score(
            name, found.value, "fraction", found.low, found.high, found.n, self.column, values, found.reason, how,
            margins,
        )  # fmt: skip


def pooled(moved: Moved) -> Resampled:
    """1 - mean divergence with the simulation / mean divergence with the mean, means over all tokens."""
    sums = sums_by(moved.document, moved.documents, moved.spliced, moved.ablated)
    found = ratio(sums[:, 0], sums[:, 1], one_minus=True, bounds=AT_MOST_ALL)
    return replace(found, reason=moved.why_not or found.reason)


def read_share(moved: Moved) -> Resampled:
    """Mean divergence when the read part is at its mean / that when the direction is."""
    sums = sums_by(moved.document, moved.documents, moved.spliced, moved.ablated)
    found = ratio(sums[:, 0], sums[:, 1], bounds=(0.0, math.inf))
    return replace(found, reason=moved.why_not or found.reason)


def per_token(moved: Moved) -> Resampled:
    """The mean over tokens of 1 - divergence with the simulation / divergence with the mean of that token.

    Tokens that mean ablation moves by less than 1 % of what it does on average are left out: their ratio is noise.
    """
    counts = (moved.ablated > 0) & (moved.ablated >= LEAST_SHARE * moved.ablated.mean())
    quotient = np.divide(moved.spliced, moved.ablated, out=np.zeros_like(moved.spliced), where=counts)
    sums = sums_by(moved.document, moved.documents, quotient, counts)
    found = ratio(sums[:, 0], sums[:, 1], one_minus=True, bounds=AT_MOST_ALL)
    return replace(found, reason=moved.why_not or found.reason)
