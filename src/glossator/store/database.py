"""Writing the study's SQLite file at the end of a run, in one pass over the results: the same rows give the same bytes.

A database that is written while a run goes on remembers the order of its writes. So a run writes plain files
(`glossator.study.work`), and this file is made from them under a temporary name. Memory hardly grows with the study: of
each comparison its p is held, while it waits in a file without a name until all are known, and with them the q-values.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from glossator.engines import ahead
from glossator.errors import UserError
from glossator.files import plain, replacing, sqlite_trouble, write_json
from glossator.language_models.costs import Asked, Cost, distinct, summed
from glossator.recording.store import crc32_of, sample_of
from glossator.store.folder import held
from glossator.store.ranking import q_of_families, store_ranking
from glossator.store.results import NUMBERS, as_json
from glossator.store.rows import COMPARISON, HOW, Columns, Rows, rows_of
from glossator.store.schema import INDICES, create, store_density
from glossator.store.spec import StudySpec

DATABASE = "study.sqlite"
ADDING = "adding"
"""Stands in the manifest beside the database while something is added to it (`glossator.store.adding`)."""
PAGE_BYTES = 8192
CACHE_BYTES = 32 << 20
ROWS_AT_ONCE, ROWS_OF_A_STATEMENT = 1 << 15, 200


def build_database(
    path: Path,
    spec: StudySpec,
    results: Iterable[Mapping[str, Any]],
    meta: Mapping[str, str],
    asked: Sequence[Asked] = (),
) -> None:
    """Write the study's SQLite file from the results, as `packed` makes them, in their order, and what was asked for
    them. Experiments in the file that is there, as when a study has grown, go into the new one."""
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
                connection.execute(f"PRAGMA {setting}")
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute(f"PRAGMA cache_size = -{CACHE_BYTES >> 10}")
            create(connection)
            connection.execute("BEGIN")
            _insert(connection, "meta", sorted(meta.items()))
            _insert(connection, "specs", [(spec.fingerprint, as_json(plain(spec)))])
            _insert(connection, "ledger", sorted(map(_ledger_row, summed(asked))))
            _insert(connection, "requests", sorted(_request_rows(asked)))
            with tempfile.TemporaryFile(dir=path.parent) as waiting:
                writing = _Writing(connection, waiting)
                with contextlib.closing(ahead(rows_of(results, spec.fingerprint))) as some:
                    for rows in some:
                        writing.add(rows)
                writing.end()
            store_ranking(connection)
            store_density(connection)
            if path.exists():
                _keep_added(connection, path)
            connection.execute("COMMIT")
            connection.executescript(INDICES)
        except sqlite3.OperationalError as error:
            raise UserError(
                "cannot write the study", value=str(path), fix=f"{error}; free space, then run again"
            ) from error
        finally:
            connection.close()


def described(path: Path) -> dict[str, Any]:
    """Size and checksums of a file, as a manifest holds them."""
    return {"size": path.stat().st_size, "crc32": crc32_of(path), "sample": sample_of(path)}


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows that have a value for each of the first columns of a table."""
    remaining = iter(rows)
    while some := list(islice(remaining, ROWS_AT_ONCE)):
        _insert_columns(connection, table, list(zip(*some, strict=True)))


