"""The tables of a study and migrations of older ones: numbered steps, each applied once, none ever changed.

A study is read by any later version: one of older tables is brought to the present ones in a copy in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from glossator.errors import UserError
from glossator.store.ranking import store_q_values, store_ranking
from glossator.store.results import as_json, parts_of_how

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE specs (fingerprint TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE units (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    site TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    polarity TEXT NOT NULL CHECK (polarity IN ('+', '-', '±')),
    status TEXT NOT NULL CHECK (status IN ('ok', 'insufficient', 'abstained', 'failed')),
    reason TEXT NOT NULL,
    statistics TEXT NOT NULL,
    best INTEGER REFERENCES explanations (id),
    method TEXT,
    text TEXT,
    headline TEXT,
    score REAL,
    low REAL,
    high REAL,
    causal REAL,
    q REAL,
    density REAL
);
CREATE TABLE explanations (
    id INTEGER PRIMARY KEY,
    unit INTEGER NOT NULL REFERENCES units (id),
    method TEXT NOT NULL,
    rank INTEGER NOT NULL,
    text TEXT NOT NULL,
    program TEXT,
    bits REAL,
    "select" REAL,
    provenance TEXT NOT NULL,
    headline TEXT,
    headlines TEXT,
    spec TEXT NOT NULL REFERENCES specs (fingerprint),
    UNIQUE (unit, method, rank)
);
CREATE TABLE scores (
    id INTEGER PRIMARY KEY,
    explanation INTEGER NOT NULL REFERENCES explanations (id),
    name TEXT NOT NULL,
    "column" TEXT NOT NULL CHECK ("column" IN ('observational', 'causal')),
    value REAL,
    low REAL,
    high REAL,
    n INTEGER NOT NULL,
    measure TEXT NOT NULL,
    reason TEXT,
    how INTEGER NOT NULL REFERENCES hows (id),
    counts TEXT NOT NULL,
    UNIQUE (explanation, name),
    CHECK ((value IS NULL) <> (reason IS NULL))
);
CREATE TABLE hows (id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE);
CREATE TABLE comparisons (
    score INTEGER NOT NULL REFERENCES scores (id),
    baseline TEXT NOT NULL,
    value REAL,
    margin REAL,
    low REAL,
    high REAL,
    p REAL,
    q REAL,
    PRIMARY KEY (score, baseline)
) WITHOUT ROWID;
CREATE TABLE ledger (
    stage TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    money REAL,
    PRIMARY KEY (stage, model)
) WITHOUT ROWID;
CREATE TABLE requests (
    stage TEXT NOT NULL,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    money REAL,
    failed INTEGER NOT NULL,
    PRIMARY KEY (stage, model, digest)
) WITHOUT ROWID;
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    unit INTEGER REFERENCES units (id),
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    prediction TEXT,
    result TEXT
);
CREATE TRIGGER experiments_are_registered BEFORE UPDATE OF id, unit, kind, request, prediction ON experiments
BEGIN SELECT RAISE(ABORT, 'what was registered of an experiment cannot be changed'); END;
CREATE TRIGGER experiments_end_once BEFORE UPDATE OF result ON experiments WHEN old.result IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the experiment has a result'); END;
"""
SEARCHED = """
CREATE VIRTUAL TABLE explanation_text USING fts5 (
    text, headline, content = 'explanations', content_rowid = 'id', tokenize = 'porter unicode61', prefix = '1 2'
);
INSERT INTO explanation_text (explanation_text) VALUES ('rebuild');
INSERT INTO explanation_text (explanation_text) VALUES ('optimize');
"""
INDICES = f"""
CREATE INDEX units_by_index ON units ("index");
CREATE INDEX units_by_site ON units (site, polarity);
CREATE INDEX units_by_status ON units (status);
CREATE INDEX units_by_score ON units (score);
CREATE INDEX units_by_causal ON units (causal);
CREATE INDEX units_by_q ON units (q);
CREATE INDEX units_by_density ON units (density);
CREATE INDEX units_by_method ON units (method);
CREATE INDEX units_by_place ON units (id, score, causal, q);
CREATE INDEX explanations_by_id ON explanations (id, unit);
CREATE INDEX scores_by_name ON scores (name, value);
CREATE INDEX experiments_by_unit ON experiments (unit);
{SEARCHED}
"""
"""Made when the rows are there, which is faster and always gives the same bytes. What a search finds is looked up
in two of them (`explanations_by_id`, `units_by_place`), as the rows themselves are long and lie far apart."""
_FROM_JSON_COLUMNS = f"""
DROP TABLE explanation_text;
DROP INDEX scores_by_name;
ALTER TABLE meta RENAME TO old_meta;
ALTER TABLE specs RENAME TO old_specs;
ALTER TABLE units RENAME TO old_units;
ALTER TABLE explanations RENAME TO old_explanations;
ALTER TABLE scores RENAME TO old_scores;
ALTER TABLE ledger RENAME TO old_ledger;
ALTER TABLE requests RENAME TO old_requests;
ALTER TABLE experiments RENAME TO old_experiments;
{TABLES}
INSERT INTO meta SELECT * FROM old_meta;
INSERT INTO specs SELECT * FROM old_specs;
INSERT INTO ledger SELECT * FROM old_ledger;
INSERT INTO requests SELECT * FROM old_requests;
INSERT INTO units (id, name, site, "index", polarity, status, reason, statistics)
    SELECT id, name, site, "index", polarity, status, reason, statistics FROM old_units ORDER BY id;
INSERT INTO explanations (id, unit, method, rank, text, program, bits, "select", provenance, spec)
    SELECT id, unit, method, rank, text, program, bits, "select", provenance, spec FROM old_explanations
    ORDER BY id;
UPDATE units SET (best, method, text) = (
    SELECT id, method, text FROM explanations WHERE unit = units.id AND rank = 0
    ORDER BY coalesce("select", -9e999) DESC, id LIMIT 1
);
INSERT INTO hows (json) SELECT how_in_words(how) FROM old_scores GROUP BY 1 ORDER BY min(id);
INSERT INTO scores
    SELECT id, explanation, name, "column", value, low, high, n, measure, reason,
        (SELECT hows.id FROM hows WHERE json = how_in_words(how)), how_in_numbers(how)
    FROM old_scores ORDER BY id;
INSERT INTO experiments (kind, request, result)
    SELECT kind, json_object('spec', spec), result FROM old_experiments ORDER BY id;
DROP TABLE costs;
DROP TABLE old_explanations;
DROP TABLE old_units;
DROP TABLE old_experiments;
DROP TABLE old_ledger;
DROP TABLE old_requests;
DROP TABLE old_specs;
DROP TABLE old_meta;
{INDICES}
"""


