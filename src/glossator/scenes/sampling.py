"""Random scenes for probe sets, reproducible from a seed: scene i is the same however many are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glossator.scenes.scene import LIGHTS, RELATIONS, SIZES, WEATHERS, Relation, Scene, Thing
from glossator.scenes.words import BACKGROUNDS, COLOURS, nouns

THINGS = (0.5, 0.35, 0.15)
"""How often a scene has one, two or three things."""
COUNTS = (0.7, 0.14, 0.07, 0.04, 0.03, 0.02)
RELATED, TINTED, PLAIN = 0.5, 0.4, 0.65
"""How often two things are related, a thing is tinted, and light or weather are day or clear."""


def random_scenes(
    n: int, seed: int = 0, *, style: str = "noto", among: Sequence[str] | None = None
) -> tuple[Scene, ...]:
    """n scenes of random things; among: the nouns to choose from, by default all."""
    chosen = tuple(nouns()) if among is None else tuple(among)
    return tuple(_random_scene(np.random.default_rng([seed, i]), style, chosen) for i in range(n))


def _random_scene(rng: np.random.Generator, style: str, among: tuple[str, ...]) -> Scene:
    def one_of(names: Sequence[str]) -> str:
        return names[int(rng.integers(len(names)))]

    def thing() -> Thing:
        colour = one_of(tuple(COLOURS)) if rng.random() < TINTED else None
        size = SIZES[int(rng.choice(3, p=(0.25, 0.5, 0.25)))]
        return Thing(one_of(among), colour, size, 1 + int(rng.choice(6, p=COUNTS)))

    things = tuple(thing() for _ in range(1 + int(rng.choice(3, p=THINGS))))
    related = len(things) > 1 and rng.random() < RELATED
    relations = (Relation(RELATIONS[int(rng.integers(len(RELATIONS)))], 0, 1),) if related else ()
    return Scene(
        things,
        relations,
        one_of(tuple(BACKGROUNDS)),
        LIGHTS[0] if rng.random() < PLAIN else LIGHTS[int(rng.integers(1, len(LIGHTS)))],
        WEATHERS[0] if rng.random() < PLAIN else WEATHERS[int(rng.integers(1, len(WEATHERS)))],
        style,
        int(rng.integers(2**31)),
    )
