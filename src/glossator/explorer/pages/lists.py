"""Lists of units: ordered, filtered and searched, a page at a time; and all of them as columns, for export."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from glossator.errors import UserError
from glossator.explorer.pages.parts import all_rounded, rounded
from glossator.store.lists import EVERY, RANGES, RANKED_MATCHES, UnitRow, Wanted
from glossator.store.study import Study

MOST_ROWS = 200
NAME = re.compile(r"[^\s]*/?[0-9]{1,18}[+±-]?$")


@dataclass(frozen=True)
class Listed:
    """A unit in a list. text: its headline, else its sentence; score with its interval, causal, q, density: as in
    `glossator.store.lists.UnitRow`."""

    place: int
    unit: str
    status: str
    reason: str
    method: str | None
    text: str | None
    score: float | None
    low: float | None
    high: float | None
    causal: float | None
    q: float | None
    density: float | None

    @classmethod
    def of(cls, row: UnitRow) -> Listed:
        numbers = all_rounded((row.score, row.low, row.high, row.causal, row.q, row.density))
        return cls(row.place, row.unit.short, row.status, row.reason, row.method, row.headline or row.text, *numbers)


@dataclass(frozen=True)
class UnitList:
    """Some units; total: how many the list has; after: the place to go on from, None at its end; at_least: whether
    there may be more, as of very common words."""

    units: list[Listed]
    total: int
    after: int | None
    at_least: bool = False


@dataclass(frozen=True)
class UnitLists:
    """Names of the units in each list that readers made; starred: those with a star."""

    lists: dict[str, list[str]]


def unit_list(
    study: Study, wanted: Wanted = EVERY, order: str | None = None, after: int | None = None, limit: int = 50
) -> UnitList:
    """At most `limit` (up to `MOST_ROWS`) of the units that are wanted, those after the one at this place.

    order: of `glossator.store.lists.ORDERS`; None for the best first, in the study's order where there are no scores.
    Words that are the name of a unit, or the end of one, find it alone.
    """
    if not 1 <= limit <= MOST_ROWS:
        raise UserError("so many units are not listed at once", value=limit, allowed=f"1 to {MOST_ROWS}")
    with study.snapshot():
        order = order or ("best" if study.ranked_by else "place")
        if wanted.words is not None and NAME.match(name := wanted.words.strip()):
            found = named(study, name, limit)
            if found:
                return UnitList([Listed.of(row) for row in found], len(found), None)
        last = None
        if after is not None:
            found = study.rows_at([after])
            if not found:
                raise UserError("the study has no unit at this place", value=after)
            (last,) = found
        if wanted.words is not None:
            return _searched(study, wanted, wanted.words, order, last, limit)
        rows = study.page(order, wanted, last, limit + 1)
        listed = [Listed.of(row) for row in rows[:limit]]
        return UnitList(listed, study.count(wanted, order), listed[-1].place if len(rows) > limit else None)


def _searched(study: Study, wanted: Wanted, searched: str, order: str, last: UnitRow | None, limit: int) -> UnitList:
    """Of the units in whose explanations the words stand: these are looked up once, for the page and for its length."""
    matches = study.matches(searched)
    both = {*matches} if wanted.places is None else {*matches} & {*wanted.places}
    places = study.places(replace(wanted, words=None, places=sorted(both)), order)
    first = 0
    if last is not None:
        if last.place not in places:
            raise UserError("the unit to continue from is not among the results", value=str(last.unit))
        first = places.index(last.place) + 1
    page = places[first : first + limit]
    listed = [Listed.of(row) for row in study.rows_at(page)]
    return UnitList(
        listed, len(places), page[-1] if first + limit < len(places) else None, len(matches) == RANKED_MATCHES
    )


def named(study: Study, name: str, limit: int) -> list[UnitRow]:
    """The units whose name is or ends with this."""
    from glossator.units import parse_unit

    return [study.row(parse_unit(found)) for found in study.named(name)[:limit]]


@dataclass(frozen=True)
class Points:
    """One dot per unit that has both numbers: places, x, y. of: how many there are; evenly spread ones where not all
    are given."""

    x_name: str
    y_name: str
    of: int
    place: list[int]
    x: list[float | None]
    y: list[float | None]


AXES = RANGES
MOST_POINTS = 100_000


def points(study: Study, x: str = "score", y: str = "causal", most: int = MOST_POINTS) -> Points:
    """Two numbers of `AXES` of each unit that has both."""
    for axis in (x, y):
        if axis not in AXES:
            raise UserError("no such axis", value=axis, allowed=", ".join(AXES))
    if not 1 <= most <= MOST_POINTS:
        raise UserError("so many points are not given at once", value=most, allowed=f"1 to {MOST_POINTS}")
    rows = study.query(f"SELECT id, {x}, {y} FROM units WHERE {x} IS NOT NULL AND {y} IS NOT NULL ORDER BY id")
    chosen = rows[:: -(-len(rows) // most) or 1]
    columns: Sequence[Sequence[float]] = [*zip(*chosen, strict=True)] or [(), (), ()]
    return Points(
        axis_name(study, x), axis_name(study, y), len(rows), [int(p) for p in columns[0]],
        all_rounded(columns[1]), all_rounded(columns[2]),
    )  # fmt: skip


def axis_name(study: Study, axis: str) -> str:
    """What an axis shows in this study."""
    names = {"q": "q over baselines", "density": "share of random places at which it fires"}
    if axis == "score":
        return study.ranked_by or "score"
    if axis == "causal":
        return study.default_score("causal") or "causal score"
    return names[axis]


@dataclass(frozen=True)
class Columns:
    """Units from one place on, column by column: what `Listed` says of each."""

    first: int
    unit: list[str]
    site: list[str]
    polarity: list[str]
    status: list[str]
    reason: list[str]
    method: list[str | None]
    text: list[str | None]
    score: list[float | None]
    low: list[float | None]
    high: list[float | None]
    causal: list[float | None]
    q: list[float | None]
    density: list[float | None]


def columns(study: Study, first: int, count: int) -> Columns:
    """The units at `count` places from `first` on, for pages that cannot ask."""
    rows = study.rows_at(range(first, first + count))
    return Columns(
        first,
        [row.unit.short for row in rows],
        [row.unit.site for row in rows],
        [row.unit.polarity for row in rows],
        [row.status for row in rows],
        [row.reason for row in rows],
        [row.method for row in rows],
        [row.headline or row.text for row in rows],
        *([rounded(getattr(row, name)) for row in rows] for name in ("score", "low", "high", "causal", "q", "density")),
    )
