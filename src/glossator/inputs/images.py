"""Images as inputs: pixels in memory, memory-mapped or drawn when they are read; cells are highlighted by dimming the
others."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from glossator.errors import UserError
from glossator.inputs.annotations import Annotations, Labels
from glossator.inputs.base import WHOLE, Grid, Shown, check_rows, no_such_grid

DIMMED = 0.25
"""How bright the cells are that are not pointed out."""


class DrawnPixels(ABC):
    """An array (n, side, side, 3) uint8 that is nowhere stored: indexing it draws or decodes the images that are asked
    for, and `np.asarray` all of them."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, side: int):
        self.side = side

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def image(self, row: int) -> np.ndarray:
        """One image, (side, side, 3) uint8."""
        ...

    @abstractmethod
    def at(self, rows: np.ndarray) -> DrawnPixels:
        """The images at these row numbers, not yet drawn."""
        ...

    @abstractmethod
    def content(self) -> bytes:
        """What the pixels are made from, for fingerprints."""
        ...

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), self.side, self.side, 3

    def __getitem__(self, index: Any) -> np.ndarray:
        rows = np.arange(len(self))[index]
        if rows.ndim == 0:
            return self.image(int(rows))
        drawn = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for at, row in enumerate(rows.tolist()):
            drawn[at] = self.image(row)
        return drawn

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size. pixels (n, height, width, 3) uint8, an array or `DrawnPixels`; ids, groups (n,) int64, a
    group shows one scene; labels: what is known of their content, None for nothing."""

    pixels: np.ndarray | DrawnPixels
    ids: np.ndarray
    groups: np.ndarray
    labels: Labels | None = None

    kind = "images"
    weight = 64

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 4 or shape[3] != 3 or 0 in shape[1:] or self.pixels.dtype != np.uint8:
            raise UserError(
                "these are not images",
                value=f"{self.pixels.dtype} {self.pixels.shape}",
                allowed="uint8 (n, height, width, 3), red, green, blue",
            )
        check_rows(self.kind, len(self.pixels), self.ids, self.groups)
        if self.labels is not None and self.labels.n != len(self.pixels):
            raise ValueError(f"labels of {self.labels.n} images for {len(self.pixels)}")

    @classmethod
    def of(cls, pixels: np.ndarray, groups: Sequence[int] | np.ndarray | None = None) -> Self:
        """Images in their order; groups: of each, by default each image is one of its own."""
        ids = np.arange(len(pixels), dtype=np.int64)
        return cls(pixels, ids, ids if groups is None else np.asarray(groups, np.int64))

    @property
    def annotations(self) -> Annotations | None:
        """What the images show, None where nothing is known of it."""
        return self.labels

    @property
    def complete(self) -> np.ndarray:
        return np.ones(len(self), bool)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> Self:
        labels = None if self.labels is None else self.labels.take(rows)
        if isinstance(self.pixels, DrawnPixels):
            pixels: Any = self.pixels.at(np.arange(len(self))[rows])
        else:
            pixels = self.pixels[rows]
        return replace(self, pixels=pixels, ids=self.ids[rows], groups=self.groups[rows], labels=labels)

    def regrouped(self, groups: np.ndarray) -> Self:
        return replace(self, groups=groups)

    def valid_at(self, grid: Grid) -> np.ndarray:
        if grid.kind == "tokens":
            raise no_such_grid(self, grid)
        return np.ones((len(self), grid.places), bool)

    def show(self, row: int, grid: Grid = WHOLE, marks: np.ndarray | None = None) -> Shown:
        image = np.array(self.pixels[row])
        if marks is not None and grid.kind == "cells":
            dim = ~cells_of_pixels(np.asarray(marks, bool).reshape(grid.shape), image.shape[0], image.shape[1])
            image[dim] = (image[dim] * DIMMED).astype(np.uint8)
        return Shown(image=image)

    def content(self) -> bytes:
        drawn = isinstance(self.pixels, DrawnPixels)
        pixels = self.pixels.content() if drawn else np.ascontiguousarray(self.pixels).tobytes()  # type: ignore[union-attr]
        return pixels + self.groups.tobytes() + (b"" if self.labels is None else self.labels.content())


def cells_of_pixels(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values of cells (rows, columns) at every pixel of an image: (height, width)."""
    row = np.arange(height) * cells.shape[0] // height
    column = np.arange(width) * cells.shape[1] // width
    return cells[row[:, None], column]
