"""Units of images with a known answer: what a unit responds to follows from the scene graph and its exact masks.

Kinds: one concept (mono), either of two (or), both (and), one without another (not), one only in or beside another
(contextual), one of which another takes away half (discounted); and null units, whose response has nothing to do with
what an image shows (`SHAPES`). The response is graded by how much of the image shows what it responds to, and noisy;
the truth is a rule in Python over what is seen in an image, never a program that is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import ndtri

from glossator.errors import MissingPower
from glossator.files import fingerprint as fingerprint_of
from glossator.inputs import Grid, Inputs
from glossator.inputs.annotations import Concept
from glossator.programs import Program, parse_program
from glossator.scenes import Scene, SceneImages
from glossator.scenes.scene import LIGHTS, WEATHERS
from glossator.scenes.words import BACKGROUNDS, nouns
from glossator.subjects.base import BaseSubject, OutputSite, Power, Values, check_takes

ImageKind = Literal["mono", "or", "and", "not", "contextual", "discounted", "null"]
IMAGE_KINDS: tuple[ImageKind, ...] = get_args(ImageKind)
CELLS = Grid("cells", (7, 7))
DISCOUNT = 0.5
"""What is left of a discounted response in the context that discounts it."""
LEAST, FULL = 0.7, 0.02
"""The response to what is hardly seen, and the share of the image from which on it is whole (1): less than a small
thing fills, so that the strongest responses are not those to the largest things."""
WAVES, TAIL = 6, 2.0
"""Of smooth fields, how many are added; of bursts, the exponent with which large ones become rare."""
NOISE, IN_CELLS = 0.12, 0.02
"""Standard deviations of what is added to the response to an image, and to each cell."""
WORLD: dict[str, tuple[str, ...]] = {
    "mammal": ("dog", "cat", "horse", "elephant", "lion", "rabbit"),
    "bird": ("owl", "penguin", "duck", "eagle", "parrot", "flamingo"),
    "fruit": ("apple", "banana", "pineapple", "grapes", "strawberry", "watermelon"),
    "vehicle": ("car", "bus", "bicycle", "airplane", "sailboat", "train"),
    "plant": ("tree", "cactus", "sunflower", "mushroom", "palm tree", "rose"),
    "building": ("house", "castle", "church", "tent", "factory", "hut"),
}
"""Nouns of the scenes in which these units are looked at, by class, so few that two of them meet now and then."""
NOUNS = tuple(noun for members in WORLD.values() for noun in members)
RELATIONS = ("next to", "above", "left of", "behind", "right of", "below", "in front of")
"""How things stand to each other to which contextual units respond, in turn."""
SITE = "units"


@dataclass(frozen=True)
class PlantedImageUnit:
    """One unit. parts: the concepts of its rule, the one that it responds to first; seed: of its noise; shape: of a
    null unit, how its numbers are distributed and what they hang on."""

    name: str
    kind: ImageKind
    parts: tuple[Concept, ...]
    seed: int
    shape: str = ""

    @property
    def truth(self) -> Program | None:
        """A program that says the rule on whole images; None for a null unit."""
        if self.kind == "null":
            return None
        a, *rest = (f'shows("{part}")' for part in self.parts)
        if self.kind == "discounted":
            return parse_program(f"0.0 + 1.0*{a} - {1 - DISCOUNT}*and({a}, {rest[0]})")
        said = {
            "or": f"or({', '.join((a, *rest))})",
            "and": f"and({', '.join((a, *rest))})",
            "not": f"and({a}, not({', '.join(rest)}))",
            "contextual": f"and({', '.join((a, *rest))})" if rest else a,
        }
        return parse_program(f"0.0 + 1.0*{said.get(self.kind, a)}")

    @property
    def english(self) -> str:
        """The rule in words."""
        a, *rest = (_said(part) for part in self.parts)
        joint = {
            "or": " or ",
            "and": " and ",
            "not": " without ",
            "contextual": ", only in ",
            "discounted": ", less in ",
        }
        return a if not rest else joint[self.kind].join((a, *rest))

    def level(self, images: SceneImages) -> np.ndarray:
        """(n,) float64, what the rule says of each image: 0, 1, or `DISCOUNT`."""
        if self.kind == "null":
            return np.zeros(len(images))
        shown = [images.annotations.present(part) for part in self.parts]
        if self.kind == "or":
            return np.any(shown, axis=0).astype(float)
        if self.kind == "not":
            return (shown[0] & ~shown[1]).astype(float)
        if self.kind == "discounted":
            return shown[0] * np.where(shown[1], DISCOUNT, 1.0)
        return np.all(shown, axis=0).astype(float)

    def values(self, images: SceneImages, grid: Grid = CELLS) -> np.ndarray:
        """(n, places) float32, at least 0: the response where the image shows what it responds to."""
        if self.kind == "null":
            return self._of_nothing(images, grid)
        level = self.level(images)
        covers = images.annotations.coverage
        rows = np.arange(len(images))
        own = self.parts if self.kind in ("or", "and") else self.parts[:1]
        where = np.max([covers(rows, part, grid) for part in own], axis=0)
        share = np.minimum(where.mean(axis=1) / FULL, 1.0)
        height = level * (LEAST + (1 - LEAST) * share)
        fullest = np.maximum(where.max(axis=1, keepdims=True), 1e-9)
        scenes, cells = self._random(images, 1), self._random(images, grid.places, 1)
        noisy = np.maximum(height + NOISE * ndtri(scenes[:, 0]) * (height > 0), 0.0)
        values = noisy[:, None] * where / fullest + IN_CELLS * np.abs(ndtri(cells))
        return values.astype(np.float32)

    def _of_nothing(self, images: SceneImages, grid: Grid) -> np.ndarray:
        uniform, shape = self._random(images, 3), self.shape.split(" ")[0]
        values = IN_CELLS * np.abs(ndtri(self._random(images, grid.places, 1)))
        if shape == "field":
            waves = self._random(images, 3 * WAVES, 2).reshape(len(images), WAVES, 3)
            return (values + np.abs(_field(waves, grid))).astype(np.float32)
        if shape == "exposure":
            gain = np.exp(ndtri(uniform[:, :1]))
            return (gain * (0.2 + values)).astype(np.float32)
        height = {
            "normal": np.abs(ndtri(uniform[:, 0])) / 4,
            "heavy": -np.log(uniform[:, 0]) / 8,
            "spikes": np.where(uniform[:, 0] > 0.98, 0.6 + 20 * (uniform[:, 0] - 0.98), 0.0),
            "bursts": 0.05 * uniform[:, 0] ** (-1 / TAIL),
        }[shape]
        reach = 4 * uniform[:, 2] if shape == "bursts" else None
        values += height[:, None] * _spot(uniform[:, 1], reach, grid)
        return values.astype(np.float32)

    def _random(self, images: SceneImages, columns: int, turn: int = 0) -> np.ndarray:
        """(n, columns) in 0..1, fixed numbers of each image and this unit."""
        of = _by_seed if "seed" in self.shape else _by_scene
        digests = np.array([of(scene) for scene in images.scenes], np.uint64)[:, None]
        column = np.arange(columns, dtype=np.uint64)[None] + np.uint64(1 + 1000 * turn)
        return (
            _mixed(_mixed(digests ^ _mixed(np.uint64(self.seed + 1))) + column) >> np.uint64(11)
        ) / 2.0**53 + 2.0**-54


def _spot(at: np.ndarray, reach: np.ndarray | None, grid: Grid) -> np.ndarray:
    """(n, places) 1 in the cell at a share of the way through the grid; with a reach in cells, less and less around."""
    rows, columns = grid.shape if grid.kind == "cells" else (1, 1)
    down, along = np.divmod(np.arange(rows * columns), columns)
    own_down, own_along = np.divmod((at * rows * columns).astype(int), columns)
    apart = (down - own_down[:, None]) ** 2 + (along - own_along[:, None]) ** 2
    return (apart == 0) * 1.0 if reach is None else np.exp(-apart / np.maximum(reach[:, None], 0.1) ** 2)


def _field(waves: np.ndarray, grid: Grid) -> np.ndarray:
    """(n, places) the mean of slow waves across the grid, each with a phase and two frequencies of up to one turn."""
    rows, columns = grid.shape if grid.kind == "cells" else (1, 1)
    down, along = np.divmod(np.arange(rows * columns), columns)
    phase, falls, runs = (waves[:, :, i, None] for i in range(3))
    return np.asarray(np.cos(2 * np.pi * (phase + falls * down / rows + runs * along / columns)).mean(axis=1))


def _said(concept: Concept) -> str:
    return f"{concept.name} {concept.kind}" if concept.kind in ("background", "light", "weather") else concept.name


@lru_cache(maxsize=65_536)
def _by_scene(scene: Scene) -> int:
    return int.from_bytes(sha256(scene.as_json().encode()).digest()[:8], "little")


def _by_seed(scene: Scene) -> int:
    return scene.seed


def _mixed(x: Any) -> Any:
    """Sebastiano Vigna's splitmix64 of unsigned 64-bit numbers."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


