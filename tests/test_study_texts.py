"""Texts of a study that are Python objects, or stand in a named column."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.study import run_study
from study_cases import contents, small_spec, write_corpus


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    path = write_corpus(tmp_path_factory.mktemp("text") / "corpus.jsonl", 120)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_texts_given_in_python(tiny_folder: Path, records: list[dict], tmp_path: Path) -> None:
    spec = small_spec(tiny_folder, max_tokens=3000)
    run_study(spec, tmp_path / "a", corpus=records, progress=False).close()
    assert run_study(spec, tmp_path / "b", corpus=iter(records), until="record", progress=False) is None
    with pytest.raises(UserError, match="differ in corpus"):
        run_study(spec, tmp_path / "b", corpus=records[1:], progress=False)
    study = run_study(spec, tmp_path / "b", corpus=records, progress=False)
    assert study is not None
    with study:
        assert study.spec.corpus.startswith("texts:")
        assert study.recording.group_ids[0].startswith("doc-")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_named_column_and_rows_without_text(
    tiny_folder: Path, records: list[dict], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, lines = tmp_path / "a.csv", tmp_path / "a.jsonl"
    with open(path, "w", newline="") as out:
        csv.writer(out).writerows([("id", "body"), *((r["id"], r["text"]) for r in records), ("x", ""), ("y", " ")])
    lines.write_text("".join(json.dumps({"body": r["text"], "id": r["id"]}) + "\n" for r in [*records]))
    lines.write_text(lines.read_text() + '{"body": null}\n')
    base = [
        "record",
        "--subject",
        str(tiny_folder),
        "--site",
        "mlp.0",
        "--units",
        "2",
        "--tokens",
        "3000",
        "--width",
        "32",
    ]
    for given, said in ((path, "text is blank: 2"), (lines, "text is null: 1")):
        out = tmp_path / given.suffix[1:]
        assert main([*base, "--corpus", str(given), "--text-column", "body", "--out", str(out), "--quiet"]) == 0
        assert said in capsys.readouterr().err
        assert said in (out / "run.log").read_text()
    assert main([*base, "--corpus", str(path), "--out", str(tmp_path / "none"), "--quiet"]) == 2
    assert "no column `text`" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
