"""Lists of a study's units: which they hold, in which order, and what they show of one, without reading its scores."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glossator.errors import UserError, near_matches
from glossator.store.connection import OpenDatabase, of_kinds
from glossator.store.results import Status
from glossator.units import Unit

AT_ONCE = 500
"""Units that are read together where all are read."""
RANKED_MATCHES = 5_000
"""Of more explanations that a search finds, only the first so many are looked at, and not ranked by their words."""
ORDERS = {
    "place": ("id", "ASC", "ASC"),
    "best": ("score", "DESC", "ASC"),
    "worst": ("score", "ASC", "DESC"),
    "causal": ("causal", "DESC", "ASC"),
    "q": ("q", "ASC", "ASC"),
}
"""Orders of units: the study's own; by the score that ranks them, either way; by the causal one; by the q-value. Each a
column of `units`, its direction, and that of places where it is equal."""
UNIT = 'site, "index", polarity, status, reason, statistics'
"""Columns that say which unit it is, and how it ended."""
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
            values += [" ".join(terms_of(self.words)), RANKED_MATCHES]
        return conditions, values


EVERY = Wanted()


def terms_of(words: str) -> list[str]:
    """What SQLite's full-text search is asked for each of these words; the last may be the beginning of one.
    `UserError` where there is none."""
    terms = [f'"{term}"' for term in re.findall(r"\w+", words)]
    if not terms:
        raise UserError("nothing to search for", value=words, allowed="one or more words")
    return [*terms[:-1], f"{terms[-1]}*"]


class ListedUnits(OpenDatabase):
    """The units of a study. subject: of which they are."""

    def __init__(self, folder: Path, subject: str):
        super().__init__(folder)
        self.subject = subject

    @property
    def size(self) -> int:
        """How many units it has."""
        ((units,),) = self.query("SELECT count(*) FROM units")
        return int(units)

    @property
    def sites(self) -> list[str]:
        """The sites of its units, in the study's order."""
        first = """SELECT min(id) FROM (SELECT (SELECT id FROM units WHERE site = ? AND polarity = value LIMIT 1) AS id
            FROM json_each('["+", "-", "±"]'))"""
        return sorted(self.distinct("units", "site"), key=lambda site: self.query(first, site))

    @property
    def methods(self) -> list[str]:
        """The methods of the best explanations of its units, sorted."""
        return self.distinct("units", "method")

    def names(self) -> list[str]:
        """The ids of all units, in the study's order."""
        return [str(name) for (name,) in self.query("SELECT name FROM units ORDER BY id")]

    def named(self, end: str) -> list[str]:
        """The ids of units that are `end` or end with it after a slash, the whole id alone where there is one."""
        if self.query("SELECT 1 FROM units WHERE name = ?", end):
            return [end]
        number = re.search(r"(?:^|/)([0-9]{1,18})[+±-]?$", end)
        if number is None:
            return []
        found = self.query('SELECT name FROM units WHERE "index" = ? ORDER BY id', int(number[1]))
        return [str(name) for (name,) in found if str(name).endswith(f"/{end}")]

    def names_like(self, name: str) -> list[str]:
        """Ids that a wrong one may have meant: all of a small study, else some of the same number or site."""
        if self.size <= AT_ONCE:
            return self.names()
        number, site = re.search(r"([0-9]{1,18})[+±-]?$", name), name.rpartition("/")[0].rpartition("/")[2]
        rows = self.query(
            """SELECT name FROM (SELECT * FROM (SELECT name, id FROM units WHERE "index" = ? LIMIT 250) UNION
            SELECT * FROM (SELECT name, id FROM units WHERE site = ? LIMIT 250)) ORDER BY id""",
            int(number[1]) if number else -1,
            site,
        )
        return [str(found) for (found,) in rows or self.query("SELECT name FROM units ORDER BY id LIMIT 250")]

    def __contains__(self, unit: Unit) -> bool:
        return bool(self.query("SELECT 1 FROM units WHERE name = ?", str(unit)))

    def page(
        self,
        order_by: str = "place",
        where: Mapping[str, str] | Wanted | None = None,
        after: UnitRow | None = None,
        limit: int = 50,
    ) -> list[UnitRow]:
        """At most `limit` units in this order (`ORDERS`), those after a row of the page before.

        where: which units, or values of site, polarity, status or method. Units without a value of what is ordered by
        are left out. Raises `UserError` for another order or filter.
        """
        by, direction, ties = _order(order_by)
        conditions, values = (where if isinstance(where, Wanted) else Wanted(where or {})).conditions()
        conditions.append(f"{by} IS NOT NULL")
        if after is not None:
            last = after.place if by == "id" else getattr(after, by)
            if last is None:
                raise UserError("the unit to start after has no value in this order", value=str(after.unit))
            beyond = {"ASC": ">", "DESC": "<"}
            conditions.append(f"{by} {beyond[direction]}= ?")  # where the index begins
            conditions.append(f"({by} {beyond[direction]} ? OR id {beyond[ties]} ?)")
            values += [last, last, after.place]
        order = f"ORDER BY {by} {direction}, id {ties} LIMIT ?"
        return self._unit_rows(f"WHERE {' AND '.join(conditions)} {order}", *values, limit)

    def count(self, wanted: Wanted = EVERY, order_by: str = "place") -> int:
        """How many units there are of these that have a value of what is ordered by."""
        conditions, values = wanted.conditions()
        conditions.append(f"{ORDERS[order_by][0]} IS NOT NULL")
        ((found,),) = self.query(f"SELECT count(*) FROM units WHERE {' AND '.join(conditions)}", *values)
        return int(found)

    def places(self, wanted: Wanted, order_by: str = "place") -> list[int]:
        """The places (from 1) of the units that are wanted and have a value of what is ordered by, in this order.

        Raises `UserError` as `page` does.
        """
        by, direction, ties = _order(order_by)
        conditions, values = wanted.conditions()
        where = " AND ".join([*conditions, f"{by} IS NOT NULL"])
        through = "" if wanted.places is None else "INDEXED BY units_by_place"
        found = self.query(
            f"SELECT id FROM units {through} WHERE {where} ORDER BY {by} {direction}, id {ties}", *values
        )
        return [place for (place,) in found]

    def rows_at(self, places: Sequence[int]) -> list[UnitRow]:
        """The rows at these places (from 1), in this order; there is none for a place that no unit has."""
        found = {row.place: row for row in self._unit_rows(f"WHERE id IN ({', '.join('?' * len(places))})", *places)}
        return [found[place] for place in places if place in found]

    def places_of(self, site: str, index: int) -> list[int]:
        """The places of the units of this number at a site, one for each polarity."""
        found = self.query('SELECT id FROM units WHERE "index" = ? AND site = ? ORDER BY id', index, site)
        return [place for (place,) in found]

    def row(self, unit: Unit) -> UnitRow:
        """What a list of units shows of one; `UserError` when the study has none of that name."""
        rows = self._unit_rows("WHERE name = ?", str(unit))
        if not rows:
            raise self._no_such(unit)
        return rows[0]

    def _unit_rows(self, where: str, *values: Any) -> list[UnitRow]:
        rows = self.query(
            f"SELECT id, {UNIT}, method, text, score, low, high, causal, q, headline, density FROM units {where}",
            *values,
        )
        with self.whole():
            return [
                UnitRow(place, self._unit(site, index, polarity), status, reason, *more)
                for place, site, index, polarity, status, reason, _, *more in rows
            ]

    def ranking(self) -> list[int]:
        """The places of all units: the best first, then those without a value, in the study's order."""
        rows = self.query("SELECT id FROM units ORDER BY score IS NULL, score DESC, id")
        return [place for (place,) in rows]

    def explained(self, method: str, site: str, polarity: str) -> list[Unit]:
        """The units of one site and polarity that a method has an explanation of, in the study's order."""
        rows = self.query(
            """SELECT site, "index", polarity FROM units WHERE site = ? AND polarity = ? AND EXISTS
            (SELECT 1 FROM explanations WHERE unit = units.id AND method = ? AND rank = 0) ORDER BY id""",
            site,
            polarity,
            method,
        )
        with self.whole():
            return [self._unit(*row) for row in rows]

    def matches(self, words: str) -> list[int]:
        """The places of the units of at most `RANKED_MATCHES` explanations in which all these words stand, once for
        each of them."""
        rows = self.query(
            """SELECT unit FROM (SELECT rowid AS found FROM explanation_text WHERE explanation_text MATCH ? LIMIT ?)
            JOIN explanations INDEXED BY explanations_by_id ON explanations.id = found""",
            " ".join(terms_of(words)),
            RANKED_MATCHES,
        )
        return [place for (place,) in rows]

    def _no_such(self, unit: Unit) -> UserError:
        near = near_matches(str(unit), self.names_like(str(unit)))
        return UserError("the study has no such unit", value=str(unit), allowed=near)

    def _unit(self, site: Any, index: Any, polarity: Any) -> Unit:
        of_kinds((site, str), (index, int), (polarity, str))
        return Unit(self.subject, site, index, polarity)


def _order(name: str) -> tuple[str, str, str]:
    if name not in ORDERS:
        raise UserError("unknown order of units", value=name, allowed=near_matches(name, ORDERS))
    return ORDERS[name]
