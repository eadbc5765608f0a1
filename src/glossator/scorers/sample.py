"""Which tokens a score is computed on: the two settings of Bills et al. 2023, flattened once for all explanations.

top-and-random: the windows where the unit fires most and as many random ones, half and half, so that rare units can
be scored at all. random-only: random windows alone, what the unit does on text as it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from glossator.evidence import Exemplars
from glossator.statistics import document_index

Setting = Literal["top-and-random", "random-only"]
SETTINGS: tuple[Setting, ...] = ("top-and-random", "random-only")
TRUTH = "max(activation, 0) of the unit's polarity, one-sided"


@dataclass(frozen=True, eq=False)
class Sample:
    """The valid tokens of some windows of one split, in one flat order.

    rows (m,) row numbers in the split; mask (m, width) bool, the tokens that count; activations (t,) float64, signed;
    window_of_token (t,) 0..m-1; document_of_window (m,) 0..documents-1; kinds: how many windows of each kind.
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


def draw_sample(exemplars: Exemplars, setting: Setting, seed: int = 0) -> Sample:
    """The windows of a setting. Where top and random windows differ in number, a seeded draw evens them out.

    Windows with no valid token are left out; the sample is empty when the split has no windows of a kind needed.
    """
    usable = exemplars.windows.valid.any(axis=1)
    top = np.flatnonzero((exemplars.kinds == "top") & usable)
    random = np.flatnonzero((exemplars.kinds == "random") & usable)
    if setting == "top-and-random":
        rng, n = np.random.default_rng(seed), min(len(top), len(random))
        rows = np.concatenate([_draw(top, n, rng), _draw(random, n, rng)])
    else:
        rows = random
    return sample_rows(exemplars, rows)


def sample_rows(exemplars: Exemplars, rows: np.ndarray) -> Sample:
    """These rows of the split as a sample; every row must have a valid token."""
    mask = exemplars.windows.valid[rows]
    index, documents = document_index(exemplars.windows.documents[rows])
    kinds, counts = np.unique(exemplars.kinds[rows], return_counts=True)
    return Sample(
        rows=rows,
        mask=mask,
        activations=exemplars.activations[rows][mask].astype(np.float64),
        window_of_token=np.repeat(np.arange(len(rows)), mask.sum(axis=1)),
        document_of_window=index,
        documents=documents,
        kinds={str(kind): int(count) for kind, count in zip(kinds, counts, strict=True)},
    )


def _draw(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) == n else np.sort(rng.choice(rows, n, replace=False))
