"""Atomic tests of the language: spelling, meaning, word classes, repetition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.errors import near_matches
from glossator.programs.base import Test
from glossator.programs.checks import assign, number, quoted, text_of, texts_of, whole
from glossator.programs.shapes import CONTEXT_SHAPES, SHAPES
from glossator.programs.words import WORD_CLASSES, finer_classes, is_class


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
    def needs_context(self) -> bool:  # type: ignore[override]
        return self.name in CONTEXT_SHAPES

    @property
    def within_brackets(self) -> str:
        return self.name


@dataclass(frozen=True)
class Word(Test):
    """The token, lower-cased and without its leading space, is in a named class of words (`words.is_class`)."""

    name: str

    def __post_init__(self) -> None:
        if not is_class(self.name):
            known = (*WORD_CLASSES, *finer_classes())
            raise ValueError(f"unknown word class {self.name!r}; {near_matches(self.name, known)}")

    @property
    def within_brackets(self) -> str:
        return self.name


@dataclass(frozen=True)
class Repeated(Test):
    """The same token stands earlier in the window, at most `within` tokens back."""

    within: int | None = None

    needs_context = True

    def __post_init__(self) -> None:
        assign(self, within=None if self.within is None else whole(self.within, "distance", 1))

    @property
    def within_brackets(self) -> str:
        return "" if self.within is None else str(self.within)
