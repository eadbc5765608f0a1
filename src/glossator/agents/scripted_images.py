"""The scripted experimenter for images: no language model, and every claim tested on images drawn for the test.

1. Of the strongest exemplar that is not yet accounted for, leave out one concept after the other, the least telling
   first, as long as the unit stays active: what remains is needed. Is it enough alone, in a new scene? (`ways`)
2. Does it matter how two things stand to each other? Arrange them otherwise, and see which relation the unit follows.
3. Put others in the place of what is needed (another mammal for a dog): a class if they work, else a near miss.
4. Look for what silences or weakens the unit: many concepts at once, then those of a weak image alone (`screening`).
5. Register what was found, and a negative control, and test all on new scenes beside matched ones. Where what is needed
   fails in some of them, look for the reason there, and test what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glossator.agents.answers import Conclusion
from glossator.agents.budget import Spent
from glossator.agents.makers import APART
from glossator.agents.screening import Screening
from glossator.agents.settling import is_confirmed, settle
from glossator.agents.tools import Tools
from glossator.agents.ways import Trials, Way

EXEMPLARS, ORDINARY, WAYS, ATTEMPTS = 32, 60, 3, 5
"""Images looked at first, at most; ways looked for, and images that they are looked for in."""
PAIRS, CONTROL_PAIRS, TEST, CONTROL_TEST = 12, 8, 16, 8
"""Pairs of a test at most, and images that the test of a claim or a control takes if all goes as predicted."""

Claim = tuple[str, Way, str | None]
"""A hypothesis, the way it is about, and what is said to silence or weaken it, None for the way itself."""


def scripted_images(tools: Tools, conclusion: Conclusion) -> None:
    _Experimenter(tools, conclusion).run()


class _Experimenter:
    def __init__(self, tools: Tools, conclusion: Conclusion):
        self.tools, self.conclusion, self.studio = tools, conclusion, tools.studio
        self.rng = np.random.default_rng([tools.seed, 7])
        self.ways: list[Way] = []
        self.drawn: dict[str, list[str]] = {}
        self._with: list[str] = []

    def run(self) -> None:
        tools, budget = self.tools, self.tools.meter.budget.inputs
        exemplars = tools.dataset_exemplars(max(3, min(EXEMPLARS, budget // 9)))
        ordinary = tools.ordinary_inputs(max(3, min(ORDINARY, budget // 5)))
        seen = [(one["id"], one["value"], frozenset(tools.items.contents(one["id"])))
                for one in [*exemplars, *ordinary] if one["value"] is not None]  # fmt: skip
        self.trials = Trials(tools, seen, self.rng)
        self.screening = Screening(self.trials)
        active = [one for one in seen if self.trials.is_active(one[1])]
        if not active:
            self.conclusion.reason = "no exemplar is above the unit's level"
            return
        active = [one for one in active if any(concept in self.studio.vocabulary for concept in one[2])]
        if not active:
            self.conclusion.reason = "nothing is known of what the strongest images show"
            return
        try:
            self._find(active)
            for way in self.ways:
                self._suppressors(way)
        except Spent as limit:
            self.conclusion.limits.append(f"exploring stopped early: {limit}")
        self._test()

    def _room(self, more: int = 0) -> int:
        """How many images are left beside those that the tests of what was found will take."""
        claims = sum(1 + len(way.absent) + len(way.weaker) for way in self.ways) + more
        return self.tools.meter.left - TEST * claims - CONTROL_TEST

    # What activates the unit.

    def _find(self, active: list[tuple[str, float, frozenset[str]]]) -> None:
        attempts = 0
        for name, value, contents in active:
            if len(self.ways) >= WAYS or attempts >= ATTEMPTS or self._room(1) <= len(contents) + 6:
                break
            if any(self.trials.matches(way, contents) for way in self.ways):
                continue
            attempts += 1
            needed = self.trials.reduced(name, value, contents)
            way = self.trials.confirmed_alone(needed) if needed else None
            if way is None:
                said = self.studio.said({"all": needed})
                self.conclusion.limits.append(
                    f"{said}: needed in one of the strongest images, but not enough alone in new ones"
                )
                continue
            self.trials.widen(way)
            if not any(set(other.present) <= set(way.present) for other in self.ways):
                self.ways = [other for other in self.ways if not set(way.present) < set(other.present)] + [way]

    # What silences it.

    def _suppressors(self, way: Way) -> None:
        shares = self._room() // max(1, len(self.ways))
        for concept, share in self.screening.run(way, shares if way is not self.ways[0] else self._room()):
            if self._room(1) < 0:
                return
            if share < 0.25:
                way.absent.append(concept)
            else:
                way.weaker[concept] = share

    # Tests.

    def _test(self) -> None:
        claims = [claim for way in self.ways for claim in self._register(way)]
        claims.sort(key=lambda claim: claim[2] is not None)  # what activates comes first, while there is budget
        control, near = self._control()
        try:
            if control is not None:
                settle(self.tools, control, self._pairs(near), self._make, CONTROL_PAIRS // 2)
            for claim in claims:
                self._settle(claim)
            if control is not None:
                settle(self.tools, control, self._pairs(near), self._make, CONTROL_PAIRS // 2)
            claims += self._revised(claims)
        except Spent as limit:
            self.conclusion.limits.append(f"testing stopped early: {limit}")
        self._conclude(claims)

    def _settle(self, claim: Claim) -> None:
        name, way, suppressor = claim
        settle(self.tools, name, self._pairs(way, suppressor), self._make, PAIRS)
        self.drawn.setdefault(name, []).extend(self._with)
        self._with = []

    def _register(self, way: Way) -> list[Claim]:
        found: list[Claim] = [(self._activates(Way(way.present, way.relation)), way, None)]
        return found + [self._against(way, concept) for concept in (*way.absent, *way.weaker)]

    def _activates(self, way: Way) -> str:
        said = f"images of {self.studio.said({'all': way.concepts, 'none': way.absent})}"
        return self.tools.register_hypothesis(said, "activates", self.studio.program([way.rule]))

    def _against(self, way: Way, concept: str) -> Claim:
        both = self.studio.said({"all": [*way.concepts, concept]})
        if concept in way.absent:
            return self.tools.register_hypothesis(f"no response to {both}", "suppresses"), way, concept
        return self.tools.register_hypothesis(f"a weaker response to {both}", "weakens"), way, concept

    def _revised(self, claims: list[Claim]) -> list[Claim]:
        """Where a way fails in some new scenes, what is it in them? New claims about it, tested on new scenes."""
        new: list[Claim] = []
        for name, way, suppressor in claims:
            if suppressor is not None or is_confirmed(self.tools, name) or not self.tools.ledger.evidence(name)[0]:
                continue
            if self._room(2) < 0:
                return new
            for concept, share in self.screening.blamed(way, self.drawn[name]):
                way.absent += [concept] if share < 0.25 else []
                way.weaker |= {concept: share} if share >= 0.25 else {}
            if way.absent or way.weaker:
                new += [(self._activates(way), way, None)]
                known = {concept for _, other, concept in [*claims, *new] if other is way}
                new += [self._against(way, c) for c in (*way.absent, *way.weaker) if c not in known]
        for claim in new:
            self._settle(claim)
        return new

    def _control(self) -> tuple[str | None, Way]:
        """A near miss, or else another thing, that is expected to leave the unit as it is."""
        near = [c for way in self.ways for c in way.near]
        used = {d for way in self.ways for c in way.present for d in self.trials.members(c)}
        others = [c for c in self.studio.vocabulary if c not in used]
        if not near and not others:
            return None, Way(())
        chosen = near[0] if near else str(self.rng.choice(others))
        said = self.studio.said({"all": [chosen]})
        return self.tools.register_hypothesis(f"images of {said}", control=True), Way((chosen,))

    def _pairs(self, way: Way, suppressor: str | None = None) -> Iterator[tuple[str, str]]:
        """Prompts of new scenes: with it, and the same without (one of) it."""
        trials = self.trials
        named = {c for other in [*self.ways, way] for c in (*other.present, *other.absent, *other.weaker)}
        used = {d for c in named for d in trials.members(c)}
        taken = {self.studio.slot(c) for c in (*way.present, suppressor or "")} - {""}
        others = [c for c in self.studio.vocabulary if c not in used and self.studio.slot(c) not in taken]
        turn = 0
        while True:
            beside = [str(c) for c in self.rng.permutation(others)[: int(self.rng.integers(1, 3))]] if others else []
            instance = trials.instance(way)
            whole = self.studio.prompt([*instance, *beside], way.relation)
            if suppressor is not None:
                with_it = [*instance, str(self.rng.choice(trials.members(suppressor))), *beside]
                yield self.studio.prompt(with_it, way.relation), whole
            elif way.relation is not None and turn % 2:
                yield whole, self.studio.prompt([*instance, *beside], APART)
            else:
                left = [c for place, c in enumerate(instance) if place != turn % len(instance)]
                yield whole, self.studio.prompt([*left, *beside])
            turn += 1

    def _make(self, block: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
        made = self.tools.text2image([prompt for pair in block for prompt in pair])
        pairs = list(zip(made[::2], made[1::2], strict=True))
        fine = [(a["id"], b["id"]) for a, b in pairs if not a["missing"] and not b["missing"]]
        if len(fine) < len(pairs):
            self.conclusion.limits.append(f"{len(pairs) - len(fine)} scenes lacked what was asked and were left out")
        self._with += [a for a, _ in fine]
        return [a for a, _ in fine], [b for _, b in fine]

    def _conclude(self, claims: list[Claim]) -> None:
        rules = []
        for way in self.ways:
            own = {concept for name, other, concept in claims if other is way and is_confirmed(self.tools, name)}
            if None in own:
                sure = Way(way.present, way.relation, [c for c in way.absent if c in own],
                           {c: share for c, share in way.weaker.items() if c in own})  # fmt: skip
                rules.append(sure)
        if not rules:
            self.conclusion.reason = self.conclusion.reason or "no hypothesis was confirmed on new images"
            return
        self.conclusion.rule = [way.rule for way in rules]
        self.conclusion.headline = " or ".join(map(self.studio.said, self.conclusion.rule))
        self.conclusion.program = self.studio.program(self.conclusion.rule)
        tried = len(self.studio.vocabulary)
        self.conclusion.limits.append(f"tested on drawn scenes of {tried} concepts; other images were not tried")
