"""`glossator sasc`: a function in a file is explained; mistakes are one paragraph."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glossator.cli import main

MODULE = """
def rivers(texts):
    return [text.lower().count("river") for text in texts]

def silent(texts):
    return [0.0 for _ in texts]

ANSWER = 42
"""
LINES = ["We crossed the river at noon.", "The letter came on a grey day.", "A river runs behind the house.",
         "They sold the old table cheaply.", "The wide river froze in January.", "Nobody reads that book."]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "detector.py").write_text(MODULE)
    (tmp_path / "notes.jsonl").write_text(
        "".join(json.dumps({"text": f"{t} {i}"}) + "\n" for i, t in enumerate(LINES * 4))
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


ARGUMENTS = ["--corpus", "notes.jsonl", "--space", "none", "--quiet"]


def test_a_function_is_explained(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:rivers", *ARGUMENTS]) == 0
    said = capsys.readouterr().out
    assert "river" in said and "Top n-grams:" in said and "sigma" in said


def test_for_machines(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:rivers", *ARGUMENTS, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    best = found["candidates"][0]
    assert best["explanation"]["text"] == "river" and best["scores"][0]["name"] == "sasc.corpus"


def test_a_silent_function_is_said_to_be_dead(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:silent", *ARGUMENTS]) == 0
    assert "not explained: dead" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("detector.py", "not a function"),
        ("missing.py:rivers", "no such file"),
        ("detector.py:river", "did you mean rivers"),
        ("detector.py:ANSWER", "no function of this name"),
        ("no_such_package_at_all:f", "no such module"),
    ],
)
def test_a_mistake_is_one_paragraph(here: Path, capsys: pytest.CaptureFixture, module: str, said: str) -> None:
    assert main(["sasc", module, *ARGUMENTS]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
