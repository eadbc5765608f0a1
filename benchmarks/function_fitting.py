"""What expression in x gives these numbers: families of curves, alone and joined by sum and product, fitted by least
squares.

A curve with shape parameters theta is a column; two curves A and B are joined as a + b A + c B + d A B, which holds
their sum, their product and "A, but where B is 1 a constant". Shapes come from a grid and are then refined; jumps come
from where the answers jump. The code knows which families exist, not which a function is of, nor its parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from scipy.optimize import minimize

Shape = tuple[float, ...]
EXPRESSIONS = {
    "x": "x", "x2": "x ** 2", "abs": "abs(x - {0})", "root": "abs(x) ** 0.5", "log": "math.log(abs(x) + 1)",
    "inverse": "1 / (x or 1e-3)", "relu": "max(0, x - {0})", "tanh": "math.tanh((x - {0}) / {1})",
    "sine": "math.sin(6.283185307 * x / {0} + {1})", "bump": "math.exp(-(((x - {0}) / {1}) ** 2) / 2)",
    "step": "(1 if x >= {0} else 0)", "box": "(1 if {0} <= x < {1} else 0)",
    "wave": "(1 if (x - {1}) % {0} < {0} / 2 else 0)",
}  # fmt: skip
SHARP = frozenset({"step", "box", "wave"})
KEPT, COST = 24, 1.0
"""How many single curves are joined with all others; how much more a parameter must explain than chance would."""


@dataclass(frozen=True)
class Curve:
    """One column: a family and its shape."""

    family: str
    shape: Shape = ()

    def values(self, x: np.ndarray) -> np.ndarray:
        a, b = (*self.shape, 1.0, 1.0)[:2]
        match self.family:
            case "x":
                return x
            case "x2":
                return x**2
            case "abs":
                return np.abs(x - a)
            case "root":
                return np.sqrt(np.abs(x))
            case "log":
                return np.log(np.abs(x) + 1)
            case "inverse":
                return 1 / np.where(x == 0, 1e-3, x)
            case "relu":
                return np.maximum(0, x - a)
            case "tanh":
                return np.tanh((x - a) / (abs(b) + 1e-6))
            case "sine":
                return np.sin(2 * np.pi * x / max(abs(a), 2.0) + b)
            case "bump":
                return np.exp(-(((x - a) / (abs(b) + 1e-6)) ** 2) / 2)
            case "step":
                return (x >= a).astype(float)
            case "box":
                return ((x >= a) & (x < b)).astype(float)
        return ((x - b) % a < a / 2).astype(float)

    @property
    def expression(self) -> str:
        shape = [abs(v) + 1e-6 if i and self.family in {"tanh", "bump"} else v for i, v in enumerate(self.shape)]
        return EXPRESSIONS[self.family].format(*(f"{value:.8g}" for value in shape))


@dataclass(frozen=True)
class Fit:
    """curves: one or two; columns: what their coefficients multiply; error: mean squared; score: lower is better."""

    curves: tuple[Curve, ...]
    coefficients: tuple[float, ...]
    error: float
    score: float

    @property
    def source(self) -> str:
        terms = [f"{c:.8g}" + "".join(f" * {e}" for e in names) for c, names in zip(
            self.coefficients, _names(self.curves), strict=True) if c]  # fmt: skip
        return f"def f(x):\n    return {' + '.join(terms) or '0'}\n"


def fit(x: np.ndarray, y: np.ndarray, *, noise: float = 0.0) -> Fit:
    """The best expression for answers y at x. noise: standard deviation of an answer around the function."""
    floor = max(noise**2, 1e-5 * float(np.var(y)), 1e-6)
    singles = sorted((_solved((curve,), x, y, floor) for curve in (*_smooth(), *_sharp(x, y))), key=lambda f: f.score)
    best = [_refined(one, x, y, floor) for one in (_constant(x, y, floor), *singles[:6])]
    best = [*best, *(_solved(powers, x, y, floor) for powers in _powers())]
    if min(one.error for one in best) > 1.5 * floor:
        firsts = _various(singles, KEPT)
        others = [one.curves[0] for one in _various(singles, 400)]
        pairs = sorted(
            (_solved((first.curves[0], other), x, y, floor) for first in firsts for other in others),
            key=lambda f: f.score,
        )
        best += [_refined(one, x, y, floor) for one in _various(pairs, 8)]
    return min(best, key=lambda one: one.score)


def jumps(x: np.ndarray, y: np.ndarray, most: int = 16) -> list[tuple[float, float]]:
    """Neighbouring points between which the answers change much more than beside them, most first."""
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    change, gap = np.abs(np.diff(y)), np.maximum(np.diff(x), 1e-9)
    slope = change / np.maximum(gap, np.median(gap))
    beside = np.array([np.median(np.r_[slope[max(0, i - 4) : i], slope[i + 1 : i + 5]]) for i in range(len(slope))])
    sharp = change > 4 * beside * np.maximum(gap, np.median(gap)) + 0.05 * (np.ptp(y) or 1.0)
    found = np.flatnonzero(sharp)[np.argsort(-change[sharp], kind="stable")][:most]
    return [(float(x[i]), float(x[i + 1])) for i in sorted(found.tolist())]


@cache
def _smooth() -> tuple[Curve, ...]:
    middles = np.linspace(-96, 96, 17).tolist()
    found = [Curve(family) for family in ("x", "x2", "root", "log", "inverse")]
    found += [Curve(family, (c,)) for family in ("abs", "relu") for c in middles]
    found += [Curve(family, (c, s)) for family in ("tanh", "bump") for c in middles for s in (6.0, 12.0, 24.0, 40.0)]
    found += [Curve("sine", (p, a)) for p in np.geomspace(9, 130, 32).tolist() for a in (0.0, 0.8, 1.6, 2.4)]
    return tuple(found)


def _sharp(x: np.ndarray, y: np.ndarray) -> list[Curve]:
    """Steps, boxes and square waves at the jumps of the answers."""
    places = [(low + high) / 2 for low, high in jumps(x, y)]
    found = [Curve("step", (place,)) for place in places]
    found += [Curve("box", pair) for pair in combinations(places, 2)]
    if len(places) >= 2:
        halves = np.diff(places)
        for half in {float(np.median(halves)), float(halves.min()), (places[-1] - places[0]) / (len(places) - 1)}:
            found += [Curve("wave", (2 * half, place % (2 * half))) for place in places[:2]]
    return found


def _powers() -> list[tuple[Curve, ...]]:
    """Polynomials of degree 2 to 4, as squares of squares: {1, x, x2, x x2} and with x2 x2."""
    return [(Curve("x"), Curve("x2")), (Curve("x2"), Curve("x2")), (Curve("x"), Curve("x2"), Curve("x2"))]


def _names(curves: tuple[Curve, ...]) -> list[tuple[str, ...]]:
    names: list[tuple[str, ...]] = [()]
    for size in range(1, len(curves) + 1):
        names += [tuple(curve.expression for curve in some) for some in combinations(curves, size)]
    return list(dict.fromkeys(names))


def _columns(curves: tuple[Curve, ...], x: np.ndarray) -> np.ndarray:
    values = {curve.expression: curve.values(x) for curve in curves}
    one = np.ones_like(x)
    return np.stack([np.prod([one, *(values[e] for e in names)], axis=0) for names in _names(curves)], 1)


def _solved(curves: tuple[Curve, ...], x: np.ndarray, y: np.ndarray, floor: float) -> Fit:
    columns = _columns(curves, x)
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-12)
    scaled = columns / scale
    gram = scaled.T @ scaled + 1e-10 * np.eye(scaled.shape[1])
    coefficients = np.linalg.solve(gram, scaled.T @ y)
    error = float(np.mean((scaled @ coefficients - y) ** 2))
    parameters = columns.shape[1] + sum(len(curve.shape) for curve in curves)
    score = len(y) * math.log(error + floor) + COST * parameters * math.log(len(y))
    return Fit(curves, tuple((coefficients / scale).tolist()), error, score)


def _constant(x: np.ndarray, y: np.ndarray, floor: float) -> Fit:
    return _solved((), x, y, floor)


def _refined(found: Fit, x: np.ndarray, y: np.ndarray, floor: float) -> Fit:
    """The same curves with shapes moved to where they fit best; jumps stay where they are."""
    start = [v for curve in found.curves if curve.family not in SHARP for v in curve.shape]
    if not start:
        return found

    def at(shapes: Sequence[float]) -> Fit:
        rest, curves = list(shapes), []
        for curve in found.curves:
            if curve.family in SHARP:
                curves.append(curve)
            else:
                curves.append(Curve(curve.family, tuple(float(rest.pop(0)) for _ in curve.shape)))
        return _solved(tuple(curves), x, y, floor)

    steps = np.diag([4.0 if abs(v) > 3 else 0.5 for v in start])
    simplex = np.array([start, *(np.array(start) + step for step in steps)])
    options = {"maxfev": 160 * len(start), "initial_simplex": simplex, "xatol": 1e-4, "fatol": 1e-3}
    moved = minimize(lambda s: at(s).score, start, method="Nelder-Mead", options=options)
    return min(found, at(moved.x.tolist()), key=lambda one: one.score)


def _various(fits: Sequence[Fit], most: int) -> list[Fit]:
    """The first fits, at most a few of each combination of families, so that one family does not crowd out others."""
    seen: dict[tuple[str, ...], int] = {}
    kept = []
    for one in fits:
        family = tuple(sorted(curve.family for curve in one.curves))
        limit = max(2, most // 8)
        if seen.get(family, 0) < limit:
            seen[family] = seen.get(family, 0) + 1
            kept.append(one)
        if len(kept) == most:
            break
    return kept
