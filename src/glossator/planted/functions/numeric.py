"""Functions of a number: atoms of known families, sums and products of two, noise, and intervals with another rule.

The families are those of FIND (Schwettmann et al. 2023); generator, parameters and sources are our own. The source of a
function is what computes its values, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from glossator.planted.functions.base import TextFunction, Variant

LOW, HIGH = -128, 128
"""The domain on which functions of numbers are asked and graded."""
GRID = tuple(i + 0.5 for i in range(LOW, HIGH))
NOISE = 0.05
"""Standard deviation of the noise, in that of the values on the grid."""


@dataclass(frozen=True)
class Atom:
    """One expression in x and its English."""

    family: str
    expression: str
    english: str


def _linear(rng: np.random.Generator) -> Atom:
    m, b = _number(rng, -10, 10), _number(rng, -100, 100)
    return Atom("linear", f"{m} * x + {b}", f"the line {m} x + {b}")


def _polynomial(rng: np.random.Generator) -> Atom:
    degree = int(rng.integers(2, 5))
    middle, scale = _number(rng, -60, 60), _number(rng, 20, 80)
    factors = [_number(rng, -50, 50) for _ in range(degree)] + [_away(rng, 10, 50)]
    text = " + ".join(f"{c} * ((x - {middle}) / {scale}) ** {k}" for k, c in enumerate(factors))
    return Atom("polynomial", text, f"a polynomial of degree {degree}")


def _absolute(rng: np.random.Generator) -> Atom:
    a, c, b = _away(rng, 1, 10), _number(rng, -80, 80), _number(rng, -50, 50)
    return Atom("absolute", f"{a} * abs(x - {c}) + {b}", f"{a} times the distance to {c}, plus {b}")


def _root(rng: np.random.Generator) -> Atom:
    a, b = _away(rng, 1, 10), _number(rng, -20, 20)
    return Atom("root", f"{a} * abs(x) ** 0.5 + {b}", f"{a} times the square root of |x|, plus {b}")


def _logarithm(rng: np.random.Generator) -> Atom:
    a, b = _away(rng, 1, 10), _number(rng, -20, 20)
    return Atom("logarithm", f"{a} * math.log(abs(x) + 1) + {b}", f"{a} times the logarithm of 1 + |x|, plus {b}")


def _step(rng: np.random.Generator) -> Atom:
    c, a, b = _number(rng, -90, 90), _number(rng, -50, 50), _away(rng, 5, 60)
    return Atom("step", f"({a} if x < {c} else {_sum(a, b)})", f"{a} below {c}, {_sum(a, b)} from there on")


def _relu(rng: np.random.Generator) -> Atom:
    a, c, leak = _away(rng, 1, 10), _number(rng, -80, 80), _number(rng, 0, 0.5)
    text = f"{a} * (x - {c} if x > {c} else {leak} * (x - {c}))"
    return Atom("relu", text, f"{a} times x - {c} above {c}, {leak} of that below")


def _tanh(rng: np.random.Generator) -> Atom:
    a, c, s, b = _away(rng, 5, 50), _number(rng, -60, 60), _number(rng, 5, 40), _number(rng, -20, 20)
    return Atom(
        "tanh", f"{a} * math.tanh((x - {c}) / {s}) + {b}", f"a smooth step of {a} around {c}, {s} wide, plus {b}"
    )


def _sine(rng: np.random.Generator) -> Atom:
    a, period, phase = _away(rng, 5, 50), _number(rng, 10, 120), _number(rng, 0, 6.28)
    text = f"{a} * math.sin(6.283185307 * x / {period} + {phase})"
    return Atom("sine", text, f"a sine of amplitude {a} and period {period}")


def _gaussian(rng: np.random.Generator) -> Atom:
    a, c, s, b = _away(rng, 10, 60), _number(rng, -80, 80), _number(rng, 5, 30), _number(rng, -10, 10)
    return Atom(
        "gaussian", f"{a} * math.exp(-(((x - {c}) / {s}) ** 2) / 2) + {b}", f"a bump of {a} at {c}, {s} wide, on {b}"
    )


def _rectangle(rng: np.random.Generator) -> Atom:
    a, low, width, b = _away(rng, 10, 60), _number(rng, -90, 60), _number(rng, 8, 60), _number(rng, -30, 30)
    text = f"({_sum(a, b)} if {low} <= x < {_sum(low, width)} else {b})"
    return Atom("rectangle", text, f"{_sum(a, b)} from {low} to {_sum(low, width)}, {b} elsewhere")


def _square_wave(rng: np.random.Generator) -> Atom:
    a, period, shift, b = _away(rng, 5, 50), _number(rng, 16, 100), _number(rng, 0, 16), _number(rng, -10, 10)
    text = f"({_sum(a, b)} if (x - {shift}) % {period} < {round(period / 2, 2)} else {_sum(b, -a)})"
    return Atom("square wave", text, f"a square wave of amplitude {a} and period {period} around {b}")


def _reciprocal(rng: np.random.Generator) -> Atom:
    a, b = _away(rng, 10, 300), _number(rng, -10, 10)
    return Atom("reciprocal", f"{a} / x + {b}", f"{a} divided by x, plus {b}")


def _constant(rng: np.random.Generator) -> Atom:
    c = _away(rng, 1, 100)
    return Atom("constant", f"{c}", f"always {c}")


ATOMS: dict[str, Callable[[np.random.Generator], Atom]] = {
    "linear": _linear, "polynomial": _polynomial, "absolute": _absolute, "root": _root, "logarithm": _logarithm,
    "step": _step, "relu": _relu, "tanh": _tanh, "sine": _sine, "gaussian": _gaussian, "rectangle": _rectangle,
    "square wave": _square_wave, "reciprocal": _reciprocal, "constant": _constant,
}  # fmt: skip
COMPOSED = ("linear", "polynomial", "absolute", "step", "relu", "tanh", "sine", "gaussian", "rectangle", "square wave")
"""What sums and products are made of."""


def numeric_function(variant: Variant, seed: int, number: int) -> TextFunction:
    """Function `number` of a seed: an atom, or a sum or product of two where `variant` is composed; for corrupted, a
    constant between two points, or on one side of a point, where the main rule does not hold."""
    rng = np.random.default_rng([seed, number, 1])
    names = list(ATOMS)
    atom = ATOMS[names[number % len(names)]](rng)
    parts: tuple[str, ...] = (atom.family,)
    expression, english = atom.expression, atom.english
    if variant == "composed":
        one, two = (ATOMS[str(rng.choice(COMPOSED))](rng) for _ in range(2))
        sign, said = (("*", "times"), ("+", "plus"))[number % 2]
        expression, english = f"({one.expression}) {sign} ({two.expression})", f"{one.english}, {said} {two.english}"
        parts = (one.family, two.family)
    source, elsewhere = f"def f(x):\n    return {expression}\n", None
    name = f"numeric-{variant}-{number}"
    if variant == "corrupted":
        low, high, level = _interval(rng, TextFunction(name, "numeric", "clean", source, english, parts, seed))
        where = f"{low} <= x < {high}"
        source = f"def f(x):\n    if {where}:\n        return {level}\n    return {expression}\n"
        english = f"{english}; but {level} from {low} to {high}"
        elsewhere = (lambda x: low <= x < high, where)
    function = TextFunction(name, "numeric", variant, source, english, parts, seed, elsewhere=elsewhere)
    if variant != "noise":
        return function
    noise = round(NOISE * float(np.std(on_grid(function))) or 1.0, 4)
    english = f"{english}, with noise of standard deviation {noise}"
    return TextFunction(name, "numeric", variant, source, english, parts, seed, noise=noise)


def on_grid(function: TextFunction) -> np.ndarray:
    """Values without noise at `GRID`."""
    return np.array([function.exact(x) for x in GRID], np.float64)


def _interval(rng: np.random.Generator, function: TextFunction) -> tuple[float, float, float]:
    """Where the main rule does not hold, and the value there, which the rule itself comes nowhere near on the whole."""
    values, grid = on_grid(function), np.array(GRID)
    spread = float(values.std() + np.abs(values.mean()))
    while True:
        level = round(float(values.mean() + spread * rng.choice([-1, 1]) * rng.uniform(0.5, 1.5)), 2)
        start, width = _number(rng, -100, 80), _number(rng, 12, 40)
        side = int(rng.integers(3))
        low, high = ((start, _sum(start, width)), (LOW, _number(rng, -110, -50)), (_number(rng, 50, 110), HIGH))[side]
        inside = (grid >= low) & (grid < high)
        if np.mean((values[inside] - level) ** 2) > 0.3 * level**2:
            return float(low), float(high), level


def _number(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 2)


def _away(rng: np.random.Generator, low: float, high: float) -> float:
    """Of either sign and not near 0."""
    return round(float(rng.choice([-1, 1]) * rng.uniform(low, high)), 2)


def _sum(a: float, b: float) -> float:
    return round(a + b, 2)
