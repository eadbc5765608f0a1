"""The scene graph: things, how they stand to each other, and where, when and in which weather they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from glossator.errors import UserError, near_matches
from glossator.scenes import words

Size = Literal["small", "medium", "large"]
RelationKind = Literal["next to", "above", "below", "in front of", "behind", "left of", "right of"]
Light = Literal["day", "sunset", "night", "dim"]
Weather = Literal["clear", "rain", "snow", "fog"]
Place = tuple[float, float]

SIZES: tuple[Size, ...] = get_args(Size)
RELATIONS: tuple[RelationKind, ...] = get_args(RelationKind)
LIGHTS: tuple[Light, ...] = get_args(Light)
WEATHERS: tuple[Weather, ...] = get_args(Weather)
MOST = 6
"""How many instances a thing has at most."""
MOST_THINGS = 10
DAMAGED = "Scenes are written by Scene.as_json"


@dataclass(frozen=True)
class Thing:
    """One noun of a scene, `count` times. colour: None for its own; place: the centre of the group as shares of the
    image's width and height, None to let the scene's seed choose."""

    noun: str
    colour: str | None = None
    size: Size = "medium"
    count: int = 1
    place: Place | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise UserError(f"bad number of {self.noun}", value=self.count, allowed=f"1 to {MOST}")
        _check("size", self.size, SIZES)
        _check("noun", self.noun, tuple(words.nouns()))
        if self.colour is not None:
            _check("colour", self.colour, tuple(words.COLOURS))


@dataclass(frozen=True)
class Relation:
    """How two things, by their number in the scene, stand to each other: the first is `kind` the second."""

    kind: RelationKind
    first: int
    second: int

    def __post_init__(self) -> None:
        _check("relation", self.kind, RELATIONS)


@dataclass(frozen=True)
class Scene:
    """What a picture shows, and the seed of all that is left open. Equal scenes give equal pixels.

    style: the set of sprites that things are drawn from. Raises `UserError` for a relation between things that the
    scene does not have.
    """

    things: tuple[Thing, ...] = ()
    relations: tuple[Relation, ...] = ()
    background: str = "plain white"
    light: Light = "day"
    weather: Weather = "clear"
    style: str = "noto"
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.things) > MOST_THINGS:
            raise UserError("too many things in a scene", value=len(self.things), allowed=f"at most {MOST_THINGS}")
        _check("background", self.background, tuple(words.BACKGROUNDS))
        _check("light", self.light, LIGHTS)
        _check("weather", self.weather, WEATHERS)
        for relation in self.relations:
            if relation.first == relation.second or not {relation.first, relation.second} <= set(
                range(len(self.things))
            ):
                raise UserError("a relation needs two things of the scene", value=[relation.first, relation.second])

    def as_json(self) -> str:
        """All of the scene, on one line."""
        return json.dumps(asdict(self), sort_keys=True)

    def caption(self) -> str:
        """The scene in one plain sentence, from which `parse` makes the same scene again."""
        return caption(self)

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """A scene that `as_json` wrote; raises `UserError` for anything else."""
        try:
            found: Mapping[str, Any] = json.loads(text)
            things = (_thing(thing) for thing in found["things"])
            relations = (Relation(**relation) for relation in found["relations"])
            return cls(**{**found, "things": tuple(things), "relations": tuple(relations)})
        except (ValueError, TypeError, KeyError) as error:
            raise UserError("this is not a scene", value=text[:60], fix=DAMAGED) from error


def _thing(found: Mapping[str, Any]) -> Thing:
    place = found["place"]
    return Thing(**{**found, "place": None if place is None else (float(place[0]), float(place[1]))})


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"no such {what}", value=value, allowed=near_matches(value, known))


SAID: dict[RelationKind, str] = {"left of": "to the left of", "right of": "to the right of"}
"""Relations that are said in other words, so that they cannot be taken for a place."""
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def caption(scene: Scene) -> str:
    """What the scene shows: its things, how they stand to each other, background, light and weather.

    A relation between two neighbours of the sentence stands between them, others in clauses of their own. A place is
    said where it is one of those that have a name. Day and clear weather go without saying.
    """
    said: list[str] = []
    left = list(scene.relations)
    for i, thing in enumerate(scene.things):
        between = next((r for r in left if (r.first, r.second) == (i - 1, i)), None)
        if between is None:
            said.append(phrase(thing))
        else:
            left.remove(between)
            said[-1] += f" {SAID.get(between.kind, between.kind)} {phrase(thing)}"
    last = " and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else "".join(said) or "an empty scene"
    sentence = [last, words.BACKGROUNDS[scene.background][0]]
    if scene.light != "day":
        sentence.append(words.LIGHT_PHRASES[scene.light][0])
    if scene.weather != "clear":
        sentence.append(words.WEATHER_PHRASES[scene.weather][0])
    rest = [f"the {named(scene, r.first)} {SAID.get(r.kind, r.kind)} the {named(scene, r.second)}" for r in left]
    return "; ".join([" ".join(sentence), *rest])


def named(scene: Scene, i: int) -> str:
    """A thing of the scene as a clause refers to it: by its noun, with its number where others share the noun."""
    thing = scene.things[i]
    same = [j for j, other in enumerate(scene.things) if other.noun == thing.noun]
    ordinal = f"{ORDINALS[same.index(i)]} " if len(same) > 1 else ""
    return ordinal + (thing.noun if thing.count == 1 else words.plural(thing.noun))


def phrase(thing: Thing) -> str:
    """A thing with its number, size, colour and, if it has a name, its place: "two small red dogs on the left"."""
    adjectives: list[str] = [] if thing.size == "medium" else [thing.size]
    adjectives += [] if thing.colour is None else [thing.colour]
    if thing.count == 1:
        said = words.article(" ".join([*adjectives, thing.noun]))
    else:
        said = " ".join([words.NUMBERS[thing.count - 1], *adjectives, words.plural(thing.noun)])
    where = next((where for where, place in words.PLACES.items() if place == thing.place), None)
    return said if where is None else f"{said} {where}"