def _from_json_columns(copy: sqlite3.Connection) -> None:
    """Version 5: comparisons and notes in tables of their own, and what stands for a unit beside it."""
    copy.create_function("how_in_words", 1, lambda how: as_json(parts_of_how(json.loads(how))[0]), deterministic=True)
    copy.create_function("how_in_numbers", 1, lambda how: as_json(parts_of_how(json.loads(how))[1]), deterministic=True)
    copy.executescript(_FROM_JSON_COLUMNS)
    copy.executemany("INSERT INTO comparisons VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", _comparisons(copy))
    copy.execute("DROP TABLE old_scores")
    store_q_values(copy)
    store_ranking(copy)


def _comparisons(copy: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """What JSON columns said of baselines until version 5."""
    for score, *texts in copy.execute("SELECT id, nulls, margins FROM old_scores ORDER BY id"):
        values, margins = map(json.loads, texts)
        for baseline in sorted({*values, *margins}):
            over = margins.get(baseline, {})
            margin = (over.get(name) for name in ("value", "low", "high", "p"))
            yield (score, baseline, values.get(baseline), *margin)


def _headlines(copy: sqlite3.Connection) -> None:
    """Version 7: headlines. A study that came through the tables of version 5 already has their columns."""
    if "headline" not in [row[1] for row in copy.execute("PRAGMA table_info(units)")]:
        copy.executescript(
            f"""
            ALTER TABLE units ADD COLUMN headline TEXT;
            ALTER TABLE explanations ADD COLUMN headline TEXT;
            ALTER TABLE explanations ADD COLUMN headlines TEXT;
            DROP TABLE explanation_text;
            {SEARCHED}
            """
        )


def _density(copy: sqlite3.Connection) -> None:
    """Version 8: how often units fire, by which they are filtered."""
    if "density" not in [row[1] for row in copy.execute("PRAGMA table_info(units)")]:
        copy.executescript(
            "ALTER TABLE units ADD COLUMN density REAL; CREATE INDEX units_by_density ON units (density);"
        )
    store_density(copy)


def store_density(connection: sqlite3.Connection) -> None:
    """Take the density of units out of their statistics."""
    connection.execute("UPDATE units SET density = json_extract(statistics, '$.firing_rate')")


STEPS: list[str | Callable[[sqlite3.Connection], None]] = [
    """
    CREATE TABLE ledger (
        stage TEXT NOT NULL, model TEXT NOT NULL, requests INTEGER NOT NULL, failures INTEGER NOT NULL,
        calls INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, money REAL,
        PRIMARY KEY (stage, model)
    ) WITHOUT ROWID;
    """,
    "ALTER TABLE scores ADD COLUMN margins TEXT NOT NULL DEFAULT '{}';",
    """
    CREATE TABLE requests (
        stage TEXT NOT NULL, model TEXT NOT NULL, digest TEXT NOT NULL, calls INTEGER NOT NULL,
        prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, money REAL, failed INTEGER NOT NULL,
        PRIMARY KEY (stage, model, digest)
    ) WITHOUT ROWID;
    """,
    _from_json_columns,
    "UPDATE comparisons SET baseline = 'mismatched' WHERE baseline = 'other-unit';",
    _headlines,
    _density,
    """
    CREATE INDEX IF NOT EXISTS units_by_method ON units (method);
    CREATE INDEX IF NOT EXISTS units_by_place ON units (id, score, causal, q);
    CREATE INDEX IF NOT EXISTS explanations_by_id ON explanations (id, unit);
    """,
]
"""From each version to the next, the first from version 1 to 2."""
VERSION = 1 + len(STEPS)


def create(connection: sqlite3.Connection) -> None:
    """All tables of the present version, empty and without their indices (`INDICES`)."""
    connection.executescript(TABLES)
    connection.execute("INSERT INTO meta VALUES ('schema', ?)", (str(VERSION),))


def upgraded(connection: sqlite3.Connection, where: str) -> sqlite3.Connection:
    """The connection itself when its tables are of the present version, else a copy in memory that was brought to it.

    Raises `UserError` naming both versions when the study is newer than this program.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    version = int(row[0]) if row else 0
    if version == VERSION:
        return connection
    if not 1 <= version < VERSION:
        raise UserError(
            f"the study has schema version {version}, which this version cannot read",
            value=where,
            allowed=f"1 to {VERSION}",
            fix="Update glossator",
        )
    copy = sqlite3.connect(":memory:")
    connection.backup(copy)
    connection.close()
    for step in STEPS[version - 1 :]:
        if callable(step):
            step(copy)
        else:
            copy.executescript(step)
    copy.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(VERSION),))
    copy.commit()
    return copy
