"""Querying a study on disk: no question about some units reads all of them.

Written by `glossator.store.database`.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.files import sqlite_trouble
from glossator.language_models import Usage
from glossator.language_models.costs import Asked, Cost, Entry
from glossator.recording import Recording, open_recording
from glossator.recording.store import crc32_of, sample_of
from glossator.scores import Column, Score
from glossator.store.database import ADDING, DATABASE, recover
from glossator.store.lists import EVERY, ORDERS, RANKED_MATCHES, UnitRow, Wanted, match_of
from glossator.store.ranking import DEFAULT, RANKED_BY
from glossator.store.results import STATUSES, Chosen, UnitResult, headlines_from, score_of
from glossator.store.schema import upgraded
from glossator.store.spec import StudySpec, make_spec
from glossator.units import Unit, parse_unit

FORMAT = "glossator-study/1"
AT_ONCE = 500
"""Units that are read together where all are read."""
READ_WHOLE = 32 << 20
"""Bytes up to which a database's checksum is that of all of it when it is opened; of a larger one some blocks are
compared, and `glossator verify` reads it all."""
MOST_HOWS = 1000
"""Notes on how scores were made that are kept in memory."""


class Study:
    """A finished study, read-only; `recording` is the one that it was made from."""

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        self.folder, self.manifest = folder, manifest
        self.path = folder / DATABASE
        self.spec: StudySpec = make_spec(manifest["spec"])
        self.migrated = False
        """Whether the file is of older tables, and this is a copy of it in memory that was brought to the present."""
        self.reopen()

    def reopen(self) -> None:
        """Read the file that is there now."""
        self._hows: dict[int, dict[str, Any]] = {}
        try:
            opened = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=2)
            self._connection = upgraded(opened, str(self.folder))
        except (sqlite3.DatabaseError, ValueError) as error:
            raise _unreadable(self.path, error) from error
        self.migrated = self._connection is not opened

    @cached_property
    def recording(self) -> Recording:
        return open_recording(self.folder / "recording")

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def counts(self) -> dict[str, int]:
        """How many units ended with each status."""
        counts = dict(self.query("SELECT status, count(*) FROM units GROUP BY status"))
        return {status: counts.get(status, 0) for status in STATUSES}

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
        return sorted(self._distinct("units", "site"), key=lambda site: self.query(first, site))

    @property
    def methods(self) -> list[str]:
        """The methods of the best explanations of its units, sorted."""
        return self._distinct("units", "method")

    @property
    def costs(self) -> list[Cost]:
        """What its language models were asked, by stage and model; empty for a study that needed none."""
        rows = self.query(
            """SELECT stage, model, requests, failures, calls, prompt_tokens, completion_tokens, money FROM ledger
            ORDER BY stage, model"""
        )
        with self._whole():
            return [
                Cost(stage, model, requests, failures, Usage(*used)) for stage, model, requests, failures, *used in rows
            ]

    @property
    def asked(self) -> list[Asked]:
        """Each distinct request to its language models by a digest, with what it used; empty in older studies."""
        rows = self.query(
            """SELECT stage, model, digest, calls, prompt_tokens, completion_tokens, money, failed FROM requests
            ORDER BY stage, model, digest"""
        )
        stages: dict[str, dict[str, dict[str, Entry]]] = {}
        for stage, model, digest, *entry in rows:
            stages.setdefault(stage, {}).setdefault(model, {})[digest] = entry
        return list(stages.items())

    def default_score(self, column: Column = "observational") -> str | None:
        """The name of the score that stands for a column, see `glossator.store.ranking`; None where it is empty."""
        return self._meta(DEFAULT[column])

    @property
    def ranked_by(self) -> str | None:
        """The name of the score that orders units from best to worst; None where no unit has a score."""
        return self._meta(RANKED_BY)

    def _meta(self, key: str) -> str | None:
        rows = self.query("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

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

    def result(self, unit: Unit) -> UnitResult:
        """One unit; `UserError` with near matches when the study has none of that name."""
        found = list(self._results("WHERE name = ?", str(unit)))
        if not found:
            raise self._no_such(unit)
        return found[0]

    def unit(self, name: Unit | str) -> UnitOfStudy:
        """The unit whose name is or ends with `name`; `UserError` as in `unit_of`."""
        return UnitOfStudy(self, self.result(unit_of(self, name)))

    def _repr_html_(self) -> str:
        """The study as the explorer shows it, for notebooks."""
        shown: str = registry.load("reports", "notebook-study")(self)
        return shown

    def _no_such(self, unit: Unit) -> UserError:
        near = near_matches(str(unit), self.names_like(str(unit)))
        return UserError("the study has no such unit", value=str(unit), allowed=near)

    def results(self, places: Iterable[int] | None = None) -> Iterator[UnitResult]:
        """All units, or those at these places (from 1), in the study's order; few of them are in memory at a time."""
        if places is not None:
            for place in sorted(places):
                yield from self._results("WHERE id = ?", place)
            return
        last = 0
        while rows := self.query("SELECT id FROM units WHERE id > ? ORDER BY id LIMIT ?", last, AT_ONCE):
            yield from self._results("WHERE id > ? AND id <= ?", last, rows[-1][0])
            last = rows[-1][0]

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
            f"SELECT id, {_UNIT}, method, text, score, low, high, causal, q, headline, density FROM units {where}",
            *values,
        )
        with self._whole():
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
        with self._whole():
            return [self._unit(*row) for row in rows]

    def matches(self, words: str) -> list[int]:
        """The places of the units of at most `RANKED_MATCHES` explanations in which all these words stand, once for
        each of them."""
        rows = self.query(
            """SELECT unit FROM (SELECT rowid AS found FROM explanation_text WHERE explanation_text MATCH ? LIMIT ?)
            JOIN explanations INDEXED BY explanations_by_id ON explanations.id = found""",
            match_of(words),
            RANKED_MATCHES,
        )
        return [place for (place,) in rows]

    def search(self, words: str, limit: int = 50) -> list[tuple[str, Chosen]]:
        """(unit id, explanation) of the explanations in which all these words stand, best match first.

        The last word may be the beginning of one; words are compared by their stems. Of very many matches only the
        first `RANKED_MATCHES` in the study's order are ranked.
        """
        found = self.query(
            f"""SELECT units.name, {_EXPLANATION} FROM
            (SELECT rowid AS found, rank AS fit FROM explanation_text WHERE explanation_text MATCH ? LIMIT ?)
            JOIN explanations ON explanations.id = found JOIN units ON units.id = explanations.unit
            ORDER BY fit, found LIMIT ?""",
            match_of(words),
            RANKED_MATCHES,
            limit,
        )
        return [(row[0], self._explanation(row[1:])) for row in found]

    def experiments(self, unit: Unit | None = None) -> list[tuple[int, str, Any, Any, Any]]:
        """Experiments on a unit, or those on the study as a whole, as they were registered: number, kind, request,
        prediction and result, both None where there is none."""
        rows = self.query(
            """SELECT experiments.id, kind, request, prediction, result FROM experiments
            LEFT JOIN units ON units.id = experiments.unit WHERE units.name IS ? ORDER BY experiments.id""",
            None if unit is None else str(unit),
        )
        with self._whole():
            return [(number, kind, *(json.loads(text or "null") for text in texts)) for number, kind, *texts in rows]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(self, where: str, *values: Any) -> Iterator[UnitResult]:
        for number, *names, status, reason, statistics in self.query(
            f"SELECT id, {_UNIT} FROM units {where} ORDER BY id", *values
        ):
            found = self.query(f"SELECT {_EXPLANATION} FROM explanations WHERE unit = ? ORDER BY id", number)
            explanations = tuple(self._explanation(row) for row in found)
            with self._whole():
                _of_kinds((status, str), (reason, str))
                yield UnitResult(self._unit(*names), status, reason, json.loads(statistics), explanations)

    def _unit(self, site: Any, index: Any, polarity: Any) -> Unit:
        _of_kinds((site, str), (index, int), (polarity, str))
        return Unit(self.manifest["subject"], site, index, polarity)

    def _explanation(self, row: tuple[Any, ...]) -> Chosen:
        number, method, rank, text, program, bits, select, provenance, headlines = row
        with self._whole():
            _of_kinds((method, str), (rank, int), (text, str), (program, MaybeText), (bits, MaybeNumber))
            _of_kinds((select, MaybeNumber), (made := json.loads(provenance), dict), (headlines, MaybeText))
            named = headlines_from(headlines)
        return Chosen(method, rank, text, program, bits, select, made, self._scores(number), *named)

    def _scores(self, explanation: int) -> tuple[Score, ...]:
        rows = self.query(
            """SELECT id, how, name, "column", value, low, high, n, measure, reason, counts FROM scores
            WHERE explanation = ? ORDER BY id""",
            explanation,
        )
        beside: dict[int, list[tuple[Any, ...]]] = {}
        for score, *comparison in self.query(
            """SELECT score, baseline, comparisons.value, margin, comparisons.low, comparisons.high, p, q
            FROM scores JOIN comparisons ON comparisons.score = scores.id WHERE explanation = ?
            ORDER BY score, baseline""",
            explanation,
        ):
            with self._whole():
                _of_kinds((comparison[0], str), *((number, MaybeNumber) for number in comparison[1:]))
            beside.setdefault(score, []).append(tuple(comparison))
        with self._whole():
            for _, _, name, column, value, low, high, n, measure, reason, _ in rows:
                _of_kinds((name, str), (value, MaybeNumber), (measure, str), (low, MaybeNumber), (high, MaybeNumber))
                _of_kinds((n, int), (column, str), (reason, MaybeText))
            return tuple(score_of(row, self._how(how), beside.get(number, ())) for number, how, *row in rows)

    def _how(self, number: int) -> dict[str, Any]:
        if number not in self._hows:
            if len(self._hows) > MOST_HOWS:
                self._hows.clear()
            ((text,),) = self.query("SELECT json FROM hows WHERE id = ?", number)
            self._hows[number] = json.loads(text)
        return self._hows[number]

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within, all questions are answered from one state of the file, whoever adds to it meanwhile."""
        self.query("BEGIN")
        try:
            yield
        finally:
            self.query("ROLLBACK")

    @property
    def score_names(self) -> dict[str, Column]:
        """The names of all scores, sorted, with their columns."""
        column = 'SELECT "column" FROM scores WHERE name = ? LIMIT 1'
        return {name: self.query(column, name)[0][0] for name in self._distinct("scores", "name")}

    def _distinct(self, table: str, column: str) -> list[str]:
        """The values of a column that an index begins with, sorted; each is looked up in it, not collected."""
        rows = self.query(
            f"""WITH RECURSIVE found (one) AS (SELECT min({column}) FROM {table} UNION ALL
            SELECT (SELECT min({column}) FROM {table} WHERE {column} > one) FROM found WHERE one IS NOT NULL)
            SELECT one FROM found WHERE one IS NOT NULL"""
        )
        return [one for (one,) in rows]

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives; `UserError` where the database cannot be read."""
        return list(self.stream(query, *values))

    def stream(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The same, one row at a time."""
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Within, what rows hold is turned into objects; `UserError` where they hold something else."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _unreadable(self.path, error) from error


def _order(name: str) -> tuple[str, str, str]:
    if name not in ORDERS:
        raise UserError("unknown order of units", value=name, allowed=near_matches(name, ORDERS))
    return ORDERS[name]


_UNIT = 'site, "index", polarity, status, reason, statistics'
_EXPLANATION = """explanations.id, explanations.method, explanations.rank, explanations.text, program, bits, "select",
provenance, headlines"""


@dataclass(frozen=True)
class UnitOfStudy:
    """One unit of an open study, which a notebook shows as the explorer does."""

    study: Study
    result: UnitResult

    def _repr_html_(self) -> str:
        shown: str = registry.load("reports", "notebook-unit")(self.study, self.result.unit)
        return shown


def unit_of(study: Study, unit: Unit | str) -> Unit:
    """The unit of a study whose name is or ends with `unit`; `UserError` with near matches when there is none, and when
    the end fits several units."""
    if isinstance(unit, Unit):
        return unit
    fitting = study.named(unit)
    if len(fitting) > 1:
        raise UserError("several units match", value=unit, allowed=near_matches(unit, fitting))
    if not fitting:
        raise UserError("the study has no such unit", value=unit, allowed=near_matches(unit, study.names_like(unit)))
    return parse_unit(fitting[0])


def open_study(folder: str | Path) -> Study:
    """Open a finished study; `UserError` when there is none, it is unfinished, damaged, or of a newer version."""
    folder = Path(folder)
    path = folder / "manifest.json"
    if not path.exists():
        begun = (folder / "spec.json").exists()
        raise UserError(
            "the study is not finished" if begun else "no study here",
            value=str(folder),
            fix=f"Resume it with: glossator run {folder}" if begun else "List studies with: glossator studies",
        )
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version = manifest["format"]
        if version != FORMAT:
            raise UserError("the study has another format", value=version, allowed=FORMAT, fix="Update glossator")
        whole = manifest["files"][DATABASE]
        if whole.get(ADDING) and (folder / DATABASE).is_file():
            recover(folder, manifest)
            whole = manifest["files"][DATABASE]
        size, checksum, sample = int(whole["size"]), whole.get("crc32"), whole.get("sample")
        if not isinstance(manifest["spec"], dict) or not isinstance(manifest["subject"], str):
            raise TypeError("spec or subject has the wrong type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"the study's manifest is damaged ({type(error).__name__}: {error})",
            value=str(path),
            fix="Delete it and run again",
        ) from error
    database = folder / DATABASE
    if not database.is_file() or database.stat().st_size != size:
        found = f"{database.stat().st_size} bytes" if database.is_file() else "missing"
        raise _damaged(database, f"{found}, not {size} bytes")
    sampled = size > READ_WHOLE and sample is not None
    if sample_of(database) != sample if sampled else checksum not in (None, crc32_of(database)):
        raise _damaged(database, "its checksum is wrong")
    return Study(folder, manifest)


MaybeText, MaybeNumber = (str, NoneType), (float, int, NoneType)


def _of_kinds(*values: tuple[Any, Any]) -> None:
    """`TypeError` for the first value that is of another kind; a column of SQLite holds whatever was put into it."""
    for value, kind in values:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r:.60} has the wrong type")


def _unreadable(path: Path, error: Exception) -> UserError:
    """What a database that cannot be read means: it is in use, may not be read, or does not hold what it should."""
    if (fix := sqlite_trouble(error)) is not None:
        return UserError(f"the study cannot be read now ({error})", value=str(path), fix=fix)
    return _damaged(path, f"{type(error).__name__}: {error}")


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"the study is damaged ({why})", value=str(path), fix="Delete manifest.json and run the study again"
    )
