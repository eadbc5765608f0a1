"""Validation shared by the constructors of programs, each returning the checked value or raising `ValueError`; and how
texts are quoted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

LARGEST = 1e30
"""Bound on every number in a program, so that sums stay finite in float32."""


def number(value: object, name: str, low: float = -LARGEST, high: float = LARGEST) -> float:
    try:
        result = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is not a number: {value!r}") from None
    if not (low <= result <= high):
        raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value!r}")
    return result


def whole(value: object, name: str, low: int) -> int:
    try:
        result = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is not a whole number: {value!r}") from None
    if result != value or result < low or result > 10**9:
        raise ValueError(f"{name} must be a whole number from {low}, not {value!r}")
    return result


def text_of(value: object, name: str, empty: bool = False) -> str:
    if not isinstance(value, str) or (not value and not empty):
        raise ValueError(f"{name} must be text{'' if empty else ' of at least one character'}, not {value!r}")
    if not value.isascii():
        value.encode("utf-8")  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
    return str(value)


def texts_of(values: Iterable[str], name: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ValueError(f"{name} must be several texts, not the one text {values!r}")
    texts = tuple(text_of(v, name, empty=True) for v in values)
    if not texts:
        raise ValueError(f"{name} must not be empty")
    if len(set(texts)) != len(texts):
        raise ValueError(f"{name} has a text twice: {texts!r}")
    return texts


def assign(instance: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def quoted(*texts: str) -> str:
    """The texts as JSON strings; characters that print as themselves are left as they are, all others are escaped."""
    return ", ".join(
        '"' + "".join(c if c.isprintable() and c not in '"\\' else json.dumps(c)[1:-1] for c in text) + '"'
        for text in texts
    )
