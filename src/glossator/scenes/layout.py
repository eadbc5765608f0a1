"""Where things stand: places drawn from the seed, and which relations hold between them.

What a thing looks like depends on the seed and on its own place alone, so an edit of one thing leaves the others as
they were. `settled` fixes the places that were open; it changes no pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from glossator.scenes.scene import Place, Relation, RelationKind, Scene, Size, Thing

SIDES: dict[Size, float] = {"small": 0.16, "medium": 0.3, "large": 0.48}
"""The longest side of a single instance, as a share of the image's."""
CLOSER = (1.0, 0.72, 0.64, 0.6, 0.52, 0.5)
"""How much smaller instances are drawn the more there are."""
ROWS = ((1,), (2,), (1, 2), (2, 2), (2, 3), (3, 3))
"""How many instances of a group stand in each row."""
TRIES = 40
APART = 0.02
ANY = 0.1
"""How far two centres are apart at least for one thing to be above, below, left or right of another."""


@dataclass(frozen=True)
class Box:
    """The box around a group: its centre and half its width and height, as shares of the image's side."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """The area shared with another box."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x - self.width, other.x - other.width)
        down = min(self.y + self.height, other.y + other.height) - max(self.y - self.height, other.y - other.height)
        return max(across, 0) * max(down, 0)

    @property
    def area(self) -> float:
        return 4 * self.width * self.height


def side_of(thing: Thing) -> float:
    """The longest side of one instance."""
    return SIDES[thing.size] * CLOSER[thing.count - 1]


def box(thing: Thing, place: Place) -> Box:
    rows, side = ROWS[thing.count - 1], side_of(thing)
    return Box(*place, max(rows) * side / 2, len(rows) * side / 2)


@dataclass(frozen=True)
class Pose:
    """One instance: the centre and longest side as shares of the image's side, degrees, and whether it is mirrored."""

    x: float
    y: float
    side: float
    turned: int
    mirrored: bool


def poses(thing: Thing, seed: int) -> list[Pose]:
    """The instances of a settled thing."""
    assert thing.place is not None
    x, y = thing.place
    rng = np.random.default_rng([seed, round(x * 10_000), round(y * 10_000)])
    side, rows = side_of(thing), ROWS[thing.count - 1]
    found = []
    for down, columns in enumerate(rows):
        for across in range(columns):
            jitter = rng.uniform(-0.04, 0.04, 2) if thing.count > 1 else (0.0, 0.0)
            at_x = x + (across - (columns - 1) / 2 + jitter[0]) * side
            at_y = y + (down - (len(rows) - 1) / 2 + jitter[1]) * side
            turned, mirrored = int(rng.integers(-8, 9)), bool(rng.integers(2))
            found.append(Pose(at_x, at_y, side * float(rng.uniform(0.92, 1)), turned, mirrored))
    return found


def settled(scene: Scene) -> Scene:
    """The same scene with the place of each thing; equal pixels."""
    return scene if all(thing.place for thing in scene.things) else _settled(scene)


@lru_cache(maxsize=4096)
def _settled(scene: Scene) -> Scene:
    rng = np.random.default_rng([scene.seed, 1])
    best: list[Place] = []
    least = np.inf
    for _ in range(TRIES):
        places = _drawn(scene, rng)
        boxes = [box(thing, place) for thing, place in zip(scene.things, places, strict=True)]
        wrong = sum(not holds(r.kind, boxes[r.first], boxes[r.second]) for r in scene.relations)
        on_purpose = {frozenset((r.first, r.second)) for r in scene.relations if r.kind in ("in front of", "behind")}
        pairs = ((i, j) for i in range(len(boxes)) for j in range(i) if frozenset((i, j)) not in on_purpose)
        cost = wrong + sum(boxes[i].overlap(boxes[j]) / min(boxes[i].area, boxes[j].area) for i, j in pairs)
        if cost < least:
            best, least = places, cost
        if cost == 0:
            break
    things = (replace(thing, place=place) for thing, place in zip(scene.things, best, strict=True))
    return replace(scene, things=tuple(things))


def _drawn(scene: Scene, rng: np.random.Generator) -> list[Place]:
    """Places for the things that have none, in their order, each beside an earlier one that it is related to."""
    places: dict[int, Place] = {i: thing.place for i, thing in enumerate(scene.things) if thing.place is not None}
    for i, thing in enumerate(scene.things):
        if i in places:
            continue
        x, y = rng.uniform(0, 1, 2)
        own = box(thing, (0.5, 0.5))
        for kind, other in _related(scene, i):
            if other in places:
                x, y = _beside(kind, own, box(scene.things[other], places[other]), rng)
                break
        half_x, half_y = min(own.width, 0.5), min(own.height, 0.5)
        x, y = min(max(x, half_x), 1 - half_x), min(max(y, half_y), 1 - half_y)
        places[i] = (round(float(x), 4), round(float(y), 4))
    return [places[i] for i in range(len(scene.things))]


def _related(scene: Scene, i: int) -> list[tuple[RelationKind, int]]:
    """What thing i is to the others, as relations of which it is the first."""
    found: list[tuple[RelationKind, int]] = [(r.kind, r.second) for r in scene.relations if r.first == i]
    return found + [(CONVERSE[r.kind], r.first) for r in scene.relations if r.second == i]


CONVERSE: dict[RelationKind, RelationKind] = {
    "next to": "next to",
    "above": "below",
    "below": "above",
    "in front of": "behind",
    "behind": "in front of",
    "left of": "right of",
    "right of": "left of",
}


def _beside(kind: RelationKind, own: Box, other: Box, rng: np.random.Generator) -> Place:
    """A place at which the relation holds, if the image were large enough."""
    wide, high = own.width + other.width + APART, own.height + other.height + APART
    slip, side = rng.uniform(-0.3, 0.3), float(rng.choice([-1.0, 1.0]))
    if kind in ("above", "below"):
        return other.x + slip * min(wide, high), other.y + (-high if kind == "above" else high)
    if kind in ("left of", "right of"):
        return other.x + (-wide if kind == "left of" else wide), other.y + slip * min(wide, high)
    if kind == "next to":
        return other.x + side * wide, other.y + slip * 0.3 * high
    return other.x + side * wide * 0.35, other.y + (0.25 if kind == "in front of" else -0.25) * high


def holds(kind: RelationKind, first: Box, second: Box) -> bool:
    """Whether a thing stands like this to another.

    Above, below, left and right go by the larger of the distances of the centres; next to is side by side with a gap of
    at most an eighth of the image; in front of and behind need an overlap of a tenth of the smaller, and the lower is
    in front.
    """
    across, down = second.x - first.x, second.y - first.y
    if kind in ("above", "below"):
        return (down if kind == "above" else -down) >= max(ANY, abs(across))
    if kind in ("left of", "right of"):
        return (across if kind == "left of" else -across) >= max(ANY, abs(down))
    overlap = first.overlap(second) / min(first.area, second.area)
    if kind == "next to":
        gap = abs(across) - first.width - second.width
        return gap <= 1 / 8 and abs(down) <= max(first.height, second.height) and overlap < 0.25 and abs(across) >= ANY
    return overlap >= 0.1 and (down < 0 if kind == "in front of" else down > 0)


def boxes(scene: Scene) -> list[Box]:
    """The box of each thing of a scene."""
    return [box(thing, thing.place) for thing in settled(scene).things if thing.place is not None]


def held(scene: Scene, relation: Relation) -> bool:
    """Whether a relation of the scene holds in its picture."""
    found = boxes(scene)
    return holds(relation.kind, found[relation.first], found[relation.second])
