"""Atomic tests of the language: spelling, meaning, word classes, position, repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.errors import near_matches
from glossator.programs.checks import assign, number, quoted, text_of, texts_of, whole
from glossator.programs.shapes import SHAPES
from glossator.programs.words import WORD_CLASSES


class Test:
    """Something that is more or less true of a token in its window: a truth between 0 and 1 (except `Table`)."""

    __test__ = False  # not a test case, whatever the name says to test runners

    @property
    def parts(self) -> tuple[Test, ...]:
        """The tests directly inside this one."""
        return ()

    @property
    def within_brackets(self) -> str:
        """What stands in the brackets when the test is written down."""
        return ", ".join(map(str, self.parts))

    def __str__(self) -> str:
        """The test in concrete syntax, as `parse_program` reads it."""
        return f"{type(self).__name__.lower()}({self.within_brackets})"


@dataclass(frozen=True)
class Token(Test):
    """This token is one of `texts` (exact: case and leading space count)."""

    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        assign(self, texts=texts_of(self.texts, "token texts"))

    @property
    def within_brackets(self) -> str:
        return quoted(*self.texts)


@dataclass(frozen=True)
class Spelled(Test):
    """This token, lower-cased and without its leading space, is one of `words` (given in lower case)."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        words = texts_of(self.words, "words")
        if any(word != word.lower() for word in words):
            raise ValueError(f"spelled words are given in lower case, not {words!r}")
        assign(self, words=words)

    @property
    def within_brackets(self) -> str:
        return quoted(*self.words)


@dataclass(frozen=True)
class Like(Test):
    """This token is close in meaning to one of the seeds: clip((s - floor) / RAMP, 0, 1).

    s is the greatest cosine between the token's embedding and a seed's, both as `meaning.meaning_directions` makes
    them. Several seeds are several neighbourhoods, not their middle.
    """

    RAMP: ClassVar[float] = 0.25
    """How far above the floor a token counts in full."""

    seeds: tuple[str, ...]
    floor: float

    def __post_init__(self) -> None:
        assign(self, seeds=texts_of(self.seeds, "seeds"), floor=number(self.floor, "floor", 0.0, 0.999))

    @property
    def within_brackets(self) -> str:
        return f"{quoted(*self.seeds)}; {self.floor!r}"

    @classmethod
    def ramp(cls, cosines: np.ndarray, floor: float) -> np.ndarray:
        """Truth at these cosines (any shape), float32."""
        return np.clip((cosines - np.float32(floor)) / np.float32(cls.RAMP), 0.0, 1.0).astype(np.float32)


@dataclass(frozen=True)
class Prefix(Test):
    """The token without its leading space starts with `text`."""

    text: str

    def __post_init__(self) -> None:
        assign(self, text=text_of(self.text, "prefix"))

    @property
    def within_brackets(self) -> str:
        return quoted(self.text)


@dataclass(frozen=True)
class Suffix(Test):
    """The token without its leading space ends with `text`."""

    text: str

    def __post_init__(self) -> None:
        assign(self, text=text_of(self.text, "suffix"))

    @property
    def within_brackets(self) -> str:
        return quoted(self.text)


@dataclass(frozen=True)
class Contains(Test):
    """The token without its leading space contains `text`."""

    text: str

    def __post_init__(self) -> None:
        assign(self, text=text_of(self.text, "contained text"))

    @property
    def within_brackets(self) -> str:
        return quoted(self.text)


@dataclass(frozen=True)
class Shape(Test):
    """The token is written in a certain way; the names are the keys of `shapes.SHAPES`."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in SHAPES:
            raise ValueError(f"unknown shape {self.name!r}; {near_matches(self.name, SHAPES)}")

    @property
    def within_brackets(self) -> str:
        return self.name


@dataclass(frozen=True)
class Word(Test):
    """The token, lower-cased and without its leading space, is in a named class of words (`words.WORD_CLASSES`)."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in WORD_CLASSES:
            raise ValueError(f"unknown word class {self.name!r}; {near_matches(self.name, WORD_CLASSES)}")

    @property
    def within_brackets(self) -> str:
        return self.name


@dataclass(frozen=True)
class Position(Test):
    """The token stands at position low..high of the window, counted from 0, both included; no high means to the end."""

    low: int
    high: int | None = None

    def __post_init__(self) -> None:
        low = whole(self.low, "position", 0)
        assign(self, low=low, high=None if self.high is None else whole(self.high, "last position", low))

    @property
    def within_brackets(self) -> str:
        return f"{self.low}..{'' if self.high is None else self.high}"


@dataclass(frozen=True)
class Repeated(Test):
    """The same token stands earlier in the window, at most `within` tokens back."""

    within: int | None = None

    def __post_init__(self) -> None:
        assign(self, within=None if self.within is None else whole(self.within, "distance", 1))

    @property
    def within_brackets(self) -> str:
        return "" if self.within is None else str(self.within)
