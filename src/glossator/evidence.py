"""Evidence about one unit: exemplars drawn by a named sampler, split so that no scored text reaches an explainer.

This file holds the types; `glossator.recording.samplers` draws them from a recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from glossator.files import digest_of
from glossator.inputs.base import WHOLE, Grid, Inputs
from glossator.inputs.tokens import TokenWindows, token_windows
from glossator.units import Unit

SPLITS = ("explain", "calibrate", "select", "test")
Split = Literal["explain", "calibrate", "select", "test"]
Kind = Literal["top", "random", "quantile", "near-miss"]
FROM_OTHERS: Any = None
"""The default of a field that is filled in from the others."""


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Inputs of one split with a unit's activations at the places of one grid.

    activations (n, places) float32, already multiplied by the unit's sign, 0 where a place is not valid;
    kinds (n,) of str, how each input was drawn: top, quantile, near-miss or random; grid: the places, by default the
    tokens of windows.
    An input that was drawn in two ways stands once, under the first of them in that order; in_random (n,) bool is
    True for every input of the random draw, whatever its kind, so that the random inputs stay an unbiased sample.
    signed: whether what is below 0 is truth as well (polarity ±), and not the other side's.
    """

    inputs: Inputs
    activations: np.ndarray
    kinds: np.ndarray
    in_random: np.ndarray = FROM_OTHERS
    grid: Grid = FROM_OTHERS
    signed: bool = False

    def __post_init__(self) -> None:
        if self.in_random is FROM_OTHERS:
            object.__setattr__(self, "in_random", np.asarray(self.kinds == "random", dtype=bool).reshape(len(self)))
        if self.grid is FROM_OTHERS:
            object.__setattr__(self, "grid", self.windows.grid)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def windows(self) -> TokenWindows:
        """The inputs as windows of tokens; raises `MissingPower` where they are of another kind."""
        return token_windows(self.inputs)

    @cached_property
    def valid(self) -> np.ndarray:
        """(n, places) bool, which places count."""
        return self.inputs.valid_at(self.grid)

    @property
    def groups(self) -> np.ndarray:
        """(n,) the groups that are resampled together: the document of a window, the scene of an image."""
        return self.inputs.groups

    @property
    def maxima(self) -> np.ndarray:
        """(n,) the largest activation of each input, -inf in one without a place that counts."""
        return np.where(self.valid, self.activations, -np.inf).max(axis=1)

    def pooled(self) -> Exemplars:
        """The same inputs with one value each, the largest activation."""
        if self.grid == WHOLE:
            return self
        maxima = self.maxima
        largest = np.where(np.isfinite(maxima), maxima, 0).astype(np.float32)
        return Exemplars(self.inputs, largest[:, None], self.kinds, self.in_random, WHOLE, self.signed)

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the inputs, the activations and how they were drawn."""
        inputs = (self.inputs.content(), self.inputs.ids, repr(self.grid))
        signed = ("signed",) if self.signed else ()
        return digest_of(*inputs, self.activations, repr(self.kinds.tolist()), self.in_random, *signed)

    def take(self, rows: np.ndarray) -> Exemplars:
        return Exemplars(
            self.inputs.take(rows),
            self.activations[rows],
            self.kinds[rows],
            self.in_random[rows],
            self.grid,
            self.signed,
        )

    def of(self, *kinds: Kind) -> Exemplars:
        """The inputs of these kinds; "random" means the whole random draw, also those that are top inputs as well."""
        chosen = np.isin(self.kinds, kinds)
        return self.take(np.flatnonzero(chosen | self.in_random if "random" in kinds else chosen))


@dataclass(frozen=True)
class UnitStatistics:
    """Statistics of a unit over the whole recording, signed by polarity.

    count: valid places seen; mean, variance, skewness, kurtosis: exact moments (kurtosis without -3; the last two are
    None for a constant); maximum;
    quantiles: {probability: value} from the random panel; firing_threshold: a place above it counts as firing;
    firing_rate: share of random places above it; firing_rule: how the threshold was set, in words; input_threshold:
    an input whose largest activation is above it counts as firing, by default the firing threshold itself.
    """

    count: int
    mean: float
    variance: float
    skewness: float | None
    kurtosis: float | None
    maximum: float
    firing_threshold: float
    firing_rate: float
    firing_rule: str
    quantiles: dict[float, float] = field(default_factory=dict)
    input_threshold: float = FROM_OTHERS

    def __post_init__(self) -> None:
        if self.input_threshold is FROM_OTHERS:
            object.__setattr__(self, "input_threshold", self.firing_threshold)


@dataclass(frozen=True, eq=False)
class ExplainEvidence:
    """The evidence that an explainer may see: the explain split and nothing else.

    The statistics here are computed from the explain split's windows alone, not from the whole recording.
    """

    unit: Unit
    exemplars: Exemplars
    statistics: UnitStatistics
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Evidence:
    """All splits of one unit; only `explain` is ever handed to an explainer.

    status: "ok", or "insufficient" with the reason (too few firing windows).
    """

    unit: Unit
    explain: ExplainEvidence
    calibrate: Exemplars
    select: Exemplars
    test: Exemplars
    statistics: UnitStatistics
    status: Literal["ok", "insufficient"] = "ok"
    reason: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the unit, any of its splits and what is known of it."""
        splits = [self.split(name).fingerprint for name in ("explain", "calibrate", "select", "test")]
        return digest_of(str(self.unit), *splits, repr(self.statistics), self.reason)

    def split(self, name: Split) -> Exemplars:
        """The exemplars of one split."""
        if name == "explain":
            return self.explain.exemplars
        return {"calibrate": self.calibrate, "select": self.select, "test": self.test}[name]
