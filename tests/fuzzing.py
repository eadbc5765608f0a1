"""Seeded damage to bytes, JSON and SQLite files, and what must hold of the command line whatever it is given."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import signal
import sqlite3
import sys
import traceback
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glossator.cli import main

PATIENCE = 40
"""Seconds that one command may take: many times what any of them needs here."""
CANARY = "fuzz_canary"
"""A module that nobody may import: it writes a file when that happens."""
NASTY_TEXTS = (
    "", " ", "\0", "\x1b[2J\x9b31m\x7f\u202e\u2066", "\ud800", "\ufeff", "nan", "-1", "1e999", "9" * 5000, "é" * 3000,
    "../../../etc/passwd", "/dev/zero", "'; DROP TABLE units; --", "{" * 50, "[/x][bold]", "%s%n{0}{x}", "\r\nx: y",
    "all", f"scripted:{CANARY}:run", f"{CANARY}:run", "http://127.0.0.1:1/v1#m", "inprocess:/nowhere", "mlp.0",
    "resid.99", "+",
)  # fmt: skip
NASTY_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, float("inf"), float("nan"), [], {}, [[]],
    {"a": {}}, [None], [0] * 50, *NASTY_TEXTS,
)  # fmt: skip


class TooLong(BaseException):
    """Nothing in the program takes it for a failure of its own."""


class Touches:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def damaged(rng: np.random.Generator, data: bytes, mark: Path) -> bytes:
    """Bytes changed in one of many ways; mark: what a pickle would write if it were run."""
    size, kind = len(data), rng.integers(10)
    a, b = sorted(rng.integers(0, size + 1, 2).tolist())
    found = bytearray(data)
    if kind == 0 and size:
        for place in rng.integers(0, size, rng.integers(1, 4)):
            found[place] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        found[a:b] = b""
    elif kind == 2:
        found[a:a] = found[a : min(b, a + 4096)]
    elif kind == 3:
        found[a:a] = rng.bytes(int(rng.integers(1, 40)))
    elif kind == 4:
        found = found[:a]
    elif kind == 5:
        found[a : a + 64] = bytes(len(found[a : a + 64]))
    elif kind == 6:
        found = bytearray(pickle.dumps(Touches(mark)))
    elif kind == 7:
        found[a:a] = rng.choice(NASTY_TEXTS).encode("utf-8", "surrogatepass")
    elif kind == 8:
        found = bytearray()
    else:
        found = bytearray(rng.bytes(int(rng.integers(1, 400))))
    return bytes(found)


def damaged_json(rng: np.random.Generator, value: Any) -> Any:
    """A JSON value with one place in it replaced, removed, renamed or doubled."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    value = json.loads(json.dumps(value))
    walk(value)
    if not places or rng.random() < 0.03:
        return NASTY_VALUES[rng.integers(len(NASTY_VALUES))]
    node, key = places[rng.integers(len(places))]
    kind = rng.integers(6)
    if kind == 0:
        del node[key]
    elif kind == 1 and isinstance(node, dict):
        node[str(rng.choice(NASTY_TEXTS))] = node.pop(key)
    elif kind == 2 and isinstance(node, list):
        node.append(node[key])
    elif kind == 3 and isinstance(node[key], int | float):
        node[key] = node[key] * int(rng.choice([-1, 0, 2, 1000])) + int(rng.integers(-1, 2))
    else:
        node[key] = NASTY_VALUES[rng.integers(len(NASTY_VALUES))]
    return value


def damaged_file(rng: np.random.Generator, path: Path, mark: Path) -> str:
    """Change a file in place, JSON as JSON and SQLite by its cells half of the time; says how."""
    data = path.read_bytes()
    if path.suffix == ".json" and rng.random() < 0.7:
        text = json.dumps(damaged_json(rng, json.loads(data)))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return text[:300]
    if path.suffix == ".sqlite" and rng.random() < 0.6:
        return _damage_cell(rng, path)
    path.write_bytes(damaged(rng, data, mark))
    return "bytes"


def _damage_cell(rng: np.random.Generator, path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = [name for name in tables if not name.startswith(("sqlite_", "explanation_text"))]
        table = str(rng.choice(tables))
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        column, kind = str(rng.choice(columns)), rng.integers(5)
        with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):
            if kind == 0:
                connection.execute(f'DROP TABLE "{table}"')
            elif kind == 1:
                connection.execute(f'DELETE FROM "{table}" WHERE rowid % 2 = 0')
            else:
                value = NASTY_VALUES[rng.integers(len(NASTY_VALUES))]
                value = json.dumps(value) if isinstance(value, list | dict) else value
                connection.execute(f'UPDATE "{table}" SET "{column}" = ?', (value,))
        connection.commit()
        return f"{table}.{column}, {kind}"
    finally:
        connection.close()


@contextlib.contextmanager
def canary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that may be named but not imported, and the file that would show that code ran."""
    mark = folder / "code-ran"
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    (modules / f"{CANARY}.py").write_text(
        f"import pathlib\npathlib.Path({str(mark)!r}).touch()\ndef run(x): return 'x'\n"
    )
    monkeypatch.syspath_prepend(str(modules))
    yield mark
    assert not mark.exists(), "code was run"
    assert CANARY not in sys.modules


def harmless(text: str) -> bool:
    return all(c in "\n\t\r" or unicodedata.category(c) not in ("Cc", "Cs") for c in text)


def holds(arguments: Sequence[str], about: Any, codes: tuple[int, ...] = (0, 2)) -> tuple[int, str, str]:
    """Run a command in this process: it must end in time with one of the codes and print nothing that a terminal obeys.

    about: what was done to its input, to be named when it does not. Returns the code, stdout and stderr.
    """
    out, err = io.StringIO(), io.StringIO()

    def too_long(*_: Any) -> None:
        raise TooLong(f"more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(arguments))
    except BaseException as error:
        pytest.fail(f"{arguments}\n{about}\n{''.join(traceback.format_exception(error)[-12:])}", pytrace=False)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert code in codes, (arguments, about, code, err.getvalue()[-2000:])
    for text in (out.getvalue(), err.getvalue()):
        assert "Traceback" not in text, (arguments, about, text[-3000:])
        assert harmless(text), (arguments, about, text[-2000:])
    if code == 2:
        assert err.getvalue().strip(), (arguments, about)
    if code == 0 and "--json" in arguments and out.getvalue():
        json.loads(out.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} in JSON: {arguments}, {about}"))
    return code, out.getvalue(), err.getvalue()


def seeds(short: int, long: int) -> list[Any]:
    """Parameters of a test: a few seeds for every run of the tests, the others for `make test-all`."""
    return [pytest.param(seed, marks=[pytest.mark.slow] if seed >= short else []) for seed in range(long)]
