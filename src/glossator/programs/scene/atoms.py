"""The tests of images: what a place shows, how its pixels look, and what is beside it or anywhere in the image.

A place is a cell of the image, or the whole image where a unit has one value for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glossator.errors import UserError, near_matches
from glossator.inputs.annotations import Concept
from glossator.programs.base import Test, inner
from glossator.programs.checks import assign, number, quoted, texts_of, whole

STATISTICS: dict[str, str] = {
    "bright": "bright areas", "colourful": "strong colours", "contrast": "strong contrast",
    "red": "red", "orange": "orange", "brown": "brown", "yellow": "yellow", "green": "green", "cyan": "cyan",
    "blue": "blue", "purple": "purple", "pink": "pink", "white": "white", "grey": "grey", "black": "black",
    "edges": "edges and fine texture", "horizontal": "horizontal edges", "vertical": "vertical edges",
    "rising": "diagonal edges that rise to the right", "falling": "diagonal edges that fall to the right",
    "left": "the left of the image", "right": "the right of the image", "top": "the top of the image",
    "bottom": "the bottom of the image", "centre": "the centre of the image", "border": "the border of the image",
}  # fmt: skip
"""What can be measured of the pixels of a place, each between 0 and 1 (`pixels.measure`), and how it is said."""
COLOURS = ("red", "orange", "brown", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "grey", "black")
POSITIONS = ("left", "right", "top", "bottom", "centre", "border")


class SceneTest(Test):
    """A test that reads images."""

    language = "scene"
    needs_context = True


@dataclass(frozen=True)
class Shows(SceneTest):
    """The place shows one of these concepts, each written KIND:NAME.

    The truth in a cell is the greatest share of it that one of them covers; for a whole image it is 1 where the image
    shows any of them, however small. least: instead, 1 where that share (of the cell, or of the image) is reached.
    """

    concepts: tuple[str, ...]
    least: float | None = None

    def __post_init__(self) -> None:
        concepts = _concepts(self.concepts)
        least = None if self.least is None else number(self.least, "share", 0.0, 1.0)
        assign(self, concepts=concepts, least=least)

    @property
    def within_brackets(self) -> str:
        return quoted(*self.concepts) + ("" if self.least is None else f"; {self.least!r}")


@dataclass(frozen=True)
class Together(SceneTest):
    """All of these concepts at one spot, such as a noun and the colour of that very thing."""

    concepts: tuple[str, ...]

    def __post_init__(self) -> None:
        concepts = _concepts(self.concepts)
        if len(concepts) < 2:
            raise ValueError("together needs at least two concepts")
        assign(self, concepts=concepts)

    @property
    def within_brackets(self) -> str:
        return quoted(*self.concepts)


@dataclass(frozen=True)
class Looks(SceneTest):
    """A statistic of the pixels of the place (`STATISTICS`): its value, or with `least` 1 where it reaches that."""

    statistic: str
    least: float | None = None

    def __post_init__(self) -> None:
        if self.statistic not in STATISTICS:
            raise ValueError(f"no statistic of pixels {self.statistic!r}: {near_matches(self.statistic, STATISTICS)}")
        assign(self, least=None if self.least is None else number(self.least, "least value", 0.0, 1.0))

    @property
    def within_brackets(self) -> str:
        return self.statistic + ("" if self.least is None else f"; {self.least!r}")


@dataclass(frozen=True)
class Anywhere(SceneTest):
    """The greatest truth of the test at any place of the image."""

    test: Test

    def __post_init__(self) -> None:
        inner(self.test, "anywhere")

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)


@dataclass(frozen=True)
class Beside(SceneTest):
    """The greatest truth of the test at this cell or at most k cells away, in either direction."""

    test: Test
    k: int = 1

    def __post_init__(self) -> None:
        inner(self.test, "beside")
        assign(self, k=whole(self.k, "distance", 1))

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)

    @property
    def within_brackets(self) -> str:
        return f"{self.test}, {self.k}"


def concepts_of(test: Test) -> Iterator[Concept]:
    """All concepts that a test names."""
    if isinstance(test, Shows | Together):
        yield from (Concept.of(text) for text in test.concepts)
    for part in test.parts:
        yield from concepts_of(part)


def _concepts(given: tuple[str, ...]) -> tuple[str, ...]:
    concepts = texts_of(given, "concept")
    try:
        return tuple(str(Concept.of(text)) for text in concepts)
    except UserError as error:
        raise ValueError(str(error)) from None
