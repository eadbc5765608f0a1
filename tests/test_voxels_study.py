"""Voxels through a whole study: fitted on the command line, explained over tokens and over whole texts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glossator.cli import main
from glossator.cli.sasc import top_ngrams
from glossator.errors import UserError
from glossator.explorer.opened import OpenedStudy
from glossator.readouts import load_readout
from glossator.store.study import open_study
from glossator.subjects.named import VECTORS, open_subject, pooled_name
from glossator.units import Unit, marked, parse_unit
from voxel_cases import NOUNS, documents, simulated


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path):
    place = tmp_path_factory.mktemp("voxels")
    lines = [json.dumps({"text": document.text}) for document in documents(80, seed=5)]
    (place / "notes.jsonl").write_text("\n".join(lines))
    rng, words = np.random.default_rng(0), [*NOUNS, "the", "of", "saw", "old", "near", "was", "grey", "wide"]
    lines = [json.dumps({"text": " ".join(rng.choice(words, 30))}) for _ in range(120)]
    (place / "words.jsonl").write_text("\n".join(lines))
    simulated(runs=5, seconds=200.0, null=3).scans.save(place / "story.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert (
            main(["voxels", "fit", "story.npz", "--subject", str(tiny_folder), "--site", "resid.1", "--out", "v"]) == 0
        )
        yield place


def test_fitting_says_what_is_predicted(here: Path, tiny_folder: Path, capsys: pytest.CaptureFixture):
    more = ["--subject", str(tiny_folder), "--site", "resid.1", "--held-out", "story-1"]
    assert main(["voxels", "fit", "story.npz", "--out", "w", *more, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["site"] == "w@resid.1" and len(told["voxels"]) == 9 and told["predicted"] >= 4
    by_name = {voxel["voxel"]: voxel for voxel in told["voxels"]}
    assert by_name["null-0"]["refused"] and by_name["null-0"]["q"] > 0.05 and by_name["king-3"]["refused"] is None
    for arguments, said in (
        (["fit", "story.npz", "--out", "w", *more], "something in this folder"),
        (["fit", "story.npz", "--out", "x", "--subject", str(tiny_folder)], "several sites"),
        (["fit", "story.npz", "--out", "x", *more, "--delays", "soon"], "invalid --delays"),
        (["fit", "none.npz", "--out", "x", *more], "no such file"),
        (["simulate", "--out", "story.npz"], "such a file already"),
    ):
        assert main(["voxels", *arguments]) == 2
        assert said in capsys.readouterr().err and not Path("x").exists()


def test_voxels_are_units_over_tokens(here: Path, capsys: pytest.CaptureFixture):
    arguments = ["--readout", "voxels:v", "--corpus", "words.jsonl", "--tokens", "12000", "--width", "32"]
    given = ["--units", "0,3,6,7", "--polarity", "±", "--out", "tokens", "--quiet"]
    assert main(["run", *arguments, *given, "--workers", "1"]) == 0
    with open_study(Path("tokens")) as study:
        found = {result.unit.index: result for result in study.results()}
        assert all(unit.unit.polarity == "±" and str(unit.unit).endswith("±") for unit in found.values())
        refused = {int(i) for i in json.loads(Path("tokens/readouts/voxels/v@resid.1/refused.json").read_text())}
        assert refused >= {7} - set(load_readout("voxels:v").predicted.tolist())
        for index, result in found.items():
            if index in refused:
                assert result.status == "insufficient" and "does not predict voxel" in result.reason
        (score,) = [s for s in found[3].explanations[0].scores if s.name == "correlation.random-only"]
        assert score.how["truth"] == "the signed value" and score.value is not None
        shares = [s.value for s in found[3].explanations[0].scores if ".share" in s.name and s.value is not None]
        assert all(0 <= share <= 1 for share in shares), "of what is above 0"
        values = study.recording.panel_values(found[3].unit)
        assert values.min() < 0 < values.max()


@pytest.mark.slow
def test_voxels_are_units_of_whole_texts(here: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    given = ["--space", "none", "--words", "1", "--quiet", "--out", "texts"]
    assert main(["sasc", "--readout", "voxels:v", "--corpus", "notes.jsonl", *given]) == 0
    said = capsys.readouterr().out
    with open_study(Path("texts")) as study:
        found = {result.unit.index: result for result in study.results()}
        assert set(found) == set(load_readout("voxels:v").predicted.tolist()), "the others are refused"
        top = {index: top_ngrams(result, study)[0][0] for index, result in found.items()}
        assert sum(result.best() is not None for result in found.values()) >= 3
    assert sum(top.get(index) == NOUNS[index] for index in range(6)) >= 4, top
    assert "tiny/v/3±" in said
    assert main(["verify", "texts"]) == 0 and main(["show", "tiny/v/3±", "--study", "texts"]) == 0

    # Looked at from elsewhere, where the folder that it was made from is not found: the study keeps a copy.
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    opened = OpenedStudy("texts", Path("../texts"))
    assert opened.windows("v/3±", True).windows
    assert opened.runs.attempt("v/3±", f"{NOUNS[3]} and {NOUNS[3]}").window.true


@pytest.mark.slow
def test_units_of_models_are_named_over_texts(here: Path, tiny_folder: Path, capsys: pytest.CaptureFixture):
    given = ["--corpus", "notes.jsonl", "--space", "none", "--words", "1", "--quiet", "--out", "neurons", "--json"]
    assert main(["sasc", "--subject", str(tiny_folder), "--site", "mlp.1", "--units", "2,5", *given]) == 0
    units = json.loads(capsys.readouterr().out)["units"]
    assert [unit["unit"] for unit in units] == ["tiny/mlp.1/2", "tiny/mlp.1/5"]
    for arguments, said in (
        ([], "nothing to explain"),
        (["detector.py:f", "--readout", "voxels:v"], "no readouts"),
        (["--readout", "voxels:v", "--site", "mlp.0"], "another site"),
        (["--readout", "voxels:v", "--negative", "--polarity", "+"], "both given"),
        (["--readout", "voxels:v", "--pool", "median"], "unknown pooling"),
        (["--subject", "function:a.py:f", "--site", "output"], "bad name of a pooled subject"),
    ):
        assert main(["sasc", *arguments, "--corpus", "notes.jsonl"]) == 2
        assert said in capsys.readouterr().err


def test_static_vectors_are_a_subject_of_words(tiny_folder: Path):
    vectors = open_subject(f"{VECTORS}{tiny_folder}")
    one, two, both = vectors.answers(["fox", "river", "fox river"])
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-6)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5) and vectors.name == "tiny-vectors"
    with pytest.raises(UserError, match="bad name of a pooled"):
        open_subject("pooled:tiny#mlp.1")
    assert pooled_name("a", "b", "max", ("voxels", "p")) == "pooled:a#voxels:p#b#max"


def test_a_polarity_of_signed_values():
    unit = parse_unit("m/v@resid.1/3±")
    assert unit == Unit("m", "v@resid.1", 3, "±") and unit.sign == 1 and str(unit) == "m/v@resid.1/3±"
    assert parse_unit("m/s/3-").sign == -1 and str(parse_unit("m/s/3+")) == "m/s/3"
    assert [marked(p) for p in ("+", "-", "±")] == ["", " (−)", " (±)"]
