"""What the report's script draws a unit from: small numbers and texts, each token text once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.explorer.tokens import visible
from glossator.study.costs import cost_in_words
from glossator.study.exemplars import Histogram, ShownWindow, histogram, shown_windows
from glossator.study.results import Chosen, UnitResult
from glossator.study.summary import headline

if TYPE_CHECKING:
    from glossator.study.tools import Tools

TOP, RANDOM = 12, 8
STEPS = 999
"""Activations are given in steps of the largest one divided by this: three digits, as many as one can see."""
LONGEST_PROGRAM = 4000


def payload(results: Sequence[UnitResult], tools: Tools, nulls: Sequence[str], total: int) -> dict[str, Any]:
    """total: units of the study; units: an entry for each that is shown; pieces: the texts that their tokens refer to;
    nulls: names, in the order of their values."""
    pieces: dict[int, int] = {}
    units = [_unit(result, tools, nulls, pieces) for result in results]
    texts = tools.recording.vocabulary.texts
    shown = [visible(texts[token]) for token in pieces]
    return {"total": total, "nulls": list(nulls), "pieces": shown, "units": units}


def _unit(result: UnitResult, tools: Tools, nulls: Sequence[str], pieces: dict[int, int]) -> dict[str, Any]:
    unit = result.unit
    best = result.best()
    score = None if best is None else headline(best)
    entry = {
        "id": f"{unit.site}/{unit.index}" + ("-" if unit.polarity == "-" else ""),
        "name": str(unit),
        "status": result.status,
        "reason": result.reason,
        "text": "" if best is None else best.text,
        "score": None if score is None else _score(score, nulls),
        "explanations": [_explanation(e, nulls) for e in result.explanations],
    }
    if result.statistics is None:
        return entry
    windows = shown_windows(result, tools, TOP, RANDOM)
    largest = max((float(np.abs(w.true[w.counts]).max(initial=0.0)) for w in windows), default=0.0) or 1.0
    return entry | {
        "stats": {k: v for k, v in result.statistics.items() if k != "quantiles"},
        "histogram": _histogram(histogram(unit, tools)),
        "largest": _rounded(largest),
        "windows": [_window(w, largest, pieces) for w in windows],
    }


def _explanation(chosen: Chosen, nulls: Sequence[str]) -> dict[str, Any]:
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
        "scores": [_score(score, nulls) for score in chosen.scores],
    }


def _score(score: Any, nulls: Sequence[str]) -> dict[str, Any]:
    return {
        "name": score.name,
        "column": score.column,
        "measure": score.measure,
        "value": _rounded(score.value),
        "low": _rounded(score.low),
        "high": _rounded(score.high),
        "n": score.n,
        "nulls": [_rounded(score.nulls.get(null)) for null in nulls],
        "reason": score.reason,
    }


def _window(window: ShownWindow, largest: float, pieces: dict[int, int]) -> dict[str, Any]:
    """kind, document, tokens as places in `pieces`, true and predicted activations in steps, positions left out."""
    return {
        "k": window.kind,
        "d": window.document,
        "t": [pieces.setdefault(token, len(pieces)) for token in window.tokens.tolist()],
        "a": _steps(window.true, largest),
        "p": None if window.predicted is None else _steps(window.predicted, largest),
        "x": np.flatnonzero(~window.counts).tolist(),
    }


def _steps(values: np.ndarray, largest: float) -> list[int]:
    return np.rint(np.clip(values / largest, -1, 1) * STEPS).astype(int).tolist()


def _histogram(found: Histogram) -> dict[str, Any]:
    return {"low": _rounded(found.edges[0]), "high": _rounded(found.edges[-1]), "counts": found.counts.tolist()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{float(value):.4g}")
