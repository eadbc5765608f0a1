"""A readout of one's own, that of CONTRIBUTING: a dictionary is one file, its latents are units."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from glossator import registry
from glossator.cli import main
from glossator.errors import MissingPower, UserError
from glossator.files import plain
from glossator.inputs import token_windows
from glossator.readouts import BaseReadout, direction_set, load_readout
from glossator.store.spec import make_spec
from glossator.study import open_study, run_study
from glossator.study.sources import kept_readouts
from glossator.subjects import load_subject
from study_cases import small_spec, write_corpus
from test_project_docs import run_blocks

ROOT = Path(__file__).resolve().parent.parent
Dictionary = run_blocks(ROOT / "CONTRIBUTING.md")["Dictionary"]
SITE, LATENTS = "sae@resid.0", 12


class Unwritten(Dictionary):
    """The same, of which nobody knows what its latents write."""

    def __init__(self, path: Path, *, site: str | None = None):
        super().__init__(path, site=site)
        self.writes_at = None

    def part(self, index: int) -> object:
        return BaseReadout.part(self, index)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dictionary of the tiny model's residual stream, and the names under which it is registered."""
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    for name, cls in (("toy-sae", "Dictionary"), ("unwritten", "Unwritten")):
        monkeypatch.setitem(registry.BUILT_IN["readouts"], name, f"test_readouts:{cls}")
    rng = np.random.default_rng(0)
    (tmp_path / "own").mkdir()
    np.savez(
        tmp_path / "own" / "sae.npz", encoder=rng.normal(size=(32, LATENTS)), decoder=rng.normal(size=(LATENTS, 32))
    )
    return tmp_path / "own"


def spec_of(tiny_folder: Path, folder: Path, kind: str = "toy-sae", **changes):
    settings = {
        "sites": (SITE,),
        "units": "all",
        "readouts": (f"{kind}:{folder}@resid.0",),
        "explainers": ("token-list",),
        "scorers": ("correlation", "ablation"),
        "card": "both",
    }
    return small_spec(tiny_folder, **{**settings, **changes})


def test_latents_are_recorded_explained_and_acted_upon(tiny_folder: Path, folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, folder)
    assert make_spec(json.loads(json.dumps(plain(spec)))) == spec
    study = run_study(spec, tmp_path / "s", progress=False)
    assert study is not None
    recording, subject = study.recording, load_subject(str(tiny_folder))
    assert recording.sites[SITE].kind == "sparse" and recording.sites[SITE].width == LATENTS
    windows = token_windows(recording.inputs)
    with torch.inference_mode():
        resid = subject.activations(windows.tokens, windows.lengths, ["resid.0"])["resid.0"]
        values, latents = load_readout(spec.readouts[0]).read(resid)
    results = list(study.results())
    for result in results:
        expected = torch.where(latents == result.unit.index, values, 0).sum(-1).numpy()
        stored = recording.values(result.unit, np.arange(len(windows)))
        np.testing.assert_allclose(stored, np.where(windows.valid, expected, 0), rtol=2e-3, atol=1e-5)
    scores = [s for r in results for e in r.explanations for s in e.scores]
    assert any(s.value is not None for s in scores if s.name == "correlation.top-and-random")
    acted = [s for s in scores if s.name == "ablation"]
    assert acted and all(s.baselines["random-unit"] is not None for s in acted if s.value is not None)
    assert any(s.value is not None for s in acted)


def test_a_study_keeps_its_readouts(tiny_folder: Path, folder: Path, tmp_path: Path) -> None:
    spec = spec_of(tiny_folder, folder, scorers=("correlation",), card="observational")
    recorded = run_study(spec, tmp_path / "s", progress=False).recording
    given = load_readout(spec.readouts[0])
    shutil.rmtree(folder)
    (kept,) = kept_readouts(recorded).values()
    assert kept.fingerprint == given.fingerprint == recorded.spec.readouts[SITE]
    assert (tmp_path / "s" / "readouts" / "toy-sae" / SITE).is_dir()


def test_what_cannot_be_acted_upon_says_so(tiny_folder: Path, folder: Path, tmp_path: Path) -> None:
    study = run_study(spec_of(tiny_folder, folder, "unwritten", units=2), tmp_path / "s", progress=False)
    acted = [s for r in study.results() for e in r.explanations for s in e.scores if s.name == "ablation"]
    assert acted and all(s.value is None and "cannot be intervened on" in s.reason for s in acted)


def test_readouts_by_their_names(tiny_folder: Path, folder: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    own = direction_set("joy", "mlp.0", np.eye(64)[:2], subject=tiny_folder.name).save(tmp_path / "a@b" / "joy")
    assert (
        load_readout(f"directions:{own}").site_name == load_readout(f"directions:{own}@mlp.0").site_name == "joy@mlp.0"
    )
    for text, words in (
        ("joy", "KIND:PATH@SITE"),
        (f"dictions:{own}", "unknown readout: 'dictions'"),
        (f"directions:{own}@mlp.1", "belong to another site"),
        (f"directions:{tmp_path}", "no directions here"),
    ):
        with pytest.raises(UserError, match=words):
            load_readout(text)
    with pytest.raises(MissingPower, match="cannot be intervened on"):
        Unwritten(folder, site="resid.0").part(0)
    text = ["--corpus", str(tiny_folder.parent / "corpus.jsonl"), "--tokens", "6000", "--width", "32"]
    how = ["--explainer", "token-list", "--scorer", "correlation", *text]
    for name, flag in (("a", ["--directions", str(own)]), ("b", ["--readout", f"directions:{own}@mlp.0"])):
        assert main(["run", *flag, "--subject", str(tiny_folder), *how, "--out", str(tmp_path / name)]) == 0
    with open_study(tmp_path / "a") as a, open_study(tmp_path / "b") as b:
        assert list(a.results()) == list(b.results()) and len(list(a.results())) == 2
