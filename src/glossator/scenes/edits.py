"""Edits as differences of scenes: all that is not named stays, and is drawn pixel for pixel as before.

    replace the dog with a cat      make the dog red / large / three    add a ball next to the dog
    remove the dog                  move the dog to the left            make it night / move it to the beach

The first noun may be a class ("the animal") and may be described ("the red dog"); it means all things that fit. Steps
are joined by ";" or "and then".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from glossator.errors import UserError
from glossator.scenes.layout import settled
from glossator.scenes.parse import Token, called, parse, tokens
from glossator.scenes.scene import ORDINALS, Relation, Scene, Thing
from glossator.scenes.words import BACKGROUNDS, LIGHT_PHRASES, WEATHER_PHRASES

HOW = "Say: replace X with Y, remove X, add X, make X red, make it night, move it to the beach"


@dataclass(frozen=True)
class Target:
    """Which things of a scene an edit is about: of a noun or class, and of a colour, size or place in the order."""

    name: str
    colour: str | None = None
    size: str | None = None
    ordinal: int | None = None

    def of(self, scene: Scene) -> list[int]:
        """The numbers of the things that fit; raises `UserError` where there are none."""
        found = [
            i
            for i, thing in enumerate(scene.things)
            if self.name in called(thing) and self.colour in (None, thing.colour) and self.size in (None, thing.size)
        ]
        if self.ordinal is not None:
            found = found[self.ordinal : self.ordinal + 1]
        if not found:
            raise UserError("the scene has no such thing", value=str(self), allowed=scene.caption())
        return found

    def __str__(self) -> str:
        ordinal = None if self.ordinal is None else ORDINALS[self.ordinal]
        return " ".join(part for part in (ordinal, self.size, self.colour, self.name) if part)


@dataclass(frozen=True)
class Step:
    """One change. kind: what is done; target: to which things, None for the scene; changes: fields of things or of the
    scene and their new values; added: what comes new, with relations to things that are there."""

    kind: Literal["replace", "remove", "add", "change"]
    target: Target | None = None
    changes: tuple[tuple[str, Any], ...] = ()
    added: Thing | None = None
    related: tuple[str, Target] | None = None


@dataclass(frozen=True)
class Edit:
    """Steps in their order, and the words of the instruction that they leave out."""

    steps: tuple[Step, ...]
    unknown: tuple[str, ...]


def apply(scene: Scene, edit: Edit) -> Scene:
    """The scene after an edit, with the same seed; raises `UserError` where a thing that it names is not there."""
    for step in edit.steps:
        scene = _applied(settled(scene), step)
    return scene


def _applied(scene: Scene, step: Step) -> Scene:
    if step.kind == "add":
        assert step.added is not None
        new, relations = len(scene.things), scene.relations
        if step.related is not None:
            kind, target = step.related
            relations = (*relations, Relation(kind, new, target.of(scene)[0]))  # type: ignore[arg-type]
        return settled(replace(scene, things=(*scene.things, step.added), relations=relations))
    if step.target is None:
        return replace(scene, **dict(step.changes))
    chosen = step.target.of(scene)
    if step.kind == "remove":
        return _without(scene, chosen)
    things = [replace(t, **dict(step.changes)) if i in chosen else t for i, t in enumerate(scene.things)]
    return replace(scene, things=tuple(things))


def _without(scene: Scene, gone: list[int]) -> Scene:
    number = {old: new for new, old in enumerate(i for i in range(len(scene.things)) if i not in gone)}
    relations = tuple(
        Relation(r.kind, number[r.first], number[r.second])
        for r in scene.relations
        if r.first in number and r.second in number
    )
    return replace(scene, things=tuple(scene.things[i] for i in number), relations=relations)


def parse_edit(text: str) -> Edit:
    """The steps of an instruction; raises `UserError` where no change can be read from a step."""
    steps, unknown = [], []
    for part in re.split(r";|\band then\b|\bthen\b", text.lower()):
        if part.strip(" ,."):
            step, left_out = _step(part.strip(" ,."))
            steps.append(step)
            unknown += left_out
    if not steps:
        raise UserError("this is not an edit", value=text, fix=HOW)
    return Edit(tuple(steps), tuple(unknown))


REPLACE = re.compile(r"(?:replace|swap|exchange|substitute) (.+?) (?:with|by|for) (.+)")
TURN = re.compile(r"(?:change|turn|transform) (.+?) (?:in)?to (.+)")
REMOVE = re.compile(r"(?:remove|delete|erase|take away|get rid of) (.+)")
ADD = re.compile(r"(?:add|insert|put in) (.+)")
MAKE = re.compile(r"(?:make|turn|paint|colour|color|let|set) (.+)")
MOVE = re.compile(r"(?:move|put|place|shift|take|bring) (.+)")
BACKGROUND = re.compile(r"(?:the )?background\b(?: to| into| with| of)? ?(.*)")
OF_SCENE = re.compile(r"(?:it|everything|all|the scene|the picture|the image|them)\b(?: be| into| to)? ?(.*)")
TO_PLACE = {"to the left": (0.25, 0.5), "to the right": (0.75, 0.5), "to the centre": (0.5, 0.5)}
TO_PLACE |= {"to the middle": (0.5, 0.5), "to the top": (0.5, 0.25), "to the bottom": (0.5, 0.75)}


def _step(text: str) -> tuple[Step, list[str]]:
    if found := REMOVE.fullmatch(text):
        target, unknown = _target(found[1])
        return Step("remove", target), unknown
    if (found := BACKGROUND.fullmatch(re.sub(r"^(make|change|set|replace|turn) ", "", text))) and found[1]:
        return _of_scene(found[1], of_background=True)
    if (found := MAKE.fullmatch(text)) and (rest := OF_SCENE.fullmatch(found[1])):
        return _of_scene(rest[1])
    if (found := MOVE.fullmatch(text)) and (rest := OF_SCENE.fullmatch(found[1])):
        return _of_scene(rest[1])
    if found := REPLACE.fullmatch(text) or TURN.fullmatch(text):
        return _replacement(found[1], found[2])
    if found := ADD.fullmatch(text):
        return _addition(found[1])
    if found := MAKE.fullmatch(text) or MOVE.fullmatch(text):
        return _changed(found[1])
    return _of_scene(text)


def _target(text: str, found: list[Token] | None = None) -> tuple[Target, list[str]]:
    """The things that a phrase means, and the words of it that are not understood."""
    said: dict[str, Any] = {}
    unknown = []
    for token in tokens(text) if found is None else found:
        if token.kind in ("noun", "class") and "name" not in said:
            said["name"] = token.value
        elif token.kind in ("colour", "size", "ordinal") and "name" not in said:
            said[token.kind] = token.value
        elif token.kind not in ("filler", "number"):
            unknown.append(token.text)
    if "name" not in said:
        raise UserError("this names no thing", value=text, fix=HOW)
    return Target(**said), unknown


def _replacement(old: str, new: str) -> tuple[Step, list[str]]:
    """Another noun in the same place; its number, size and colour stay unless they are said."""
    target, unknown = _target(old)
    read = parse(new)
    found = tokens(new)
    if not any(token.kind in ("noun", "class") for token in found):
        changes, left_out = _changes(found)
        return Step("change", target, changes), unknown + left_out
    thing, kinds = read.scene.things[0], {token.kind for token in found if token.text not in ARTICLES}
    new_values: list[tuple[str, Any]] = [("noun", thing.noun)]
    new_values += [(name, getattr(thing, name)) for name in ("colour", "size") if name in kinds]
    new_values += [("count", thing.count)] if "number" in kinds else []
    extra = [other.noun for other in read.scene.things[1:]]
    return Step("replace", target, tuple(new_values)), [*unknown, *read.unknown, *extra]


def _addition(text: str) -> tuple[Step, list[str]]:
    read = parse(text)
    if not read.scene.things:
        return _of_scene(text)
    thing, related = read.scene.things[0], None
    rest = list(tokens(text))
    at = next((i for i, token in enumerate(rest) if token.kind == "relation"), None)
    extra = [other.noun for other in read.scene.things[1:]]
    if at is not None and len(read.scene.things) > 1:
        target, unknown = _target(text, rest[at + 1 :])
        return Step("add", added=thing, related=(rest[at].value, target)), unknown
    return Step("add", added=thing, related=related), [*read.unknown, *extra]


def _changed(text: str) -> tuple[Step, list[str]]:
    """`the dog red`: the target up to its noun, then what becomes of it."""
    place = next((where for where in TO_PLACE if text.endswith(where)), None)
    found = tokens(text.removesuffix(place or ""))
    noun = next((i for i, token in enumerate(found) if token.kind in ("noun", "class")), None)
    if noun is None:
        return _of_scene(text)
    target, unknown = _target(text, found[: noun + 1])
    changes, left_out = _changes(found[noun + 1 :])
    if place is not None:
        changes = (*changes, ("place", TO_PLACE[place]))
    if not changes:
        return _of_scene(text)
    return Step("change", target, changes), unknown + left_out


ARTICLES = ("a", "an", "the")
NATURAL = "natural"
"""What makes a thing have its own colour again: "make the red dog natural"."""
LARGER = {"larger": "large", "bigger": "large", "smaller": "small"}


def _changes(found: list[Token]) -> tuple[tuple[tuple[str, Any], ...], list[str]]:
    changes: dict[str, Any] = {}
    unknown = []
    for token in found:
        if token.text == "orange":
            changes["colour"] = "orange"
        elif token.kind in ("colour", "size", "place"):
            changes[token.kind] = token.value
        elif token.text in LARGER:
            changes["size"] = LARGER[token.text]
        elif token.text == NATURAL:
            changes["colour"] = None
        elif token.kind == "number" and token.text not in ARTICLES:
            changes["count"] = token.value
        elif token.kind not in ("filler", "number"):
            unknown.append(token.text)
    return tuple(changes.items()), unknown


def _of_scene(text: str, *, of_background: bool = False) -> tuple[Step, list[str]]:
    """A change of background, light or weather; of_background: a bare name is that of a background first."""
    changes: dict[str, Any] = {}
    bare = re.sub(r"^(to|into|to be|be) ", "", text)
    for name in (bare, re.sub(r"^(the|a|an) ", "", bare)):
        kind, value = ("background", name) if of_background and name in BACKGROUNDS else _bare(name)
        if value is not None:
            return Step("change", changes=((kind, value),)), []
    unknown = []
    for token in tokens(_phrased(text)):
        if token.kind in ("background", "light", "weather"):
            changes[token.kind] = token.value
        elif token.kind not in ("filler", "number"):
            unknown.append(token.text)
    if not changes:
        raise UserError("this is not an edit", value=text, fix=HOW)
    return Step("change", changes=tuple(changes.items())), unknown


def _phrased(text: str) -> str:
    """A destination as a caption says it: `to the beach` as `on the beach`."""
    for said, ways in BACKGROUNDS.values():
        for way in (said, *ways):
            bare = way.partition(" ")[2]
            if re.fullmatch(
                rf"(in|on|to|into|onto|at|against)? ?(the |a )?{re.escape(bare.removeprefix('the '))}", text
            ):
                return said
    return text


ALONE = {"snowing": "snow", "raining": "rain", "rainy": "rain", "snowy": "snow", "foggy": "fog", "misty": "fog"}
ALONE |= {"dark": "night", "dusk": "sunset", "bright": "day", "daylight": "day", "sunny": "day", "evening": "sunset"}


def _bare(word: str) -> tuple[str, str | None]:
    """A background, light or weather by its name alone; snow and rain are weather."""
    name = ALONE.get(word, word)
    if name in WEATHER_PHRASES:
        return "weather", name
    if name in LIGHT_PHRASES:
        return "light", name
    return "background", name if name in BACKGROUNDS else f"plain {name}" if f"plain {name}" in BACKGROUNDS else None
