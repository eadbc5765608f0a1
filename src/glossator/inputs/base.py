"""What a subject takes, and where within an input a unit has values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np

from glossator.errors import MissingPower

GridKind = Literal["tokens", "cells", "whole"]
_AXES = {"tokens": 1, "cells": 2, "whole": 0}


@dataclass(frozen=True)
class Grid:
    """The places within one input at which a unit has a value: its tokens, the cells of an image, or the input as a
    whole.

    shape: `(64,)` for tokens, `(14, 14)` for cells, `()` for the whole; `ValueError` for any other number of axes.
    """

    kind: GridKind
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) != _AXES[self.kind] or any(side < 1 for side in self.shape):
            raise ValueError(f"no grid of {self.kind} has the shape {self.shape}")

    @property
    def places(self) -> int:
        """How many values a unit has in one input."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return self.kind if not self.shape else f"{self.kind} {' x '.join(map(str, self.shape))}"


WHOLE = Grid("whole")


@dataclass(frozen=True, eq=False)
class Shown:
    """One input as a person or a language model is shown it: text, an image (height, width, 3) uint8, or both."""

    text: str | None = None
    image: np.ndarray | None = None


class Inputs(Protocol):
    """A sequence of inputs of one kind, which is never changed.

    kind: tokens, texts, images or stimuli; ids (n,) int64: each input's number in the set that it was taken from;
    groups (n,) int64: what is assigned to splits and resampled together (a document, a scene, a run).
    """

    @property
    def kind(self) -> str: ...

    @property
    def ids(self) -> np.ndarray: ...

    @property
    def groups(self) -> np.ndarray: ...

    @property
    def weight(self) -> int:
        """The number of tokens that one input counts as when batches are formed."""
        ...

    @property
    def complete(self) -> np.ndarray:
        """(n,) bool, the inputs that are not cut short, so that their size reveals nothing about them."""
        ...

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> Self:
        """The inputs at these row numbers (or where a boolean row mask is True), in that order."""
        ...

    def regrouped(self, groups: np.ndarray) -> Self:
        """The same inputs in other groups (n,)."""
        ...

    def valid_at(self, grid: Grid) -> np.ndarray:
        """(n, places) bool, the places that count; raises `MissingPower` for a grid that these inputs do not have."""
        ...

    def show(self, row: int, grid: Grid = WHOLE, marks: np.ndarray | None = None) -> Shown:
        """Show one input; marks (places,) bool: the places to highlight, None for none."""
        ...

    def content(self) -> bytes:
        """The content as bytes, for fingerprints: equal inputs give equal bytes."""
        ...


def text_of(inputs: Inputs, row: int) -> str:
    """One input as text; raises `MissingPower` for inputs that have none."""
    text = inputs.show(row).text
    if text is None:
        raise MissingPower("this needs text", value=inputs.kind, allowed="inputs that can be displayed as text")
    return text


def no_such_grid(inputs: Inputs, grid: Grid) -> MissingPower:
    return MissingPower(f"{inputs.kind} have no such grid", value=str(grid))


def check_rows(name: str, n: int, *columns: np.ndarray) -> None:
    """Raise `ValueError` where a column of some inputs has another length than they have rows."""
    if any(len(column) != n for column in columns):
        raise ValueError(f"{name}: {[len(column) for column in columns]} ids and groups for {n} inputs")
