"""Evidence about one unit: exemplars drawn by a named sampler and split so that no scored text reaches an explainer.

This file holds the types; `glossator.recording.samplers` draws them from a recording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from glossator.units import Unit
from glossator.windows import TokenWindows

SPLITS = ("explain", "calibrate", "select", "test")
Split = Literal["explain", "calibrate", "select", "test"]
Kind = Literal["top", "random", "quantile", "near-miss"]


@dataclass(frozen=True, eq=False)
class Exemplars:
    """Windows of one split with a unit's activations.

    activations (n, width) float32, already multiplied by the unit's sign, 0 where the window is not valid;
    kinds (n,) of str, how each window was drawn: top, quantile, near-miss or random.
    A window that was drawn in two ways stands once, under the first of them in that order; in_random (n,) bool is
    True for every window of the random draw, whatever its kind, so that the random windows stay an unbiased sample.
    """

    windows: TokenWindows
    activations: np.ndarray
    kinds: np.ndarray
    in_random: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.in_random is None:
            object.__setattr__(self, "in_random", np.asarray(self.kinds == "random", dtype=bool).reshape(len(self)))

    def __len__(self) -> int:
        return len(self.windows)

    def take(self, rows: np.ndarray) -> Exemplars:
        assert self.in_random is not None
        return Exemplars(self.windows.take(rows), self.activations[rows], self.kinds[rows], self.in_random[rows])

    def of(self, *kinds: Kind) -> Exemplars:
        """The windows of these kinds; "random" means the whole random draw, also those that are top windows as well."""
        assert self.in_random is not None
        chosen = np.isin(self.kinds, kinds)
        return self.take(np.flatnonzero(chosen | self.in_random if "random" in kinds else chosen))


@dataclass(frozen=True)
class UnitStatistics:
    """What is known of a unit over the whole recording, signed by polarity.

    count: valid tokens seen; mean, variance, skewness, kurtosis: exact moments (kurtosis without -3; the last two are
    None for a constant); maximum;
    quantiles: {probability: value} from the random panel; firing_threshold: a token above it counts as firing;
    firing_rate: share of random tokens above it; firing_rule: how the threshold was set, in words.
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


@dataclass(frozen=True, eq=False)
class ExplainEvidence:
    """All that an explainer may see: the explain split and nothing else.

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

    def split(self, name: Split) -> Exemplars:
        """The exemplars of one split."""
        if name == "explain":
            return self.explain.exemplars
        return {"calibrate": self.calibrate, "select": self.select, "test": self.test}[name]
