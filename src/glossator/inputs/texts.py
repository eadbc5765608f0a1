"""Whole texts as inputs: n-grams, sentences, and stimuli with timing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from glossator.inputs.base import WHOLE, Grid, Shown, check_rows, no_such_grid

ALL: Any = None
"""The default of a column that is filled in from the others."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts, each with one value a unit. texts: n strings; ids, groups (n,) int64, by default each text its own; counts
    (n,) bool, by default all: False for a text to which a subject has no response."""

    texts: tuple[str, ...]
    ids: np.ndarray
    groups: np.ndarray
    counts: np.ndarray = field(default=ALL, kw_only=True)

    kind = "texts"
    weight = 8

    def __post_init__(self) -> None:
        if self.counts is ALL:
            object.__setattr__(self, "counts", np.ones(len(self.texts), bool))
        check_rows(self.kind, len(self.texts), self.ids, self.groups, self.counts)

    @classmethod
    def of(cls, texts: Sequence[str], groups: Sequence[int] | np.ndarray | None = None) -> Self:
        """Texts in their order; groups: of each, by default each text is one of its own."""
        ids = np.arange(len(texts), dtype=np.int64)
        return cls(tuple(texts), ids, ids if groups is None else np.asarray(groups, np.int64))

    @property
    def complete(self) -> np.ndarray:
        return np.ones(len(self), bool)

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Self:
        rows = np.arange(len(self))[rows]
        columns = {column.name: getattr(self, column.name)[rows] for column in fields(self) if column.name != "texts"}
        return replace(self, texts=tuple(self.texts[i] for i in rows.tolist()), **columns)

    def regrouped(self, groups: np.ndarray) -> Self:
        return replace(self, groups=groups)

    def counting(self, counts: np.ndarray) -> Self:
        """The same texts, of which only these (n,) bool count."""
        return replace(self, counts=counts)

    def valid_at(self, grid: Grid) -> np.ndarray:
        if grid != WHOLE:
            raise no_such_grid(self, grid)
        return self.counts[:, None]

    def show(self, row: int, grid: Grid = WHOLE, marks: np.ndarray | None = None) -> Shown:
        return Shown(self.texts[row])

    def content(self) -> bytes:
        left_out = b"" if self.counts.all() else self.counts.tobytes()
        return "\0".join(self.texts).encode("utf-8", "surrogatepass") + self.groups.tobytes() + left_out


@dataclass(frozen=True, eq=False)
class Stimuli(Texts):
    """Texts that were presented at a time, with one response per unit, as the stories of an fMRI experiment.

    onsets (n,) float64: seconds from the beginning of the run that is the stimulus' group.
    """

    onsets: np.ndarray

    kind = "stimuli"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rows(self.kind, len(self.texts), self.onsets)

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        groups: Sequence[int] | np.ndarray | None = None,
        onsets: Sequence[float] | np.ndarray | None = None,
    ) -> Self:
        """Stimuli in their order; onsets: by default one second after another within each run."""
        ids = np.arange(len(texts), dtype=np.int64)
        runs = np.zeros(len(texts), np.int64) if groups is None else np.asarray(groups, np.int64)
        if onsets is None:
            onsets = np.array([(runs[:i] == run).sum() for i, run in enumerate(runs.tolist())], np.float64)
        return cls(tuple(texts), ids, runs, np.asarray(onsets, np.float64))

    def content(self) -> bytes:
        return super().content() + self.onsets.tobytes()
