"""Images as inputs: pixels in memory or memory-mapped; cells are highlighted by dimming the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from glossator.errors import UserError
from glossator.inputs.base import WHOLE, Grid, Shown, check_rows, no_such_grid

DIMMED = 0.25
"""How bright the cells are that are not pointed out."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size. pixels (n, height, width, 3) uint8; ids, groups (n,) int64, a group shows one scene."""

    pixels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray

    kind = "images"
    weight = 64

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[3] != 3 or self.pixels.dtype != np.uint8:
            raise UserError(
                "these are not images",
                value=f"{self.pixels.dtype} {self.pixels.shape}",
                allowed="uint8 (n, height, width, 3), red, green, blue",
            )
        check_rows(self.kind, len(self.pixels), self.ids, self.groups)

    @classmethod
    def of(cls, pixels: np.ndarray, groups: Sequence[int] | np.ndarray | None = None) -> Self:
        """Images in their order; groups: of each, by default each image is one of its own."""
        ids = np.arange(len(pixels), dtype=np.int64)
        return cls(pixels, ids, ids if groups is None else np.asarray(groups, np.int64))

    @property
    def complete(self) -> np.ndarray:
        return np.ones(len(self), bool)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> Self:
        return type(self)(self.pixels[rows], self.ids[rows], self.groups[rows])

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
        return np.ascontiguousarray(self.pixels).tobytes() + self.groups.tobytes()


def cells_of_pixels(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Values of cells (rows, columns) at every pixel of an image: (height, width)."""
    row = np.arange(height) * cells.shape[0] // height
    column = np.arange(width) * cells.shape[1] // width
    return cells[row[:, None], column]
