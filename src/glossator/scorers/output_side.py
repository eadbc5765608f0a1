"""Does steering the unit change the output as the explanation says? All interventions have one divergence.

The unit is steered up and down at every token, each so hard that the next-token distributions move by a set mean
divergence (`glossator.causal.steering`). A token's change is half the difference of both in its log-probability. Raised
tokens should change more than tokens of similar frequency, lowered tokens less. Random units of the site and random
directions of the stream are steered in the same way, at the same divergence, and scored on the same tokens; tokens
named by baseline explanations are scored under this unit's steering.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from glossator.causal.edits import check_outputs
from glossator.errors import MissingPower, UserError
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.readouts.base import Readout
from glossator.scorers import SUBJECT, TOKEN_VALUES, Scorer, WindowsRun
from glossator.scorers.lab import Lab
from glossator.scores import Column, Score
from glossator.specs import check_positive
from glossator.statistics import Resampled, compare, in_words, undefined
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.causal.running import CleanRun

_Made = TypeVar("_Made")
RANDOM_UNIT, RANDOM_DIRECTION = "random-unit", "random-direction"
MEASURES = {"auroc": "AUROC", "gain": "nats"}
MOST_KEPT = 8
"""Pushes of so many units, and controls of so many sites, are held in memory."""
CONTROL_START = 10.0
"""The first strength tried for controls."""


@dataclass(frozen=True, eq=False)
class Steered:
    """The effect of one push, up and down: half the difference of the changes in log-probability.

    sums (documents, V) float32, summed over the valid tokens of each document; strengths and kl: of the push up and the
    push down, in units of the pushed value and in nats; why_not: why there is no such change.
    """

    sums: np.ndarray
    strengths: tuple[float, float]
    kl: tuple[float, float]
    why_not: str | None = None


@dataclass(frozen=True, eq=False)
class Named:
    """The tokens that an explanation names: tokens (t,) of the vocabulary; signs (t,), 1 raised and -1 lowered; others
    (t, k): tokens of like frequency that it does not name."""

    tokens: np.ndarray
    signs: np.ndarray
    others: np.ndarray


@dataclass(frozen=True)
class OutputSideScorer(Scorer):
    """`output-side.auroc` (0.5 by chance) and `output-side.gain` (0 by chance).

    auroc: probability that the change of a named token, turned round for lowered ones, is greater than that of a token
    of like frequency, ties half; gain: mean of the first minus mean of the second, in nats.
    nats: mean KL(steered || clean) that every push is matched to; windows, width: random windows of the split that are
    steered on, and how many tokens of each; controls: how many random units and as many random directions; like: how
    many tokens of like frequency each named token is set beside; readouts: by their `NAME@SITE`, for units of these.
    """

    nats: float = 0.1
    windows: int = 24
    width: int = 16
    controls: int = 6
    like: int = 40
    split: Split = "test"
    readouts: Mapping[str, Readout] = field(default_factory=dict, compare=False)
    name: ClassVar[str] = "output-side"
    column: ClassVar[Column] = "causal"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, SUBJECT})
    measures_outputs: ClassVar[bool] = True
    _kept: dict[tuple, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.nats > 0:
            raise UserError("the steering divergence must be above 0", value=self.nats, allowed="nats, such as 0.1")
        check_positive(self, " of output-side", "windows", "width", "controls", "like")

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        baselines = [*lab.baselines, RANDOM_UNIT, RANDOM_DIRECTION]
        program = explanation.program
        if program is None or not program.output:
            reason: str | None = "the explanation does not say what the unit raises or lowers"
        elif evidence.status != "ok":
            reason = f"insufficient evidence: {evidence.reason}"
        else:
            try:
                bench: _Bench = lab.kept(("output-side", self), (evidence,), lambda: _Bench(self, unit, evidence, lab))
                reason = bench.why_not
            except MissingPower as error:
                reason = str(error)
        if reason is None:
            return bench.scores(explanation)
        return [
            Score(
                f"{self.name}.{m}", None, unit_of, column=self.column, baselines=dict.fromkeys(baselines), reason=reason
            )
            for m, unit_of in MEASURES.items()
        ]

    def windows_run(self, evidence: Evidence, lab: Lab) -> WindowsRun:
        from glossator.causal.steering import first_windows

        trial = lab.trial(evidence, "random-only", self.split)
        steered = first_windows(evidence.split(self.split).of("random").windows, self.windows, self.width).ids
        (places,) = np.nonzero(np.isin(trial.scored.windows.ids[trial.test.rows], steered))
        how = f"the unit was pushed at each of the first {self.width} tokens of these windows, and so were the controls"
        return WindowsRun(trial, places, how)


class _Bench:
    """One unit and the windows it is steered on; its own pushes are run once for all explanations."""

    def __init__(self, scorer: OutputSideScorer, unit: Unit, evidence: Evidence, lab: Lab):
        from glossator.causal.steering import first_windows, random_directions, random_units, unit_push

        self.scorer, self.unit, self.lab = scorer, unit, lab
        self.subject = check_outputs(lab.subject)
        push = unit_push(unit, scorer.readouts)
        self.windows = first_windows(evidence.split(scorer.split).of("random").windows, scorer.windows, scorer.width)
        self.own: Steered | None = None
        self.why_not: str | None = None
        self._run: CleanRun | None = None
        if not self.windows.valid.any():
            self.why_not = f"no random windows in the {scorer.split} split"
            return
        units = random_units(self.subject, unit.site, scorer.controls + 1, lab.seed, scorer.readouts)
        self.of_units, self.of_directions = units, random_directions(self.subject, push.site, scorer.controls, lab.seed)
        self.sites = sorted({one.site for one in (push, *units.values(), *self.of_directions)})
        start = evidence.statistics.maximum if evidence.statistics.maximum > 0 else 1.0
        self.clean, (self.own,), self.counts = self._once((unit, start), lambda: self._steered([push], start))
        self.why_not = self.own.why_not

    def _once(self, key: tuple, make: Callable[[], _Made]) -> _Made:
        """What was made for this key on these very windows, for another explanation or another unit."""
        kept, seen = self.scorer._kept, hashlib.sha256(self.windows.ids.tobytes() + self.windows.tokens.tobytes())
        full_key = (self.subject.name, self.subject.fingerprint, seen.hexdigest(), self.lab.seed, *key)
        found: _Made = kept.pop(full_key) if full_key in kept else make()
        kept[full_key] = found  # what was asked for last is given up last
        while len(kept) > MOST_KEPT:
            kept.pop(next(iter(kept)))
        return found

    def _steered(self, pushes: list[Any], start: float) -> tuple[np.ndarray, list[Steered], np.ndarray]:
        from glossator.causal.running import CleanRun
        from glossator.causal.steering import match_divergence, shift

        if self._run is None:
            self._run = CleanRun(self.subject, self.windows, self.sites)
        both = [way for push in pushes for way in (push, push.reversed)]
        matched = match_divergence(self._run, both, self.scorer.nats, start=start)
        edits = [[way.edit(m.strength, self.windows.valid)] for way, m in zip(both, matched, strict=True)]
        found: list[Steered] = []
        clean, counts = np.zeros(0), np.zeros(0)
        for i in range(len(pushes)):  # one at a time: each holds a number for every document and token
            ways = shift(self._run, edits[2 * i : 2 * i + 2])
            clean, counts = ways.clean, ways.counts
            up, down = matched[2 * i : 2 * i + 2]
            nothing = up.moves_nothing and down.moves_nothing
            change = np.zeros_like(ways.sums[0]) if nothing else (ways.sums[0] - ways.sums[1]) / 2
            why_not = None if nothing else up.why_not or down.why_not
            found.append(Steered(change, (up.strength, down.strength), (up.kl, down.kl), why_not))
        return clean, found, counts

    def _controls(self) -> tuple[dict[str, list[Steered]], int]:
        """Random units and directions of the site on the same windows, which other units of the site may share."""
        pushes = [*self.of_units.values(), *self.of_directions]
        # Searched from a strength that does not depend on the unit at hand: others will be given these controls.
        _, found, _ = self._once((self.unit.site,), lambda: self._steered(pushes, CONTROL_START))
        of_units, of_directions = found[: len(self.of_units)], found[len(self.of_units) :]
        by_index = zip(self.of_units, of_units, strict=True)
        others = [steered for index, steered in by_index if index != self.unit.index][: self.scorer.controls]
        made = {RANDOM_UNIT: others, RANDOM_DIRECTION: of_directions}
        usable = {name: [s for s in steered if s.why_not is None] for name, steered in made.items()}
        return usable, sum(map(len, made.values())) - sum(map(len, usable.values()))

    def scores(self, explanation: Explanation) -> list[Score]:
        named, own, lab = self._named(explanation), self.own, self.lab
        nothing = "no token that the explanation names is in the vocabulary, besides tokens of like frequency"
        controls, unmatched = self._controls()
        assert own is not None
        found = []
        for measure, unit_of in MEASURES.items():
            baselines: dict[str, Resampled | None] = {}
            for name, baseline in lab.baselines.items():
                theirs = self._named(baseline)
                baselines[name] = None if theirs is None else self._statistic([own], theirs, measure)
            for name, steered in controls.items():
                baselines[name] = None if named is None or not steered else self._statistic(steered, named, measure)
            statistic = Resampled(len(self.counts), undefined, nothing)
            if named is not None:
                statistic = self._statistic([own], named, measure)
            value, values, margins = compare(statistic, baselines, level=lab.level)
            how = {**self._how, "controls_not_matched": unmatched}
            if named is not None:
                alone = [self._statistic([s], named, measure).value or 0.0 for of in controls.values() for s in of]
                below = [value.value is not None and control < value.value for control in alone]
                how |= {
                    "tokens_named": {"raises": int((named.signs > 0).sum()), "lowers": int((named.signs < 0).sum())},
                    "controls_below": f"{sum(below)} of {len(below)}",
                    "greatest_control": max(alone, default=None),
                }
            if value.no_interval is not None:
                how["no_interval"] = value.no_interval
            name, column = f"{self.scorer.name}.{measure}", self.scorer.column
            found.append(
                Score(
                    name, value.value, unit_of, value.low, value.high, value.n, column, values, value.reason, how,
                    margins,
                )
            )  # fmt: skip
        return found

    @property
    def _how(self) -> dict[str, Any]:
        scorer, own, lab = self.scorer, self.own, self.lab
        assert own is not None
        return {
            "split": scorer.split,
            "windows": {"random": len(self.windows)},
            "tokens": int(self.windows.valid.sum()),
            "positions": "pushed and measured at every valid position",
            "nats": scorer.nats,
            "nats_reached": {"up": own.kl[0], "down": own.kl[1]},
            "strength": {"up": own.strengths[0], "down": own.strengths[1]},
            "like": scorer.like,
            "controls": scorer.controls,
            "interval": in_words(lab.level),
            "seed": lab.seed,
        }

    def _named(self, explanation: Explanation) -> Named | None:
        """None where the explanation names no token, or leaves none to compare with."""
        from glossator.causal.output_effects import countable

        program = explanation.program
        if program is None or not program.output:
            return None
        usable = countable(self.windows.vocabulary) & np.isfinite(self.clean)
        size = len(usable)
        lexicon = self.lab.required_lexicon
        rows = np.arange(size)
        if lexicon.vocabulary.fingerprint != self.windows.vocabulary.fingerprint:
            ids = lexicon.vocabulary.ids
            rows = np.array([ids.get(text, len(lexicon)) for text in self.windows.vocabulary.texts])
        truths = {side: lexicon.truths(test)[rows] >= 0.5 for side, test in program.output.items()}
        none = np.zeros(size, bool)
        raised, lowered = truths.get("raises", none) & usable, truths.get("lowers", none) & usable
        raised, lowered = raised & ~lowered, lowered & ~raised
        tokens = np.flatnonzero(raised | lowered)
        rest = np.flatnonzero(usable & ~(raised | lowered))
        if not len(tokens) or len(rest) < 2:
            return None
        rest = rest[np.argsort(self.clean[rest], kind="stable")]
        k = min(self.scorer.like, len(rest))
        first = np.searchsorted(self.clean[rest], self.clean[tokens]) - k // 2
        near = np.clip(first, 0, len(rest) - k)[:, None] + np.arange(k)
        return Named(tokens, np.where(raised[tokens], 1, -1), rest[near])

    def _statistic(self, steered: list[Steered], named: Named, measure: str) -> Resampled:
        """The mean over these pushes of a measure, as a function of document weights."""
        columns, places = np.unique(np.concatenate([named.tokens[:, None], named.others], axis=1), return_inverse=True)
        places = places.reshape(len(named.tokens), -1)
        changes = [s.sums[:, columns].astype(np.float64) for s in steered]

        def under(weights: np.ndarray) -> np.ndarray:
            found = np.zeros(len(weights))
            for one in changes:
                mean = (weights @ one) / (weights @ self.counts)[:, None]
                signed = mean[:, places] * named.signs[:, None]
                own, others = signed[..., :1], signed[..., 1:]
                if measure == "auroc":
                    found += ((own > others) + 0.5 * (own == others)).mean(axis=(1, 2))
                else:
                    found += (own - others).mean(axis=(1, 2))
            return found / len(changes)

        return Resampled(len(self.counts), under, in_steps=measure == "auroc")
