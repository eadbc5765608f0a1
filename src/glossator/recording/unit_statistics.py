"""Statistics of one unit on a split or the whole recording, from reference sample values (dense) or postings
(sparse)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.evidence import SPLITS, Split, UnitStatistics
from glossator.inputs import WHOLE, Grid
from glossator.recording.keys import half_of, order_below, order_of
from glossator.recording.reader import Moments, Recording, moments, power_sums
from glossator.units import Unit

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999)
FIRING_QUANTILE = 0.99
WHOLE_QUANTILE = 0.9
"""Of units with one value per input, and of the largest values of images: of a hundred inputs ten are to be looked at,
where a hundred windows hold thousands of tokens."""
TINY = 1e-6
"""Of a unit's largest magnitude: what is smaller counts as 0."""


@dataclass(frozen=True, eq=False)
class PanelPart:
    """The panel inputs of one split. slots: where they stand in the panel; rows: their rows; valid (n, places); flat:
    where their valid places stand in the flattened panel."""

    slots: np.ndarray
    rows: np.ndarray
    valid: np.ndarray
    flat: np.ndarray


def panel_part(recording: Recording, site: str, split: Split | None) -> PanelPart:
    """The panel inputs of a split (None: of all) at a site, found once per recording and grid."""
    cache: dict[tuple[Grid, Split | None], PanelPart] = recording.__dict__.setdefault("_panel_parts", {})
    key = recording.grid(site), split
    if key not in cache:
        splits = recording.split_of_input[recording.panel]
        slots = np.flatnonzero(splits == SPLITS.index(split)) if split else np.arange(len(splits))
        rows = recording.panel[slots]
        valid = recording.valid(site)[rows]
        slot, column = np.nonzero(valid)
        cache[key] = PanelPart(slots, rows, valid, slots[slot] * valid.shape[1] + column)
    return cache[key]


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
    """A unit's values on random tokens of a split (None: of all); panel: its float16 panel values, None for a sparse
    unit.

    For a sparse unit these are all tokens of the split.
    """
    exponent = recording.exponent(unit)
    if panel is not None:
        return Observed(panel.reshape(-1).take(panel_part(recording, unit.site, split).flat), exponent, 0)
    positions, halves = recording.posting_halves(unit)
    if split is not None:
        row = positions // np.uint32(recording.grid(unit.site).places)
        halves = halves[recording.split_of_input[row] == SPLITS.index(split)]
    return Observed(halves, exponent, _valid_places(recording, unit.site, split) - len(halves))


def _valid_places(recording: Recording, site: str, split: Split | None) -> int:
    cache: dict[tuple[Grid, Split | None], int] = recording.__dict__.setdefault("_valid_in_split", {})
    key = recording.grid(site), split
    if key not in cache:
        chosen = slice(None) if split is None else recording.split_of_input == SPLITS.index(split)
        cache[key] = int(recording.valid(site)[chosen].sum())
    return cache[key]


def firing(observed: Observed, maximum: float, sparse: bool, grid: Grid) -> tuple[float, str]:
    """The threshold above which a place counts as firing, and how it was set, in words.

    maximum: the largest value of the explain split.
    """
    if sparse:
        return 0.0, "above 0"
    share = WHOLE_QUANTILE if grid == WHOLE else FIRING_QUANTILE
    least, found = TINY * max(maximum, observed.largest), observed.quantile(share)
    places = "inputs" if grid == WHOLE else grid.kind
    rule = (
        f"above the {share:.0%} quantile of random {places} of the explain split, at least {TINY:g} of its "
        "largest activation"
    )
    if found is None:
        return least, rule
    return max(below_plateau(found, observed.quantile(0), observed.quantile(1)), least), rule


def below_plateau(threshold: float, lowest: float | None, highest: float | None) -> float:
    """The threshold, lowered to just below the largest value if so many values share it that the threshold equals
    it."""
    if lowest is None or highest is None or not lowest < highest or threshold < highest:
        return threshold
    return float(np.nextafter(np.float32(threshold), np.float32(-np.inf)))  # which activations are compared as


def split_statistics(
    observed: Observed, maximum: float, threshold: float, rule: str, of_inputs: float
) -> UnitStatistics:
    """Statistics from the observed values alone; of_inputs: the threshold of the largest value of an input."""
    sums = power_sums(observed.values)
    return _statistics(moments(observed.count, sums), observed, maximum, threshold, rule, of_inputs)


def whole_statistics(
    recording: Recording, unit: Unit, observed: Observed, maximum: float, threshold: float, rule: str, of_inputs: float
) -> UnitStatistics:
    """Statistics of the whole recording: exact moments, quantiles from the observed values."""
    return _statistics(recording.moments(unit), observed, maximum, threshold, rule, of_inputs)


def _statistics(
    m: Moments, observed: Observed, maximum: float, threshold: float, rule: str, of_inputs: float
) -> UnitStatistics:
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
        input_threshold=of_inputs,
    )
