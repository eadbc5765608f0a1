"""Line plots without a script: means with intervals along an axis, several methods beside a dashed baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Scale = Callable[[float], float]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 300, 46, 16, 12, 40
COLOURS = 8
"""Classes `line-0` to `line-7` of the style; more lines than that repeat them."""


@dataclass(frozen=True)
class Point:
    """value: a mean; low, high: its interval, None if there is none."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """colour: which of the classes of the style; dashed: a baseline."""

    name: str
    points: tuple[Point, ...]
    colour: int = 0
    dashed: bool = False

    @property
    def style(self) -> str:
        return "line-baseline" if self.dashed else f"line-{self.colour % COLOURS}"


def line_plot(lines: Sequence[Line], label: str, x_name: str, y_name: str, *, logarithmic: bool = False) -> str:
    """An SVG of all lines with their intervals; empty when there is no point.

    logarithmic: of the horizontal axis, whose values must then be positive. Points of different lines at the same
    place are moved apart by a pixel or two, so that their intervals can be told apart.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return ""
    place = math.log10 if logarithmic else float
    places = sorted({p.x for line in lines for p in line.points})
    first, last = place(places[0]), place(places[-1])
    if first == last:
        first, last = first - 0.5, last + 0.5
    values = [v for line in lines for p in line.points for v in (p.value, p.low, p.high) if v is not None]
    low, high = min(0.0, math.floor(min(values) * 10) / 10), max(0.1, math.ceil(max(values) * 10) / 10)

    def x(value: float, shift: float = 0.0) -> float:
        return round(LEFT + 8 + (place(value) - first) / (last - first) * (WIDTH - LEFT - RIGHT - 16) + shift, 1)

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [_vertical_axis(low, high, y, y_name), _horizontal_axis(places, x, x_name, logarithmic)]
    for i, line in enumerate(lines):
        shift = (i - (len(lines) - 1) / 2) * 2.0
        parts.append(_drawn(line, [(x(p.x, shift), p) for p in line.points], y))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}" class="lines">'
        + "".join(parts)
        + "</svg>"
    )


def legend(lines: Sequence[Line]) -> list[tuple[str, str]]:
    """(class of the style, name) of every line that has points."""
    return [(line.style, line.name) for line in lines if line.points]


def _drawn(line: Line, points: list[tuple[float, Point]], y: Scale) -> str:
    path = " ".join(f"{x},{y(p.value)}" for x, p in points)
    ranges = "".join(
        f'<line class="range" x1="{x}" x2="{x}" y1="{y(p.low)}" y2="{y(p.high)}"/>'
        for x, p in points
        if p.low is not None and p.high is not None
    )
    dots = "".join(
        f'<circle cx="{x}" cy="{y(p.value)}" r="3"><title>{escape(line.name)}, {p.x:g}: {_said(p)}</title></circle>'
        for x, p in points
    )
    return f'<g class="{line.style}">{ranges}<polyline points="{path}"/>{dots}</g>'


def _said(point: Point) -> str:
    if point.low is None or point.high is None:
        return number(point.value)
    return f"{number(point.value)} [{number(point.low)}, {number(point.high)}]"


def _vertical_axis(low: float, high: float, y: Scale, name: str) -> str:
    step = next(s for s in (0.05, 0.1, 0.2, 0.5, 1.0, 10.0, math.inf) if (high - low) / s <= 8)
    ticks = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    marks = []
    for tick in ticks:
        kind = "zero" if abs(tick) < 1e-9 else "grid"
        marks.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}"/>')
        marks.append(
            f'<text class="name" x="{LEFT - 6}" y="{y(tick) + 4}">{number(tick, 2 if step < 0.1 else 1)}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    marks.append(f'<text class="tick" transform="translate(11 {middle}) rotate(-90)">{escape(name)}</text>')
    return "".join(marks)


def _horizontal_axis(places: Sequence[float], x: Scale, name: str, logarithmic: bool) -> str:
    bottom = HEIGHT - BOTTOM
    most = 16
    shown = list(places) if len(places) <= most else [places[i * (len(places) - 1) // (most - 1)] for i in range(most)]
    marks = []
    for value in shown:
        text = in_millions(value) if logarithmic else f"{value:g}"
        marks.append(f'<line class="grid" x1="{x(value)}" x2="{x(value)}" y1="{bottom}" y2="{bottom + 4}"/>')
        marks.append(f'<text class="tick" x="{x(value)}" y="{bottom + 16}">{text}</text>')
    marks.append(f'<text class="tick" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}">{escape(name)}</text>')
    return "".join(marks)


def in_millions(count: float) -> str:
    """134515008 as `135 M`, 1.5e9 as `1.5 B`, 12000 as `12 k`."""
    for size, unit in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return f"{count:g}"


def number(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if not float(text) else text.replace("-", "−")
