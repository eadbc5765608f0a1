"""`glossator sasc`: a function in a file is explained; mistakes are one paragraph."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from glossator.cli import main
from glossator.explainers.naming.task import Task
from glossator.units import Unit

MODULE = """
def rivers(texts):
    return [text.lower().count("river") for text in texts]

def silent(texts):
    return [0.0 for _ in texts]

def hesitant(texts):
    return [None if "table" in text else float("inf") if "grey" in text else text.count("river") for text in texts]

def failing(texts):
    raise RuntimeError("the weights\\nare gone")

def failing_later(texts):
    assert all(len(text.split()) < 4 for text in texts)
    return [text.lower().count("river") for text in texts]

ANSWER = 42
"""
TALKER = """
def answer(request):
    asked = request.messages[-1].content
    if "names" in asked:
        return {"names": ["river"]}
    return {"texts": [f"The river {n}." if "clearly" in asked else f"The letter {n}." for n in range(10)]}
"""
LINES = ["We crossed the river at noon.", "The letter came on a grey day.", "A river runs behind the house.",
         "They sold the old table cheaply.", "The wide river froze in January.", "Nobody reads that book."]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "detector.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("def f(:")
    (tmp_path / "lacking.py").write_text("import no_such_package_at_all")
    (tmp_path / "sasc_talker.py").write_text(TALKER)
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


def test_top_ngrams_respond_and_stand_on_one_line(here: Path, capsys: pytest.CaptureFixture) -> None:
    (here / "broken_lines.jsonl").write_text(
        "".join(
            json.dumps({"text": f"{t.replace(' river', chr(10) + 'river')} {i}"}) + "\n"
            for i, t in enumerate(LINES * 4)
        )
    )
    arguments = ["--corpus", "broken_lines.jsonl", *ARGUMENTS[2:]]
    assert main(["sasc", "detector.py:rivers", *arguments, "--most", "30"]) == 0
    (shown,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Top n-grams:")]
    ngrams = re.findall(r"“(.*?)” ([-\d.]+)", shown)
    assert ("the river", "1") in ngrams and all("river" in text and value == "1" for text, value in ngrams)


@pytest.mark.parametrize(
    ("values", "shown"),
    [([0, 2, 0, 1, 0], [1, 3]), ([1, 1, 0, 1], [0, 1, 3]), ([-3, -1, -2], [1]), ([5, np.nan, 4], [0])],
)
def test_what_responds_no_more_than_most_is_no_top_ngram(values: list[float], shown: list[int]) -> None:
    task = Task(Unit("m", "output", 0), None, lambda texts: np.zeros(len(texts)), np.array(values, float))  # type: ignore[arg-type]
    assert task.loudest.tolist() == shown


def test_for_machines(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:rivers", *ARGUMENTS, "--json"]) == 0
    (unit,) = json.loads(capsys.readouterr().out)["units"]
    best = unit["explanations"][0]
    assert best["text"] == "river" and best["scores"][0]["name"] == "sigma.corpus" and best["rank"] == 0


def test_what_is_made_is_a_study_like_any_other(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:rivers", *ARGUMENTS, "--out", "mine"]) == 0
    capsys.readouterr()
    assert main(["show", "rivers/output/0", "--study", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "river" in shown and "sigma.written" in shown
    assert main(["search", "river", "--study", "mine"]) == 0 and "rivers/output/0" in capsys.readouterr().out
    assert main(["verify", "mine"]) == 0 and (here / "mine" / "report.html").stat().st_size > 10_000
    trusted = ["--trust", "function:detector.py:rivers"]
    assert main(["score", "rivers/output/0", "--study", "mine", "--text", "river", "--scorer", "sigma", *trusted]) == 0
    assert "sigma.written" in capsys.readouterr().out


def test_a_silent_function_is_said_to_be_dead(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:silent", *ARGUMENTS]) == 0
    assert "not explained: dead" in capsys.readouterr().out


def test_responses_that_are_missing_are_told(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:hesitant", *ARGUMENTS, "--most", "30"]) == 0
    assert re.search(r"No response to \d+ of 30 n-grams", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("detector.py", "not a function"),
        ("missing.py:rivers", "no such file"),
        ("detector.py:river", "did you mean rivers"),
        ("detector.py:ANSWER", "no function of this name"),
        ("no_such_package_at_all:f", "no such module"),
        ("broken.py:f", "broken.py cannot be imported: 'SyntaxError"),
        ("lacking.py:f", "lacking.py imports a package that is not installed: 'no_such_package_at_all'"),
        ("detector.py:failing", "function 'failing' failed: 'RuntimeError: the weights"),
    ],
)
def test_a_mistake_is_one_paragraph(here: Path, capsys: pytest.CaptureFixture, module: str, said: str) -> None:
    assert main(["sasc", module, *ARGUMENTS]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_function_that_fails_later_is_not_explained_and_says_why(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sasc", "detector.py:failing_later", *ARGUMENTS]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not explained" in said and "the function 'failing_later' failed: 'AssertionError" in said


def test_what_a_language_model_costs_is_foreseen_bounded_and_kept(
    here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(here))
    ask = ["sasc", "detector.py:rivers", *ARGUMENTS, "--lm", "scripted:sasc_talker:answer", "--lm-cache", "a.sqlite"]
    assert main([*ask, "--budget", "200 tokens"]) == 2
    said = capsys.readouterr()
    assert "Estimated cost for 1 unit with scripted:sasc_talker:answer: about 35 calls" in said.err
    assert "the budget is reached" in said.err and said.out == ""
    assert main([*ask, "--offline"]) == 2
    assert "not in the cache" in capsys.readouterr().err
    assert main(ask) == 0
    told = capsys.readouterr().out
    assert "river" in told and "Cost of explain, scripted:sasc_talker:answer: 7 calls" in told, told
    (here / "sasc_talker.py").write_text("answer = []")
    assert main([*ask, "--offline", "--json", "--out", "again"]) == 0
    assert json.loads(capsys.readouterr().out)["units"][0]["explanations"][0]["text"] == "river"
