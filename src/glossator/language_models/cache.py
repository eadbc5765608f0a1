"""Answers on disk, by the content of the question: one SQLite file that replays a study with no network and no key.

The key is a hash of the model's name, which names the endpoint too, and of everything in the request, the sample
index included. What a model said is kept, also when it cannot be used (a refusal, JSON that fits no schema): asking
again would give the same. What a server failed to say is never kept.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.language_models.request import Answer, Request, TokenLogprob, Usage

FORMAT = 1
WAIT_SECONDS = 60  # for another process that is writing


def key_of(name: str, request: Request) -> str:
    """64 hexadecimal digits; images count by their bytes."""
    question: dict[str, Any] = {
        field.name: getattr(request, field.name) for field in dataclasses.fields(request) if field.name != "messages"
    }
    for number in ("temperature", "top_p"):  # 0 and 0.0 are one question
        question[number] = float(question[number])
    question["messages"] = [
        [m.role, m.content, [hashlib.sha256(image).hexdigest() for image in m.images]] for m in request.messages
    ]
    canonical = json.dumps([FORMAT, name, question], sort_keys=True, separators=(",", ":"), default=dict)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


class AnswerCache:
    """Safe for several threads and several processes at once; the first answer to a question stands."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._inherited: list[sqlite3.Connection] = []  # a forked process must not even close them

    def __repr__(self) -> str:
        return f"AnswerCache({str(self.path)!r})"

    def __len__(self) -> int:
        if not self.path.exists():
            return 0
        with self._lock:
            return int(self._run("SELECT count(*) FROM answers", ())[0][0])

    def get(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""
        wanted = sorted(set(keys))
        found: dict[str, Answer] = {}
        if not wanted or not self.path.exists():
            return found
        with self._lock:
            for start in range(0, len(wanted), 500):
                some = wanted[start : start + 500]
                places = ", ".join("?" * len(some))
                for key, answer in self._run(f"SELECT key, answer FROM answers WHERE key IN ({places})", some):
                    found[key] = self._loaded(answer)
        return found

    def put(self, key: str, name: str, answer: Answer) -> Answer:
        """Keep an answer and return the one that stands: an earlier one when another run was faster."""
        text = json.dumps(dataclasses.asdict(answer), separators=(",", ":"), default=float)  # NumPy's numbers
        with self._lock:
            self._run("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (key, name, text))
            return self._loaded(self._run("SELECT answer FROM answers WHERE key = ?", (key,))[0][0])

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, statement: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._open().execute(statement, tuple(values)).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():  # a forked process opens its own
            if self._connection is not None:
                self._inherited.append(self._connection)
            connection = _connected(self.path)
            if _only_readable(self.path):
                self._connection, self._process = connection, os.getpid()
                return connection
            try:
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                if version not in (0, FORMAT):
                    raise UserError("the cache of answers has another format", value=version, allowed=str(FORMAT),
                                    fix="Update glossator, or name another file")  # fmt: skip
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, model TEXT NOT NULL, "
                    "answer TEXT NOT NULL) WITHOUT ROWID"
                )
                connection.execute(f"PRAGMA user_version = {FORMAT}")
            except BaseException:
                connection.close()
                raise
            self._connection, self._process = connection, os.getpid()
            weakref.finalize(self, _close, connection, os.getpid())
        return self._connection

    def _loaded(self, text: str) -> Answer:
        try:
            return _answer(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> UserError:
        return UserError(f"the cache of answers cannot be used ({error})", value=str(self.path),
                         fix="Delete it, or name another file; answers are then asked for again")  # fmt: skip


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on. While another process does the same, SQLite refuses at once instead of waiting."""
    give_up = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _connected(path: Path) -> sqlite3.Connection:
    try:
        where = path.resolve().as_uri()
        if _only_readable(path):
            where += "?immutable=1"
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite3.connect(where, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    except OSError as error:
        raise UserError("cannot write the cache of answers", value=str(path),
                        fix=f"{error.strerror or error}; choose another folder") from error  # fmt: skip


def _only_readable(path: Path) -> bool:
    """Whether it is there to be replayed from and no more."""
    return path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _close(connection: sqlite3.Connection, process: int) -> None:
    if process == os.getpid():
        connection.close()


def _answer(stored: dict[str, Any]) -> Answer:
    stored["tokens"] = tuple(TokenLogprob(**token) for token in stored["tokens"])
    stored["prompt_tokens"] = tuple(TokenLogprob(**token) for token in stored["prompt_tokens"])
    stored["usage"] = Usage(**stored["usage"])
    return Answer(**stored)