class PlantedImages(BaseSubject):
    """Planted units as a subject with one site, `units`; it reads scenes, with the cells of a 7 x 7 grid."""

    takes = "images"
    powers = frozenset({Power.RUN})

    def __init__(self, units: Sequence[PlantedImageUnit], name: str = "planted-images", grid: Grid = CELLS):
        self.units, self.name, self.grid = tuple(units), name, grid
        self.fingerprint = fingerprint_of([name, str(grid), [repr(unit) for unit in units]])

    def sites(self) -> list[OutputSite]:
        return [OutputSite(SITE, len(self.units), self.grid)]

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        import torch

        check_takes(self, inputs)
        if not isinstance(inputs, SceneImages):
            raise MissingPower("planted units read scenes, not pixels", value=inputs.kind, fix="Use --inputs renders:N")
        for site in sites:
            found = np.stack([unit.values(inputs, self.grid) for unit in self.units], axis=2)
            see(self.site(site).name, torch.from_numpy(found))


SHAPES = (
    "normal", "heavy", "spikes", "spikes by seed", "heavy by seed", "field", "field by seed", "bursts",
    "bursts by seed", "exposure by seed",
)  # fmt: skip
"""Of null units: in one cell half a normal distribution, an exponential one, or rare spikes; a smooth field over the
image; bursts of any extent whose height has a heavy tail; one factor for the whole image, as if some were exposed
longer. All are fixed random numbers of the image; those "by seed" hang on the seed of the scene alone, so that edits,
which keep it, change nothing."""


