"""What one unit did on a split or on the whole recording, from its panel values (dense) or postings (sparse)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.evidence import SPLITS, Split, UnitStatistics
from glossator.recording.keys import half_of, order_below, order_of
from glossator.recording.reader import Moments, Recording, moments
from glossator.units import Unit

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
FIRING_QUANTILE = 0.99
TINY = 1e-6


@dataclass(frozen=True, eq=False)
class PanelPart:
    """The panel windows of one split. slots: their places in the panel; rows: their window rows; valid (n, width);
    tokens: where their valid tokens stand in the flattened panel."""

    slots: np.ndarray
    rows: np.ndarray
    valid: np.ndarray
    tokens: np.ndarray


def panel_part(recording: Recording, split: Split | None) -> PanelPart:
    """The panel windows of a split (None: of all), found once per recording."""
    cache: dict[Split | None, PanelPart] = recording.__dict__.setdefault("_panel_parts", {})
    if split not in cache:
        splits = recording.split_of_window[recording.panel]
        slots = np.flatnonzero(splits == SPLITS.index(split)) if split else np.arange(len(splits))
        rows = recording.panel[slots]
        valid = recording.windows.valid[rows]
        slot, column = np.nonzero(valid)
        cache[split] = PanelPart(slots, rows, valid, slots[slot] * valid.shape[1] + column)
    return cache[split]


@dataclass(frozen=True, eq=False)
class Observed:
    """A unit's signed float16 values on random tokens: the stored ones, and how many zeros stand beside them."""

    values: np.ndarray
    zeros: int

    @cached_property
    def _ordered(self) -> np.ndarray:
        # 16-bit numbers sorted by radix: the costliest step of drawing evidence
        return np.sort(order_of(self.values), kind="stable")

    @property
    def count(self) -> int:
        return len(self.values) + self.zeros

    def quantile(self, probability: float) -> float | None:
        """The value below which this share of all tokens lies (the lower of two neighbours); None without tokens."""
        if not self.count:
            return None
        rank = int(probability * (self.count - 1))
        below = int(np.searchsorted(self._ordered, 0)) if self.zeros else len(self.values)
        if rank < below:
            return half_of(self._ordered[rank])
        return 0.0 if rank < below + self.zeros else half_of(self._ordered[rank - self.zeros])

    def share_above(self, threshold: float) -> float:
        """The share of all tokens above a threshold."""
        above = len(self.values) - int(np.searchsorted(self._ordered, np.int16(order_below(threshold)), side="right"))
        return (above + (self.zeros if threshold < 0 else 0)) / max(self.count, 1)


def observe(recording: Recording, unit: Unit, split: Split | None, panel: np.ndarray | None) -> Observed:
    """The unit on random tokens of a split (None: of all); panel: its float16 panel values, None for a sparse unit.

    For a sparse unit these are all tokens of the split.
    """
    if panel is not None:
        return Observed(panel.reshape(-1).take(panel_part(recording, split).tokens), 0)
    positions, activations = recording.postings(unit)
    if split is not None:
        row = positions // np.uint32(recording.spec.width)
        activations = activations[recording.split_of_window[row] == SPLITS.index(split)]
    return Observed(activations, _valid_tokens(recording, split) - len(activations))


def _valid_tokens(recording: Recording, split: Split | None) -> int:
    cache: dict[Split | None, int] = recording.__dict__.setdefault("_valid_tokens", {})
    if split not in cache:
        chosen = slice(None) if split is None else recording.split_of_window == SPLITS.index(split)
        cache[split] = int(recording.windows.valid[chosen].sum())
    return cache[split]


def firing(observed: Observed, sparse: bool) -> tuple[float, str]:
    """The threshold above which a token counts as firing, and how it was set, in words."""
    if sparse:
        return 0.0, "above 0"
    found = observed.quantile(FIRING_QUANTILE)
    rule = f"above the {FIRING_QUANTILE:.0%} quantile of random tokens of the explain split, at least {TINY:g}"
    return max(TINY if found is None else found, TINY), rule


def split_statistics(observed: Observed, maximum: float, threshold: float, rule: str) -> UnitStatistics:
    """Statistics from the observed values alone."""
    x = observed.values.astype(np.float64)
    square = x * x
    sums = np.array([x.sum(), square.sum(), (square * x).sum(), (square * square).sum()])
    return _statistics(moments(observed.count, sums), observed, maximum, threshold, rule)


def whole_statistics(
    recording: Recording, unit: Unit, observed: Observed, maximum: float, threshold: float, rule: str
) -> UnitStatistics:
    """Statistics of the whole recording: exact moments, quantiles from the observed values."""
    return _statistics(recording.moments(unit), observed, maximum, threshold, rule)


def _statistics(m: Moments, observed: Observed, maximum: float, threshold: float, rule: str) -> UnitStatistics:
    quantiles = {p: q for p in QUANTILES if (q := observed.quantile(p)) is not None}
    return UnitStatistics(
        count=m.count,
        mean=m.mean,
        variance=m.variance,
        skewness=m.skewness,
        kurtosis=m.kurtosis,
        maximum=maximum,
        firing_threshold=threshold,
        firing_rate=observed.share_above(threshold),
        firing_rule=rule,
        quantiles=quantiles,
    )
