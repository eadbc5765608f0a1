"""A unit on text of one's own: recorded numbers, the prediction beside them, files and pipes, the strongest units."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from glossator.cli import main
from glossator.errors import UserError
from glossator.study import Study, run_study, try_text
from glossator.study.context import StudyContext
from glossator.study.trying import bench_for, strongest, token_at
from study_cases import small_spec, write_corpus


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    found = run_study(small_spec(tiny_folder), tmp_path_factory.mktemp("t") / "s", progress=False)
    assert found is not None
    with found:
        yield found


def first_window(study: Study) -> tuple[int, str]:
    """A window that begins a document, whose text gives the same tokens again, with that text."""
    windows, tokenizer = study.recording.windows, StudyContext.to_show(study).resources.subject.tokenizer
    for row in range(len(windows)):
        text = windows.text(row)
        if windows.lengths[row] == windows.width and "\\x" not in text:
            tokens = tokenizer.encode([text])[0]
            if np.array_equal(tokens, windows.tokens[row]):
                return row, text
    raise AssertionError("no such window")


def test_a_recorded_window_has_the_recorded_values_and_the_studys_prediction(study: Study) -> None:
    row, text = first_window(study)
    for result in list(study.results())[:2]:
        (tried,) = try_text(study, result.unit, text)
        recorded = study.recording.values(result.unit, np.array([row]))[0]
        assert tried.true == pytest.approx(recorded, rel=2e-3, abs=1e-4)  # recorded in half precision
        assert len(tried.pieces) == study.recording.windows.lengths[row]
        best, context = result.best(), StudyContext.to_show(study)
        assert best is not None and tried.predicted is not None
        window = study.recording.windows.take(np.array([row]))
        expected = context.simulator.simulate(best.explanation(result.unit), window)
        assert tried.predicted == pytest.approx(expected.expected[0], abs=1e-6)
        assert tried.peak_at == int(np.argmax(recorded))


def test_the_command_says_what_the_function_says(study: Study, capsys: pytest.CaptureFixture) -> None:
    name, texts = study.names()[0], ["the fox jumps over", "lazy dogs in 1987"]
    assert main(["try", name, *texts, "--study", str(study.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["explanation"]
    for entry, tried in zip(found["texts"], try_text(study.folder, name, texts), strict=True):
        assert entry["tokens"] == list(tried.pieces)
        assert entry["true"] == pytest.approx(tried.true, abs=1e-5)
        assert entry["predicted"] == pytest.approx(tried.predicted, abs=1e-5)
    assert main(["try", name, *texts, "--study", str(study.folder)]) == 0
    out = capsys.readouterr().out
    assert out.count("Peak ") == 2 and "pred" in out and "true" in out
    assert max(map(len, out.splitlines())) <= 160


def test_text_from_a_file_and_from_a_pipe(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    name, text = study.names()[0], "the fox jumps over"
    (tmp_path / "letter.txt").write_text(text + "\n")
    (tmp_path / "two.jsonl").write_text(json.dumps({"text": text}) + "\n" + json.dumps({"text": "lazy dogs"}) + "\n")
    common = ["--study", str(study.folder), "--json"]
    assert main(["try", name, text, *common]) == 0
    (direct,) = json.loads(capsys.readouterr().out)["texts"]
    assert main(["try", name, "--file", str(tmp_path / "letter.txt"), *common]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == [direct]
    assert main(["try", name, "--file", str(tmp_path / "two.jsonl"), *common]) == 0
    two = json.loads(capsys.readouterr().out)["texts"]
    assert len(two) == 2 and direct in two
    for arguments in ([], ["-"]):
        monkeypatch.setattr("sys.stdin", io.StringIO(text + "\n"))
        assert main(["try", name, *arguments, *common]) == 0
        assert json.loads(capsys.readouterr().out)["texts"] == [direct]


def test_a_long_text_is_cut_as_in_a_study_and_its_strongest_tokens_are_listed(
    study: Study, capsys: pytest.CaptureFixture
) -> None:
    text = " ".join(["the fox jumps over lazy dogs in 1987"] * 12)
    (tried,) = try_text(study, study.names()[0], text)
    assert tried.windows == -(-len(tried.pieces) // study.spec.width) > 1
    assert main(["try", study.names()[0], text, "--study", str(study.folder)]) == 0
    out = capsys.readouterr().out
    assert f"Split into {tried.windows} independent windows" in out and "Strongest tokens:" in out


def test_the_strongest_units_at_a_token(study: Study, capsys: pytest.CaptureFixture) -> None:
    text = "the fox jumps over"
    with bench_for(study) as bench:
        units = strongest(bench, "mlp.0", "+", text, 2, most=64)
        lowest = strongest(bench, "mlp.0", "-", text, 2, most=1)
    values = [unit.activation for unit in units]
    assert values == sorted(values, reverse=True) and len({unit.unit for unit in units}) == 64
    for unit in units[:3]:
        name = str(unit.unit)
        if name in study.names():
            (tried,) = try_text(study, name, text)
            assert tried.true[2] == pytest.approx(unit.activation, abs=1e-5)
    known = [unit for unit in units if str(unit.unit) in study.names()]
    assert len(known) == len(study.names()) and all(unit.explanation and unit.maximum for unit in known)
    assert lowest[0].activation == pytest.approx(-values[-1])
    assert main(["try", study.names()[0], text, "--study", str(study.folder), "--at", "2", "--top", "3"]) == 0
    out = capsys.readouterr().out
    assert f"mlp.0/{units[0].unit.index} " in out and out.count("mlp.0/") >= 3


def test_a_unit_of_no_study_is_tried_without_a_prediction(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    assert main(["try", "tiny/mlp.1/3", "the fox", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["explanation"] is None and found["texts"][0]["predicted"] is None
    assert main(["try", "tiny/mlp.1/3-", "the fox", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert other["texts"][0]["true"] == pytest.approx([-v for v in found["texts"][0]["true"]])
    assert main(["try", "tiny/mlp.1/3", "the fox"]) == 0
    assert "glossator run tiny/mlp.1/3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([""], "a text has no token"),
        (["words", "--at", "99"], "no such token"),
        (["words", "--at", "zebra"], "no such token in the text"),
        (["words", "--file", "x.txt"], "both given"),
        (["--file", "none.txt"], "cannot read the text"),
        (["--file", "none.jsonl"], "no such corpus"),
    ],
)
def test_mistakes_are_one_line(study: Study, capsys: pytest.CaptureFixture, arguments: list[str], said: str) -> None:
    assert main(["try", study.names()[0], *arguments, "--study", str(study.folder)]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_token_is_named_by_its_number_or_its_text() -> None:
    pieces = [" In", " our", " view", " our"]
    assert (token_at(pieces, "3"), token_at(pieces, "our"), token_at(pieces, " view")) == (3, 1, 2)
    with pytest.raises(UserError, match="0 to 3"):
        token_at(pieces, "4")