def planted_images(per_kind: int, seed: int = 0, kinds: Sequence[ImageKind] = IMAGE_KINDS) -> list[PlantedImageUnit]:
    """Units of each kind, drawn from the seed: their concepts are nouns and classes of `WORLD`, and settings."""
    found = []
    for kind in kinds:
        rng = np.random.default_rng([seed, IMAGE_KINDS.index(kind)])
        known: set[tuple[Concept, ...]] = set()
        while len(known) < per_kind:
            number = len(known)
            parts = (Concept("count", str(number)),) if kind == "null" else _parts(kind, number, rng)
            if parts in known:
                continue
            known.add(parts)
            shape = SHAPES[number % len(SHAPES)] if kind == "null" else ""
            own = () if kind == "null" else parts
            found.append(PlantedImageUnit(f"{kind}-{number}", kind, own, int(rng.integers(2**31)), shape))
    return found


def _parts(kind: ImageKind, number: int, rng: np.random.Generator) -> tuple[Concept, ...]:
    a = _thing(rng, ())
    if kind == "mono":
        return (a if number % 4 else _setting(rng),)
    if kind == "or":
        return a, (_thing(rng, (a,)) if number % 3 else _setting(rng))
    if kind == "and":
        return a, _thing(rng, (a,))
    if kind == "contextual" and number % 2:
        beside = Concept("class", str(rng.choice([name for name in WORLD if not _is_of(name, a)])))
        return (Concept("relation", f"{a.name} {RELATIONS[number // 2 % len(RELATIONS)]} {beside.name}"),)
    if kind == "contextual":
        return a, _setting(rng)
    return a, (_thing(rng, (a,)) if number % 2 else _setting(rng))


def _thing(rng: np.random.Generator, others: Sequence[Concept]) -> Concept:
    """A noun, or a class a third of the time, of another class than the others; two nouns where the other is a noun
    would hardly ever meet, so that then a class is more likely."""
    free = [kind for kind in WORLD if not any(_is_of(kind, other) for other in others)]
    kind = str(rng.choice(free))
    as_class = rng.random() < (0.6 if any(o.kind == "noun" for o in others) else 0.3)
    return Concept("class", kind) if as_class else Concept("noun", str(rng.choice(WORLD[kind])))


def _is_of(kind: str, concept: Concept) -> bool:
    return kind == concept.name or (concept.kind == "noun" and kind in nouns()[concept.name].classes)


def _setting(rng: np.random.Generator) -> Concept:
    kind = str(rng.choice(["background", "light", "weather"], p=(0.6, 0.2, 0.2)))
    plain = {"background": ("plain grey",), "light": ("day",), "weather": ("clear",)}[kind]
    names = {"background": tuple(BACKGROUNDS), "light": LIGHTS, "weather": WEATHERS}[kind]
    return Concept(kind, str(rng.choice([name for name in names if name not in plain])))  # type: ignore[arg-type]
