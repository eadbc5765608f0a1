"""The study on disk: one SQLite file, made in one go from sorted rows, so that the same rows give the same bytes.

A database that is written while a run goes on remembers the order of its writes. So a run writes plain files
(`glossator.study.work`), and this file is made from them at the end, under a temporary name.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any

from glossator.errors import UserError, near_matches
from glossator.files import plain, replacing, sqlite_trouble
from glossator.language_models import Usage
from glossator.recording import Recording, open_recording
from glossator.recording.store import crc32_of
from glossator.scores import Score
from glossator.study.costs import Asked, Cost, Entry, distinct, summed
from glossator.study.discoveries import Discoveries
from glossator.study.results import STATUSES, Chosen, UnitResult, margins_from_plain
from glossator.study.schema import create, upgraded
from glossator.study.spec import StudySpec, make_spec
from glossator.units import Unit

FORMAT = "glossator-study/1"
DATABASE = "study.sqlite"
PAGE_BYTES = 4096


def build_database(
    path: Path, spec: StudySpec, results: Iterable[UnitResult], meta: dict[str, str], asked: Sequence[Asked] = ()
) -> None:
    """Write the study's SQLite file from the results, in their order, and what was asked for them."""
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            create(connection)
            connection.execute("BEGIN")
            _fill(connection, spec, results, meta, asked)
            connection.execute("COMMIT")
            connection.execute("INSERT INTO explanation_text (explanation_text) VALUES ('rebuild')")
            connection.execute("INSERT INTO explanation_text (explanation_text) VALUES ('optimize')")
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            raise UserError(
                "cannot write the study", value=str(path), fix=f"{error}; free space, then run again"
            ) from error
        finally:
            connection.close()


def _fill(
    connection: sqlite3.Connection,
    spec: StudySpec,
    results: Iterable[UnitResult],
    meta: dict[str, str],
    asked: Sequence[Asked],
) -> None:
    def add(table: str, *values: Any) -> int:
        places = ", ".join("?" * len(values))
        return int(connection.execute(f"INSERT INTO {table} VALUES ({places})", values).lastrowid or 0)

    for key, value in sorted(meta.items()):
        add("meta", key, value)
    add("specs", spec.fingerprint, _json(plain(spec)))
    for result in results:
        u = result.unit
        unit = add(
            "units", None, str(u), u.site, u.index, u.polarity, result.status, result.reason, _json(result.statistics)
        )
        for e in result.explanations:
            text = (e.text, e.program, len(e.text), e.bits, e.select)
            explanation = add(
                "explanations", None, unit, e.method, e.rank, *text, _json(e.provenance), spec.fingerprint
            )
            for s in e.scores:
                number = (s.value, s.low, s.high, s.n, s.measure, _json(s.nulls), s.reason, _json(s.how))
                add("scores", None, explanation, s.name, s.column, *number, _json(plain(s.margins)))
        for method, what, amount in _costs(result):
            add("costs", unit, method, what, amount)
    for stage, entries in distinct(asked):
        for model, known in entries.items():
            for digest, entry in known.items():
                add("requests", stage, model, digest, *entry)
    for cost in summed(asked):
        used = (cost.usage.calls, cost.usage.prompt_tokens, cost.usage.completion_tokens, cost.usage.money)
        add("ledger", cost.stage, cost.model, cost.requests, cost.failures, *used)
    add("experiments", None, "study", spec.fingerprint, _json({"units": dict(_statuses(connection))}))


def _costs(result: UnitResult) -> Iterator[tuple[str, str, float]]:
    """What a method spent on a unit: the sum over its candidates, each of which holds its own share."""
    spent: dict[tuple[str, str], float] = {}
    for e in result.explanations:
        for what, amount in e.provenance["cost"].items():
            if amount is None:  # money, where no price is known
                continue
            spent[e.method, what] = spent.get((e.method, what), 0.0) + float(amount)
    yield from ((method, what, amount) for (method, what), amount in sorted(spent.items()))