def _insert_columns(connection: sqlite3.Connection, table: str, columns: Columns) -> None:
    """As `_insert`, of rows that are given column by column: many in one statement, and no object for a row, which is
    faster."""
    width, rows = len(columns), len(columns[0]) if columns else 0
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")][:width]
    values: list[Any] = [None] * (width * rows)
    for number, column in enumerate(columns):
        values[number::width] = column
    for first in range(0, rows, ROWS_OF_A_STATEMENT):
        some = values[first * width : (first + ROWS_OF_A_STATEMENT) * width]
        places = ", ".join([f"({', '.join('?' * width)})"] * (len(some) // width))
        connection.execute(f"""INSERT INTO {table} ("{'", "'.join(names)}") VALUES {places}""", some)


def _keep_added(connection: sqlite3.Connection, before: Path) -> None:
    """Take over from the file before what was added to it and no shard holds: experiments, and the specs of scores that
    were made under another than the study's. A file that cannot be read, or is of older tables, has none."""
    try:
        with contextlib.closing(sqlite3.connect(f"{before.resolve().as_uri()}?mode=ro", uri=True)) as old:
            experiments = old.execute(
                """SELECT experiments.id, name, kind, request, prediction, result FROM experiments
                LEFT JOIN units ON units.id = unit ORDER BY experiments.id"""
            ).fetchall()
            specs = old.execute("SELECT fingerprint, json FROM specs ORDER BY fingerprint").fetchall()
    except sqlite3.DatabaseError:
        return
    connection.executemany(
        "INSERT INTO experiments VALUES (?, (SELECT id FROM units WHERE name = ?), ?, ?, ?, ?)", experiments
    )
    connection.executemany(
        """INSERT OR IGNORE INTO specs SELECT ?1, ?2
        WHERE EXISTS (SELECT 1 FROM hows WHERE json LIKE '%"spec":"' || ?1 || '"%')""",
        specs,
    )


def _ledger_row(cost: Cost) -> tuple[Any, ...]:
    used = cost.usage
    counted = (used.calls, used.prompt_tokens, used.completion_tokens, used.money)
    return (cost.stage, cost.model, cost.requests, cost.failures, *counted)


def _request_rows(asked: Sequence[Asked]) -> Iterator[tuple[Any, ...]]:
    for stage, entries in distinct(asked):
        for model, known in entries.items():
            yield from ((stage, model, digest, *entry) for digest, entry in known.items())


class _Writing:
    """Rows on their way into the database.

    waiting: comparisons; family, p, above: of every comparison, for its q-value.
    """

    def __init__(self, connection: sqlite3.Connection, waiting: BinaryIO):
        self.connection, self.waiting = connection, waiting
        self.hows = Hows(connection)
        self.baselines: list[str] = []
        self.family, self.p, self.above = array("i"), array("d"), array("b")

    def add(self, rows: Rows) -> None:
        """Write some units with all that belongs to them."""
        _insert_columns(self.connection, "units", rows.units)
        _insert_columns(self.connection, "explanations", rows.explanations)
        hows = [self.hows.number(how) for how in rows.hows]
        self.hows.write()
        scores = [*rows.scores]
        scores[HOW] = [hows[how] for how in scores[HOW]]
        _insert_columns(self.connection, "scores", scores)
        comparisons = rows.comparisons
        comparisons.tofile(self.waiting)
        self.baselines += rows.baselines
        self.family.frombytes(comparisons["family"].tobytes())
        self.p.frombytes(comparisons["p"].tobytes())
        self.above.frombytes((comparisons["margin"] > 0).tobytes())

    def end(self) -> None:
        """Write the comparisons, with their q-values."""
        q = q_of_families(*(np.frombuffer(a, a.typecode) for a in (self.family, self.p, self.above)))
        names = np.array(self.baselines, dtype=object)
        self.waiting.seek(0)
        for first in range(0, len(q), ROWS_AT_ONCE):
            rows = np.fromfile(self.waiting, COMPARISON, ROWS_AT_ONCE)
            numbers = (*(rows[name] for name in NUMBERS), q[first : first + len(rows)])  # NaN becomes NULL in SQLite
            columns = (rows["score"], names[rows["baseline"]], *numbers)
            _insert_columns(self.connection, "comparisons", [column.tolist() for column in columns])


class Hows:
    """What is said of how scores were made, each text stored once; the texts that were seen lately are kept at hand."""

    MOST = 20_000

    def __init__(self, connection: sqlite3.Connection):
        self.connection = connection
        (self.last,) = connection.execute("SELECT coalesce(max(id), 0) FROM hows").fetchone()
        self.known: dict[str, int] = {}
        self.new: list[tuple[int, str]] = []

    def number(self, how: str) -> int:
        """The id of a text, which `write` stores if it is new."""
        if (known := self.known.get(how)) is not None:
            return known
        if len(self.known) >= self.MOST:
            self.write()
            self.known.clear()
        row = self.connection.execute("SELECT id FROM hows WHERE json = ?", (how,)).fetchone()
        if row is None:
            self.last += 1
            self.new.append((self.last, how))
        self.known[how] = self.last if row is None else row[0]
        return self.known[how]

    def write(self) -> None:
        _insert(self.connection, "hows", self.new)
        self.new.clear()


def recover(folder: Path, manifest: dict[str, Any]) -> None:
    """End what a killed process has begun to add: the file is looked through, and its checksum is made anew.

    Raises `UserError` when it is damaged, and while another process adds to it.
    """
    path = folder / DATABASE
    with held(folder):
        try:  # Opened for writing, SQLite takes back what was not committed.
            with contextlib.closing(sqlite3.connect(path, timeout=2, isolation_level=None)) as connection:
                said = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        except sqlite3.OperationalError as error:
            raise cannot_write(path, error) from error
        except sqlite3.DatabaseError as error:
            said = [str(error)]
        if said != ["ok"]:
            raise UserError(f"the study is damaged ({said[0]})", value=str(path), fix="Run the study again")
        note_in_manifest(folder, manifest, described(path))


def note_in_manifest(folder: Path, manifest: dict[str, Any], entry: dict[str, Any]) -> None:
    """What the manifest says of the database from here on."""
    manifest["files"][DATABASE] = entry
    write_json(folder / "manifest.json", manifest)


def cannot_write(path: Path, error: sqlite3.Error) -> UserError:
    """Why nothing can be written now, and what to do."""
    fix = sqlite_trouble(error) or "free space, then try again"
    return UserError(f"the study cannot be written to now ({error})", value=str(path), fix=fix)
