"""Sets of directions as units of a study: recorded, kept with it, acted upon, and found again from the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from explorer_cases import shards_of
from glossator.cli import main
from glossator.errors import UserError
from glossator.files import plain
from glossator.readouts import direction_set
from glossator.recording import open_recording
from glossator.store.spec import make_spec
from glossator.study import StudySpec, open_study, run_study
from glossator.units import Unit
from study_cases import contents, small_spec, write_corpus


@pytest.fixture
def folders(tiny_folder: Path, tmp_path: Path) -> list[str]:
    """Two sets of the tiny model, at two sites."""
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    rng = np.random.default_rng(0)
    for name, site, n, width in (("mine", "mlp.0", 3, 64), ("one", "resid.1", 2, 32)):
        made = direction_set(name, site, rng.normal(size=(n, width)), subject=tiny_folder.name)
        made.save(tmp_path / name)
    return [str(tmp_path / name) for name in ("mine", "one")]


def spec_of(tiny_folder: Path, folders: list[str], **changes) -> StudySpec:
    settings = {
        "sites": ("mine@mlp.0", "one@resid.1"),
        "units": "all",
        "directions": tuple(folders),
        "explainers": ("token-list",),
        "scorers": ("correlation", "ablation"),
        "card": "both",
    }
    return small_spec(tiny_folder, **{**settings, **changes})


def test_directions_are_explained_and_acted_upon(tiny_folder: Path, folders: list[str], tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, folders)
    assert make_spec(json.loads(json.dumps(plain(spec)))) == spec
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    results = list(study.results())
    assert [str(r.unit) for r in results][:4] == [
        f"{tiny_folder.name}/{end}" for end in ("mine@mlp.0/0", "mine@mlp.0/1", "mine@mlp.0/2", "one@resid.1/0")
    ]
    scores = {s.name: s for r in results for e in r.explanations for s in e.scores}
    assert scores["correlation.top-and-random"].value is not None
    acted = [s for r in results for e in r.explanations for s in e.scores if s.name == "ablation"]
    assert acted and all(s.value is not None and s.baselines["random-unit"] is not None for s in acted)
    assert all("@" in s.how["random-unit"] for s in acted)


def test_a_neuron_as_a_direction_has_the_scores_of_the_neuron(tiny_folder: Path, tmp_path: Path) -> None:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    same = direction_set("same", "mlp.0", np.eye(64)[:3], subject=tiny_folder.name)
    same.save(tmp_path / "same")
    common = {"scorers": ("correlation", "ablation"), "card": "both", "units": (0, 1, 2)}
    neurons = run_study(small_spec(tiny_folder, **common), tmp_path / "n", progress=False)
    changes = {"sites": ("same@mlp.0",), "directions": (str(tmp_path / "same"),)}
    directions = run_study(small_spec(tiny_folder, **{**common, **changes}), tmp_path / "d", progress=False)
    assert neurons is not None and directions is not None
    pairs = list(zip(neurons.results(), directions.results(), strict=True))
    assert sum(bool(ours.explanations) for ours, _ in pairs) > 0
    for ours, theirs in pairs:
        for a, b in zip(ours.explanations, theirs.explanations, strict=True):
            assert a.text == b.text
            theirs_by_name = {score.name: score for score in b.scores}
            for score in a.scores:
                assert theirs_by_name[score.name].value == pytest.approx(score.value, abs=2e-3)


def test_a_study_keeps_its_directions(tiny_folder: Path, folders: list[str], tmp_path: Path) -> None:
    """Its causal column can be added when the folders that they came from are gone."""
    whole = run_study(spec_of(tiny_folder, folders), tmp_path / "whole", progress=False)
    small = spec_of(tiny_folder, folders, scorers=("correlation",), card="observational")
    run_study(small, tmp_path / "grown", progress=False)
    for folder in folders:
        shutil.rmtree(folder)
    grown = run_study(spec_of(tiny_folder, folders), tmp_path / "grown", progress=False)
    assert whole is not None and grown is not None
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


def test_directions_that_changed_are_refused(tiny_folder: Path, folders: list[str], tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, folders, scorers=("correlation",), card="observational")
    run_study(spec, tmp_path / "s", progress=False)
    direction_set("mine", "mlp.0", np.ones((3, 64)), subject=tiny_folder.name).save(folders[0])
    with pytest.raises(UserError, match="readout has changed"):
        run_study(spec_of(tiny_folder, folders), tmp_path / "s", progress=False)
    (kept,) = (tmp_path / "s" / "readouts" / "directions").glob("mine@*")
    direction_set("mine", "mlp.0", np.ones((3, 64)), subject=tiny_folder.name).save(kept)
    shutil.rmtree(folders[0])
    with pytest.raises(UserError, match="differs from the one recorded"):
        run_study(spec_of(tiny_folder, folders), tmp_path / "s", progress=False)


def test_what_cannot_be_studied_is_said_before_anything_is_written(
    tiny_folder: Path, folders: list[str], tmp_path: Path
) -> None:
    direction_set("mine", "mlp.0", np.ones((1, 64)), subject=tiny_folder.name).save(tmp_path / "again")
    direction_set("mine", "mlp.0", np.ones((1, 5)), subject=tiny_folder.name).save(tmp_path / "narrow")
    direction_set("mine", "mlp.0", np.ones((1, 64)), subject="another").save(tmp_path / "foreign")
    direction_set("mine", "mlp.9", np.ones((1, 64))).save(tmp_path / "nowhere")
    alone = {"sites": ("mine@mlp.0",), "units": "all"}
    for changes, words in (
        ({"directions": ()}, "the readout of this site is missing: 'mine@mlp.0'"),
        ({"directions": (folders[0],)}, "missing: 'one@resid.1'"),
        ({"sites": ("mine@mlp.0",)}, "of a site that is not studied: 'one@resid.1'"),
        ({"directions": (*folders, str(tmp_path / "again"))}, "same name and site"),
        ({"directions": (*folders, str(tmp_path))}, "no directions here"),
        ({**alone, "directions": (str(tmp_path / "narrow"),)}, "not have the width of mlp.0: 5"),
        ({**alone, "directions": (str(tmp_path / "foreign"),)}, "belong to another subject"),
        ({"sites": ("mine@mlp.9",), "directions": (str(tmp_path / "nowhere"),)}, "no such site"),
        ({**alone, "directions": (folders[0],), "units": (3,)}, "no such unit at mine@mlp.0"),
        ({**alone, "directions": (folders[0],), "units": 4}, "more units than mine@mlp.0 has"),
    ):
        with pytest.raises(UserError, match=words):
            run_study(spec_of(tiny_folder, folders, **changes), tmp_path / "s", progress=False)
        assert not (tmp_path / "s").exists()


def test_directions_from_the_command_line(
    tiny_folder: Path, folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [part for folder in folders for part in ("--directions", folder)]
    text = ["--corpus", str(tiny_folder.parent / "corpus.jsonl"), "--tokens", "6000", "--width", "32"]
    how = ["--explainer", "token-list", "--scorer", "correlation", "--side", "both"]
    command = ["run", "--subject", str(tiny_folder), *sets, *text, *how, "--out", str(tmp_path / "s")]
    assert main(command) == 0
    with open_study(tmp_path / "s") as study:
        assert len(study.names()) == 10 and study.spec.sites == ("mine@mlp.0", "one@resid.1")
        explained = next(r.unit for r in study.results() if r.explanations)
    capsys.readouterr()
    unit = f"{explained.site}/{explained.index}{'-' if explained.polarity == '-' else ''}"
    assert main(["score", unit, "--study", str(tmp_path / "s"), "--card", "both", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["scores"]
    assert next(s for s in found if s["name"] == "ablation")["value"] is not None
    assert main(["score", str(tmp_path / "s"), "--card", "both"]) == 0
    capsys.readouterr()
    assert main(["show", unit, "--study", str(tmp_path / "s")]) == 0
    shown = capsys.readouterr().out
    assert "random-unit" in shown and str(Unit(tiny_folder.name, explained.site, explained.index)) in shown
    pages = shards_of(tmp_path / "s" / "report.html")["units-0"].values()
    assert unit in {page["page"]["unit"] for page in pages}
    assert main(["run", *sets, "--out", str(tmp_path / "t")]) == 2
    assert main(["run", "--directions", str(tmp_path / "no"), "--out", str(tmp_path / "t")]) == 2
    assert "no directions here" in capsys.readouterr().err
    assert not (tmp_path / "t").exists()


def test_text_that_directions_were_found_on_is_split_as_it_was(
    tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    text = ["--corpus", str(tiny_folder.parent / "corpus.jsonl")]
    small = ["--subject", str(tiny_folder), *text, "--tokens", "6000", "--width", "32", "--seed", "3"]
    all_units = ["--site", "resid.1", "--units", "all", "--out", str(tmp_path / "r")]
    assert main(["record", *small, *all_units]) == 0
    from_recording = ["--site", "resid.1", "--recording", str(tmp_path / "r"), "--n", "2", "--out", str(tmp_path / "d")]
    assert main(["directions", "make", "principal", *from_recording]) == 0
    command = ["run", "--subject", str(tiny_folder), *text, "--directions", str(tmp_path / "d"), "--explainer"]
    command += ["token-list", "--scorer", "correlation", "--out", str(tmp_path / "s")]
    for other, words in (
        (["--tokens", "5000"], "--tokens 6000"),
        (["--seed", "0"], "--seed 3"),
        (["--width", "48"], "--width 32"),
    ):
        capsys.readouterr()
        assert main([*command, *other]) == 2
        error = capsys.readouterr().err
        assert "the test split would contain documents" in error and words in error and error.count("\n") == 1
        assert not (tmp_path / "s").exists()
    assert main(command) == 0  # without a word of these flags the text is cut as it was
    with open_study(tmp_path / "s") as study:
        assert (study.spec.max_tokens, study.spec.width, study.spec.seed) == (6000, 32, 3)
        recorded = open_recording(tmp_path / "r" / "recording")
        assert (study.recording.split_of_input == recorded.split_of_input).all()
    write_corpus(tmp_path / "other.jsonl", 200)
    assert main([*command[:-1], str(tmp_path / "t"), "--corpus", str(tmp_path / "other.jsonl"), "--seed", "1"]) == 0


def test_specs_without_directions_mean_what_they_meant(tiny_folder: Path) -> None:
    spec = small_spec(tiny_folder)
    stored = plain(spec)
    assert stored.pop("directions") == []
    assert make_spec(stored).fingerprint == spec.fingerprint
    assert replace(spec, directions=("a",)).fingerprint != spec.fingerprint
