"""The store as it was until version 3 of its tables, to be measured beside the present one: a list of all results in
memory, JSON in columns, q-values made anew for every look at a unit."""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.memory import peak_bytes
from benchmarks.store import QUESTIONS, SPEC, milliseconds, name, tell
from glossator.files import plain
from glossator.scores import Margin, Score
from glossator.statistics import q_values
from glossator.store.results import Chosen, UnitResult, as_json
from glossator.units import parse_unit

__all__ = ["ask", "build", "tell"]
DATABASE = "before.sqlite"
TABLES = """
CREATE TABLE units (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, site TEXT NOT NULL, "index" INTEGER NOT NULL,
    polarity TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL, statistics TEXT
);
CREATE TABLE explanations (
    id INTEGER PRIMARY KEY, unit INTEGER NOT NULL REFERENCES units (id), method TEXT NOT NULL, rank INTEGER NOT NULL,
    text TEXT NOT NULL, program TEXT, english_length INTEGER NOT NULL, bits REAL, "select" REAL,
    provenance TEXT NOT NULL, spec TEXT NOT NULL, UNIQUE (unit, method, rank)
);
CREATE TABLE scores (
    id INTEGER PRIMARY KEY, explanation INTEGER NOT NULL REFERENCES explanations (id), name TEXT NOT NULL,
    "column" TEXT NOT NULL, value REAL, low REAL, high REAL, n INTEGER NOT NULL, measure TEXT NOT NULL,
    nulls TEXT NOT NULL, reason TEXT, how TEXT NOT NULL, margins TEXT NOT NULL, UNIQUE (explanation, name),
    CHECK ((value IS NULL) <> (reason IS NULL))
);
CREATE INDEX scores_by_name ON scores (name, value);
CREATE VIRTUAL TABLE explanation_text USING fts5 (
    text, content = 'explanations', content_rowid = 'id', tokenize = 'porter unicode61'
);
"""


def read(path: Path) -> list[UnitResult]:
    return [_from_plain(json.loads(line)) for line in path.read_text().splitlines()]


def _from_plain(stored: Mapping[str, Any]) -> UnitResult:
    def score(given: Mapping[str, Any]) -> Score:
        margins = {null: Margin(**margin) for null, margin in given["margins"].items()}
        return Score(**{**given, "margins": margins})

    explanations = tuple(Chosen(**{**e, "scores": tuple(map(score, e["scores"]))}) for e in stored["explanations"])
    return UnitResult(**{**stored, "unit": parse_unit(stored["unit"]), "explanations": explanations})


def build(folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """From shards by way of one list of all results to the database."""
    idle = peak_bytes()
    begin, cpu = time.perf_counter(), time.process_time()
    results = [result for path in sorted((folder / "before").glob("*.jsonl")) for result in read(path)]
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.executescript(TABLES)
    connection.execute("BEGIN")
    _fill(connection, results)
    connection.execute("COMMIT")
    connection.execute("INSERT INTO explanation_text (explanation_text) VALUES ('rebuild')")
    connection.execute("INSERT INTO explanation_text (explanation_text) VALUES ('optimize')")
    connection.execute("VACUUM")
    connection.close()
    took, cpu = time.perf_counter() - begin, time.process_time() - cpu
    measured = {"build_s": took, "build_cpu_s": cpu, "peak_mb": peak_bytes() / 1e6, "idle_mb": idle / 1e6}
    return measured | {"file_mb": (folder / DATABASE).stat().st_size / 1e6}


def _fill(connection: sqlite3.Connection, results: Iterable[UnitResult]) -> None:
    def add(table: str, *values: Any) -> int:
        places = ", ".join("?" * len(values))
        return int(connection.execute(f"INSERT INTO {table} VALUES ({places})", values).lastrowid or 0)

    for result in results:
        u, said = result.unit, (result.status, result.reason, as_json(result.statistics))
        unit = add("units", None, str(u), u.site, u.index, u.polarity, *said)
        for e in result.explanations:
            text = (e.text, e.program, len(e.text), e.bits, e.select)
            explanation = add(
                "explanations", None, unit, e.method, e.rank, *text, as_json(e.provenance), SPEC.fingerprint
            )
            for s in e.scores:
                number = (s.value, s.low, s.high, s.n, s.measure, as_json(s.baselines), s.reason, as_json(s.how))
                add("scores", None, explanation, s.name, s.column, *number, as_json(plain(s.margins)))


def ask(folder: Path, chosen: dict[str, Any]) -> dict[str, Any]:
    """What was read for one unit: its rows, and the margins of all units for its q-values."""
    connection = sqlite3.connect(f"{(folder / DATABASE).as_uri()}?mode=ro", uri=True)
    places = np.random.default_rng(1).integers(0, chosen["before_units"], 5)
    asked = [milliseconds(partial(_unit, connection, name(int(i))))[0] for i in places]
    searches = [
        statistics.median(milliseconds(partial(_search, connection, q))[0] for _ in range(5)) for q in QUESTIONS
    ]
    return {"unit_ms": statistics.median(asked), "search_ms": max(searches)}


def _unit(connection: sqlite3.Connection, unit: str) -> None:
    ((number, *_),) = connection.execute("SELECT * FROM units WHERE name = ?", (unit,)).fetchall()
    for (explanation,) in connection.execute("SELECT id FROM explanations WHERE unit = ?", (number,)).fetchall():
        for row in connection.execute("SELECT nulls, how, margins FROM scores WHERE explanation = ?", (explanation,)):
            [json.loads(text) for text in row]
    p: dict[tuple[str, str, str], list[float | None]] = {}
    for method, score, margins in connection.execute(
        """SELECT method, scores.name, margins FROM scores JOIN explanations ON explanations.id = scores.explanation
        JOIN units ON units.id = explanations.unit WHERE margins <> '{}' ORDER BY scores.id"""
    ):
        for null, margin in json.loads(margins).items():
            p.setdefault((method, score, null), []).append(Margin(**margin).p)
    for values in p.values():
        q_values(values)


def _search(connection: sqlite3.Connection, words: str) -> None:
    query = " ".join(f'"{term}"' for term in words.split()) + "*"
    connection.execute(
        """SELECT explanations.* FROM explanation_text JOIN explanations ON explanations.id = explanation_text.rowid
        WHERE explanation_text MATCH ? ORDER BY explanation_text.rank, explanations.id LIMIT 20""",
        (query,),
    ).fetchall()
