"""Ways to activate a unit of images, and the trials that find and widen one: removals, arrangements, others in the
place of what is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glossator.agents.makers import APART
from glossator.agents.tools import Tools

SIBLINGS, ALONE = 3, 2
"""Others tried in the place of a concept, and scenes in which what is needed is tried alone."""
RISEN = 0.25
"""Of the way from silence to the strongest exemplars, from where on the unit is taken to be active."""
ROUNDS, AGREES = 3, 0.85
"""Times that things are arranged in every way, while several relations say the same; and the share of arrangements that
a relation must account for."""


@dataclass
class Way:
    """One way to activate the unit. present: all of these; relation: how the first two stand to each other; absent:
    none of these; weaker: what leaves a share of the response; near: near misses that failed."""

    present: tuple[str, ...]
    relation: str | None = None
    absent: list[str] = field(default_factory=list)
    weaker: dict[str, float] = field(default_factory=dict)
    near: list[str] = field(default_factory=list)

    @property
    def concepts(self) -> list[str]:
        """What is present, a relation as one concept."""
        if self.relation is None:
            return list(self.present)
        return [f"{self.present[0]} {self.relation} {self.present[1]}", *self.present[2:]]

    @property
    def rule(self) -> dict[str, Any]:
        found: dict[str, Any] = {"all": self.concepts, "none": list(self.absent)}
        return found | ({"less": {c: round(share, 2) for c, share in self.weaker.items()}} if self.weaker else {})


class Trials:
    """What the experimenter tries with the unit. seen: (id, value, contents) of recorded images, strongest first."""

    def __init__(self, tools: Tools, seen: Sequence[tuple[str, float, frozenset[str]]], rng: np.random.Generator):
        self.tools, self.studio, self.seen, self.rng = tools, tools.studio, list(seen), rng
        self.silent = tools.ledger.silent
        strongest = float(np.median([value for _, value, _ in self.seen[:3]])) if seen else tools.ledger.level
        # Of a unit that is active so rarely that no ordinary image shows it, the ledger's level is within its noise.
        self.level = max(tools.ledger.level, self.silent + RISEN * (strongest - self.silent))
        self.lift = self._lifts()

    def is_active(self, value: float | None) -> bool:
        return value is not None and value >= self.level

    def holds(self, value: float | None, before: float) -> bool:
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

    def parents(self, concept: str) -> tuple[str, ...]:
        return tuple(self.studio.broader(concept))

    def members(self, concept: str) -> list[str]:
        """What can be drawn for a concept: itself, or the members of a class."""
        if concept in self.studio.vocabulary:
            return [concept]
        return [c for c in self.studio.vocabulary if concept in self.parents(c)]

    def is_in(self, concept: str, contents: frozenset[str]) -> bool:
        return concept in contents or any(concept in self.parents(c) for c in contents)

    def matches(self, way: Way, contents: frozenset[str]) -> bool:
        """Whether a way accounts for an image; a relation is taken to hold."""
        return all(self.is_in(c, contents) for c in way.present) and not any(
            self.is_in(c, contents) for c in way.absent
        )

    def instance(self, way: Way) -> list[str]:
        return [str(self.rng.choice(self.members(c))) for c in way.present]

    def draw(self, sets: Sequence[Sequence[str]], arranged: Sequence[str | None] = ()) -> list[dict[str, Any]]:
        """Draw scenes that hold these concepts, and run the unit: `[{id, value, missing, ...}]`."""
        how = [*arranged, *[None] * (len(sets) - len(arranged))]
        made = self.tools.text2image([self.studio.prompt(c, a) for c, a in zip(sets, how, strict=True)])
        told = self.tools.call_unit([one["id"] for one in made])
        return [one | {"missing": picture["missing"]} for one, picture in zip(told, made, strict=True)]

    # From an exemplar to a way.

    def reduced(self, name: str, value: float, contents: frozenset[str]) -> list[str]:
        """The concepts of an image that the unit needs, the most telling first."""
        # What another concept implies (animal, where there is a dog) goes with it; what cannot be drawn is left out.
        here = [c for c in contents if c in self.studio.vocabulary]
        kept = sorted(here, key=lambda c: (-self.lift.get(c, 0.0), c))
        for concept in sorted(here, key=lambda c: (self.lift.get(c, 0.0), c)):
            if len(kept) == 1:
                break
            picture = self.tools.items.item(name)
            pair = self.tools.edit_images([name], [self.studio.removal(concept, picture)])[0]
            gone = concept not in self.tools.items.contents(pair["edited"])
            if gone and self.holds(pair["after"], value):
                name = pair["edited"]
                kept.remove(concept)
        return kept

    def confirmed_alone(self, needed: Sequence[str]) -> Way | None:
        """The way that these concepts make in new scenes without anything else; None where they are not enough."""
        things = [c for c in needed if not self.studio.slot(c)]
        ordered = [*things, *(c for c in needed if c not in things)]
        if len(things) > 1 and self.studio.relations:
            return self._arranged(ordered)
        told = self.draw([ordered] * ALONE)
        return Way(tuple(ordered)) if any(self.is_active(one["value"]) for one in told) else None

    def _arranged(self, needed: list[str]) -> Way | None:
        """Two things far from each other in either order; if that is not enough, in every relation to each other. The
        relation is the one that holds wherever the unit is active and nowhere else."""
        turned = [needed[1], needed[0], *needed[2:]]
        told = self.draw([needed, turned, needed], [APART, APART, None])
        if all(self.is_active(one["value"]) for one in told):
            return Way(tuple(needed))
        for _ in range(ROUNDS):
            told += self.draw([needed] * len(self.studio.relations), self.studio.relations)
            active = np.array([self.is_active(one["value"]) for one in told])
            if not active.any():
                return None
            held = [self.studio.related(self.tools.items.item(one["id"]), *needed[:2]) for one in told]
            agreement = {relation: float(np.mean([(relation in some) == is_so for some, is_so in zip(held, active,
                         strict=True)])) for relation in self.studio.relations}  # fmt: skip
            best = max(agreement, key=lambda relation: agreement[relation])
            if sum(value > agreement[best] - 1.5 / len(told) for value in agreement.values()) == 1:
                break
        if agreement[best] >= AGREES and agreement[best] > active.mean():
            return Way(tuple(needed), best)
        return Way(tuple(needed)) if active.mean() > 0.5 else None

    def widen(self, way: Way) -> None:
        """Classes in the place of concepts where their other members work as well."""
        present = list(way.present)
        for place, concept in enumerate(present):
            narrower = {concept}
            for parent in self.parents(concept):
                siblings = [c for c in self.members(parent) if c not in narrower and c not in present]
                if not siblings:
                    continue
                chosen = [str(c) for c in self.rng.permutation(siblings)[:SIBLINGS]]
                others = [self.members(c)[0] for c in present]
                sets = [[*others[:place], c, *others[place + 1 :]] for c in chosen]
                works = [self.is_active(one["value"]) for one in self.draw(sets, [way.relation] * len(sets))]
                way.near += [c for c, fine in zip(chosen, works, strict=True) if not fine]
                if not all(works):
                    break
                present[place], narrower = parent, set(self.members(parent))
        way.present = tuple(present)
