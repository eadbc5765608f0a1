"""The scripted experimenter for images: no language model, and every claim tested on images drawn for the test.

1. Of the strongest exemplar that is not yet accounted for, leave out one concept after the other, the least telling
   first, as long as the unit stays active: what remains is needed, and together suffices (one alternative of the rule).
2. Put siblings in the place of what is needed (another mammal for a dog): a class if they work, else a near miss.
3. Look for what suppresses: concepts of inactive images that have what is needed, then other common ones, added alone.
4. Register what was found, and negative controls, and test all on new scenes beside matched ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glossator.agents.answers import Conclusion
from glossator.agents.budget import Spent
from glossator.agents.settling import is_confirmed, settle
from glossator.agents.tools import Tools

EXEMPLARS, ORDINARY, ALTERNATIVES, SIBLINGS, SUPPRESSORS, PAIRS, CONTROL_PAIRS = 12, 24, 3, 3, 12, 12, 8
TEST, CONTROL_TEST = 18, 8
"""How many images the test of a hypothesis takes if all goes as predicted, and the least test of a control."""


@dataclass
class Alternative:
    """One way to activate the unit. present: all of them; absent: none of these; controls: near misses that fail."""

    present: tuple[str, ...]
    absent: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        said = " with ".join(self.present)
        return said if not self.absent else f"{said} without {' or '.join(self.absent)}"


def scripted_images(tools: Tools, conclusion: Conclusion) -> None:
    _Experimenter(tools, conclusion).run()


class _Experimenter:
    def __init__(self, tools: Tools, conclusion: Conclusion):
        self.tools, self.conclusion, self.studio = tools, conclusion, tools.studio
        self.rng = np.random.default_rng([tools.seed, 7])
        self.found: list[Alternative] = []
        self.level = tools.ledger.level
        self.silent = tools.ledger.silent

    def run(self) -> None:
        tools, budget = self.tools, self.tools.meter.budget.inputs
        exemplars = tools.dataset_exemplars(max(3, min(EXEMPLARS, budget // 8)))
        ordinary = tools.ordinary_inputs(max(3, min(ORDINARY, budget // 6)))
        self.seen = [(one["id"], one["value"], frozenset(tools.items.contents(one["id"])))
                     for one in [*exemplars, *ordinary] if one["value"] is not None]  # fmt: skip
        self.lift = self._lifts()
        active = [one for one in self.seen[: len(exemplars)] if self._is_active(one[1])]
        if not active:
            self.conclusion.reason = "no exemplar is above the unit's level"
            return
        try:
            for name, value, contents in active:
                if len(self.found) >= ALTERNATIVES or self._room(1) <= len(contents) + SIBLINGS:
                    break
                if not any(self._matches(one, contents) for one in self.found):
                    self._explain(name, value, contents)
            self._merge()
            for one in self.found:
                self._suppressors(one)
        except Spent as limit:
            self.conclusion.limits.append(f"exploring stopped early: {limit}")
        self._test()

    def _room(self, more: int = 0) -> int:
        """How many images are left beside those that the tests of what was found will take."""
        claims = sum(1 + len(one.absent) for one in self.found) + more
        return self.tools.meter.left - TEST * claims - CONTROL_TEST

    def _is_active(self, value: float | None) -> bool:
        return value is not None and value >= self.level

    def _holds(self, value: float | None, before: float) -> bool:
        """Whether most of the response is still there."""
        return value is not None and value >= self.level and value - self.silent >= (before - self.silent) / 2

    def _lifts(self) -> dict[str, float]:
        """How much larger the response is where a concept is, over what was seen."""
        values = np.array([value for _, value, _ in self.seen])
        lifts = {}
        for concept in sorted({c for _, _, contents in self.seen for c in contents}):
            with_it = np.array([concept in contents for _, _, contents in self.seen])
            without = values[~with_it].mean() if (~with_it).any() else values.min()
            lifts[concept] = float(values[with_it].mean() - without)
        return lifts

    def _parents(self, concept: str) -> tuple[str, ...]:
        return tuple(self.studio.broader(concept))

    def _matches(self, one: Alternative, contents: frozenset[str]) -> bool:
        return all(c in contents or any(c in self._parents(d) for d in contents) for c in one.present) and not any(
            c in contents for c in one.absent
        )

    def _draw(self, sets: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Draw scenes that hold these concepts, and run the unit."""
        made = self.tools.text2image([self.studio.prompt(concepts) for concepts in sets])
        return self.tools.call_unit([one["id"] for one in made])

    def _explain(self, name: str, value: float, contents: frozenset[str]) -> None:
        # What another concept implies (animal, where there is a dog) goes with it; what cannot be drawn is left out.
        here = [c for c in contents if c in self.studio.vocabulary]
        kept = sorted(here, key=lambda c: (-self.lift.get(c, 0.0), c))
        for concept in sorted(here, key=lambda c: (self.lift.get(c, 0.0), c)):
            if len(kept) == 1:
                break
            pair = self.tools.edit_images([name], [self.studio.removal(concept, self.tools.items.item(name))])[0]
            if not pair["missing"] and self._holds(pair["after"], value):
                name = pair["edited"]
                kept.remove(concept)
        if not kept:
            return
        alone = self._draw([kept])[0]
        if not self._holds(alone["value"], value) and not self._is_active(alone["value"]):
            self.conclusion.limits.append(f"{' with '.join(kept)}: needed in an exemplar, but not enough alone")
        one = Alternative(tuple(self._widened(kept, value)))
        if one.present not in [other.present for other in self.found]:
            one.controls = self._near
            self.found.append(one)

    def _widened(self, kept: list[str], value: float) -> list[str]:
        """Classes in the place of concepts where their other members work as well."""
        self._near: list[str] = []
        present = list(kept)
        for place, concept in enumerate(kept):
            for parent in self._parents(concept):
                siblings = [c for c in self.studio.vocabulary if c not in kept and parent in self._parents(c)]
                if not siblings:
                    continue
                chosen = [str(c) for c in self.rng.permutation(siblings)[:SIBLINGS]]
                told = self._draw([[*kept[:place], c, *kept[place + 1 :]] for c in chosen])
                works = [self._is_active(one["value"]) for one in told]
                self._near += [c for c, fine in zip(chosen, works, strict=True) if not fine]
                if not all(works):
                    break
                present[place] = parent
        return present

    def _members(self, concept: str) -> list[str]:
        """What can be drawn for a concept: itself, or the members of a class."""
        if concept in self.studio.vocabulary:
            return [concept]
        return [c for c in self.studio.vocabulary if concept in self._parents(c)]

    def _instance(self, one: Alternative) -> list[str]:
        return [str(self.rng.choice(self._members(c))) for c in one.present]

    def _suppressors(self, one: Alternative) -> None:
        own = {d for c in one.present for d in self._members(c)}
        silent = [contents for _, value, contents in self.seen
                  if self._matches(one, contents) and not self._is_active(value)]  # fmt: skip
        loud = [contents for _, value, contents in self.seen
                if self._matches(one, contents) and self._is_active(value)]  # fmt: skip
        suspects = Counter(c for contents in silent for c in contents)
        innocent = {c for contents in loud for c in contents}
        ranked = [c for c, _ in sorted(suspects.items(), key=lambda entry: (-entry[1], entry[0])) if c not in innocent]
        ranked += [c for c in self.studio.vocabulary if c not in innocent and c not in ranked]
        ranked = [c for c in ranked if c in self.studio.vocabulary and c not in own]
        ranked = ranked[: max(0, min(SUPPRESSORS, self._room() - 2))]
        if not ranked:
            return
        plain = self._draw([self._instance(one)])[0]
        if not self._is_active(plain["value"]):
            return
        picture = self.tools.items.item(plain["id"])
        pairs = self.tools.edit_images([plain["id"]] * len(ranked), [self.studio.addition(c, picture) for c in ranked])
        for concept, pair in zip(ranked, pairs, strict=True):
            if not pair["missing"] and not self._holds(pair["after"], plain["value"]):
                one.absent.append(concept)
        one.absent = one.absent[:2]

    def _merge(self) -> None:
        """Drop alternatives that another one covers."""
        kept: list[Alternative] = []
        for one in self.found:
            if not any(set(other.present) <= set(one.present) for other in kept):
                kept = [other for other in kept if not set(one.present) < set(other.present)]
                kept.append(one)
        self.found = kept

    def _test(self) -> None:
        tools = self.tools
        names: list[tuple[str, Alternative, str | None]] = []
        for one in self.found:
            program = self.studio.program([{"all": list(one.present), "none": []}])
            names.append((tools.register_hypothesis(f"images of {' with '.join(one.present)}", "activates", program),
                          one, None))  # fmt: skip
            for concept in one.absent:
                said = f"{concept} beside {' with '.join(one.present)}"
                names.append((tools.register_hypothesis(said, "suppresses"), one, concept))
        control, near = self._control()
        try:
            if control is not None:
                settle(tools, control, self._pairs(near, None), self._make, CONTROL_PAIRS // 2)
            for name, one, absent in names:
                settle(tools, name, self._pairs(one, absent), self._make, PAIRS)
            if control is not None:
                settle(tools, control, self._pairs(near, None), self._make, CONTROL_PAIRS // 2)
        except Spent as limit:
            self.conclusion.limits.append(f"testing stopped early: {limit}")
        self._conclude(names)

    def _control(self) -> tuple[str | None, Alternative]:
        """A near miss, or else another thing, that is expected to leave the unit as it is."""
        near = [c for one in self.found for c in one.controls]
        used = {d for one in self.found for c in one.present for d in self._members(c)}
        others = [c for c in self.studio.vocabulary if c not in used]
        if not near and not others:
            return None, Alternative(())
        chosen = near[0] if near else str(self.rng.choice(others))
        return self.tools.register_hypothesis(f"images of {chosen}", control=True), Alternative((chosen,))

    def _pairs(self, one: Alternative, absent: str | None) -> Iterator[tuple[str, str]]:
        """Prompts of new scenes: with it, and the same without (one of) it."""
        used = {d for other in [*self.found, one] for c in [*other.present, *other.absent] for d in self._members(c)}
        others = [c for c in self.studio.vocabulary if c not in used]
        turn = 0
        while True:
            beside = [str(c) for c in self.rng.permutation(others)[: int(self.rng.integers(1, 3))]] if others else []
            instance = self._instance(one)
            if absent is None:
                left = [c for place, c in enumerate(instance) if place != turn % len(instance)]
                yield self.studio.prompt([*instance, *beside]), self.studio.prompt([*left, *beside])
            else:
                yield self.studio.prompt([*instance, absent, *beside]), self.studio.prompt([*instance, *beside])
            turn += 1

    def _make(self, block: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
        made = self.tools.text2image([prompt for pair in block for prompt in pair])
        pairs = list(zip(made[::2], made[1::2], strict=True))
        fine = [(a["id"], b["id"]) for a, b in pairs if not a["missing"] and not b["missing"]]
        if len(fine) < len(pairs):
            self.conclusion.limits.append(f"{len(pairs) - len(fine)} scenes lacked what was asked and were left out")
        return [a for a, _ in fine], [b for _, b in fine]

    def _conclude(self, names: list[tuple[str, Alternative, str | None]]) -> None:
        rule = []
        for one in self.found:
            own = {absent: is_confirmed(self.tools, name) for name, other, absent in names if other is one}
            if own.get(None):
                rule.append({"all": list(one.present), "none": [c for c in one.absent if own.get(c)]})
        if not rule:
            self.conclusion.reason = self.conclusion.reason or "no hypothesis was confirmed on new images"
            return
        self.conclusion.headline = " or ".join(Alternative(tuple(r["all"]), r["none"]).text for r in rule)
        self.conclusion.rule, self.conclusion.program = rule, self.studio.program(rule)
        tried = len(self.studio.vocabulary)
        self.conclusion.limits.append(f"tested on drawn scenes of {tried} concepts; other images were not tried")
