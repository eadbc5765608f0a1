"""What is left of a study that was edited, cut off or written over: one line that says so, and other studies go on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from glossator.cli import main
from glossator.study import run_study
from study_cases import small_spec, write_corpus


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    folder = tmp_path_factory.mktemp("studies") / "whole"
    made = run_study(small_spec(tiny_folder, units=3), folder, progress=False)
    assert made is not None
    made.close()
    return folder


@pytest.fixture
def two(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `studies` with a good study and one, `bad`, to be damaged."""
    for name in ("bad", "good"):
        shutil.copytree(finished, tmp_path / "studies" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "studies" / "bad"


def one_line(capsys: pytest.CaptureFixture, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("glossator: ") and said.err.count("\n") == 1
    return said.err


MANIFESTS = ["", "{", "3", "[]", "null", '{"format": 3}', '{"format": "glossator-study/1"}', "[" * 100_000, "\xff"]


@pytest.mark.parametrize("text", MANIFESTS)
@pytest.mark.parametrize("name", ["manifest.json", "spec.json"])
def test_edited_manifests_and_specs(two: Path, name: str, text: str, capsys: pytest.CaptureFixture) -> None:
    (two / name).write_bytes(text.encode("latin-1"))
    assert main(["studies", "--json"]) == 0
    states = {Path(entry["folder"]).name: entry["state"] for entry in json.loads(capsys.readouterr().out)}
    assert states["good"] == "finished" and states.get("bad") in ("damaged", None)
    assert main(["studies"]) == 0
    assert main(["search", "fox"]) == 0
    assert main(["search", "fox", "--study", "studies/good"]) == 0
    said = capsys.readouterr()
    if name == "manifest.json":
        assert "left out: the study" in said.err or "left out: no study" in said.err
        assert "manifest" in one_line(capsys, "search", "fox", "--study", "studies/bad") or text.startswith(
            '{"format": 3'
        )
        one_line(capsys, "show", "mlp.0/1", "--study", "studies/bad")


@pytest.mark.parametrize("key", ["spec", "subject", "files", "units", "fingerprint", "recording"])
@pytest.mark.parametrize("value", [None, 3, "x", [], {}])
def test_manifests_with_another_value(two: Path, key: str, value: object, capsys: pytest.CaptureFixture) -> None:
    path = two / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert main(["studies"]) == 0
    for arguments in (["search", "fox", "--study", str(two)], ["show", "mlp.0/1", "--study", str(two), "--json"]):
        assert main(arguments) in (0, 2)
    assert main(["search", "fox"]) == 0


@pytest.mark.parametrize("table", ["units", "explanations", "scores", "comparisons", "hows", "meta"])
def test_rows_that_hold_something_else(two: Path, table: str, capsys: pytest.CaptureFixture) -> None:
    """Checksums find what happened by itself; here the manifest was made to fit."""
    from glossator.recording.store import crc32_of

    texts = {"units": "statistics", "explanations": "provenance", "scores": "counts", "comparisons": "margin"}
    texts |= {"hows": "json", "meta": "value"}
    for text in ("{", "3", "x\0y", "[[[", ""):
        with sqlite3.connect(two / "study.sqlite") as database:
            key = {"meta": "key", "comparisons": "score"}.get(table, "id")
            database.execute(
                f"UPDATE {table} SET {texts[table]} = ? WHERE {key} = (SELECT min({key}) FROM {table})", (text,)
            )
        database.close()
        path = two / "manifest.json"
        manifest = json.loads(path.read_text())
        database_file = two / "study.sqlite"
        manifest["files"]["study.sqlite"] = {"size": database_file.stat().st_size, "crc32": crc32_of(database_file)}
        path.write_text(json.dumps(manifest))
        for arguments in (["search", "fox", "--study", str(two)], ["show", "mlp.0/1", "--study", str(two)]):
            assert main(arguments) in (0, 2)
            assert "Traceback" not in capsys.readouterr().err


def test_flipped_bytes_of_the_database_are_found(two: Path, capsys: pytest.CaptureFixture) -> None:
    path = two / "study.sqlite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "checksum" in one_line(capsys, "show", "mlp.0/1", "--study", str(two))
    assert main(["search", "fox"]) == 0
    assert "left out: the study is damaged" in capsys.readouterr().err
    path.unlink()
    path.mkdir()
    assert "damaged (missing" in one_line(capsys, "show", "mlp.0/1", "--study", str(two))


def test_a_database_in_use_is_not_called_damaged(two: Path, capsys: pytest.CaptureFixture) -> None:
    other = sqlite3.connect(two / "study.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        said = one_line(capsys, "search", "fox", "--study", str(two))
    finally:
        other.close()
    assert "Another program has it open" in said and "Delete" not in said
