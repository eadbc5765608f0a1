"""Rendered scenes as inputs: pixels are drawn when they are read, and what each image shows is known exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Self

import numpy as np

from glossator.inputs import WHOLE, Grid, Images, Shown
from glossator.inputs.annotations import Concept, ConceptKind, place_of_pixels
from glossator.inputs.images import DrawnPixels
from glossator.scenes.layout import boxes, holds
from glossator.scenes.render import RENDERER, SIDE, labelled, render
from glossator.scenes.scene import RELATIONS, RelationKind, Scene, Thing
from glossator.scenes.sprites import own_colour
from glossator.scenes.words import NUMBERS, classes, nouns


class RenderedPixels(DrawnPixels):
    """The pixels of scenes."""

    def __init__(self, scenes: Sequence[Scene], side: int = SIDE):
        super().__init__(side)
        self.scenes = tuple(scenes)

    def __len__(self) -> int:
        return len(self.scenes)

    def image(self, row: int) -> np.ndarray:
        return render(self.scenes[row], self.side).pixels

    def at(self, rows: np.ndarray) -> RenderedPixels:
        return RenderedPixels([self.scenes[row] for row in rows.tolist()], self.side)

    def content(self) -> bytes:
        return "\n".join([RENDERER, str(self.side), *(scene.as_json() for scene in self.scenes)]).encode()


@dataclass(frozen=True, eq=False)
class SceneImages(Images):
    """Images of scenes; a group holds a scene and its edits."""

    pixels: RenderedPixels

    @classmethod
    def of_scenes(
        cls, scenes: Iterable[Scene], groups: Sequence[int] | np.ndarray | None = None, *, side: int = SIDE
    ) -> Self:
        """The pictures of scenes in their order, side x side pixels; groups: of each, by default each its own."""
        scenes = tuple(scenes)
        ids = np.arange(len(scenes), dtype=np.int64)
        return cls(RenderedPixels(scenes, side), ids, ids if groups is None else np.asarray(groups, np.int64))

    @property
    def scenes(self) -> tuple[Scene, ...]:
        return self.pixels.scenes

    @cached_property
    def annotations(self) -> SceneAnnotations:
        return SceneAnnotations(self.scenes, self.pixels.side)

    def show(self, row: int, grid: Grid = WHOLE, marks: np.ndarray | None = None) -> Shown:
        return replace(super().show(row, grid, marks), text=self.scenes[row].caption())


@dataclass(frozen=True, eq=False)
class _Seen:
    """Where the instances of one scene are seen on a grid: parallel arrays of the thing, the place, and the share of
    the place's pixels."""

    things: np.ndarray
    places: np.ndarray
    shares: np.ndarray


