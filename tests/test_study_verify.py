"""`glossator verify` finds what was changed in any file of a study, and says nothing of one that is whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.study import run_study
from glossator.study.verify import verify_study
from study_cases import small_spec, write_corpus


@pytest.fixture(scope="module")
def finished(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    folder = tmp_path_factory.mktemp("verified") / "s"
    run_study(small_spec(tiny_folder, units=2, max_tokens=3000, scorers=("correlation",)), folder, progress=False)
    return folder


def wrong(folder: Path) -> dict[str, str]:
    return {checked.file: checked.wrong for checked in verify_study(folder) if checked.wrong}


def test_a_whole_study_is_as_it_was_written(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong(finished) == {}
    assert main(["verify", str(finished)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("manifest.json", "study.sqlite", "study.sqlite, inside", "recording/dense/panel.npy"):
        assert f"{name}: ok" in lines
    written = {p.relative_to(finished).as_posix() for p in finished.rglob("*") if p.is_file() and p.name != "run.log"}
    assert written <= {line.partition(":")[0] for line in lines}


def test_one_changed_byte_in_any_file_is_found(finished: Path, tmp_path: Path) -> None:
    for path in sorted(p for p in finished.rglob("*") if p.is_file() and p.name != "run.log"):
        name = path.relative_to(finished).as_posix()
        folder = Path(shutil.copytree(finished, tmp_path / "copy"))
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        (folder / name).write_bytes(bytes(data))
        assert name in wrong(folder), name
        assert main(["verify", str(folder), "--json"]) == 1
        shutil.rmtree(folder)


def test_a_database_is_looked_at_from_inside(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "s"))
    with sqlite3.connect(folder / "study.sqlite") as opened:
        opened.execute("UPDATE explanations SET unit = 999 WHERE id = 1")
    opened.close()
    found = wrong(folder)
    assert "checksum" in found["study.sqlite"] or "bytes" in found["study.sqlite"]
    assert "refer to nothing" in found["study.sqlite, inside"]


def test_parts_of_two_studies_are_no_study(finished: Path, tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "s"))
    other = small_spec(tiny_folder, units=3, max_tokens=3000, scorers=("correlation",))
    run_study(other, tmp_path / "other", until="record", progress=False)
    shutil.rmtree(folder / "recording")
    shutil.copytree(tmp_path / "other" / "recording", folder / "recording")
    assert wrong(folder) == {"manifest.json": "the recording is not the one that it was made from"}


def test_an_unfinished_study_is_checked_as_far_as_it_is(tiny_folder: Path, tmp_path: Path) -> None:
    spec = small_spec(tiny_folder, units=2, max_tokens=3000, scorers=("correlation",))
    run_study(spec, tmp_path / "s", until="explain", progress=False)
    assert wrong(tmp_path / "s") == {}
    (shard,) = (tmp_path / "s" / "work" / "explain").glob("0*.jsonl")
    shard.write_text(shard.read_text()[:-20])
    assert list(wrong(tmp_path / "s")) == ["work/explain/00000.jsonl"]


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match="no study here"):
        list(verify_study(tmp_path))
