"""The renderer of scenes as the studio of experiments: concepts in, pictures out, nothing in them that was not asked.

Concepts are nouns ("dog"), tints ("red"), and settings ("grass background", "night light", "rainy weather"). What is
not asked for is neutral: a plain grey background by day in clear weather.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from glossator.agents.makers import APART
from glossator.inputs import Concept
from glossator.inputs.annotations import ConceptKind
from glossator.programs.base import Test
from glossator.programs.language import And, Not
from glossator.programs.scene.atoms import Shows
from glossator.programs.scene.english import beside, noun
from glossator.scenes.edits import NATURAL
from glossator.scenes.inputs import relation_of
from glossator.scenes.layout import boxes, holds
from glossator.scenes.pictures import Picture, Renderer
from glossator.scenes.scene import RELATIONS, SAID, Scene
from glossator.scenes.words import (
    BACKGROUNDS,
    COLOURS,
    LIGHT_PHRASES,
    WEATHER_PHRASES,
    article,
    background_name,
    classes,
    nouns,
)

NEUTRAL = "plain grey"
CARRIER = "balloon"
"""What a colour is seen on where no thing is asked for."""
_APART = "{} on the left and {} on the right"
_WEATHER = {"rain": "rainy weather", "snow": "snowy weather", "fog": "foggy weather"}
_BY_DAY, _CLEAR = LIGHT_PHRASES["day"][0], WEATHER_PHRASES["clear"][0]


@cache
def settings() -> dict[str, tuple[ConceptKind, str]]:
    """Concepts of a scene as a whole: what kind each is, and its name there."""
    found: dict[str, tuple[ConceptKind, str]]
    found = {background_name(name): ("background", name) for name in BACKGROUNDS if name != NEUTRAL}
    found |= {f"{name} light": ("light", name) for name in LIGHT_PHRASES if name != "day"}
    return found | {said: ("weather", name) for name, said in _WEATHER.items()}


@cache
def vocabulary() -> tuple[str, ...]:
    """Settings first: a scene has each of them far more often than any one noun."""
    tints = [name for name in COLOURS if name not in nouns()]
    return (*settings(), *tints, *nouns())


class SceneStudio:
    """Scenes as pictures of concepts; see `glossator.agents.makers.Studio`."""

    def __init__(self, renderer: Renderer | None = None):
        self.renderer = Renderer() if renderer is None else renderer
        self.backend, self.vocabulary = self.renderer.backend, vocabulary()
        self.relations: tuple[str, ...] = RELATIONS

    def draw(self, prompts: Sequence[str], seed: int) -> list[Picture]:
        return self.renderer.draw(prompts, seed)

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int) -> list[Picture]:
        return self.renderer.edit(pictures, instructions, seed)

    def describe(self, picture: Picture, mask: np.ndarray | None) -> str:
        return self.renderer.describe(picture, mask)

    def contents(self, picture: Picture) -> frozenset[str]:
        """The concepts of its scene; none where the scene is unknown."""
        scene = picture.scene
        if scene is None:
            return frozenset()
        own = {("background", scene.background), ("light", scene.light), ("weather", scene.weather)}
        found = {said for said, part in settings().items() if part in own}
        found |= {thing.noun for thing in scene.things}
        return frozenset(found | {thing.colour for thing in scene.things if thing.colour in self.vocabulary})

    def slot(self, concept: str) -> str:
        if concept in settings():
            return settings()[concept][0]
        return "colour" if concept in COLOURS and concept not in nouns() else ""

    def broader(self, concept: str) -> tuple[str, ...]:
        return nouns()[concept].classes if concept in nouns() else ()

    def prompt(self, concepts: Sequence[str], arranged: str | None = None) -> str:
        """A class stands for its first noun; a colour is that of the first thing."""
        things = [c if c in nouns() else classes()[c][0] for c in concepts if c in nouns() or c in classes()]
        tints = [c for c in concepts if c in COLOURS and c not in nouns()]
        things = things or ([CARRIER] if tints else [])
        said = [
            article(f"{tint} {noun}" if tint else noun)
            for noun, tint in zip(things, _padded(tints, len(things)), strict=True)
        ]
        if arranged is not None and len(said) > 1:
            said[:2] = [_APART.format(*said) if arranged == APART else f"{said[0]} {_said(arranged)} {said[1]}"]
        parts = {kind: name for kind, name in (settings()[c] for c in concepts if c in settings())}
        whole = [BACKGROUNDS[parts.get("background", NEUTRAL)][0]]
        whole += [LIGHT_PHRASES[parts["light"]][0]] if "light" in parts else []
        whole += [WEATHER_PHRASES[parts["weather"]][0]] if "weather" in parts else []
        return " ".join([" and ".join(said), *whole]).strip()

    def related(self, picture: Picture, first: str, second: str) -> frozenset[str]:
        scene = _scene(picture)
        placed = boxes(scene)
        ones, others = (
            [i for i, thing in enumerate(scene.things) if name in (thing.noun, *nouns()[thing.noun].classes)]
            for name in (first, second)
        )
        pairs = [(placed[i], placed[j]) for i in ones for j in others if i != j]
        return frozenset(kind for kind in RELATIONS if any(holds(kind, a, b) for a, b in pairs))

    def removal(self, concept: str, picture: Picture) -> str:
        if concept in settings():
            kind, _ = settings()[concept]
            return {
                "background": f"make the background {NEUTRAL}",
                "light": f"make it {_BY_DAY}",
                "weather": f"make it {_CLEAR}",
            }[kind]
        if concept in nouns() or concept in classes():
            return f"remove the {concept}"
        tinted = dict.fromkeys(thing.noun for thing in _scene(picture).things if thing.colour == concept)
        return "; ".join(f"make the {concept} {noun} {NATURAL}" for noun in tinted) or f"remove the {concept}"

    def addition(self, concept: str, picture: Picture) -> str:
        if concept in settings():
            kind, name = settings()[concept]
            if kind == "background":
                return f"make the background {name}"
            return f"make it {(LIGHT_PHRASES if kind == 'light' else WEATHER_PHRASES)[name][0]}"
        if concept in nouns() or concept in classes():
            return f"add a {concept if concept in nouns() else classes()[concept][0]}"
        things = _scene(picture).things
        return f"make the {things[0].noun} {concept}" if things else f"add a {concept} {CARRIER}"

    def program(self, rule: Sequence[dict[str, Any]]) -> str | None:
        """The first thing of an alternative where it is, if the rest of the image is as the alternative says."""
        found, less = [], []
        for alternative in rule:
            present = sorted(alternative["all"], key=lambda concept: concept in settings())
            if not present:
                return None
            first, *rest = (f'shows("{_concept(one)}")' for one in present)
            parts = [first, *(f"anywhere({one})" for one in rest)]
            parts += [f'not(anywhere(shows("{_concept(one)}")))' for one in alternative["none"]]
            found.append(_all(parts))
            for concept, share in alternative.get("less", {}).items():
                less.append(f'- {1 - share:.2f}*{_all([*parts, f"""anywhere(shows("{_concept(concept)}"))"""])}')
        if not found:
            return None
        either = found[0] if len(found) == 1 else f"or({', '.join(found)})"
        return " ".join([f"0.0 + 1.0*{either}", *less])

    def said(self, alternative: dict[str, Any]) -> str:
        present: list[Test] = [Shows((_concept(one),)) for one in alternative["all"]]
        tests = (*present, *(Not(Shows((_concept(one),))) for one in alternative.get("none", ())))
        less = [beside(Shows((_concept(one),))) for one in alternative.get("less", {})]
        return noun(tests[0] if len(tests) == 1 else And(tests)) + (f" (less {' or '.join(less)})" if less else "")


def _all(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"and({', '.join(parts)})"


def _said(relation: str) -> str:
    return SAID.get(relation, relation)  # type: ignore[call-overload]


def _concept(name: str) -> str:
    if name in settings():
        return str(Concept(*settings()[name]))
    if relation_of(name) is not None:
        return str(Concept("relation", name))
    kind: ConceptKind = "noun" if name in nouns() else "class" if name in classes() else "colour"
    return str(Concept(kind, name))


def _padded(tints: Sequence[str], n: int) -> list[str | None]:
    return [*tints[:n], *[None] * (n - len(tints))]


def _scene(picture: Picture) -> Scene:
    return picture.scene or Scene()
