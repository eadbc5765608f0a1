"""One dot per unit: causal score against observational score. A plot without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from glossator.explorer.plots import number, tick_step
from glossator.scores import Score
from glossator.store.ranking import Ranked

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 300, 46, 16, 12, 40


def scatter(pairs: Sequence[tuple[Ranked, Score, Score]], label: str) -> str:
    """An SVG of units that have both columns: the main observational score on the x axis, the causal one on the y axis,
    with intervals; empty without such units. pairs: as `with_both_columns` of `glossator.store.summary` finds them."""
    if not pairs:
        return ""
    across = _axis([v for _, score, _ in pairs for v in (score.value, score.low, score.high)])
    up = _axis([v for _, _, acted in pairs for v in (acted.value, acted.low, acted.high)])

    def x(value: float | None) -> float:
        return round(LEFT + ((value or 0.0) - across[0]) / (across[1] - across[0]) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float | None) -> float:
        return round(TOP + (up[1] - (value or 0.0)) / (up[1] - up[0]) * (HEIGHT - TOP - BOTTOM), 1)

    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in _ticks(*across):
        kind = "zero" if abs(tick) < 1e-9 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(tick)}" x2="{x(tick)}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{bottom + 14}">{number(tick, 1)}</text>')
    for tick in _ticks(*up):
        kind = "zero" if abs(tick) < 1e-9 else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{right}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(f'<text class="name" x="{LEFT - 6}" y="{y(tick) + 4}">{number(tick, 1)}</text>')
    for row, score, acted in pairs:
        unit = row.result.unit
        name = unit.short
        said = f"{name}: {score.name} {number(score.value or 0)}, {acted.name} {number(acted.value or 0)}"
        ranges = ""
        if score.low is not None:
            ranges += _range((x(score.low), y(acted.value)), (x(score.high), y(acted.value)))
        if acted.low is not None:
            ranges += _range((x(score.value), y(acted.low)), (x(score.value), y(acted.high)))
        dot = f'<circle cx="{x(score.value)}" cy="{y(acted.value)}" r="3.5"><title>{escape(said)}</title></circle>'
        parts.append(f'<g class="method">{ranges}{dot}</g>')
    names = pairs[0][1].name, pairs[0][2].name
    middle = (TOP + bottom) / 2
    parts.append(f'<text class="tick" x="{(LEFT + right) / 2}" y="{HEIGHT - 6}">{escape(names[0])}</text>')
    parts.append(f'<text class="tick" transform="translate(11 {middle}) rotate(-90)">{escape(names[1])}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" class="scatter">'
        + "".join(parts)
        + "</svg>"
    )


def _range(begin: tuple[float, float], end: tuple[float, float]) -> str:
    return f'<line class="range" x1="{begin[0]}" x2="{end[0]}" y1="{begin[1]}" y2="{end[1]}"/>'


def _axis(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    low, high = min(0.0, *known), max(0.2, *known)
    return math.floor(low * 10) / 10, math.ceil(high * 10) / 10


def _ticks(low: float, high: float) -> list[float]:
    step = tick_step(high - low, 8)
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
