"""Random scenes for probe sets, reproducible from a seed: scene i is the same however many are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glossator.inputs.annotations import Concept
from glossator.scenes.inputs import relation_of
from glossator.scenes.scene import LIGHTS, MOST_THINGS, RELATIONS, SIZES, WEATHERS, Relation, Scene, Thing
from glossator.scenes.words import BACKGROUNDS, COLOURS, NUMBERS, classes, nouns

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


def holding(scene: Scene, concepts: Sequence[Concept], rng: np.random.Generator) -> Scene:
    """The scene with these concepts put in, a class by one of its nouns; colour, size and count go to the first thing
    that was put in, or else to the first there is."""
    things = list(scene.things)[: max(1, MOST_THINGS - 2 * len(concepts))] if concepts else list(scene.things)
    relations = [r for r in scene.relations if max(r.first, r.second) < len(things)]
    first = len(things)
    whole: dict[str, Any] = {}

    def one_of(name: str) -> str:
        return str(rng.choice(classes()[name])) if name in classes() and name not in nouns() else name

    for concept in concepts:
        if concept.kind in ("noun", "class"):
            things.append(Thing(one_of(concept.name)))
        elif concept.kind == "relation" and (parts := relation_of(concept.name)) is not None:
            relations.append(Relation(parts[1], len(things), len(things) + 1))
            things += [Thing(one_of(parts[0])), Thing(one_of(parts[2]))]
        elif concept.kind in ("background", "light", "weather"):
            whole[concept.kind] = concept.name
    qualities = [c for c in concepts if c.kind in ("colour", "size", "count")]
    at = first if first < len(things) else 0
    for concept in qualities if things else ():
        if concept.kind == "colour" and concept.name in COLOURS:
            things[at] = replace(things[at], colour=concept.name)
        elif concept.kind == "count" and concept.name in NUMBERS:
            things[at] = replace(things[at], count=NUMBERS.index(concept.name) + 1)
        elif concept.kind == "size" and concept.name in SIZES:
            things[at] = replace(things[at], size=concept.name)
    whole = {kind: name for kind, name in whole.items() if kind != "background" or name in BACKGROUNDS}
    return replace(scene, things=tuple(things), relations=tuple(relations), **whole)
