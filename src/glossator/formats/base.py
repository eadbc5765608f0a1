"""What the formats have in common: units, excerpts with activations, explanations."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from glossator.errors import UserError

Kind = Literal["top", "interval", "random"]
LARGEST_FILE = 4 << 30
"""Bytes of one file once it is unpacked: what claims to be more is refused before it fills the memory."""


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Some text with a unit's activation at each token.

    tokens (t,): their texts; values (t,) float32; kind: among the largest activations, from an interval of them, or
    drawn without a look at them; low, high, share: of the interval, where it is known.
    """

    tokens: tuple[str, ...]
    values: np.ndarray
    kind: Kind = "top"
    low: float | None = None
    high: float | None = None
    share: float | None = None

    @property
    def largest(self) -> float:
        return float(self.values.max())


@dataclass(frozen=True)
class Said:
    """An explanation. method, model: as the file names what wrote it; score: that stands beside it, and its name."""

    text: str
    method: str = ""
    model: str | None = None
    score: float | None = None
    score_name: str = ""


@dataclass(frozen=True, eq=False)
class OfUnit:
    """A unit of a site. density: share of tokens at which it fires, None where that is unknown; promoted, suppressed:
    output tokens with their logits; statistics: of its activations over all text, as far as they are known."""

    site: str
    index: int
    excerpts: tuple[Excerpt, ...] = ()
    said: tuple[Said, ...] = ()
    density: float | None = None
    promoted: tuple[tuple[str, float], ...] = ()
    suppressed: tuple[tuple[str, float], ...] = ()
    statistics: dict[str, float] = field(default_factory=dict)

    @property
    def largest(self) -> float:
        return max((one.largest for one in self.excerpts), default=0.0)


@dataclass(frozen=True, eq=False)
class SourceOfUnits:
    """What a file or folder holds. subject: the model's name; format: whose layout it is."""

    subject: str
    format: str
    units: tuple[OfUnit, ...]


def excerpt(tokens: Any, values: Any, where: str, **more: Any) -> Excerpt:
    """Checked: one finite number for each of at least one token."""
    if not isinstance(tokens, list) or not all(isinstance(one, str) for one in tokens):
        raise UserError("tokens are not a list of texts", value=where)
    try:
        numbers = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise UserError("activations are not numbers", value=where) from error
    if numbers.shape != (len(tokens),) or not len(tokens) or not np.isfinite(numbers).all():
        raise UserError(
            "activations do not fit their tokens", value=where, allowed="one finite number for each of the tokens"
        )
    return Excerpt(tuple(tokens), numbers, **more)


def objects(row: dict[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    """A list of JSON objects; empty where there is none."""
    found = row.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(f"{name} is not a list of JSON objects", value=where)
    return found


def part(row: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """A JSON object; empty where there is none."""
    found = row.get(name) or {}
    if not isinstance(found, dict):
        raise UserError(f"{name} is not a JSON object", value=where)
    return found


def number_or_none(value: Any, where: str) -> float | None:
    """A finite number; None for null, NaN and infinity, which some tools write where a number is undefined."""
    if value is None or value == "NaN":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError("not a number", value=f"{where}: {value!r:.60}")
    return float(value) if math.isfinite(value) else None


def index_of(value: Any, where: str) -> int:
    """The number of a unit, which some tools write as text."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise UserError("not the number of a unit", value=f"{where}: {value!r:.60}", allowed="a whole number from 0")
    return int(text)


def text_of(row: dict[str, Any], key: str, where: str) -> str:
    if not isinstance(found := row.get(key), str) or not found:
        raise UserError(f"{key} is missing", value=where, allowed="a text")
    return found


def read_text(path: Path) -> str:
    """A file as text, unpacked where its name ends with `.gz`; `UserError` for one that cannot be read."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as handle:
                data = handle.read(LARGEST_FILE + 1)
        else:
            data = path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b" " * (LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise UserError("the file is too large", value=str(path), allowed=f"{LARGEST_FILE >> 30} GB unpacked")
        return data.decode("utf-8")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError("the file cannot be read", value=str(path), fix=str(error)) from error


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object."""
    return parsed(read_text(path), str(path))


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, object) of each line of a file of JSON lines."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, parsed(line, where)


def parsed(text: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"the file is damaged ({error})", value=where, fix="Get it again") from error
    if not isinstance(found, dict):
        raise UserError("the file holds no JSON object", value=where)
    return found


def lines_of(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return b"".join(json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n" for row in rows)
