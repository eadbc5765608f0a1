"""The tables of a study and how they came to be: numbered steps, each applied once, none ever changed.

A study is read by any later version: what its file lacks is added to a copy in memory.
"""

from __future__ import annotations

import sqlite3

from glossator.errors import UserError

MIGRATIONS: list[tuple[str, str]] = [
    (
        "units, explanations, scores",
        """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE specs (fingerprint TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE units (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            site TEXT NOT NULL,
            "index" INTEGER NOT NULL,
            polarity TEXT NOT NULL CHECK (polarity IN ('+', '-')),
            status TEXT NOT NULL CHECK (status IN ('ok', 'insufficient', 'abstained', 'failed')),
            reason TEXT NOT NULL,
            statistics TEXT
        );
        CREATE TABLE explanations (
            id INTEGER PRIMARY KEY,
            unit INTEGER NOT NULL REFERENCES units (id),
            method TEXT NOT NULL,
            rank INTEGER NOT NULL,
            text TEXT NOT NULL,
            program TEXT,
            english_length INTEGER NOT NULL,
            bits REAL,
            "select" REAL,
            provenance TEXT NOT NULL,
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
            nulls TEXT NOT NULL,
            reason TEXT,
            how TEXT NOT NULL,
            UNIQUE (explanation, name),
            CHECK ((value IS NULL) <> (reason IS NULL))
        );
        CREATE TABLE costs (
            unit INTEGER NOT NULL REFERENCES units (id),
            method TEXT NOT NULL,
            what TEXT NOT NULL,
            amount REAL NOT NULL,
            PRIMARY KEY (unit, method, what)
        ) WITHOUT ROWID;
        CREATE TABLE experiments (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            spec TEXT NOT NULL REFERENCES specs (fingerprint),
            result TEXT NOT NULL
        );
        CREATE INDEX scores_by_name ON scores (name, value);
        CREATE VIRTUAL TABLE explanation_text USING fts5 (
            text, content = 'explanations', content_rowid = 'id', tokenize = 'porter unicode61'
        );
        """,
    ),
    (
        "what the language models cost",
        """
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
        """,
    ),
    (
        "how far scores are above their nulls",
        "ALTER TABLE scores ADD COLUMN margins TEXT NOT NULL DEFAULT '{}';",
    ),
    (
        "what each request to a language model cost, for a study that grows",
        """
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
        """,
    ),
]


def create(connection: sqlite3.Connection) -> None:
    """All tables of the present version, empty."""
    _apply(connection, 0)


def upgraded(connection: sqlite3.Connection, where: str) -> sqlite3.Connection:
    """The connection itself when its tables are of the present version, else a copy in memory that was brought to it.

    Raises `UserError` naming both versions when the study is newer than this program.
    """
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    version = int(row[0]) if row else 0
    if version == len(MIGRATIONS):
        return connection
    if version > len(MIGRATIONS):
        raise UserError(
            f"the study has schema version {version}, newer than this program reads",
            value=where,
            allowed=f"up to {len(MIGRATIONS)}",
            fix="Update glossator",
        )
    copy = sqlite3.connect(":memory:")
    connection.backup(copy)
    connection.close()
    _apply(copy, version)
    return copy


def _apply(connection: sqlite3.Connection, done: int) -> None:
    for _, statements in MIGRATIONS[done:]:
        connection.executescript(statements)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(len(MIGRATIONS)),))
    connection.commit()
