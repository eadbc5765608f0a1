"""Plots without a script: the scores of a site's units beside those of their baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import count

from glossator.store.summary import Values, usual_first
from glossator.units import marked

WIDTH, LEFT, RIGHT = 620, 128, 14
ROW, GAP, TOP, BOTTOM = 22, 14, 8, 26
MOST_DOTS = 400
Scale = Callable[[float], float]
COLOURS = ("lookup", "token-list", "mismatched")


def distribution(values: Sequence[Values]) -> str:
    """An SVG of one score: for each site, polarity and method a row of dots and a box, and one for each baseline; empty
    without scores."""
    groups = _groups(values)
    if not groups:
        return ""
    drawn = [v for rows in groups.values() for dots in rows.values() for v, _ in dots]
    low, high = min(0.0, math.floor(min(drawn) * 5) / 5), max(1.0, *drawn)
    height = TOP + BOTTOM + sum(GAP + ROW * len(rows) for rows in groups.values())

    def x(value: float) -> float:
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    parts = [_axis(low, high, x, height)]
    y = TOP
    for (site, method), rows in groups.items():
        parts.append(f'<text class="site" x="4" y="{y + GAP}">{escape(site)}</text>')
        y += GAP
        for name, dots in rows.items():
            parts.append(_row(name, method, dots, x, y))
            y += ROW
    label = f"Distribution of {values[0].score} over units, explanations beside baselines"
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" class="distribution">'
        + "".join(parts)
        + "</svg>"
    )


def _groups(values: Sequence[Values]) -> dict[tuple[str, str], dict[str, list[tuple[float, str]]]]:
    """(site, method) -> row name -> (value, unit) of every unit; the row of the method itself is named ``."""
    groups: dict[tuple[str, str], dict[str, list[tuple[float, str]]]] = {}
    baselines = usual_first({baseline for v in values for baseline in v.baselines})
    for v in values:
        side = v.polarity.removeprefix("+")
        rows = {"": v.value, **{baseline: v.baselines[baseline] for baseline in baselines if baseline in v.baselines}}
        groups[v.site + marked(v.polarity), v.method] = {
            name: [
                (value, f"{v.site}/{index}{side}")
                for value, index in zip(row, v.index, strict=True)
                if value is not None
            ]
            for name, row in rows.items()
        }
    return {key: {n: dots for n, dots in rows.items() if dots} for key, rows in groups.items() if rows[""]}


def _axis(low: float, high: float, x: Scale, height: int) -> str:
    step = tick_step(high - low, 12)
    ticks = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    bottom = height - BOTTOM + 4
    lines = []
    for tick in ticks:
        place = x(tick)
        kind = "zero" if abs(tick) < 1e-9 else "grid"
        lines.append(f'<line class="{kind}" x1="{place}" x2="{place}" y1="{TOP}" y2="{bottom}"/>')
        lines.append(f'<text class="tick" x="{place}" y="{bottom + 14}">{number(tick, 1)}</text>')
    return "".join(lines)


def _row(name: str, method: str, dots: Sequence[tuple[float, str]], x: Scale, y: int) -> str:
    middle = y + ROW / 2
    kind = (f"baseline-{name}" if name in COLOURS else "baseline-more") if name else "method"
    ordered = sorted(value for value, _ in dots)
    first, median, third = (_quantile(ordered, q) for q in (0.25, 0.5, 0.75))
    mean = number(sum(ordered) / len(ordered))
    wide = max(1.0, round(x(third) - x(first), 1))
    half = f"middle half {number(first)} to {number(third)}"
    summary = f"{name or method}: mean {mean}, median {number(median)}, {half}, {len(dots)} units"
    return "".join(
        (
            f'<g class="{kind}"><title>{escape(summary)}</title>',
            f'<text class="name" x="{LEFT - 8}" y="{middle + 4}">{escape(name or method)} {mean}</text>',
            *(
                f'<circle cx="{x(value)}" cy="{middle + _jitter(place):.1f}" r="2.1">'
                f"<title>{escape(unit)}: {number(value)}</title></circle>"
                for place, (value, unit) in enumerate(dots[:: max(1, len(dots) // MOST_DOTS)])
            ),
            f'<rect class="box" x="{x(first)}" y="{y + 5}" width="{wide}" height="{ROW - 10}"/>',
            f'<line class="median" x1="{x(median)}" x2="{x(median)}" y1="{y + 3}" y2="{y + ROW - 3}"/></g>',
        )
    )


def tick_step(span: float, most: int) -> float:
    """The smallest of 0.1, 0.2, 0.5, 1, 2, 5, 10, ... that divides an axis into at most this many parts."""
    return next(s for e in count(-1) for s in (10.0**e, 2 * 10.0**e, 5 * 10.0**e) if span / s <= most)


def number(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if not float(text) else text.replace("-", "−")


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _jitter(place: int) -> float:
    """Spread points over the height of a row, the same way every time: the fractional parts of a golden sequence."""
    return ((place * 0.6180339887) % 1.0 - 0.5) * (ROW - 9)
