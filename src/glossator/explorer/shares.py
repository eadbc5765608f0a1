"""A plot of topic shares by group: one block of bars for each topic, with intervals. An SVG that needs no style."""

from __future__ import annotations

from html import escape

from glossator.explorer.lines import number
from glossator.store.topics import Topics

WIDTH, LEFT, RIGHT, ROW, GAP, TOP, BOTTOM = 760, 270, 120, 14, 12, 16, 30
COLOURS = ("#2a6fb0", "#d1662a", "#3f8f4f", "#8a5bb5", "#b3432f", "#6c6c6c", "#c29b1f", "#3aa3a3")
MOST = 8
"""Groups that are drawn; a table has all of them."""


def share_plot(found: Topics, label: str) -> str:
    """Shares of each topic in each group; the q-value stands beside each topic."""
    groups = found.groups[:MOST]
    block = ROW * len(groups) + GAP
    legend = 20 * ((len(groups) + 3) // 4)
    height = TOP + legend + block * len(found.topics) + BOTTOM
    ends = [high if high is not None else mean for topic in found.topics for mean, _, high in topic.shares[:MOST]]
    most = min(1.0, max(0.1, 1.05 * max(ends)))

    def x(value: float) -> float:
        return round(LEFT + value / most * (WIDTH - LEFT - RIGHT), 1)

    parts = [f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for place, (name, units) in enumerate(groups):
        at, down = 12 + 185 * (place % 4), TOP + 20 * (place // 4)
        told = escape(f"{_cut(name, 20)} ({units})")
        parts.append(f'<rect x="{at}" y="{down - 9}" width="11" height="11" fill="{COLOURS[place]}"/>')
        parts.append(f'<text x="{at + 16}" y="{down + 1}">{told}</text>')
    bottom = height - BOTTOM + 4
    for tick in _ticks(most):
        parts.append(f'<line x1="{x(tick)}" x2="{x(tick)}" y1="{TOP + legend - 4}" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x(tick)}" y="{bottom + 14}" text-anchor="middle">{number(100 * tick, 0)} %</text>')
    for place, topic in enumerate(found.topics):
        top = TOP + legend + place * block
        middle = top + ROW * len(groups) / 2
        name = escape(_cut(", ".join(topic.words), 40))
        parts.append(f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{name}</text>')
        for row, (mean, low, high) in enumerate(topic.shares[:MOST]):
            y = top + ROW * row
            told = escape(f"{groups[row][0]}: {number(100 * mean, 1)} %")
            parts.append(
                f'<rect x="{LEFT}" y="{y + 2}" width="{round(x(mean) - LEFT, 1)}" height="{ROW - 4}" '
                f'fill="{COLOURS[row]}"><title>{told}</title></rect>'
            )
            if low is not None and high is not None:
                amid = y + ROW / 2
                parts.append(f'<line x1="{x(low)}" x2="{x(high)}" y1="{amid}" y2="{amid}" stroke="#222222"/>')
        if topic.q is not None:
            bold = ' font-weight="bold"' if topic.q <= 0.05 else ""
            parts.append(f'<text x="{WIDTH - RIGHT + 14}" y="{middle + 4}"{bold}>q {number(topic.q, 3)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(label)}" font-family="sans-serif" font-size="12" fill="#222222">'
        + "".join(parts)
        + "</svg>\n"
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _ticks(most: float) -> list[float]:
    step = next(step for step in (0.02, 0.05, 0.1, 0.2, 0.25) if most / step <= 6 or step == 0.25)
    return [place * step for place in range(int(most / step) + 1)]
