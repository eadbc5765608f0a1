"""The open database of a study: what it is asked, and one clear error where it cannot be read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from glossator.errors import UserError
from glossator.files import sqlite_trouble
from glossator.store.database import DATABASE
from glossator.store.schema import upgraded


class OpenDatabase:
    """The database of a study's folder, read-only; one of older tables is read as a copy in memory."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / DATABASE
        self._address, self._inherited = self.path.resolve().as_uri(), list[sqlite3.Connection]()
        self.migrated = False
        """Whether the file is of older tables, and this is a copy of it in memory that was brought to the present."""
        self.reopen()

    def reopen(self) -> None:
        """Read the file that is there now."""
        try:
            opened = sqlite3.connect(f"{self._address}?mode=ro", uri=True, timeout=2)
            self._connection = upgraded(opened, str(self.folder))
        except (sqlite3.DatabaseError, ValueError) as error:
            raise _unreadable(self.path, error) from error
        self.migrated, self._process = self._connection is not opened, os.getpid()

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within, all questions are answered from one state of the file, whoever adds to it meanwhile."""
        self.query("BEGIN")
        try:
            yield
        finally:
            self.query("ROLLBACK")

    def distinct(self, table: str, column: str) -> list[str]:
        """The values of a column that an index begins with, sorted; each is looked up in it, not collected."""
        rows = self.query(
            f"""WITH RECURSIVE found (one) AS (SELECT min({column}) FROM {table} UNION ALL
            SELECT (SELECT min({column}) FROM {table} WHERE {column} > one) FROM found WHERE one IS NOT NULL)
            SELECT one FROM found WHERE one IS NOT NULL"""
        )
        return [one for (one,) in rows]

    def query(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives; `UserError` where the database cannot be read."""
        with self._asked():
            return self._connection.execute(query, values).fetchall()

    def stream(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """The same, one row at a time."""
        with self._asked():
            yield from self._connection.execute(query, values)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        """Within, the connection is this process's own; `UserError` where the database cannot be read."""
        if self._process != os.getpid() and not self.migrated:  # a connection to a file does not survive a fork,
            self._inherited.append(self._connection)  # and must not even be closed
            self.reopen()
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _unreadable(self.path, error) from error

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """Within, what rows hold is turned into objects; `UserError` where they hold something else."""
        try:
            yield
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _unreadable(self.path, error) from error


MaybeText, MaybeNumber = (str, NoneType), (float, int, NoneType)


def of_kinds(*values: tuple[Any, Any]) -> None:
    """`TypeError` for the first value that is of another kind; a column of SQLite holds whatever was put into it."""
    for value, kind in values:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r:.60} has the wrong type")


def _unreadable(path: Path, error: Exception) -> UserError:
    """What a database that cannot be read means: it is in use, may not be read, or does not hold what it should."""
    if (fix := sqlite_trouble(error)) is not None:
        return UserError(f"the study cannot be read now ({error})", value=str(path), fix=fix)
    return damaged(path, f"{type(error).__name__}: {error}")


def damaged(path: Path, why: str) -> UserError:
    return UserError(
        f"the study is damaged ({why})", value=str(path), fix="Delete manifest.json and run the study again"
    )
