"""Does the unit carry the concept of its explanation? Interchange interventions on minimal pairs.

The concept is the built-in one whose minimal pairs the explanation distinguishes best: the share of pairs for which it
predicts different activations for the two sentences. On these pairs the unit's values are carried over from source to
base, and the answer should follow (`glossator.causal.interchange`). Random units of the site and random directions at
it are interchanged in the same way; the whole site is the ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from glossator.causal.edits import check_outputs
from glossator.errors import MissingPower, UserError
from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.readouts.base import Readout
from glossator.scorers import SUBJECT, Scorer
from glossator.scorers.lab import Lab
from glossator.scores import Column, Score, quoted
from glossator.simulators.program import ProgramSimulator
from glossator.specs import check_positive
from glossator.statistics import Resampled, compare, evenly, in_words
from glossator.subjects.base import known_width
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.causal.interchange import Interchanged
    from glossator.causal.minimal_pairs import Pairs
    from glossator.subjects.transformer import TransformerSubject

RANDOM_UNIT, RANDOM_DIRECTION = "random-unit", "random-direction"
MEASURES = ("effect", "accuracy")
TOLD_APART = 0.25
"""An explanation is about a concept when it predicts something else for both sentences of this share of its pairs."""
LEAST_CHANGE = 0.05
"""Predictions differ when some token's does by this share of the greatest prediction on all pairs."""


_Found: TypeAlias = "tuple[Interchanged, dict[str, list[Interchanged]], Interchanged, dict[str, float]]"

SHOWN = 6
"""Pairs that a score names, spread over those that were run."""


