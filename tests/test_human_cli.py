"""`glossator human`: what it prints, what it leaves behind, and what it says to mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest

from glossator.cli import main
from glossator.cli.human import estimate, short
from glossator.human.tasks import TaskSet, from_plain
from glossator.study import Study, open_study
from human_cases import filled, study_of_two_methods, zeros

MODEL = "scripted:human_cases:rewording"


@pytest.fixture(scope="module")
def untouched(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("human") / "s")


@pytest.fixture
def study(untouched: Study, tmp_path: Path) -> Study:
    """A copy of its own for each test: what one imports is no answer in another."""
    return open_study(copytree(untouched.folder, tmp_path / "study"))


def exported_tasks(study: Study, identity: str) -> TaskSet:
    return from_plain(json.loads((study.folder / "human" / "tasks" / f"{identity}.json").read_text()))


@pytest.mark.parametrize("name", ["export", "import", "paraphrase"])
def test_every_command_teaches_with_an_example(name: str, capsys: pytest.CaptureFixture) -> None:
    assert main(["human", name, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text
    assert f"glossator human {name}" in text
    assert "--json" in text


def test_out_and_in_again(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "for-ann"
    command = ["human", "export", str(study.folder), "--task", "simulation", "--out", str(out), "--units", "2"]
    assert main([*command, "--top", "3", "--random", "2", "--method", "lookup", "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    tasks = exported_tasks(study, manifest["id"])
    assert (tasks.settings["top"], tasks.settings["random"]) == (3, 2)
    assert "methods" not in tasks.settings
    assert main([*command, "--top", "3", "--random", "2", "--method", "lookup"]) == 0
    assert "2 items" in capsys.readouterr().out
    values = zeros(tasks)
    for slot in values:
        values[slot][-1] = 9
    path = filled(tasks, values, tmp_path / "a.json", "")
    assert main(["human", "import", str(study.folder), str(path), "--rater", "ann", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {e["method"] for e in found["simulation"]["explanations"]} == {"lookup"}
    assert main(["human", "import", str(study.folder), str(path), "--rater", "ann"]) == 0
    printed = capsys.readouterr().out
    assert "beside the model" in printed
    assert f"{len(values)} of {len(values)}" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "simulating"], "did you mean simulation"),
        (["--task", "gibberish", "--top", "3"], "no such option"),
        (["--task", "labelling", "--method", "lookup"], "no such option"),
        (["--task", "simulation", "--method", "none-such"], "nothing to export"),
    ],
)
def test_mistakes_are_one_paragraph(
    study: Study, arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["human", "export", str(study.folder), "--out", str(tmp_path / "o"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "o").exists()


def test_a_language_model_paraphrases(study: Study, capsys: pytest.CaptureFixture) -> None:
    """A scripted model: that its rewrites are kept and read as words, with refusals missing, and nothing more."""
    before = {p.name: p.read_bytes() for p in study.folder.iterdir() if p.is_file()}
    command = ["human", "paraphrase", str(study.folder), "--lm", MODEL, "--units", "2", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert [a for a in found["answers"] if a["rater"].startswith("lm-scripted")]
    rewrites = found["paraphrase"]["rewrites"]
    assert rewrites
    assert {r["text"][:6] for r in rewrites} == {"Reword"}
    assert all((r["original"]["value"] is None) == bool(r["original"]["reason"]) for r in rewrites)
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["paraphrase"] == found["paraphrase"]
    assert {p.name: p.read_bytes() for p in study.folder.iterdir() if p.is_file()} == before


def test_all_results_are_printed(study: Study, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = {"preference": "first", "labelling": "words alone", "gibberish": "yes", "paraphrase": "said otherwise"}
    files = []
    for task, word in words.items():
        command = ["human", "export", str(study.folder), "--task", task, "--out", str(tmp_path / task), "--json"]
        assert main(command) == 0
        tasks = exported_tasks(study, json.loads(capsys.readouterr().out)["id"])
        files.append(str(filled(tasks, dict.fromkeys(tasks.slots, word), tmp_path / f"{task}.json", "zoe")))
    assert main(["human", "import", str(study.folder), *files]) == 0
    printed = capsys.readouterr().out
    for part in ("Human explanations", "Preferred to", "Readable English", "Rewrites", "simulate text with --lm",
                 "preferred because shown first", "scrambled", "human:zoe"):  # fmt: skip
        assert part in printed, part


def test_numbers_and_reasons_for_people() -> None:
    assert estimate({"value": 0.5, "low": 0.4, "high": 0.6}) == "0.50 [0.40, 0.60]"
    assert estimate({"value": 0.5, "low": None, "high": None}) == "0.50"
    assert estimate({"value": None, "low": None, "high": None, "reason": "why"}) == "– (why)"
    assert short("this explanation has no program to execute: 'x'. Use") == (
        "this explanation has no program to execute; simulate text with --lm"
    )
