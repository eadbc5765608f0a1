"""The scene graph: things, how they stand to each other, and where, when and in which weather they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from glossator.errors import UserError, near_matches

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
    seed: int = field(default=0)

    def __post_init__(self) -> None:
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
