"""A study whose subject, text or directions are others by now is refused wherever something is added to it or drawn
from it; what is no longer there cannot have changed, and looking needs neither."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from glossator.cli import main
from glossator.errors import UserError
from glossator.files import plain
from glossator.grid import GridSpec, run_grid
from glossator.study import StudySpec, open_study, run_study
from study_cases import small_spec, write_corpus


def other_weights(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    changed = {name: value.flip(0) if "up_proj" in name else value for name, value in weights.items()}
    save_file({name: value.contiguous() for name, value in changed.items()}, model / "model.safetensors")


def other_text(model: Path) -> None:
    corpus = model.parent / "corpus.jsonl"
    corpus.write_text("".join(corpus.read_text().replace("fox", "cat")))


def other_tokenizer(model: Path) -> None:
    saved = json.loads((model / "tokenizer.json").read_text())
    vocabulary = saved["model"]["vocab"]
    vocabulary["a"], vocabulary["o"] = vocabulary["o"], vocabulary["a"]
    (model / "tokenizer.json").write_text(json.dumps(saved))


CHANGES = [
    (other_weights, "the subject has changed"),
    (other_tokenizer, "the subject's tokenizer has changed"),
    (other_text, "the text has changed"),
]


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path) -> Path:
    write_corpus(tmp_path / "corpus.jsonl")
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def spec_of(model: Path, **changes: object) -> StudySpec:
    return small_spec(model, **{"units": 2, "max_tokens": 3000, "scorers": ("correlation",), **changes})


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_finished_study_is_not_used_with_another_model_or_text(
    model: Path, tmp_path: Path, change: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, spec = tmp_path / "s", spec_of(model)
    run_study(spec, folder, progress=False)
    with open_study(folder) as study:
        unit = study.names()[0]
    change(model)
    for command in (
        ["run", folder], ["explain", folder], ["score", folder], ["score", folder, "--card", "both"],
        ["score", unit, "--study", folder], ["score", unit, "--study", folder, "--card", "causal"],
        ["human", "export", folder, "--task", "simulation", "--out", tmp_path / "out"],
        ["directions", "find", folder, "--site", "mlp.0", "--out", tmp_path / "d"],
    ):  # fmt: skip
        code, said = main([*map(str, command)]), capsys.readouterr().err
        assert (code, message in said) == (2, True), (command, said)
    assert not (tmp_path / "out").exists()
    for command in (["show", unit, "--study", folder], ["search", "token", "--study", folder]):
        assert main([*map(str, command)]) == 0, command


@pytest.mark.parametrize(("change", "message"), CHANGES)
@pytest.mark.parametrize("until", ["record", "explain"])
def test_an_unfinished_study_does_not_go_on_with_another_model_or_text(
    model: Path, tmp_path: Path, change: Callable[[Path], None], message: str, until: str
) -> None:
    spec = spec_of(model)
    run_study(spec, tmp_path / "s", until=until, progress=False)  # type: ignore[arg-type]
    change(model)
    with pytest.raises(UserError, match=message):
        run_study(spec, tmp_path / "s", progress=False)


@pytest.mark.parametrize("until", ["explain", "score"])
def test_labels_of_a_study_are_those_of_one_file(model: Path, tmp_path: Path, until: str) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("unit,label\nmlp.0/1,months\nmlp.0/2,foxes\n")
    spec = spec_of(
        model, units=(1, 2), sites=("mlp.0",), explainers=("labels",), options={"labels": {"file": str(labels)}}
    )
    folder = tmp_path / "s"
    run_study(spec, folder, until=until, progress=False)  # type: ignore[arg-type]
    labels.write_text("unit,label\nmlp.0/1,months\nmlp.0/2,cats\n")
    with pytest.raises(UserError, match="a file has changed since units of this study were explained"):
        run_study(spec, folder, progress=False)
    if until == "score":
        larger = replace(spec, units=(1, 2, 3))
        with pytest.raises(UserError, match=r"a file has changed .*labels\.csv"):
            run_study(larger, folder, progress=False)
    labels.write_text("unit,label\nmlp.0/2,foxes\nmlp.0/1,months\n")  # the same, in another order
    study = run_study(spec, folder, progress=False)
    assert study is not None
    with study:
        assert [[e.text for e in result.explanations] for result in study.results()] == [["months"], ["foxes"]]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_a_recording_does_not_go_on_with_another_model_or_text(
    model: Path, tmp_path: Path, change: Callable[[Path], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glossator.recording import recorder

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    spec = spec_of(model)
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "_finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run_study(spec, tmp_path / "s", progress=False)
    change(model)
    with pytest.raises(UserError, match=message):
        run_study(spec, tmp_path / "s", progress=False)


def test_a_grid_does_not_mix_two_models(model: Path, tmp_path: Path) -> None:
    one = plain(spec_of(model))
    own = {name: one.pop(name) for name in ("subject", "sites", "units")}
    shared = {name: one[name] for name in ("corpus", "max_tokens", "width", "scorers")}
    grid = GridSpec(subjects=(own,), explainers=("token-list",), shared=shared)
    assert [cell.failure for cell in run_grid(grid, tmp_path / "g")] == [None, None]
    other_weights(model)
    for cell in run_grid(grid, tmp_path / "g"):
        assert "the subject has changed" in str(cell.failure)


def test_directions_of_another_model_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_study(spec_of(model, units="all"), tmp_path / "s", until="record", progress=False)
    (tmp_path / "up.txt").write_text("the fox jumps\nthe lazy dogs")
    (tmp_path / "down.txt").write_text("cannery in 1987\nreturn (a, b):")
    groups = ["--positive", tmp_path / "up.txt", "--negative", tmp_path / "down.txt", "--subject", model]
    made = {"principal": ["--recording", tmp_path / "s"], "difference": groups}
    for method, given in made.items():
        out = ["--site", "mlp.0", "--name", method, "--out", tmp_path / method]
        assert main([*map(str, ["directions", "make", method, *given, *out])]) == 0, capsys.readouterr().err
    other_weights(model)
    for method in made:
        spec = spec_of(model, sites=(f"{method}@mlp.0",), units="all", directions=(str(tmp_path / method),))
        with pytest.raises(UserError, match="has changed since this readout was made"):
            run_study(spec, tmp_path / f"of-{method}", progress=False)


def test_a_file_whose_name_is_not_utf8_is_refused_before_anything_is_done(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"corpus-\xff.jsonl")
    shutil.copy(tmp_path / "corpus.jsonl", odd)
    with pytest.raises(UserError, match="in UTF-8"):
        run_study(spec_of(model, corpus=str(odd)), tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()


def test_what_is_gone_is_not_missed(model: Path, tmp_path: Path) -> None:
    """Everything is recorded: neither the model nor its text are needed any more."""
    spec = spec_of(model)
    run_study(spec, tmp_path / "s", until="record", progress=False)
    shutil.rmtree(model)
    (tmp_path / "corpus.jsonl").unlink()
    for _ in range(2):
        study = run_study(spec, tmp_path / "s", progress=False)
        assert study is not None
        assert study.counts["ok"] == 2
        study.close()
