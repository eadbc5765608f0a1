"""What is known of the content of images: which concepts they show, and how much of each place shows one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np

from glossator.errors import MissingPower, UserError
from glossator.inputs.base import WHOLE, Grid, Inputs

ConceptKind = Literal[
    "noun", "class", "colour", "size", "count", "background", "light", "weather", "relation", "label"
]  # fmt: skip


@dataclass(frozen=True, order=True)
class Concept:
    """Something that an image may show, such as the noun "dog", the class "animal", the colour "red", the count
    "two", the weather "snow" or the relation "dog above ball"; a "label" is what the owner of a folder calls it."""

    kind: ConceptKind
    name: str

    def __post_init__(self) -> None:
        if self.kind not in get_args(ConceptKind):
            raise UserError("no such kind of concept", value=self.kind, allowed=", ".join(get_args(ConceptKind)))

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @classmethod
    def of(cls, text: str) -> Concept:
        """A concept as it is written, `KIND:NAME`."""
        kind, _, name = text.partition(":")
        if not name:
            raise UserError("this is not a concept", value=text, allowed="KIND:NAME, such as noun:dog or colour:red")
        return cls(kind, name)  # type: ignore[arg-type]


class Annotations(Protocol):
    """The content of some images, row by row. A concept that no image shows covers nothing; that is no error."""

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The concepts that some image shows, in their order; others may be asked for."""
        ...

    def coverage(self, rows: np.ndarray, concept: Concept, grid: Grid) -> np.ndarray:
        """(rows, places) float32, the share of each place that shows the concept, from its exact mask; on the grid
        `whole`, the share of the image. Concepts of the whole scene, such as night, cover all of it."""
        ...

    def present(self, concept: Concept) -> np.ndarray:
        """(n,) bool, the images that show the concept."""
        ...


def annotations_of(inputs: Inputs) -> Annotations:
    """What is known of the content of these inputs; raises `MissingPower` where nothing is."""
    found: Annotations | None = getattr(inputs, "annotations", None)
    if found is None:
        raise MissingPower(
            "nothing is known of the content of these inputs",
            value=inputs.kind,
            fix="Use rendered scenes (--inputs renders), or a folder of images with labels.csv or masks",
        )
    return found


class LazyMasks(Mapping[int, np.ndarray]):
    """Masks (height, width) bool by row, each read when it is asked for."""

    def __init__(self, readers: Mapping[int, Callable[[], np.ndarray]]):
        self.readers = readers

    def __getitem__(self, row: int) -> np.ndarray:
        return self.readers[row]()

    def __iter__(self) -> Iterator[int]:
        return iter(self.readers)

    def __len__(self) -> int:
        return len(self.readers)

    def at(self, rows: Sequence[int]) -> LazyMasks:
        """The masks of these rows, by their position among them."""
        return LazyMasks({at: self.readers[row] for at, row in enumerate(rows) if row in self.readers})


@dataclass(frozen=True, eq=False)
class Labels:
    """Annotations from arrays. shows: concept -> (n,) bool, which images show it; masks: concept -> where it is in some
    of them, by row. Without a mask a concept covers the whole image. files: what the masks are read from, if anything,
    for fingerprints."""

    n: int
    shows: Mapping[Concept, np.ndarray]
    masks: Mapping[Concept, LazyMasks]
    files: bytes | None = None

    def content(self) -> bytes:
        """What tells these annotations from others, for fingerprints."""
        parts = [
            f"{concept} {np.flatnonzero(shown).tolist()}".encode() for concept, shown in sorted(self.shows.items())
        ]
        for concept, masks in sorted(self.masks.items()):
            parts.append(f"{concept} {sorted(masks)}".encode())
            if self.files is None:
                parts += [hashlib.sha256(np.packbits(masks[row]).tobytes()).digest() for row in sorted(masks)]
        return b"\n".join([*parts, self.files or b""])

    @property
    def concepts(self) -> tuple[Concept, ...]:
        return tuple(sorted(concept for concept, shown in self.shows.items() if shown.any()))

    def coverage(self, rows: np.ndarray, concept: Concept, grid: Grid) -> np.ndarray:
        rows = np.arange(self.n)[rows]
        covered = np.repeat(self.present(concept)[rows].astype(np.float32)[:, None], grid.places, axis=1)
        masks = self.masks.get(concept, LazyMasks({}))
        for at, row in enumerate(rows.tolist()):
            if row in masks:
                covered[at] = share_of_cells(masks[row], grid)
        return covered

    def present(self, concept: Concept) -> np.ndarray:
        return self.shows.get(concept, np.zeros(self.n, bool))

    def take(self, rows: np.ndarray) -> Labels:
        rows = np.arange(self.n)[rows]
        masks = {concept: of.at(rows.tolist()) for concept, of in self.masks.items()}
        return Labels(len(rows), {concept: shown[rows] for concept, shown in self.shows.items()}, masks, self.files)


def place_of_pixels(height: int, width: int, grid: Grid) -> np.ndarray:
    """(height, width) int64, the place of a grid in which each pixel lies: cells share the pixels as evenly as they
    can, and those of `whole` are all in place 0."""
    if grid.kind == "tokens":
        raise MissingPower("images have no such grid", value=str(grid))
    rows, columns = grid.shape if grid != WHOLE else (1, 1)
    row, column = np.arange(height) * rows // height, np.arange(width) * columns // width
    return row[:, None] * columns + column


def share_of_cells(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """(places,) float32, the share of the pixels of each place at which a mask (height, width) is True."""
    place = place_of_pixels(mask.shape[0], mask.shape[1], grid).ravel()
    covered = np.bincount(place, weights=mask.ravel(), minlength=grid.places)
    pixels = np.bincount(place, minlength=grid.places)
    if not pixels.all():
        raise UserError("the grid is finer than the image", value=str(grid), allowed=f"at most {mask.shape}")
    return (covered / pixels).astype(np.float32)
