"""The data from which the report's script draws a unit: small numbers and texts, each token text once."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.explorer.exemplars import Histogram, ShownInput, histogram, shown_inputs
from glossator.language_models.costs import cost_in_words
from glossator.scores import Column, Score
from glossator.store.card import COLUMNS, why_empty
from glossator.store.results import Chosen, UnitResult
from glossator.store.summary import baselines_of_scores
from glossator.terminal import visible

if TYPE_CHECKING:
    from glossator.store.study import Study
    from glossator.study.tools import Tools

TOP, RANDOM = 12, 8
STEPS = 999
"""Activations are given in steps of the largest one divided by this: three digits, as many as one can see."""
LONGEST_PROGRAM = 4000


def payload(
    results: Iterable[UnitResult],
    tools: Tools,
    study: Study,
    people: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """results: those of the study's units that are shown; total: how many it has; units: an entry for each that is
    shown; pieces: the texts that their tokens refer to; why: why a column of scores is empty if it is; people: what
    people did with each unit, by its name."""
    pieces: dict[str, int] = {}
    kinds = {column: study.default_score(column) for column in COLUMNS}
    units = [_unit(result, tools, pieces, kinds) for result in results]
    for entry in units:
        entry["people"] = (people or {}).get(entry["name"], {})
    shown = [visible(piece) for piece in pieces]
    why = {column: why_empty(column, tools.spec.card) for column in COLUMNS}
    kind = tools.recording.inputs.kind
    named, group = ("windows", "document") if kind == "tokens" else (kind, "group")
    return {
        "total": sum(study.counts.values()),
        "pieces": shown,
        "why": why,
        "units": units,
        "named": named,
        "group": group,
    }


def _unit(
    result: UnitResult,
    tools: Tools,
    pieces: dict[str, int],
    kinds: Mapping[Column, str | None],
) -> dict[str, Any]:
    """kinds: the score that stands for each column, the same for all units."""
    unit = result.unit
    best = result.best()
    scores = {} if best is None else {score.name: score for score in best.scores}
    score, causal = (scores.get(kinds[column] or "") for column in COLUMNS)
    entry = {
        "id": unit.short,
        "name": str(unit),
        "status": result.status,
        "reason": result.reason,
        "text": "" if best is None else best.sentence,
        "short": "" if best is None else best.in_short,
        "modes": [] if best is None else [[str(named), named.share] for named in best.named],
        "score": None if score is None else _score(score, q=False),
        "causal": None if causal is None else _score(causal, q=False),
        "peaks": [] if best is None or best.peaks is None else [visible(word) for word in best.peaks.words],
        "flags": [] if best is None else best.flags,
        "method": "" if best is None else best.method,
        "explanations": [_explanation(e) for e in sorted(result.explanations, key=lambda e: e is not best)],
    }
    if result.statistics is None:
        return entry
    windows = shown_inputs(result, tools, TOP, RANDOM)
    largest = max((float(np.abs(w.true[w.counts]).max(initial=0.0)) for w in windows), default=0.0) or 1.0
    return entry | {
        "stats": {k: v for k, v in result.statistics.items() if k != "quantiles"},
        "histogram": _histogram(histogram(unit, tools)),
        "largest": _rounded(largest),
        "windows": [_window(w, largest, pieces) for w in windows],
    }


def _explanation(chosen: Chosen) -> dict[str, Any]:
    program = chosen.program or ""
    if len(program) > LONGEST_PROGRAM:
        program = f"{program[:LONGEST_PROGRAM]} … ({len(chosen.program or ''):,} characters)"
    return {
        "method": chosen.method,
        "rank": chosen.rank,
        "role": str(chosen.provenance["settings"].get("role", "")),
        "text": visible(chosen.text),
        "model": chosen.provenance["model"] or "",
        "cost": cost_in_words(chosen.provenance["cost"]),
        "program": visible(program) if program else "",
        "bits": _rounded(chosen.bits),
        "select": _rounded(chosen.select),
        "scores": [_score(s) for s in chosen.scores],
    }


def _score(score: Score, q: bool = True) -> dict[str, Any]:
    """baselines: by name, the usual ones first; over: the score minus the baseline, its interval, p, and q where
    it has one."""
    names = baselines_of_scores([score])
    return {
        "name": score.name,
        "column": score.column,
        "measure": score.measure,
        "value": _rounded(score.value),
        "low": _rounded(score.low),
        "high": _rounded(score.high),
        "n": score.n,
        "baselines": {baseline: _rounded(score.baselines[baseline]) for baseline in names},
        "over": {
            baseline: [*map(_rounded, (over.value, over.low, over.high, over.p)), _rounded(over.q if q else None)]
            for baseline in names
            if (over := score.margins.get(baseline)) is not None
        },
        "reason": score.reason,
        "no_interval": score.how.get("no_interval"),
    }


def _window(window: ShownInput, largest: float, pieces: dict[str, int]) -> dict[str, Any]:
    """kind, group, pieces as places in the list of them, true and predicted activations in steps (None: no prediction),
    places left out; of an image its picture and the shape of its cells as well."""
    picture = {} if window.image is None else {"i": as_data_uri(window.image), "g": window.grid.shape}
    return picture | {
        "k": window.kind,
        "d": window.group,
        "t": [pieces.setdefault(piece, len(pieces)) for piece in window.pieces],
        "a": _steps(window.true, largest),
        "p": None if window.predicted is None else _steps(window.predicted, largest),
        "x": np.flatnonzero(~window.counts).tolist(),
    }


def _steps(values: np.ndarray, largest: float) -> list[int | None]:
    steps = np.rint(np.clip(values / largest, -1, 1) * STEPS)
    return [None if np.isnan(step) else int(step) for step in steps.tolist()]


def _histogram(found: Histogram) -> dict[str, Any]:
    return {"low": _rounded(found.edges[0]), "high": _rounded(found.edges[-1]), "counts": found.counts.tolist()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{float(value):.4g}")


def as_data_uri(image: np.ndarray) -> str:
    """An image (height, width, 3) uint8 as a PNG that stands in the page itself."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = image.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), image.reshape(height, -1)], axis=1)  # each unfiltered
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), chunk(b"IEND", b""))
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()
