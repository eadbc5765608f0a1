"""Answers on disk, keyed by request content: one SQLite file that replays a study without a network or a key.

The key is a hash of the model's name, which includes the endpoint, and of everything in the request, including the
sample index. Unusable answers (a refusal, JSON that does not match a schema) are stored too: asking again would give
the same. Server failures are never stored.
"""

from __future__ import annotations

import contextlib
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
from glossator.files import sqlite_trouble
from glossator.language_models.request import MOST_TOKENS, Answer, Request, TokenLogprob, Usage

FORMAT = 1
WAIT_SECONDS = 30  # for another process that is writing


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
                    if (loaded := self._loaded(answer)).finish != "error":
                        found[key] = loaded
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
                    raise UserError("the answer cache has another format", value=version, allowed=str(FORMAT),
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
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> UserError:
        """Its answers were paid for: nothing here says to delete them."""
        if (fix := sqlite_trouble(error)) is not None:
            return UserError(f"the answer cache cannot be used now ({error})", value=str(self.path), fix=fix)
        return UserError(
            f"the answer cache is damaged ({error})",
            value=str(self.path),
            fix="Move it away but keep it, since sqlite3 FILE .recover may recover answers; or name another file. "
            "Missing answers are requested again",
        )


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
            with contextlib.suppress(FileExistsError):  # prompts and answers are nobody else's
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        return sqlite3.connect(where, timeout=WAIT_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    except OSError as error:
        raise UserError("cannot write the answer cache", value=str(path),
                        fix=f"{error.strerror or error}; free space or choose another folder") from error  # fmt: skip


def _only_readable(path: Path) -> bool:
    """Whether it is there to be replayed from and no more."""
    return path.exists() and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


def _close(connection: sqlite3.Connection, process: int) -> None:
    if process == os.getpid():
        connection.close()


def _answer(stored: dict[str, Any]) -> Answer:
    for name, kind in _KINDS.items():
        if not isinstance(stored[name], kind):
            raise TypeError(f"{name} of an answer is a {type(stored[name]).__name__}")
    stored["tokens"] = tuple(_token(**token) for token in stored["tokens"])
    stored["prompt_tokens"] = tuple(_token(**token) for token in stored["prompt_tokens"])
    stored["usage"] = _usage(**stored["usage"])
    return Answer(**stored)


_KINDS: dict[str, Any] = {
    "text": str, "tokens": list, "prompt_tokens": list, "usage": dict, "finish": str, "failure": str | None,
}  # fmt: skip


def _token(text: str, logprob: float | None, top: dict[str, float]) -> TokenLogprob:
    numbers = [*top.values(), *([] if logprob is None else [logprob])]
    if not isinstance(text, str) or any(isinstance(n, bool) or not isinstance(n, (int, float)) for n in numbers):
        raise TypeError("a token of an answer is none")
    return TokenLogprob(text, logprob, top)


def _usage(calls: Any, prompt_tokens: Any, completion_tokens: Any, money: Any) -> Usage:
    """As it was kept; counts that no call can have, which servers have been known to report, are not known."""
    counts = (calls, prompt_tokens, completion_tokens)
    if not all(isinstance(n, int) and 0 <= n <= MOST_TOKENS for n in counts):
        return Usage(1, 0, 0, None)
    return Usage(*counts, money if isinstance(money, (int, float)) and 0 <= money < 1e9 else None)