@dataclass(frozen=True)
class InterchangeScorer(Scorer):
    """`interchange.effect`: share of the way from base to source answer; `interchange.accuracy`: share of pairs whose
    answer becomes the source's.

    concept: a concept of the package, None for the one that the explanation is about; pairs: at most so many; controls:
    how many random units and as many random directions; readouts: by their `NAME@SITE`.
    """

    concept: str | None = None
    pairs: int = 60
    controls: int = 6
    readouts: Mapping[str, Readout] = field(default_factory=dict, compare=False)
    name: ClassVar[str] = "interchange"
    column: ClassVar[Column] = "causal"
    needs: ClassVar[frozenset[str]] = frozenset({SUBJECT})
    measures_outputs: ClassVar[bool] = True
    _kept: dict[tuple, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        from glossator.causal.minimal_pairs import concept_named

        if self.concept is not None:
            concept_named(self.concept)
        check_positive(self, " of interchange", "pairs", "controls")

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        found = self._found(unit, explanation, evidence, lab)
        if not isinstance(found, str):
            return [self._score(m, *found, lab) for m in MEASURES]
        baselines: dict[str, float | None] = dict.fromkeys((RANDOM_UNIT, RANDOM_DIRECTION))
        return [
            Score(f"{self.name}.{m}", None, "fraction", column=self.column, baselines=baselines, reason=found)
            for m in MEASURES
        ]

    def _found(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> _Found | str:
        """What was carried over on the concept's pairs, or why nothing was."""
        try:
            subject = check_outputs(lab.subject)
            concept, told = self._concept(explanation, subject, lab)
            if concept is None and not told:
                return "no minimal pair differs in one token of this subject's tokenizer"
            if concept is None:
                closest = ", ".join(f"{name} {share:.2f}" for name, share in told.items())
                return f"the explanation tells hardly any minimal pair apart (share of each concept's: {closest})"
            return (*self._carried(unit, subject, concept, lab), told)
        except UserError as error:
            return str(error)

    def _score(
        self, measure: str, own: Interchanged, controls: Mapping[str, list[Interchanged]], ceiling: Interchanged,
        told: Mapping[str, float], lab: Lab,
    ) -> Score:  # fmt: skip
        def of(one: Interchanged) -> Resampled:
            return one.effect() if measure == "effect" else one.accuracy()

        baselines = {name: mean_of([of(one) for one in several]) for name, several in controls.items()}
        found, values, margins = compare(of(own), baselines, level=lab.level)
        alone = [value for several in controls.values() for one in several if (value := of(one).value) is not None]
        below = sum(found.value is not None and value < found.value for value in alone)
        how = {
            "concept": own.pairs.concept,
            "told_apart": dict(told),
            "pairs": {"run": len(own.pairs), "answered_rightly": int(own.known.sum())},
            "whole_site": of(ceiling).value,
            "controls_below": f"{below} of {len(alone)}",
            "greatest_control": max(alone, default=None),
            "shown": _shown(own),
            "interval": in_words(lab.level, "pairs of words"),
            "seed": lab.seed,
        }
        if found.no_interval is not None:
            how["no_interval"] = found.no_interval
        return Score(
            f"{self.name}.{measure}", found.value, "fraction", found.low, found.high, found.n, self.column, values,
            found.reason, how, margins,
        )  # fmt: skip

    def _carried(
        self, unit: Unit, subject: TransformerSubject, concept: str, lab: Lab
    ) -> tuple[Interchanged, dict[str, list[Interchanged]], Interchanged]:
        """The unit, the controls and the whole site, each carried over alone. Controls and site are the same for all
        units of a site, and are run once for them."""
        from glossator.causal.acting import part_of
        from glossator.causal.interchange import interchange
        from glossator.causal.steering import random_units
        from glossator.readouts.parts import Direction, Whole

        pairs = self._pairs(subject, concept, lab)
        site, part = part_of(unit, self.readouts)
        key = (subject.name, subject.fingerprint, concept, lab.seed, unit.site)
        if key not in self._kept:
            units = random_units(subject, unit.site, self.controls + 1, lab.seed, self.readouts)
            width = known_width(subject.site(site))
            vectors = np.random.default_rng([lab.seed, width, 2]).normal(size=(self.controls, width))
            parts = [Whole(), *(push.part for push in units.values()), *map(Direction, vectors)]
            self._kept[key] = list(units), interchange(subject, pairs, site, parts)
        indices, (ceiling, *several) = self._kept[key]
        of_units, of_directions = several[: len(indices)], several[len(indices) :]
        others = [one for index, one in zip(indices, of_units, strict=True) if index != unit.index][: self.controls]
        if (*key, unit.index) not in self._kept:
            (self._kept[*key, unit.index],) = interchange(subject, pairs, site, [part])
        return self._kept[*key, unit.index], {RANDOM_UNIT: others, RANDOM_DIRECTION: of_directions}, ceiling

    def _pairs(self, subject: TransformerSubject, concept: str, lab: Lab) -> Pairs:
        from glossator.causal.minimal_pairs import minimal_pairs

        key = (subject.name, subject.fingerprint, concept, lab.seed)
        if key not in self._kept:
            self._kept[key] = minimal_pairs(subject, concept, self.pairs, lab.seed)
        return self._kept[key]

    def _concept(
        self, explanation: Explanation, subject: TransformerSubject, lab: Lab
    ) -> tuple[str | None, dict[str, float]]:
        """The concept to test on, and the share of pairs of each concept that the explanation tells apart."""
        from glossator.causal.minimal_pairs import CONCEPTS

        if self.concept is not None:
            return self.concept, {}
        if explanation.program is None and lab.simulator is None:
            raise MissingPower(
                "finding the concept of an explanation in words needs a simulator", value=explanation.text,
                fix="Name a simulator, or the concept",
            )  # fmt: skip
        simulator = ProgramSimulator(lab.lexicon) if explanation.program is not None else lab.simulator
        told: dict[str, float] = {}
        for concept in CONCEPTS:
            try:
                pairs = self._pairs(subject, concept, lab)
            except UserError:
                continue  # its words do not fit this tokenizer
            told[concept] = told_apart(simulator, explanation, pairs)
        best = max(told, key=lambda c: told[c], default=None)
        return (best if best is not None and told[best] >= TOLD_APART else None), told


def told_apart(simulator: Any, explanation: Explanation, pairs: Pairs) -> float:
    """Share of the pairs for which the explanation predicts different activations of base and source."""
    base, source = (simulator.simulate(explanation, w).expected for w in (pairs.base, pairs.source))
    greatest = float(max(np.nanmax(base, initial=0.0), np.nanmax(source, initial=0.0)))
    if greatest <= 0:
        return 0.0
    differs = np.nan_to_num(np.abs(base - source)) > LEAST_CHANGE * greatest
    return float((differs & pairs.base.valid).any(axis=1).mean())


def mean_of(statistics: list[Resampled]) -> Resampled | None:
    """The mean of several statistics over the same documents; None where there is none."""
    if not statistics:
        return None
    reason = next((s.reason for s in statistics if s.reason is not None), None)
    return Resampled(
        statistics[0].documents, lambda weights: np.mean([s.under(weights) for s in statistics], axis=0), reason
    )


def _shown(own: Interchanged) -> list[str]:
    """Some pairs as text, base and source, and whether the answer became the source's."""
    pairs, found = own.pairs, []
    for row in evenly(len(pairs), SHOWN).tolist():
        outcome = ("changed" if own.patched[row] > 0 else "kept") if own.known[row] else "not answered rightly"
        found.append(f"{quoted(pairs.base.text(row))} given {quoted(pairs.source.text(row))}: {outcome}")
    return found
