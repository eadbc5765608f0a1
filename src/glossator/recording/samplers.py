"""Drawing the evidence of one unit from a recording: which windows an explainer sees, and which ones score it.

The random windows of a split are the same for every unit and chosen without looking at activations; windows of the
other kinds are added to them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Literal, NamedTuple

import numpy as np

from glossator.evidence import SPLITS, Evidence, Exemplars, ExplainEvidence, Kind, Split
from glossator.files import canonical, fingerprint, fingerprint_of
from glossator.recording.alone import as_known_to
from glossator.recording.keys import order_below, order_of, rounded
from glossator.recording.reader import Recording
from glossator.recording.unit_statistics import (
    WHOLE_QUANTILE,
    PanelPart,
    below_plateau,
    firing,
    observe,
    panel_part,
    split_statistics,
    whole_statistics,
)
from glossator.specs import Takes, check_fields
from glossator.statistics import evenly
from glossator.units import Unit

Sampler = Literal["mixed", "top", "random", "quantile", "near-miss"]
SAMPLERS: dict[str, tuple[Kind, ...]] = {
    "mixed": ("top", "random"),
    "top": ("top",),
    "random": ("random",),
    "quantile": ("quantile",),
    "near-miss": ("top", "near-miss", "random"),
}

_KIND_TYPE = "<U9"
_SPLITS: tuple[Split, ...] = ("explain", "calibrate", "select", "test")


Count = Annotated[int, Takes(least=0)]
CountOrAll = Annotated[int | None, Takes('a number, or "all"', least=0, all_is_none=True)]


@dataclass(frozen=True)
class EvidenceSpec:
    """How many windows of which kind are drawn from each split.

    sampler: what the explain split holds: mixed (top and random), top, random, quantile (spread evenly over the
    quantiles of window maxima), near-miss (mixed, and windows that the unit's token lookup table calls firing though it
    does not); the other splits always hold top and random windows. None for a random count: all panel windows of the
    split. min_firing_windows: below it, in explain or in test, the evidence is "insufficient".
    """

    sampler: Sampler = "mixed"
    explain_top: Count = 40
    explain_random: CountOrAll = None
    explain_quantile: Count = 40
    explain_near_miss: Count = 20
    calibrate_top: Count = 20
    calibrate_random: CountOrAll = None
    select_top: Count = 20
    select_random: CountOrAll = None
    test_top: Count = 50
    test_random: CountOrAll = 500
    test_near_miss: Count = 0
    min_firing_windows: Count = 8
    seed: Count = 0

    def __post_init__(self) -> None:
        check_fields(self, " in [evidence]")

    def wanted(self, split: Split) -> dict[Kind, int | None]:
        """How many windows of each kind this split gets, kinds in the order in which they are taken."""
        kinds: tuple[Kind, ...] = ("top", "quantile", "near-miss", "random")
        counts = {kind: getattr(self, f"{split}_{kind.replace('-', '_')}", 0) for kind in kinds}
        return {k: n for k, n in counts.items() if split != "explain" or k in SAMPLERS[self.sampler]}


DEFAULT = EvidenceSpec()


def draw(recording: Recording, unit: Unit, spec: EvidenceSpec | None = None) -> Evidence:
    """Draw a unit's evidence; the same recording, unit and spec give the same windows."""
    spec, recording = spec or DEFAULT, as_known_to(recording, unit)
    view = _UnitView(recording, unit)
    explain_random = observe(recording, unit, "explain", view.panel)
    threshold, rule = firing(explain_random, view.maximum("explain"), view.sparse, view.grid)
    of_inputs = view.input_threshold(threshold)
    parts = _exemplars(view, {split: _drawn(view, split, spec, threshold) for split in _SPLITS})
    firing_windows = {split: view.firing_inputs(split, of_inputs) for split in (_SPLITS[0], _SPLITS[3])}
    explain = ExplainEvidence(
        unit,
        parts["explain"],
        split_statistics(explain_random, view.maximum("explain"), threshold, rule, of_inputs),
        _fingerprint(recording, unit, spec, parts["explain"]),
    )
    named = "windows" if recording.inputs.kind == "tokens" else recording.inputs.kind
    few = [
        f"{n} firing {named} in {s}, {spec.min_firing_windows} needed"
        for s, n in firing_windows.items()
        if n < spec.min_firing_windows
    ]
    return Evidence(
        unit=unit,
        explain=explain,
        calibrate=parts["calibrate"],
        select=parts["select"],
        test=parts["test"],
        statistics=whole_statistics(
            recording, unit, observe(recording, unit, None, view.panel), view.maximum(None), threshold, rule, of_inputs
        ),
        status="insufficient" if few else "ok",
        reason="; ".join(few),
    )


