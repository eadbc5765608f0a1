"""Studies of older versions open: a file that version 3 of the tables wrote, kept in `golden/study-3`, and what of it
versions 2 and 1 had."""

from __future__ import annotations

import contextlib
import json
import lzma
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from glossator.cli import main
from glossator.store.database import DATABASE
from glossator.store.results import to_plain
from glossator.store.schema import INDICES, VERSION, create
from glossator.study import Study, open_study
from study_cases import register

OLD = Path(__file__).parent / "golden" / "study-3"


@pytest.fixture(autouse=True)
def causal_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, "scorers", acting="Acting")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The study as it was written, without its recording."""
    shutil.copy(OLD / "manifest.json", tmp_path)
    (tmp_path / "spec.json").write_text(json.dumps(json.loads((OLD / "manifest.json").read_text())["spec"]))
    (tmp_path / DATABASE).write_bytes(lzma.decompress((OLD / "study.sqlite.xz").read_bytes()))
    return tmp_path


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What the version that wrote it read from it: results, and q-values by method, score, baseline and unit.
    Baselines have other names since."""
    written = lzma.decompress((OLD / "expected.json.xz").read_bytes())
    return json.loads(written.replace(b'"nulls"', b'"baselines"').replace(b'"other-unit"', b'"mismatched"'))


def edit(folder: Path, *statements: str) -> None:
    """Change the file and make its manifest fit."""
    connection = sqlite3.connect(folder / DATABASE)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][DATABASE] = {"size": (folder / DATABASE).stat().st_size}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def results_and_q(study: Study) -> tuple[list[Any], list[list[Any]]]:
    """All results as version 3 knew them, and the q-values apart."""
    results = [to_plain(result) for result in study.results()]
    for result in results:
        for chosen in result["explanations"]:
            assert (chosen.pop("headline"), chosen.pop("modes"), chosen.pop("peaks")) == (None, [], None)
    q = [
        [chosen["method"], score["name"], baseline, result["unit"], found]
        for result in results
        for chosen in result["explanations"]
        for score in chosen["scores"]
        for baseline, margin in score["margins"].items()
        if (found := margin.pop("q")) is not None
    ]
    return results, sorted(q)


def test_an_older_study_says_what_it_said(old: Path, expected: dict[str, Any]) -> None:
    before = (old / DATABASE).read_bytes()
    with open_study(old) as study:
        results, q = results_and_q(study)
        assert results == expected["results"]
        assert q == sorted(expected["q"]) and len(q) > 30
        assert [row.unit.index for row in study.page("best")] == [3, 1, 4, 2, 9, 5]
        assert (study.ranked_by, study.default_score("causal")) == ("correlation.random-only", "acting")
        ((kind, request, result),) = study.query("SELECT kind, request, result FROM experiments")
        assert (kind, json.loads(request)) == ("study", {"spec": study.manifest["fingerprint"]})
        assert json.loads(result)["units"]["ok"] == 6
        assert study.query("PRAGMA foreign_key_check") == []
        assert study.search("also")[0][0].startswith("tiny/mlp.0/")
    assert (old / DATABASE).read_bytes() == before


def test_the_command_line_reads_it(old: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["search", "containing", "--study", str(old), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found and all("containing" in entry["explanation"]["text"] for entry in found)


def test_a_study_of_version_4_keeps_what_was_asked(old: Path) -> None:
    columns = "stage, model, digest, calls, prompt_tokens, completion_tokens, money, failed"
    edit(
        old,
        f"CREATE TABLE requests ({columns}, PRIMARY KEY (stage, model, digest)) WITHOUT ROWID",
        "INSERT INTO requests VALUES ('explain', 'm', 'd', 1, 2, 3, NULL, 0)",
        "INSERT INTO ledger VALUES ('explain', 'm', 1, 0, 1, 2, 3, NULL)",
        "UPDATE meta SET value = '4' WHERE key = 'schema'",
    )
    with open_study(old) as study:
        assert study.asked == [("explain", {"m": {"d": [1, 2, 3, None, 0]}})]
        assert [cost.model for cost in study.costs] == ["m"] and len(study.names()) == 6


def test_a_study_of_version_6_has_no_headlines(old: Path, expected: dict[str, Any]) -> None:
    with open_study(old) as study, contextlib.closing(sqlite3.connect(old / DATABASE)) as newer:
        study._connection.backup(newer)
    edit(
        old,
        "DROP TABLE explanation_text",
        """CREATE VIRTUAL TABLE explanation_text USING fts5 (
            text, content = 'explanations', content_rowid = 'id', tokenize = 'porter unicode61', prefix = '1 2')""",
        "ALTER TABLE explanations DROP COLUMN headline",
        "ALTER TABLE explanations DROP COLUMN headlines",
        "ALTER TABLE units DROP COLUMN headline",
        "UPDATE meta SET value = '6' WHERE key = 'schema'",
    )
    with open_study(old) as study:
        assert results_and_q(study)[0] == expected["results"]
        assert study.search("also")[0][0].startswith("tiny/mlp.0/")
        assert all(row.headline is None for row in study.page())


def test_a_study_of_version_2_has_no_margins(old: Path, expected: dict[str, Any]) -> None:
    edit(old, "ALTER TABLE scores DROP COLUMN margins", "UPDATE meta SET value = '2' WHERE key = 'schema'")
    for result in expected["results"]:
        for chosen in result["explanations"]:
            for score in chosen["scores"]:
                score["margins"] = {}
    with open_study(old) as study:
        assert results_and_q(study) == (expected["results"], [])


def test_a_study_of_version_1_has_no_ledger(old: Path) -> None:
    edit(
        old,
        "ALTER TABLE scores DROP COLUMN margins",
        "DROP TABLE ledger",
        "UPDATE meta SET value = '1' WHERE key = 'schema'",
    )
    with open_study(old) as study:
        assert len(study.names()) == 6 and study.costs == []


def test_a_migrated_file_has_the_tables_of_a_new_one(old: Path) -> None:
    new = sqlite3.connect(":memory:")
    create(new)
    new.executescript(INDICES)
    entries = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
    with open_study(old) as study:
        assert study.query(entries) == new.execute(entries).fetchall()
        for kind, name, _ in study.query(entries):
            if kind == "table":
                columns = f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{name}')"
                assert study.query(columns) == new.execute(columns).fetchall()
        assert study.query("SELECT value FROM meta WHERE key = 'schema'") == [(str(VERSION),)]
