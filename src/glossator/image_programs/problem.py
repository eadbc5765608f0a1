"""What is fitted: the places of the explain split's images in a row, with activations, weights and parts.

It is to images what `programs.problem` is to tokens: the same weights of random and top inputs, the same parts, one of
which only decides whether to claim anything. A single image says less than a window, so that part is larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.inputs import Grid, Inputs
from glossator.programs.base import Test
from glossator.programs.problem import CLAIM, PARTS, parts_of
from glossator.programs.scene.content import truth
from glossator.units import unit_rng

CLAIM_SHARE = 0.2
MOST_PLACES = 20_000
"""Of more places so many are drawn at random, from the unit's own seed."""
INDEPENDENT = 16
"""Places of one image that count as much as their square root of independent ones, and no more than this."""


@dataclass(frozen=True, eq=False)
class SceneProblem:
    """flat: which of the (n * places) values stands at each of T places; target, weight (T,); part (T,): 0, 1, ... to
    search, `CLAIM` to claim; groups (T,): the scene of each; scale: the power of two that activations were divided by;
    firing_groups: in how many the unit fires."""

    inputs: Inputs
    grid: Grid
    flat: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    part: np.ndarray
    groups: np.ndarray
    scale: float
    firing_groups: int

    def column(self, test: Test) -> np.ndarray:
        """Truth (T,) of a test, as it is executed."""
        found: np.ndarray = truth(test, self.inputs, self.grid).reshape(-1)[self.flat]
        return found

    @property
    def row(self) -> np.ndarray:
        """(T,) which image each place is of."""
        return self.flat // self.grid.places

    @cached_property
    def searched(self) -> np.ndarray:
        """Weights (T,), 0 where the claim is judged."""
        return self.weight * (self.part != CLAIM)

    @cached_property
    def folds(self) -> np.ndarray:
        """Weights (T, PARTS) of the parts that are searched on."""
        return self.searched[:, None] * (self.part[:, None] == np.arange(PARTS))

    @cached_property
    def independent(self) -> float:
        """As how many independent values those searched on count."""
        images = len(np.unique(self.row[self.part != CLAIM]))
        return images * float(min(self.grid.places, INDEPENDENT)) ** 0.5


def make_problem(evidence: ExplainEvidence, top_share: float, seed: int) -> SceneProblem:
    """The problem of one unit; images in the order of their numbers, random ones first."""
    exemplars = evidence.exemplars
    exemplars = exemplars.take(np.lexsort((exemplars.inputs.ids, ~np.asarray(exemplars.in_random))))
    in_random, valid = np.asarray(exemplars.in_random), np.asarray(exemplars.valid)
    is_top = exemplars.kinds == "top"
    random_places, top_places = valid[in_random].sum(), valid[is_top].sum()
    extra = top_share * random_places / top_places if top_places and random_places else float(top_places > 0)
    weight = in_random * 1.0 + is_top * extra
    groups = np.asarray(exemplars.groups)
    fires = ((exemplars.activations > evidence.statistics.firing_threshold) & valid).any(axis=1)
    firing = np.unique(groups[fires])
    part = parts_of(groups, firing, CLAIM_SHARE)
    flat = np.flatnonzero((valid & (weight > 0)[:, None]).reshape(-1))
    if len(flat) > MOST_PLACES:
        flat = np.sort(unit_rng(seed, evidence.unit).choice(flat, MOST_PLACES, replace=False))
    row = flat // exemplars.grid.places
    target = np.maximum(exemplars.activations.reshape(-1)[flat].astype(np.float64), 0.0)
    scale = 2.0 ** int(np.frexp(target.max(initial=0.0))[1])
    return SceneProblem(
        exemplars.inputs, exemplars.grid, flat, target / scale, weight[row], part[row], groups[row], scale, len(firing)
    )  # fmt: skip
