"""What silences or weakens a unit: group tests of many concepts beside what activates it, then single ones.

Concepts that stand beside it in strong exemplars are innocent. The others are put beside it several at a time, which
costs a fraction of the images that single ones do; those of a weak image are then added alone, each to the same scene.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from glossator.agents.ledger import WEAKENED
from glossator.agents.ways import Trials, Way

IMAGES, TOGETHER, PLAIN, AGAIN, MOST = 60, 3, 3, 3, 2
"""Group tests at most, things in each, scenes without anything, scenes that measure a suspect, and how many are found
for one way."""


class Screening:
    """Group tests for one experiment."""

    def __init__(self, trials: Trials):
        self.trials, self.studio, self.tools = trials, trials.studio, trials.tools

    def run(self, way: Way, room: int) -> list[tuple[str, float]]:
        """Concepts or classes that take response away, with the share that is left; at most `room` images, about."""
        spare = room - PLAIN - 2 * (AGAIN + TOGETHER + 2)
        plain = self._plain(way) if spare >= 4 else None
        if plain is None:
            return []
        groups = self._groups(way, plain)[: min(IMAGES, spare)]
        if not groups:
            return []
        told = self.trials.draw([[*self.trials.instance(way), *g] for g in groups], [way.relation] * len(groups))
        suspects: Counter[str] = Counter()
        cleared: set[str] = set()
        for group, one in zip(groups, told, strict=True):
            if one["missing"] or one["value"] is None:
                continue
            if self._share(one["value"], plain) < WEAKENED:
                suspects.update(group)
            else:
                cleared |= set(group)
        return self._singled(way, [c for c in suspects if c not in cleared], plain)

    def blamed(self, way: Way, tested: Sequence[str]) -> list[tuple[str, float]]:
        """The same among what stood beside it in images of a failed test, and not in those that went well."""
        plain = self._plain(way)
        if plain is None:
            return []
        weak: Counter[str] = Counter()
        fine: set[str] = set()
        for name in tested:
            contents, value = self.tools.items.contents(name), self.tools.items.told(name).get("value")
            if value is None or not self.trials.matches(way, contents):
                continue
            if self._share(value, plain) < WEAKENED:
                weak.update(contents)
            else:
                fine |= contents
        own = self._own(way)
        return self._singled(way, [c for c, _ in weak.most_common() if c not in fine and c not in own], plain)

    def _own(self, way: Way) -> set[str]:
        return {d for c in way.present for d in self.trials.members(c)}

    def _plain(self, way: Way) -> float | None:
        """The unit's response to the way alone, above silence; None where it is not active."""
        told = self.trials.draw([self.trials.instance(way) for _ in range(PLAIN)], [way.relation] * PLAIN)
        active = [one["value"] for one in told if self.trials.is_active(one["value"])]
        return float(np.mean(active)) - self.trials.silent if len(active) * 2 > PLAIN else None

    def _share(self, value: float, plain: float) -> float:
        return (value - self.trials.silent) / plain

    def _groups(self, way: Way, plain: float) -> list[list[str]]:
        """Concepts to be tried together: things that can stand beside each other, and one of each kind of setting."""
        own, trials = self._own(way), self.trials
        strong = [contents for _, value, contents in trials.seen if self._share(value, plain) >= WEAKENED]
        innocent = {c for contents in strong if trials.matches(way, contents) for c in contents} | own
        taken = {self.studio.slot(c) for c in way.present} - {""}
        seen = [c for c, _ in Counter(c for _, _, contents in trials.seen for c in sorted(contents)).most_common()]
        tried = dict.fromkeys([*seen, *self._varied()])
        fields: dict[str, list[str]] = {}
        for concept in tried:
            slot = self.studio.slot(concept)
            if concept in self.studio.vocabulary and concept not in innocent and slot not in taken:
                fields.setdefault(slot, []).append(concept)
        things = fields.pop("", [])
        rows = [things[i : i + TOGETHER] for i in range(0, len(things), TOGETHER)]
        width = max([len(one) for one in fields.values()], default=0)
        columns = [(some * (1 + width // len(some)))[:width] for some in fields.values()]
        settings = [list(some) for some in zip(*columns, strict=True)] if columns else []
        return [[*(a or []), *(b or [])] for a, b in zip_longest(rows, settings)]

    def _varied(self) -> list[str]:
        """The vocabulary in an order in which each class comes early."""
        by_class: dict[str, list[str]] = {}
        for concept in self.studio.vocabulary:
            by_class.setdefault((*self.trials.parents(concept), "")[0], []).append(concept)
        return [c for row in zip_longest(*by_class.values()) for c in row if c is not None]

    def _singled(self, way: Way, suspects: list[str], plain: float) -> list[tuple[str, float]]:
        """Of suspects those that take response away alone: added to one scene, then in new ones."""
        if not suspects:
            return []
        base = self.trials.draw([self.trials.instance(way)], [way.relation])[0]
        if not self.trials.is_active(base["value"]):
            return []
        picture = self.tools.items.item(base["id"])
        suspects = suspects[: 2 * (TOGETHER + 3)]
        edits = [self.studio.addition(c, picture) for c in suspects]
        pairs = self.tools.edit_images([base["id"]] * len(edits), edits)
        known = [(c, pair) for c, pair in zip(suspects, pairs, strict=True) if not pair["missing"]]
        before = base["value"] - self.trials.silent
        guilty = [c for c, pair in known if pair["after"] is not None and self._share(pair["after"], before) < WEAKENED]
        found: list[tuple[str, float]] = []
        for concept in guilty:
            if len(found) < MOST and not any(concept in self.trials.members(other) for other, _ in found):
                share = self._measured(way, [concept] * AGAIN, plain)
                if share is not None and share < WEAKENED:
                    found.append(self._wider(way, concept, share, plain))
        return found

    def _measured(self, way: Way, concepts: Sequence[str], plain: float) -> float | None:
        """The mean share of the response that is left beside these, each in a scene of its own."""
        told = self.trials.draw([[*self.trials.instance(way), c] for c in concepts], [way.relation] * len(concepts))
        values = [one["value"] for one in told if one["value"] is not None and not one["missing"]]
        return float(np.mean([self._share(value, plain) for value in values])) if values else None

    def _wider(self, way: Way, concept: str, share: float, plain: float) -> tuple[str, float]:
        """A class in the place of the concept if its other members do the same."""
        own, narrower, wide = self._own(way), {concept}, concept
        for parent in self.trials.parents(concept):
            siblings = [c for c in self.trials.members(parent) if c not in narrower and c not in own]
            if not siblings:
                continue
            chosen = [str(c) for c in self.trials.rng.permutation(siblings)[:AGAIN]]
            told = self.trials.draw([[*self.trials.instance(way), c] for c in chosen], [way.relation] * len(chosen))
            if not all(one["value"] is not None and self._share(one["value"], plain) < WEAKENED for one in told):
                break
            wide, narrower = parent, set(self.trials.members(parent))
        return wide, max(share, 0.0)