def random_rows(recording: Recording, site: str, split: Split, count: int | None, seed: int) -> np.ndarray:
    """Rows of the split's random draw, ascending: a sample of the panel that depends on no activation."""
    cache: dict[tuple[Split, int | None, int], np.ndarray] = recording.__dict__.setdefault("_random_rows", {})
    key = (split, count, seed)
    if key not in cache:
        rows = panel_part(recording, site, split).rows
        if count is not None and count < len(rows):
            rng = np.random.default_rng([seed, SPLITS.index(split), 2])
            rows = np.sort(rng.choice(rows, count, replace=False))
        cache[key] = rows
    return cache[key]


class _UnitView:
    """One unit's panel values, top windows and firing windows, each read once."""

    def __init__(self, recording: Recording, unit: Unit):
        self.recording, self.unit = recording, unit
        self.top = recording.top_rows(unit)
        self.sparse = recording.sites[unit.site].kind == "sparse"
        self.grid = recording.grid(unit.site)
        self.top_splits = recording.split_of_input[self.top]
        self.panel = None if self.sparse else recording.panel_halves(unit)

    @cached_property
    def top_maxima(self) -> np.ndarray:
        return self.recording.top_maxima(self.unit)

    def top_of(self, split: Split) -> np.ndarray:
        return self.top[self.top_splits == SPLITS.index(split)]

    def panel_of(self, split: Split) -> np.ndarray:
        """float32 (panel inputs of the split, places)."""
        return self.recording.values(self.unit, self.part(split).rows)

    def part(self, split: Split | None) -> PanelPart:
        return panel_part(self.recording, self.unit.site, split)

    def input_threshold(self, threshold: float) -> float:
        """What the largest value of an input must be above for the unit to fire in it: the threshold of places, where a
        place is a token or the whole; among the many cells of an image one or another is nearly always above that."""
        if self.sparse or self.grid.kind != "cells":
            return threshold
        part = self.part("explain")
        maxima = np.where(part.valid, self.panel_of("explain"), -np.inf).max(axis=1)
        if not len(maxima):
            return threshold
        found = float(np.quantile(maxima, WHOLE_QUANTILE, method="lower"))
        return max(threshold, below_plateau(found, float(maxima.min()), float(maxima.max())))

    def maximum(self, split: Split | None) -> float:
        """The largest value; that of the best top window, or of the panel where none of the split is among the top."""
        maxima = self.top_maxima if split is None else self.top_maxima[self.top_splits == SPLITS.index(split)]
        if len(maxima):
            return float(maxima[0])
        panel = self.panel_of(split) if split and not self.sparse else np.empty(0)
        return float(panel.max()) if panel.size else 0.0

    def firing_inputs(self, split: Split, threshold: float) -> int:
        """Known inputs of the split whose largest value is above the threshold."""
        number, splits = SPLITS.index(split), self.recording.split_of_input
        if self.panel is None:
            return int((splits[self.recording.firing_rows(self.unit)] == number).sum())
        fires = np.zeros(len(splits), bool)
        exponent = self.recording.exponent(self.unit)
        threshold = threshold * 2.0**-exponent
        # rounded as the panel's values are, or a constant could fire above itself
        top = rounded(self.top_maxima, exponent)
        fires[self.top[(top > threshold) & (self.top_splits == number)]] = True
        part = self.part(split)
        highest = order_of(self.panel).max(axis=1)[part.slots]
        fires[part.rows[highest > order_below(threshold)]] = True
        return int(np.count_nonzero(fires))


class _Drawn(NamedTuple):
    """The inputs of one split: their rows, how each was drawn, and whether it is one of the random draw."""

    rows: np.ndarray
    kinds: np.ndarray
    in_random: np.ndarray


