"""Which positions a score uses: the settings of Bills et al. 2023, flattened once for all explanations.

- top-and-random: the inputs in which the unit fires most and as many random ones, so that rare units can be scored.
- random-only: random inputs alone.
- top: the top inputs of top-and-random, for peaks; all of them where no input was drawn at random.
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
"""Those that a score is given in under its name and the setting's; their inputs are all that is simulated."""
ONE_VALUE = "the unit has one value per input, and no position within it"
TRUTH = {False: "max(activation, 0) of the unit's polarity, one-sided", True: "the signed value"}
"""By whether the polarity is ±."""


@dataclass(frozen=True, eq=False)
class Sample:
    """The valid places of some inputs of one split, in one flat order.

    rows (m,) row numbers in the split; mask (m, places) bool, the places that count; activations (t,) float64, signed;
    input_of_place (t,) 0..m-1; group_of_input (m,) 0..groups-1; kinds: how many inputs were drawn as top and
    as random ones; signed: whether the polarity is ±.
    """

    rows: np.ndarray
    mask: np.ndarray
    activations: np.ndarray
    input_of_place: np.ndarray
    group_of_input: np.ndarray
    groups: int
    kinds: dict[str, int]
    signed: bool = False

    @cached_property
    def truth(self) -> np.ndarray:
        """(t,) what is to be predicted: the activation where it is on the unit's own side, else 0; of polarity ± the
        signed value."""
        return self.own_side(self.activations)

    def own_side(self, activations: np.ndarray) -> np.ndarray:
        """What counts as truth of such activations."""
        return activations if self.signed else np.maximum(activations, 0.0)

    @cached_property
    def group_of_place(self) -> np.ndarray:
        return self.group_of_input[self.input_of_place]

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.flatnonzero(np.diff(self.input_of_place, prepend=-1))

    def __len__(self) -> int:
        return len(self.rows)

    def flat(self, values: np.ndarray) -> np.ndarray:
        """Values of the whole split (n, places) as this sample's places (t,) float64."""
        return values[self.rows][self.mask].astype(np.float64)

    def input_max(self, values: np.ndarray) -> np.ndarray:
        """The largest of these values (t,) in each input: (m,)."""
        return np.maximum.reduceat(values, self._starts) if len(self) else values

    def input_sums(self, *columns: np.ndarray) -> np.ndarray:
        """Sums of each column (t,) in each input: (m, columns)."""
        return np.stack([np.add.reduceat(column, self._starts) for column in columns], axis=1)


def draw_sample(exemplars: Exemplars, setting: Setting, seed: int = 0, most: int | None = None) -> Sample:
    """The inputs of a setting. Where top and random inputs differ in number, a seeded draw evens them out.

    random-only is the whole random draw, inputs that happen to be top inputs included; in top-and-random such an
    input counts once, as a top one. most: at most so many inputs of each kind, by a seeded draw. Inputs with no
    valid place are left out; the sample is empty when the split has no inputs of a kind needed.
    """
    usable = exemplars.valid.any(axis=1)
    is_top, in_random = (exemplars.kinds == "top") & usable, exemplars.in_random & usable
    rng = np.random.default_rng(seed)
    if setting == "random-only":
        random = np.flatnonzero(in_random)
        return sample_rows(exemplars, {"random": _draw(random, _least(most, random), rng)})
    top, random = np.flatnonzero(is_top), np.flatnonzero(in_random & ~is_top)
    n = _least(most, top, random) if len(random) or setting != "top" else _least(most, top)
    drawn = {"top": _draw(top, n, rng)}
    if setting != "top":
        drawn["random"] = _draw(random, n, rng)
    return sample_rows(exemplars, drawn)


def any_sample(exemplars: Exemplars, seed: int = 0, most: int | None = None) -> Sample:
    """All top and random inputs of a split, whatever their numbers; most: at most so many of each."""
    usable = exemplars.valid.any(axis=1)
    top = np.flatnonzero((exemplars.kinds == "top") & usable)
    random = np.flatnonzero(exemplars.in_random & usable & (exemplars.kinds != "top"))
    rng = np.random.default_rng(seed)
    return sample_rows(
        exemplars,
        {"top": _draw(top, _least(most, top), rng), "random": _draw(random, _least(most, random), rng)},
    )


def sample_rows(exemplars: Exemplars, drawn: Mapping[str, np.ndarray]) -> Sample:
    """These rows of the split, by the kind they were drawn as; every row must have a valid place."""
    rows = np.concatenate(list(drawn.values()))
    mask = exemplars.valid[rows]
    index, groups = document_index(exemplars.groups[rows])
    return Sample(
        rows=rows,
        mask=mask,
        activations=exemplars.activations[rows][mask].astype(np.float64),
        input_of_place=np.repeat(np.arange(len(rows)), mask.sum(axis=1)),
        group_of_input=index,
        groups=groups,
        kinds={kind: len(of_kind) for kind, of_kind in drawn.items() if len(of_kind)},
        signed=exemplars.signed,
    )


def _least(most: int | None, *rows: np.ndarray) -> int:
    return min([len(r) for r in rows] + ([] if most is None else [most]))


def _draw(rows: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) == n else np.sort(rng.choice(rows, n, replace=False))
