"""The inputs on a unit's page, in groups: strongest, by interval of activation, at random, and where the explanation is
wrong, each with true and predicted activations at the same places.

All are of the test split, which no explainer saw, and are drawn anew from the recording; nothing is stored twice.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.evidence import Evidence, Exemplars
from glossator.explorer.exemplars import ShownInput, histogram, predictions, shown_input
from glossator.explorer.pages.parts import rounded
from glossator.inputs import TokenWindows
from glossator.recording.alone import as_known_to
from glossator.statistics import evenly
from glossator.store.results import UnitResult
from glossator.units import Unit, unit_rng

if TYPE_CHECKING:
    from glossator.study.context import StudyContext

TOP, INTERVALS, OF_INTERVAL, RANDOM, WRONG, TOKENS = 12, 4, 4, 6, 4, 12
STEPS = 999
"""Activations are given in steps of the largest one divided by this: three digits, as many as one can see."""
SEEN = 3
"""How often a token must have been read for its mean to be shown."""


@dataclass(frozen=True)
class WindowShown:
    """One input. group: its document, scene or run; pieces: its places, as numbers of `UnitWindows.pieces`; true,
    predicted: in steps, None where there is no prediction; out: places that are left out; image: as a PNG in the page
    itself, with the rows and columns of its cells in grid."""

    group: str
    pieces: list[int]
    true: list[int]
    predicted: list[int | None] | None
    out: list[int]
    image: str | None = None
    grid: list[int] | None = None


@dataclass(frozen=True)
class WindowGroup:
    """kind: top, interval, random, missed (the unit fires where the explanation predicts little) or false-alarm (the
    other way round); windows: its inputs, as places in `UnitWindows.windows`; low, high: of the largest activation
    of each of its inputs, None for other kinds; share: of random test inputs, how many belong to the group."""

    kind: str
    windows: list[int]
    low: float | None = None
    high: float | None = None
    share: float | None = None


@dataclass(frozen=True)
class HistogramShown:
    low: float
    high: float
    counts: list[int]


@dataclass(frozen=True)
class TokenMean:
    token: str
    mean: float
    count: int


@dataclass(frozen=True)
class UnitWindows:
    """signed: whether negative activations count too; largest: what STEPS steps are; threshold: above it a place counts
    as firing; why_unpredicted: why there are no predictions where there are none; top_tokens: the largest mean
    activations of tokens in the reference sample."""

    unit: str
    inputs: str
    signed: bool
    largest: float
    threshold: float
    pieces: list[str]
    windows: list[WindowShown]
    groups: list[WindowGroup]
    histogram: HistogramShown
    top_tokens: list[TokenMean]
    why_unpredicted: str | None


def unit_windows(result: UnitResult, context: StudyContext, predict: bool = True) -> UnitWindows:
    """predict: whether the explanation is simulated, which may take a while; without, no group is about errors."""

    unit = result.unit
    evidence = context.evidence(unit)
    test = evidence.test
    predicted = predictions(result, evidence, test, context) if predict else None
    chosen = [*_groups(evidence, predicted, unit, context.spec.seed)]
    rows = np.unique(np.concatenate([rows for _, rows, *_ in chosen])) if chosen else np.empty(0, np.int64)
    some = test.take(rows)
    said = None if predicted is None else predicted[rows]
    drawn = [shown_input(some, said, place, "", context) for place in range(len(rows))]
    largest = max((float(np.abs(w.true[w.counts]).max(initial=0.0)) for w in drawn), default=0.0) or 1.0
    pieces: dict[str, int] = {}
    windows = [window_shown(one, largest, pieces) for one in drawn]
    groups = [
        WindowGroup(kind, np.searchsorted(rows, own).tolist(), *map(rounded, numbers)) for kind, own, *numbers in chosen
    ]
    bins = histogram(unit, context)
    return UnitWindows(
        unit=unit.short,
        inputs=context.recording.inputs.kind,
        signed=unit.polarity == "±",
        largest=rounded(largest) or 1.0,
        threshold=rounded(evidence.statistics.firing_threshold) or 0.0,
        pieces=[*pieces],
        windows=windows,
        groups=groups,
        histogram=HistogramShown(rounded(bins.edges[0]) or 0.0, rounded(bins.edges[-1]) or 0.0, bins.counts.tolist()),
        top_tokens=top_tokens(unit, context),
        why_unpredicted=None if predicted is not None else _why(result, predict),
    )


def _why(result: UnitResult, predict: bool) -> str:
    if not predict:
        return "not asked for"
    return "no explanation" if result.best() is None else "nobody here can simulate this explanation"


Chosen = tuple[str, np.ndarray, float | None, float | None, float | None]


def _groups(evidence: Evidence, predicted: np.ndarray | None, unit: Unit, seed: int) -> Iterator[Chosen]:
    """(kind, rows of the test split, low, high, share) of each group that has any."""
    test, maxima = evidence.test, evidence.test.maxima
    random, rows = np.asarray(test.in_random, bool), np.arange(len(test))
    top = np.flatnonzero(test.kinds == "top")[:TOP]
    if len(top):
        yield "top", top, None, None, None
    threshold = evidence.statistics.input_threshold
    highest = float(maxima.max(initial=-np.inf))
    if np.isfinite(highest) and highest > threshold:
        edges = np.linspace(threshold, highest, INTERVALS + 1)
        for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):
            inside = (maxima > low) & (maxima <= high)
            share = float((inside & random).sum() / max(random.sum(), 1))
            others = rows[inside & ~np.isin(rows, top)]
            found = others if len(others) else rows[inside]
            found = found[np.argsort(-maxima[found], kind="stable")]
            if len(found):
                yield "interval", found[evenly(len(found), OF_INTERVAL)], float(low), float(high), share
    drawn = np.setdiff1d(np.flatnonzero(random), top)
    if len(drawn) > RANDOM:
        drawn = np.sort(unit_rng(seed, unit).choice(drawn, RANDOM, replace=False))
    if len(drawn):
        yield "random", drawn, None, None, None
    if predicted is not None and np.isfinite(highest):
        yield from _wrong(test, predicted, threshold, random)


def _wrong(test: Exemplars, predicted: np.ndarray, threshold: float, random: np.ndarray) -> Iterator[Chosen]:
    """The inputs where the explanation errs most: the unit peaks unforeseen, or a foreseen peak is none."""
    said = np.where(test.valid & np.isfinite(predicted), predicted, -np.inf)
    true = np.where(test.valid, test.activations, -np.inf)
    each = np.arange(len(test))
    peak, at_peak = true.max(axis=1), said[each, true.argmax(axis=1)]
    known = np.isfinite(peak) & np.isfinite(at_peak)
    gap = np.subtract(peak, at_peak, out=np.full(len(test), -np.inf), where=known)
    missed = np.flatnonzero(known & (peak > threshold) & (at_peak < peak / 4))
    if len(missed):
        share = float(np.isin(np.flatnonzero(random), missed).sum() / max(random.sum(), 1))
        yield "missed", missed[np.argsort(-gap[missed], kind="stable")][:WRONG], None, None, share
    foreseen = said.max(axis=1)
    alarms = np.flatnonzero((foreseen > threshold) & (true[each, said.argmax(axis=1)] <= threshold))
    if len(alarms):
        share = float(np.isin(np.flatnonzero(random), alarms).sum() / max(random.sum(), 1))
        yield "false-alarm", alarms[np.argsort(-foreseen[alarms], kind="stable")][:WRONG], None, None, share


def top_tokens(unit: Unit, context: StudyContext) -> list[TokenMean]:
    """The tokens with the largest mean activation among those read at least `SEEN` times in the reference sample; empty
    where inputs are no tokens."""
    recording = as_known_to(context.recording, unit)
    if not isinstance(recording.inputs, TokenWindows):
        return []
    valid = recording.valid(unit.site)[recording.panel]
    values, tokens = recording.panel_values(unit)[valid], recording.windows.tokens[recording.panel][valid]
    counts, sums = np.bincount(tokens), np.bincount(tokens, weights=values)
    means = np.where(counts >= SEEN, sums / np.maximum(counts, 1), -np.inf)
    best = np.argsort(-means, kind="stable")[:TOKENS]
    texts = recording.vocabulary.texts
    return [
        TokenMean(texts[token], rounded(float(means[token])) or 0.0, int(counts[token]))
        for token in best.tolist()
        if np.isfinite(means[token]) and means[token] > 0
    ]


def window_shown(window: ShownInput, largest: float, pieces: dict[str, int]) -> WindowShown:
    return WindowShown(
        group=window.group,
        pieces=[pieces.setdefault(piece, len(pieces)) for piece in window.pieces],
        true=[step or 0 for step in in_steps(window.true, largest)],
        predicted=None if window.predicted is None else in_steps(window.predicted, largest),
        out=np.flatnonzero(~window.counts).tolist(),
        image=None if window.image is None else as_data_uri(window.image),
        grid=None if window.image is None else [*window.grid.shape],
    )


def in_steps(values: np.ndarray, largest: float) -> list[int | None]:
    """Values in steps of the largest one divided by STEPS; None for NaN."""
    steps = np.rint(np.clip(values / largest, -1, 1) * STEPS)
    return [None if np.isnan(step) else int(step) for step in steps.tolist()]


def as_data_uri(image: np.ndarray) -> str:
    """An image (height, width, 3) uint8 as a PNG that stands in the page itself."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = image.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)  # each unfiltered
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()
