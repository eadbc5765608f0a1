"""From a text to a scene: the longest known phrase at each word. What is not understood is reported, never dropped.

A text names things ("two small red dogs"), how they stand to each other ("above a car"), where ("on grass", "on the
left"), the light ("at night") and the weather ("in the rain"). A class ("an animal") stands for one of its nouns, which
the seed chooses. What is negated ("without dogs") is not drawn and is reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from glossator.scenes import words
from glossator.scenes.scene import MOST_THINGS, ORDINALS, Relation, Scene, Thing

FILLERS = frozenset(
    """and with of , . ; : there is are it its a an the picture image photo photograph drawing rendering illustration
    painting scene empty standing sitting lying showing shows show shown depicting featuring containing contains some
    one background""".split()  # noqa: SIM905
)
"""Words that may stand between phrases and change nothing."""
NEGATIONS = frozenset({"no", "not", "without", "never", "neither", "nor", "none", "lacking"})
PLURAL = 2
"""How many "dogs" are, if no number is said."""


@dataclass(frozen=True)
class Token:
    """A phrase that is understood: what it is, and what it says. kind: noun, class, number, size, colour, background,
    light, weather, relation, place, ordinal, filler, negation or unknown; several: of nouns, whether in the plural."""

    kind: str
    value: Any
    text: str
    several: bool = False


@dataclass(frozen=True)
class Parsed:
    """A scene, and the words of the text that it leaves out."""

    scene: Scene
    unknown: tuple[str, ...]


def parse(text: str, seed: int = 0, *, style: str = "noto") -> Parsed:
    """The scene that a text describes; without a word on it, by day in clear weather on a plain white background."""
    return _Reading(tokens(text), seed, style).parsed()


def tokens(text: str) -> list[Token]:
    """The phrases of a text, each the longest that is known where it stands."""
    split = re.findall(r"[\w'-]+|[,.;:!?]", text.lower().replace("’", "'"))
    known, longest = phrases(), max(len(phrase) for phrase in phrases())
    found, at = [], 0
    while at < len(split):
        for length in range(min(longest, len(split) - at), 0, -1):
            if token := known.get(tuple(split[at : at + length])):
                found.append(token)
                at += length
                break
        else:
            found.append(_single(split[at]))
            at += 1
    return _oranges(found)


def _single(word: str) -> Token:
    if word in NEGATIONS:
        return Token("negation", word, word)
    if word in FILLERS or word in "!?":
        return Token("filler", word, word)
    return Token("unknown", word, word)


def _oranges(found: list[Token]) -> list[Token]:
    """An orange with nothing after it that could be orange is the fruit."""
    described = {"size", "colour", "noun", "class"}
    whatever = {"thing", "things", "object", "objects", "area", "areas"}
    for i, token in enumerate(found):
        following = found[i + 1] if i + 1 < len(found) else Token("end", None, "")
        colours = following.kind in described or following.text in whatever
        if token.text in ("orange", "oranges") and not colours:
            found[i] = Token("noun", "tangerine", token.text, token.text == "oranges")
    return found


@cache
def phrases() -> Mapping[tuple[str, ...], Token]:
    """Every phrase of the vocabulary, as its words."""
    found: dict[tuple[str, ...], Token] = {}

    def add(kind: str, value: Any, *ways: str, several: bool = False) -> None:
        for way in ways:
            found.setdefault(tuple(re.findall(r"[\w'-]+", way)), Token(kind, value, way, several))

    for background, (said, ways) in words.BACKGROUNDS.items():
        add("background", background, said, *ways)
        for name in (words.background_name(background), f"{background} background"):
            add("background", background, name, words.plural(name))
    for light in words.LIGHT_PHRASES:
        for what in (" light", " scene", " scenes", "time scene", "time scenes"):
            add("light", light, f"{light}{what}")
    for kind, table in (("light", words.LIGHT_PHRASES), ("weather", words.WEATHER_PHRASES)):
        for name, (said, ways) in table.items():
            add(kind, name, said, *ways)
    for place, at in words.PLACES.items():
        add("place", at, place, place.replace("centre", "center"), place.replace("in the centre", "in the middle"))
    for relation, ways in words.RELATION_PHRASES.items():
        add("relation", relation, relation, *ways)
    for noun in words.nouns().values():
        for name in (noun.name, *noun.aliases):
            add("noun", noun.name, name)
    for noun in words.nouns().values():
        for name in (noun.name, *noun.aliases):
            add("noun", noun.name, words.plural(name), several=True)
    for kind in words.classes():
        add("class", kind, kind)
        add("class", kind, words.plural(kind), several=True)
    for colour in words.COLOURS:
        add("colour", colour, colour)
    for way, colour in words.COLOUR_ALIASES.items():
        add("colour", colour, way)
    for way, size in words.SIZE_ALIASES.items():
        add("size", size, way)
    for i, ordinal in enumerate(ORDINALS):
        add("ordinal", i, ordinal)
    for way, number in words.NUMBER_ALIASES.items():
        add("number", number, way)
    add("colour", "orange", "oranges")
    return found


@dataclass
class _Described:
    """What has been said of a thing before its noun."""

    count: int | None = None
    size: str | None = None
    colour: str | None = None
    ordinal: int | None = None
    definite: bool = False
    said: list[tuple[int, str]] = field(default_factory=list)


class _Reading:
    """One pass over the phrases of a text."""

    def __init__(self, found: Sequence[Token], seed: int, style: str):
        self.tokens, self.seed, self.style = found, seed, style
        self.things: list[Thing] = []
        self.relations: list[Relation] = []
        self.at = 0
        self.unknown: list[tuple[int, str]] = []
        self.where: dict[str, Any] = {}
        self.next = _Described()
        self.last: int | None = None
        self.relation: tuple[int, Token] | None = None

    def parsed(self) -> Parsed:
        negated = False
        for at, token in enumerate(self.tokens):
            self.at = at
            if token.kind == "negation" or (negated and token.kind not in ("noun", "class", "filler")):
                self._drop()
                negated = True
                self._leave_out(token.text)
            elif negated and token.kind in ("noun", "class"):
                self._leave_out(token.text)
                negated = False
            else:
                self._read(token)
        self._drop()
        if self.relation is not None:
            self.unknown.append((self.relation[0], self.relation[1].text))
        scene = Scene(tuple(self.things), tuple(self.relations), **self.where, style=self.style, seed=self.seed)
        return Parsed(scene, tuple(word for _, word in sorted(self.unknown)))

    def _read(self, token: Token) -> None:
        following = self.next
        if token.kind in ("noun", "class"):
            self._thing(token)
        elif token.kind == "number":
            following.count, following.definite = token.value, token.text == "the"
            if token.text not in ("a", "an", "the"):
                following.said.append((self.at, token.text))
        elif token.kind in ("size", "colour", "ordinal"):
            if getattr(following, token.kind) is not None:
                self.unknown.append(following.said.pop())
            setattr(following, token.kind, token.value)
            following.said.append((self.at, token.text))
        elif token.kind == "relation":
            self._drop()
            if self.relation is not None or self.last is None:
                self._leave_out(token.text)
            else:
                self.relation = self.at, token
        elif token.kind in ("background", "light", "weather"):
            self._drop()
            if self.where.get(token.kind, token.value) != token.value:
                self._leave_out(token.text)
            else:
                self.where[token.kind] = token.value
        elif token.kind == "place":
            self._place(token)
        elif token.kind == "unknown":
            self._leave_out(token.text)

    def _thing(self, token: Token) -> None:
        following, self.next = self.next, _Described()
        if (known := self._referred(token, following)) is None:
            if len(self.things) == MOST_THINGS:
                self.unknown += [*following.said, (self.at, token.text)]
                return
            noun = token.value
            if token.kind == "class":
                among = words.classes()[noun]
                noun = among[int(np.random.default_rng([self.seed, 4, len(self.things)]).integers(len(among)))]
            count = following.count or (PLURAL if token.several else 1)
            if following.count == 1 and token.several and following.definite:
                count = PLURAL
            if following.ordinal is not None:
                self._leave_out(ORDINALS[following.ordinal])
            self.things.append(Thing(noun, following.colour, following.size or "medium", count))  # type: ignore[arg-type]
            known = len(self.things) - 1
        if self.relation is not None and self.last is not None:
            if known == self.last:
                self.unknown.append((self.relation[0], self.relation[1].text))
            else:
                self.relations.append(Relation(self.relation[1].value, self.last, known))
        self.last, self.relation = known, None

    def _referred(self, token: Token, following: _Described) -> int | None:
        """The thing that is already there which "the dog" or "the second dog" means."""
        if not following.definite or following.size or following.colour:
            return None
        same = [i for i, thing in enumerate(self.things) if token.value in called(thing)]
        ordinal = following.ordinal or 0
        return same[ordinal] if ordinal < len(same) else None

    def _place(self, token: Token) -> None:
        self._drop()
        if self.last is None or self.things[self.last].place is not None:
            self._leave_out(token.text)
        else:
            self.things[self.last] = replace(self.things[self.last], place=token.value)

    def _leave_out(self, word: str) -> None:
        self.unknown.append((self.at, word))

    def _drop(self) -> None:
        """Report what was said of a thing that did not come."""
        self.unknown += self.next.said
        self.next = _Described()


def called(thing: Thing) -> tuple[str, ...]:
    """A thing's noun and its classes."""
    return thing.noun, *words.nouns()[thing.noun].classes