@lru_cache(maxsize=65_536)
def _seen(scene: Scene, side: int, grid: Grid) -> _Seen:
    labels, things, _ = labelled(scene, side)
    place, pixels = _places(side, grid)
    at = np.flatnonzero(labels.ravel() >= 0)
    thing = things[labels.ravel()[at]] if len(things) else np.empty(0, np.int64)
    counts = np.bincount(thing * grid.places + place[at], minlength=0)
    filled = np.flatnonzero(counts)
    return _Seen(
        (filled // grid.places).astype(np.int16),
        (filled % grid.places).astype(np.int32),
        (counts[filled] / pixels[filled % grid.places]).astype(np.float32),
    )


@lru_cache(maxsize=16)
def _places(side: int, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    place = place_of_pixels(side, side, grid).ravel()
    return place, np.bincount(place, minlength=grid.places)


WHOLE_SCENE: frozenset[ConceptKind] = frozenset({"light", "weather"})


class SceneAnnotations:
    """What scenes show, from their graphs and exact masks; `Annotations`.

    A noun, class, colour or size covers the pixels at which such a thing is seen; a colour is the one that is asked
    for, or else the sprite's own where most of it has one. A count, such as "two", covers all things of a noun that the
    scene holds so often. A relation, between nouns or classes, holds by the places of the things, whether the graph
    states it or not, and covers both. A background covers all that no thing does, light and weather the whole image.
    """

    def __init__(self, scenes: tuple[Scene, ...], side: int):
        self.scenes, self.side = scenes, side
        things = [(row, i, thing) for row, scene in enumerate(scenes) for i, thing in enumerate(scene.things)]
        self._row = np.array([row for row, *_ in things], np.int64)
        self._first = np.searchsorted(self._row, np.arange(len(scenes)))
        self._things = [thing for *_, thing in things]
        self._memo: tuple[bytes, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] | None = None

    @cached_property
    def _columns(self) -> dict[ConceptKind, np.ndarray]:
        """Of each thing, what it is called under each kind of concept."""

        def colour(row: int, thing: Thing) -> str:
            return thing.colour or own_colour(thing.noun, self.scenes[row].style) or ""

        totals: dict[tuple[int, str], int] = {}
        for row, thing in zip(self._row.tolist(), self._things, strict=True):
            totals[row, thing.noun] = totals.get((row, thing.noun), 0) + thing.count
        pairs = list(zip(self._row.tolist(), self._things, strict=True))
        return {
            "noun": np.array([thing.noun for thing in self._things], "U40"),
            "size": np.array([thing.size for thing in self._things], "U40"),
            "colour": np.array([colour(row, thing) for row, thing in pairs], "U40"),
            "count": np.array([_number(totals[row, thing.noun]) for row, thing in pairs], "U40"),
        }

    @cached_property
    def _scene_wide(self) -> dict[ConceptKind, np.ndarray]:
        return {
            "background": np.array([scene.background for scene in self.scenes], "U40"),
            "light": np.array([scene.light for scene in self.scenes], "U40"),
            "weather": np.array([scene.weather for scene in self.scenes], "U40"),
        }

    @cached_property
    def concepts(self) -> tuple[Concept, ...]:
        found = {
            Concept(kind, str(name))
            for columns in (self._columns, self._scene_wide)
            for kind, names in columns.items()
            for name in np.unique(names)
            if name
        }
        shown = {concept.name for concept in found if concept.kind == "noun"}
        found |= {Concept("class", kind) for name in shown for kind in nouns()[name].classes}
        for scene in self.scenes:
            for relation in scene.relations:
                first, second = scene.things[relation.first].noun, scene.things[relation.second].noun
                found.add(Concept("relation", f"{first} {relation.kind} {second}"))
        return tuple(sorted(found))

    def coverage(self, rows: np.ndarray, concept: Concept, grid: Grid) -> np.ndarray:
        rows = np.arange(len(self.scenes))[rows]
        if concept.kind in WHOLE_SCENE:
            return np.repeat(self._of_scene(concept)[rows].astype(np.float32)[:, None], grid.places, axis=1)
        covered = np.zeros((len(rows), grid.places), np.float32)
        of_background = concept.kind == "background"
        matching = np.ones(len(self._things), bool) if of_background else self._matching(concept)
        if matching.any():
            at, things, places, shares = self._entries(rows, grid)
            counts = matching[things]
            np.add.at(covered, (at[counts], places[counts]), shares[counts])
        if of_background:
            return np.where(self._of_scene(concept)[rows][:, None], np.clip(1 - covered, 0, 1), np.float32(0))
        return np.minimum(covered, 1)

    def present(self, concept: Concept) -> np.ndarray:
        if concept.kind in self._scene_wide:
            return self._of_scene(concept)
        found = np.zeros(len(self.scenes), bool)
        rows = np.unique(self._row[self._matching(concept)])
        if len(rows):
            found[rows] = self.coverage(rows, concept, WHOLE)[:, 0] > 0
        return found

    def _of_scene(self, concept: Concept) -> np.ndarray:
        return self._scene_wide[concept.kind] == concept.name

    def _matching(self, concept: Concept) -> np.ndarray:
        """(things,) bool, the things that are what the concept says."""
        if concept.kind in self._columns:
            return (self._columns[concept.kind] == concept.name) & (concept.name != "")
        if concept.kind == "class":
            return np.isin(self._columns["noun"], classes().get(concept.name, ()))
        return self._related(concept.name) if concept.kind == "relation" else np.zeros(len(self._things), bool)

    def _related(self, name: str) -> np.ndarray:
        found = np.zeros(len(self._things), bool)
        if (parts := relation_of(name)) is None:
            return found
        first, kind, second = parts
        ones, others = (self._called(word) for word in (first, second))
        for row in np.intersect1d(self._row[ones], self._row[others]).tolist():
            start = int(self._first[row])
            placed = boxes(self.scenes[row])
            for i in range(len(placed)):
                for j in range(len(placed)):
                    if i != j and ones[start + i] and others[start + j] and holds(kind, placed[i], placed[j]):
                        found[[start + i, start + j]] = True
        return found

    def _called(self, word: str) -> np.ndarray:
        """(things,) bool, the things of a noun or, where there is no such noun, of a class."""
        return self._matching(Concept("noun" if word in nouns() else "class", word))

    def _entries(self, rows: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Where things are seen in these rows: parallel arrays of the position in `rows`, the thing (a number over all
        scenes), the place and its share. The last rows that were asked for are remembered."""
        key = rows.tobytes() + str(grid).encode()
        if self._memo is None or self._memo[0] != key:
            seen = [_seen(self.scenes[row], self.side, grid) for row in rows.tolist()]
            at = np.repeat(np.arange(len(rows)), [len(one.places) for one in seen])
            things = np.concatenate([np.empty(0, np.int64), *(one.things for one in seen)]).astype(np.int64)
            places = np.concatenate([np.empty(0, np.int64), *(one.places for one in seen)]).astype(np.int64)
            shares = np.concatenate([np.empty(0, np.float32), *(one.shares for one in seen)])
            self._memo = key, (at, things + self._first[rows[at]], places, shares)
        return self._memo[1]


def _number(count: int) -> str:
    return NUMBERS[count - 1] if count <= len(NUMBERS) else "many"


def relation_of(name: str) -> tuple[str, RelationKind, str] | None:
    """The parts of a relation's name, "dog above ball"; None where it has not these parts."""
    for kind in RELATIONS:
        first, found, second = name.partition(f" {kind} ")
        if found:
            return first, kind, second
    return None