def _statuses(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    counts = dict(connection.execute("SELECT status, count(*) FROM units GROUP BY status"))
    yield from ((status, counts.get(status, 0)) for status in STATUSES)


class Study:
    """A finished study, read-only; `recording` is the one that it was made from."""

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        self.folder, self.manifest = folder, manifest
        self.path = folder / DATABASE
        self.spec: StudySpec = make_spec(manifest["spec"])
        try:
            self._connection = upgraded(
                sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=2), str(folder)
            )
        except (sqlite3.DatabaseError, ValueError) as error:
            raise _unreadable(self.path, error) from error

    @cached_property
    def recording(self) -> Recording:
        return open_recording(self.folder / "recording")

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def counts(self) -> dict[str, int]:
        """How many units ended with each status."""
        counts = dict(self._rows("SELECT status, count(*) FROM units GROUP BY status"))
        return {status: counts.get(status, 0) for status in STATUSES}

    @property
    def costs(self) -> list[Cost]:
        """What its language models were asked, by stage and model; empty for a study that needed none."""
        rows = self._rows(
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
        rows = self._rows(
            """SELECT stage, model, digest, calls, prompt_tokens, completion_tokens, money, failed FROM requests
            ORDER BY stage, model, digest"""
        )
        stages: dict[str, dict[str, dict[str, Entry]]] = {}
        for stage, model, digest, *entry in rows:
            stages.setdefault(stage, {}).setdefault(model, {})[digest] = entry
        return list(stages.items())

    def names(self) -> list[str]:
        """The ids of all units, in the study's order."""
        return [str(name) for (name,) in self._rows("SELECT name FROM units ORDER BY id")]

    def __contains__(self, unit: Unit) -> bool:
        return bool(self._rows("SELECT 1 FROM units WHERE name = ?", str(unit)))

    def result(self, unit: Unit) -> UnitResult:
        """One unit; `UserError` with near matches when the study has none of that name."""
        found = list(self._results("WHERE name = ?", str(unit)))
        if not found:
            raise UserError(
                "the study has no such unit", value=str(unit), allowed=near_matches(str(unit), self.names())
            )
        return found[0]

    def results(self) -> Iterator[UnitResult]:
        """All units, in the study's order."""
        return self._results("")

    def discoveries(self) -> Discoveries:
        """Which units are above their nulls, over all units of the study."""
        rows = self._rows(
            """SELECT units.name, method, scores.name, margins FROM scores
            JOIN explanations ON explanations.id = scores.explanation JOIN units ON units.id = explanations.unit
            WHERE margins <> '{}' ORDER BY scores.id"""
        )
        with self._whole():
            return Discoveries.of((*names, margins_from_plain(json.loads(margins))) for *names, margins in rows)

    def search(self, words: str, limit: int = 50) -> list[tuple[str, Chosen]]:
        """(unit id, explanation) of the explanations in which all these words stand, best match first.

        The last word may be the beginning of one; words are compared by their stems.
        """
        terms = re.findall(r"\w+", words)
        if not terms:
            raise UserError("nothing to search for", value=words, allowed="one or more words")
        query = " ".join(f'"{term}"' for term in terms) + "*"
        found = self._rows(
            f"""SELECT units.name, {_EXPLANATION} FROM explanation_text
            JOIN explanations ON explanations.id = explanation_text.rowid JOIN units ON units.id = explanations.unit
            WHERE explanation_text MATCH ? ORDER BY explanation_text.rank, explanations.id LIMIT ?""",
            query,
            limit,
        )
        return [(row[0], self._explanation(row[1:])) for row in found]

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(self, where: str, *values: Any) -> Iterator[UnitResult]:
        rows = self._rows(
            f'SELECT id, site, "index", polarity, status, reason, statistics FROM units {where} ORDER BY id', *values
        )
        subject = self.manifest["subject"]
        for number, site, index, polarity, status, reason, statistics in rows:
            found = self._rows(f"SELECT {_EXPLANATION} FROM explanations WHERE unit = ? ORDER BY id", number)
            explanations = tuple(self._explanation(row) for row in found)
            with self._whole():
                _of_kinds((site, str), (index, int), (polarity, str), (status, str), (reason, str))
                unit, known = Unit(subject, site, index, polarity), json.loads(statistics)
            yield UnitResult(unit, status, reason, known, explanations)

    def _explanation(self, row: tuple[Any, ...]) -> Chosen:
        number, method, rank, text, program, bits, select, provenance = row
        with self._whole():
            _of_kinds((method, str), (rank, int), (text, str), (program, MaybeText), (bits, MaybeNumber))
            _of_kinds((select, MaybeNumber), (made := json.loads(provenance), dict))
        return Chosen(method, rank, text, program, bits, select, made, self._scores(number))

    def _scores(self, explanation: int) -> tuple[Score, ...]:
        rows = self._rows(
            """SELECT name, value, measure, low, high, n, "column", reason, nulls, how, margins FROM scores
            WHERE explanation = ? ORDER BY id""",
            explanation,
        )
        with self._whole():
            for name, value, measure, low, high, n, column, reason, *_ in rows:
                _of_kinds((name, str), (value, MaybeNumber), (measure, str), (low, MaybeNumber), (high, MaybeNumber))
                _of_kinds((n, int), (column, str), (reason, MaybeText))
            return tuple(
                Score(
                    name,
                    value,
                    measure,
                    low,
                    high,
                    n,
                    column,
                    json.loads(nulls),
                    reason,
                    json.loads(how),
                    margins_from_plain(json.loads(margins)),
                )
                for name, value, measure, low, high, n, column, reason, nulls, how, margins in rows
            )

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        """Within, what rows hold is turned into objects; `UserError` where they hold something else."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _unreadable(self.path, error) from error


_EXPLANATION = 'explanations.id, method, explanations.rank, explanations.text, program, bits, "select", provenance'


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
        size, checksum = int(whole["size"]), whole.get("crc32")
        if not isinstance(manifest["spec"], dict) or not isinstance(manifest["subject"], str):
            raise TypeError("spec or subject of another type")
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
    if checksum is not None and crc32_of(database) != checksum:
        raise _damaged(database, "its checksum is wrong")
    return Study(folder, manifest)


MaybeText, MaybeNumber = (str, NoneType), (float, int, NoneType)


def _of_kinds(*values: tuple[Any, Any]) -> None:
    """`TypeError` for the first value that is of another kind; a column of SQLite holds whatever was put into it."""
    for value, kind in values:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r:.60} where another type should be")


def _unreadable(path: Path, error: Exception) -> UserError:
    """What a database that cannot be read means: it is in use, may not be read, or does not hold what it should."""
    if (fix := sqlite_trouble(error)) is not None:
        return UserError(f"the study cannot be read now ({error})", value=str(path), fix=fix)
    return _damaged(path, f"{type(error).__name__}: {error}")


def _damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"the study is damaged ({why})", value=str(path), fix="Delete manifest.json and run the study again"
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
