"""A function of one text or number with a known definition, and how it may be asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from glossator.errors import UserError

Family = Literal["numeric", "string", "relation"]
Variant = Literal["clean", "noise", "corrupted", "composed"]
FAMILIES: tuple[str, ...] = get_args(Family)
VARIANTS: tuple[str, ...] = get_args(Variant)
Value = float | str
"""What goes in and what comes out."""


@dataclass(frozen=True)
class TextFunction:
    """One function whose source is its definition.

    source: Python text that defines `f(x)`; english: the same in words; parts: the operations in it; elsewhere: where
    another rule holds than the main one (a predicate of x and its English), None where one rule holds everywhere;
    noise: standard deviation of what is added to numbers, or how often a text has one character changed.
    """

    name: str
    family: Family
    variant: Variant
    source: str
    english: str
    parts: tuple[str, ...]
    seed: int
    noise: float = 0.0
    elsewhere: tuple[Callable[[Any], bool], str] | None = field(default=None, compare=False)

    @cached_property
    def exact(self) -> Callable[[Any], Any]:
        """The function without noise."""
        scope: dict[str, Any] = {"math": math}
        exec(compile(self.source, self.name, "exec"), scope)
        function: Callable[[Any], Any] = scope["f"]
        return function

    def corrupted(self, x: Value) -> bool:
        """Whether another rule than the main one holds at x."""
        return self.elsewhere is not None and self.elsewhere[0](x)

    def answer(self, x: Value, call: int) -> Value | None:
        """What the function gives the call number `call`; None where it is undefined. Noise depends on nothing
        else than the function, x and the number of the call."""
        try:
            value = self.exact(x)
        except (ValueError, ZeroDivisionError, OverflowError, IndexError):
            return None
        if not self.noise:
            return clean(value)
        rng = np.random.default_rng([self.seed, call, *repr(x).encode()])
        if isinstance(value, str):
            return _altered(value, rng) if value and rng.random() < self.noise else value
        return clean(value + self.noise * float(rng.normal()))


def clean(value: Any) -> Value | None:
    """Text as it is, numbers rounded to four decimals, None where a number is not finite or complex."""
    if isinstance(value, str):
        return value
    if isinstance(value, complex) or not math.isfinite(value):
        return None
    return round(float(value), 4)


class Asked:
    """A function that answers a limited number of calls; nothing but its answers shows what it does."""

    def __init__(self, function: TextFunction, calls: int) -> None:
        self._function, self.calls, self.made = function, calls, 0

    @property
    def left(self) -> int:
        return self.calls - self.made

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """One answer for each input; raises `UserError` for more inputs than calls are left."""
        if len(inputs) > self.left:
            raise UserError("too many calls", value=len(inputs), allowed=f"{self.left} of {self.calls} are left")
        answers = [self._function.answer(x, self.made + i) for i, x in enumerate(inputs)]
        self.made += len(inputs)
        return answers


def _altered(text: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(len(text)))
    return text[:place] + "?" + text[place + 1 :]
