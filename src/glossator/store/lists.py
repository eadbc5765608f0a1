"""Which units a list of a study holds, in which order, and what it shows of one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glossator.errors import UserError
from glossator.store.results import Status
from glossator.units import Unit

RANKED_MATCHES = 5_000
"""Of more explanations that a search finds, only the first so many are ranked."""
ORDERS = {
    "place": ("id", "ASC", "ASC"),
    "best": ("score", "DESC", "ASC"),
    "worst": ("score", "ASC", "DESC"),
    "causal": ("causal", "DESC", "ASC"),
    "q": ("q", "ASC", "ASC"),
}
"""Orders of units: the study's own; by the score that ranks them, either way; by the causal one; by the q-value. Each a
column of `units`, its direction, and that of places where it is equal."""
FILTERS = ("site", "polarity", "status", "method")
RANGES = ("score", "causal", "q", "density")
"""Numbers of units by which they can be filtered; density: how often a unit fires on random places."""


@dataclass(frozen=True)
class UnitRow:
    """What a list of units shows of one, without reading its scores.

    place: from 1, in the study's order; method, text, headline: of its best explanation, None where it has none;
    score, low, high: the study's default score of that (`Study.default_score`); causal: the causal one; q: of the
    score, at this false-discovery rate it is above all of its baselines; density: how often the unit fires on random
    places.
    """

    place: int
    unit: Unit
    status: Status
    reason: str
    method: str | None
    text: str | None
    score: float | None
    low: float | None
    high: float | None
    causal: float | None
    q: float | None
    headline: str | None = None
    density: float | None = None


@dataclass(frozen=True)
class Wanted:
    """Which units a list holds.

    where: values of site, polarity, status or method (of the best explanation); between: ranges, ends included, of
    score, causal, q or density, None for an open end; words: which all stand in one explanation of a unit, the last may
    be the beginning of one; of very many matches only the first `RANKED_MATCHES` explanations in the study's order
    count. places: those alone. Raises `UserError` for another filter, and for words without a letter or digit.
    """

    where: Mapping[str, str] = field(default_factory=dict)
    between: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    words: str | None = None
    places: Sequence[int] | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """SQL conditions on `units`, and their values."""
        conditions, values = list[str](), list[Any]()
        for name, value in self.where.items():
            if name not in FILTERS:
                raise UserError("units cannot be filtered by this", value=name, allowed=", ".join(FILTERS))
            # Of a method there are many, which would all be sorted if they were looked up.
            conditions.append(f"{'+' if name == 'method' else ''}{name} = ?")
            values.append(value)
        for name, ends in self.between.items():
            if name not in RANGES:
                raise UserError("units cannot be filtered by a range of this", value=name, allowed=", ".join(RANGES))
            for sign, end in zip((">=", "<="), ends, strict=True):
                if end is not None:
                    conditions.append(f"{name} {sign} ?")
                    values.append(end)
        if self.places is not None:
            conditions.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps([*self.places]))
        if self.words is not None:
            conditions.append(
                """id IN (SELECT unit FROM explanations WHERE id IN
                (SELECT rowid FROM explanation_text WHERE explanation_text MATCH ? LIMIT ?))"""
            )
            values += [match_of(self.words), RANKED_MATCHES]
        return conditions, values


EVERY = Wanted()


def match_of(words: str) -> str:
    """What SQLite's full-text search is asked for words that must all be there; `UserError` where there is none."""
    terms = re.findall(r"\w+", words)
    if not terms:
        raise UserError("nothing to search for", value=words, allowed="one or more words")
    return " ".join(f'"{term}"' for term in terms) + "*"
