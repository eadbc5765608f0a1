"""From words to a test of images: "large red dogs on grass", "cats or birds", "a dog next to a ball".

The words are those of scenes (`scenes.parse`), of programs in English (`programs.scene.english`), and what the images'
annotations are called. What is not understood is reported, never dropped: a test of half of a description would be
another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from glossator.inputs import Grid
from glossator.inputs.annotations import Concept
from glossator.programs.base import Test
from glossator.programs.language import And, Not, Or
from glossator.programs.scene.atoms import Anywhere, Shows, Together
from glossator.programs.scene.english import SEVERAL
from glossator.scenes.parse import NEGATIONS, Token, tokens
from glossator.scenes.words import NUMBERS, nouns

CARRIERS = frozenset(
    """thing things something anything object objects area areas region regions part parts image images picture pictures
    scene scenes background backgrounds all they these mostly mainly often usually each most of them is are has have
    contain containing any kind kinds in with to responds""".split()  # noqa: SIM905
)
"""Words that carry a description and say nothing themselves; "objects" after an adjective means things of any kind."""
EITHER = re.compile(r"\s*(?:\bor\b|/|;)\s*", re.IGNORECASE)
COUNTED = re.compile(r"\((\d+) of (\d+)\)")
SHOWS_SEVERAL = Shows(SEVERAL)
_MANY = rf"several|many|{'|'.join(NUMBERS[1:])}"
AS_MANY = re.compile(
    rf"\b(?:({_MANY})(?: things)? of one kind|things shown (?:({_MANY}) times|(once|twice))|"
    r"single (?:objects|things))\b",
    re.IGNORECASE,
)
TIMES = {"once": NUMBERS[0], "twice": NUMBERS[1]}


@dataclass(frozen=True)
class Read:
    """A test, None where the words say nothing that could be tested; unknown: what was not understood."""

    test: Test | None
    unknown: tuple[str, ...]

    @property
    def whole(self) -> Test | None:
        """The test, where all words were understood."""
        return None if self.unknown else self.test


def read(text: str, grid: Grid, known: Iterable[Concept] = (), *, every: bool = False) -> Read:
    """The test that a description stands for at the places of a grid.

    known: concepts that the text may name as a whole, such as the labels of a folder. Things joined by "and" or a comma
    are alternatives ("dogs, cats and birds"), those joined by "with" hold together; with `every`, as in a list of what
    images share, all do.
    """
    for concept in known:
        if concept.kind == "label" and concept.name.casefold() == text.strip().casefold():
            return Read(Shows((str(concept),)), ())
    pieces = [piece for piece in EITHER.split(COUNTED.sub("", text)) if piece.strip()]
    parts = [_Part(grid) for _ in pieces]
    for part, piece in zip(parts, pieces, strict=True):
        counts = [next(filter(None, found.groups()), "once").lower() for found in AS_MANY.finditer(piece)]
        counts = [TIMES.get(count, count) for count in counts]
        part.around += [SHOWS_SEVERAL if count == "several" else Shows((f"count:{count}",)) for count in counts]
        part.take(tokens(AS_MANY.sub("", piece)))
    tests = [test for part in parts if (test := part.test(every)) is not None]
    unknown = tuple(word for part in parts for word in part.unknown)
    return Read(_either(tests), unknown)


def _either(tests: Sequence[Test]) -> Test | None:
    """Any of these; concepts alone in one test."""
    if len(tests) < 2:
        return tests[0] if tests else None
    if all(isinstance(test, Shows) for test in tests):
        return Shows(tuple(dict.fromkeys(c for test in tests if isinstance(test, Shows) for c in test.concepts)))
    return Or(tuple(dict.fromkeys(tests)))


@dataclass
class _Thing:
    """One thing that is named, with its colour and size; relation: how it stands to the one named before it; beside:
    whether both are asked for."""

    concepts: list[Concept]
    relation: str | None = None
    beside: bool = False


@dataclass
class _Part:
    """One alternative of a description, while it is read."""

    grid: Grid
    things: list[_Thing] = field(default_factory=list)
    settings: list[Concept] = field(default_factory=list)
    around: list[Test] = field(default_factory=list)
    without: list[Concept] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def take(self, found: Sequence[Token]) -> None:
        qualities: list[Concept] = []
        relation, negated, beside = None, False, False
        for token in found:
            if token.kind in ("colour", "size"):
                qualities.append(Concept(token.kind, token.value))  # type: ignore[arg-type]
            elif token.kind in ("noun", "class") and not (qualities and token.text in CARRIERS):
                named = Concept(token.kind, token.value)  # type: ignore[arg-type]
                if negated:
                    self.without.append(named)
                else:
                    self.things.append(_Thing([*qualities, named], relation, beside))
                qualities, relation, negated, beside = [], None, False, False
            elif token.kind in ("background", "light", "weather"):
                setting = Concept(token.kind, token.value)  # type: ignore[arg-type]
                (self.without if negated else self.settings).append(setting)
                negated = False
            elif token.kind == "relation":
                relation = str(token.value)
            elif token.text in NEGATIONS or token.text in ("outside", "except"):
                negated = True
            elif token.text == "with":
                beside = bool(self.things)
            elif _says_more(token):
                self.unknown.append(token.text)
            elif qualities and (token.text in CARRIERS or token.text in (",", "and")):
                self.things.append(_Thing(qualities, relation, beside))
                qualities, relation, beside = [], None, False
        if qualities:
            self.things.append(_Thing(qualities, relation, beside))
        if negated:
            self.unknown.append("not")

    def test(self, every: bool) -> Test | None:
        tests = self._together() if every else self._alternatives()
        around: list[Test] = [Shows((str(one),)) for one in self.settings]
        if tests and self.grid.kind == "cells":
            around = [Anywhere(test) for test in around]
        around += [Not(Anywhere(Shows((str(one),)))) for one in self.without]
        parts = [*([_either(tests)] if tests else []), *self.around, *around]
        found = [part for part in parts if part is not None]
        return found[0] if len(found) == 1 else And(tuple(found)) if found else None

    def _alternatives(self) -> list[Test]:
        found: list[Test] = []
        for number, thing in enumerate(self.things):
            if thing.relation is not None and found:
                first, second = self.things[number - 1].concepts[-1], thing.concepts[-1]
                found[-1] = Shows((f"relation:{first.name} {thing.relation} {second.name}",))
            elif thing.beside and found:
                other = self._one(thing.concepts)
                found[-1] = And((found[-1], Anywhere(other) if self.grid.kind == "cells" else other))
            else:
                found.append(self._one(thing.concepts))
        return found

    def _together(self) -> list[Test]:
        """All that is named at once: of a noun and its classes the one named first."""
        kept: list[Concept] = []
        for concept in (c for thing in self.things for c in thing.concepts):
            if not any(_is_above(concept, other) or _is_above(other, concept) for other in kept):
                kept.append(concept)
        things = [c for c in kept if not _nouns_first(c)]
        if len(things) < 2:
            return [self._one(kept)] if kept else []
        # Several things are not at one spot: the first is here, the others are anywhere, as is what is said of any.
        others: list[Test] = [Shows((str(c),)) for c in kept if c is not things[0]]
        if self.grid.kind == "cells":
            others = [Anywhere(test) for test in others]
        return [And((Shows((str(things[0]),)), *others))]

    def _one(self, concepts: list[Concept]) -> Test:
        names = tuple(dict.fromkeys(str(c) for c in sorted(concepts, key=_nouns_first)))
        if len(names) == 1:
            return Shows(names)
        if self.grid.kind == "cells":
            return And(tuple(Shows((name,)) for name in names))
        return Together(names)


def _says_more(token: Token) -> bool:
    """Whether it says something for which there is no test."""
    if token.kind == "number":
        return token.text not in ("a", "an", "the")
    return token.kind in ("place", "ordinal") or (token.kind == "unknown" and token.text not in CARRIERS)


def _nouns_first(one: Concept) -> bool:
    return one.kind in ("colour", "size")


def _is_above(one: Concept, other: Concept) -> bool:
    """Whether the first is a class of the second."""
    if one.kind != "class":
        return False
    below = nouns().get(other.name)
    if other.kind == "noun" and below is not None:
        return one.name in below.classes
    return other.kind == "class" and any(
        other.name in n.classes and one.name in n.classes[n.classes.index(other.name) :] for n in nouns().values()
    )
