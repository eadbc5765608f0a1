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
"""Of a unit's largest magnitude: what is smaller counts as 0."""


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
    """A unit's signed float16 values on random tokens: the stored ones, the power of two by which they are multiplied,
    and how many zeros stand beside them."""

    halves: np.ndarray
    exponent: int
    zeros: int

    @cached_property
    def _ordered(self) -> np.ndarray:
        # 16-bit numbers sorted by radix: the costliest step of drawing evidence
        return np.sort(order_of(self.halves), kind="stable")

    @cached_property
    def values(self) -> np.ndarray:
        """float64, without the zeros beside them."""
        return self.halves.astype(np.float64) * 2.0**self.exponent

    @property
    def count(self) -> int:
        return len(self.halves) + self.zeros

    @property
    def largest(self) -> float:
        """The largest magnitude."""
        ends = [half_of(self._ordered[0]), half_of(self._ordered[-1])] if len(self.halves) else [0.0]
        return max(map(abs, ends)) * 2.0**self.exponent

    def quantile(self, probability: float) -> float | None:
        """The value below which this share of all tokens lies (the lower of two neighbours); None without tokens."""
        if not self.count:
            return None
        rank = int(probability * (self.count - 1))
        below = int(np.searchsorted(self._ordered, 0)) if self.zeros else len(self.halves)
        if below <= rank < below + self.zeros:
            return 0.0
        return half_of(self._ordered[rank if rank < below else rank - self.zeros]) * 2.0**self.exponent

    def share_above(self, threshold: float) -> float:
        """The share of all tokens above a threshold."""
        bound = np.int16(order_below(threshold * 2.0**-self.exponent))
        above = len(self.halves) - int(np.searchsorted(self._ordered, bound, side="right"))
        return (above + (self.zeros if threshold < 0 else 0)) / max(self.count, 1)


def observe(recording: Recording, unit: Unit, split: Split | None, panel: np.ndarray | None) -> Observed:
    """The unit on random tokens of a split (None: of all); panel: its float16 panel values, None for a sparse unit.

    For a sparse unit these are all tokens of the split.
    """
    exponent = recording.exponent(unit)
    if panel is not None:
        return Observed(panel.reshape(-1).take(panel_part(recording, split).tokens), exponent, 0)
    positions, halves = recording.posting_halves(unit)
    if split is not None:
        row = positions // np.uint32(recording.spec.width)
        halves = halves[recording.split_of_window[row] == SPLITS.index(split)]
    return Observed(halves, exponent, _valid_tokens(recording, split) - len(halves))


def _valid_tokens(recording: Recording, split: Split | None) -> int:
    cache: dict[Split | None, int] = recording.__dict__.setdefault("_valid_tokens", {})
    if split not in cache:
        chosen = slice(None) if split is None else recording.split_of_window == SPLITS.index(split)
        cache[split] = int(recording.windows.valid[chosen].sum())
    return cache[split]


def firing(observed: Observed, maximum: float, sparse: bool) -> tuple[float, str]:
    """The threshold above which a token counts as firing, and how it was set, in words.

    maximum: the largest value of the explain split.
    """
    if sparse:
        return 0.0, "above 0"
    least, found = TINY * max(maximum, observed.largest), observed.quantile(FIRING_QUANTILE)
    rule = (
        f"above the {FIRING_QUANTILE:.0%} quantile of random tokens of the explain split, at least {TINY:g} of its "
        "largest activation"
    )
    return least if found is None else max(found, least), rule


def split_statistics(observed: Observed, maximum: float, threshold: float, rule: str) -> UnitStatistics:
    """Statistics from the observed values alone."""
    x = observed.values
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
