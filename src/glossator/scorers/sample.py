"""Which tokens a score is computed on: the settings of Bills et al. 2023, flattened once for all explanations.

top-and-random: the windows where the unit fires most and as many random ones, half and half, so that rare units can
be scored at all. random-only: random windows alone, what the unit does on text as it comes. Beside these two, top: the
top windows of top-and-random, for what is asked of peaks alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from glossator.evidence import Exemplars
from glossator.statistics import document_index

Setting = Literal["top-and-random", "random-only", "top"]
SETTINGS: tuple[Setting, ...] = ("top-and-random", "random-only")
"""Those that a score is given in under its name and the setting's; their windows are all that is simulated."""
TRUTH = "max(activation, 0) of the unit's polarity, one-sided"


@dataclass(frozen=True, eq=False)
class Sample:
    """The valid tokens of some windows of one split, in one flat order.

    rows (m,) row numbers in the split; mask (m, width) bool, the tokens that count; activations (t,) float64, signed;
    window_of_token (t,) 0..m-1; document_of_window (m,) 0..documents-1; kinds: how many windows were drawn as top and
    as random ones.
    """

    rows: np.ndarray
    mask: np.ndarray
    activations: np.ndarray
    window_of_token: np.ndarray
    document_of_window: np.ndarray
    documents: int
    kinds: dict[str, int]

    @cached_property
    def truth(self) -> np.ndarray:
        """(t,) what is to be predicted: the activation where it is on the unit's own side, else 0."""
        return np.maximum(self.activations, 0.0)

    @cached_property
    def document_of_token(self) -> np.ndarray:
        return self.document_of_window[self.window_of_token]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.flatnonzero(np.diff(self.window_of_token, prepend=-1))

    def __len__(self) -> int:
        return len(self.rows)

    def flat(self, values: np.ndarray) -> np.ndarray:
        """Values of the whole split (n, width) as this sample's tokens (t,) float64."""
        return values[self.rows][self.mask].astype(np.float64)

    def window_max(self, tokens: np.ndarray) -> np.ndarray:
        """The largest of the token values (t,) in each window: (m,)."""
        return np.maximum.reduceat(tokens, self._starts) if len(self) else tokens

    def window_sums(self, *columns: np.ndarray) -> np.ndarray:
        """Sums of each column (t,) in each window: (m, columns)."""
        return np.stack([np.add.reduceat(column, self._starts) for column in columns], axis=1)


def draw_sample(exemplars: Exemplars, setting: Setting, seed: int = 0, most: int | None = None) -> Sample:
    """The windows of a setting. Where top and random windows differ in number, a seeded draw evens them out.

    random-only is the whole random draw, windows that happen to be top windows included; in top-and-random such a
    window counts once, as a top one. most: at most so many windows of each kind, by a seeded draw. Windows with no
    valid token are left out; the sample is empty when the split has no windows of a kind needed.
    """
    usable = exemplars.windows.valid.any(axis=1)
    is_top, in_random = (exemplars.kinds == "top") & usable, _in_random(exemplars) & usable
    rng = np.random.default_rng(seed)
    if setting == "random-only":
        random = np.flatnonzero(in_random)
        return sample_rows(exemplars, {"random": _draw(random, _least(most, random), rng)})
    top, random = np.flatnonzero(is_top), np.flatnonzero(in_random & ~is_top)
    n = _least(most, top, random)
    drawn = {"top": _draw(top, n, rng), "random": _draw(random, n, rng)}
    return sample_rows(exemplars, {"top": drawn["top"]} if setting == "top" else drawn)


def any_sample(exemplars: Exemplars, seed: int = 0, most: int | None = None) -> Sample:
    """All top and random windows of a split, whatever their numbers; most: at most so many of each."""
    usable = exemplars.windows.valid.any(axis=1)
    top = np.flatnonzero((exemplars.kinds == "top") & usable)
    random = np.flatnonzero(_in_random(exemplars) & usable & (exemplars.kinds != "top"))
    rng = np.random.default_rng(seed)
    return sample_rows(
        exemplars,
        {"top": _draw(top, _least(most, top), rng), "random": _draw(random, _least(most, random), rng)},
    )


def sample_rows(exemplars: Exemplars, drawn: Mapping[str, np.ndarray]) -> Sample:
    """These rows of the split, by the kind they were drawn as; every row must have a valid token."""
    rows = np.concatenate(list(drawn.values()))
    mask = exemplars.windows.valid[rows]
    index, documents = document_index(exemplars.windows.documents[rows])
    return Sample(
        rows=rows,
        mask=mask,
        activations=exemplars.activations[rows][mask].astype(np.float64),
        window_of_token=np.repeat(np.arange(len(rows)), mask.sum(axis=1)),
        document_of_window=index,
        documents=documents,
        kinds={kind: len(of_kind) for kind, of_kind in drawn.items() if len(of_kind)},
    )


def _in_random(exemplars: Exemplars) -> np.ndarray:
    assert exemplars.in_random is not None
    return exemplars.in_random


def _least(most: int | None, *rows: np.ndarray) -> int:
    return min([len(r) for r in rows] + ([] if most is None else [most]))


def _draw(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) == n else np.sort(rng.choice(rows, n, replace=False))