def _drawn(view: _UnitView, split: Split, spec: EvidenceSpec, threshold: float) -> _Drawn:
    recording = view.recording
    taken = np.zeros(len(recording.split_of_input), bool)
    rows: list[np.ndarray] = []
    kinds: list[np.ndarray] = []
    rows_drawn = None
    for kind, count in spec.wanted(split).items():
        if count == 0:
            continue
        if kind == "top":
            found = view.top_of(split)[:count]
        elif kind == "quantile":
            found = _quantile_rows(view, split, int(count or 0))
        elif kind == "near-miss":
            found = _near_miss_rows(view, split, threshold, int(count or 0))
        else:
            found = rows_drawn = random_rows(recording, view.unit.site, split, count, spec.seed)
        found = found[~taken[found]]
        taken[found] = True
        rows.append(found)
        kinds.append(np.full(len(found), kind, _KIND_TYPE))
    chosen = np.concatenate(rows) if rows else np.empty(0, np.int64)
    drawn = np.zeros(len(taken), bool)
    if rows_drawn is not None:
        drawn[rows_drawn] = True
    return _Drawn(chosen, np.concatenate(kinds) if kinds else np.empty(0, _KIND_TYPE), drawn[chosen])


def _exemplars(view: _UnitView, drawn: dict[Split, _Drawn]) -> dict[Split, Exemplars]:
    """The unit's values are read once for all splits."""
    values = view.recording.values(view.unit, np.concatenate([part.rows for part in drawn.values()]))
    found: dict[Split, Exemplars] = {}
    for split, (rows, kinds, in_random) in drawn.items():
        activations, values = values[: len(rows)], values[len(rows) :]
        inputs = view.recording.inputs.take(rows)
        found[split] = Exemplars(inputs, activations, kinds, in_random, view.grid, view.unit.polarity == "±")
    return found


def _quantile_rows(view: _UnitView, split: Split, count: int) -> np.ndarray:
    """Panel windows at evenly spread ranks of their maxima, largest first."""
    part = view.part(split)
    maxima = np.where(part.valid, view.panel_of(split), -np.inf).max(axis=1)
    order = np.argsort(-maxima, kind="stable")
    return part.rows[order[evenly(len(order), count)]]


def _near_miss_rows(view: _UnitView, split: Split, threshold: float, count: int) -> np.ndarray:
    """Silent panel windows for which the explain split's token lookup table predicts firing, most expected first.

    The table is the mean activation of each token over the explain split's panel; firing is predicted when a token's
    mean is above the firing threshold.
    """
    tokens = view.recording.windows.tokens
    learnt = view.part("explain")
    seen = tokens[learnt.rows][learnt.valid]
    size = len(view.recording.vocabulary)
    total = np.bincount(seen, weights=view.panel_of("explain")[learnt.valid], minlength=size)
    table = total / np.maximum(np.bincount(seen, minlength=size), 1)
    part = view.part(split)
    values = view.panel_of(split)
    expected = np.where(part.valid, table[tokens[part.rows]], -np.inf).max(axis=1)
    missed = np.flatnonzero((expected > threshold) & (values.max(axis=1) <= threshold))
    return part.rows[missed[np.argsort(-expected[missed], kind="stable")][:count]]


def _fingerprint(recording: Recording, unit: Unit, spec: EvidenceSpec, explain: Exemplars) -> str:
    """Of what the unit is of and what it read; not of which other units were recorded beside it. What units of a site
    share is long, and written once."""
    shared: dict[str, str] = recording.__dict__.setdefault("_origins", {})
    if unit.site not in shared:
        of = recording.spec
        shared[unit.site] = canonical([of.subject_fingerprint, of.readouts.get(unit.site), of.windows])[1:-1]
    own = canonical([str(unit), _spec_fingerprint(spec), _digest(explain)])[1:-1]
    return fingerprint_of(f"[{shared[unit.site]},{own}]")


@lru_cache(64)
def _spec_fingerprint(spec: EvidenceSpec) -> str:
    return fingerprint(spec)


def _digest(exemplars: Exemplars) -> str:
    digest = hashlib.sha256(exemplars.inputs.ids.tobytes())
    digest.update(exemplars.activations.tobytes())
    digest.update(exemplars.kinds.tobytes())
    return digest.hexdigest()[:16]
