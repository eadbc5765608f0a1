"""Baselines: registered, set beside every score; and the same architecture with random weights beside a whole study."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from explorer_cases import shards_of
from glossator import registry
from glossator.cli import main
from glossator.errors import MissingPower, UserError
from glossator.inputs import Texts
from glossator.scorers.baselines import DEFAULT_BASELINES
from glossator.statistics import mean_over_units
from glossator.study import open_study, run_study
from glossator.study.random_weights import beside_random_weights
from glossator.subjects import load_subject
from glossator.subjects.functions import FunctionSubject
from glossator.subjects.named import open_subject, parse_random
from glossator.subjects.random_weights import with_random_weights
from study_cases import contents, small_spec, write_corpus
from test_project_docs import run_blocks

ROOT = Path(__file__).resolve().parent.parent
ConstantBaseline = run_blocks(ROOT / "CONTRIBUTING.md")["ConstantBaseline"]
WITH_RANDOM = (*DEFAULT_BASELINES, "random-weights")


@pytest.fixture(scope="module")
def corpus(tiny_folder: Path) -> Path:
    return write_corpus(tiny_folder.parent / "corpus.jsonl")


@pytest.fixture(scope="module")
def compared(tiny_folder: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study beside the same architecture with random weights."""
    folder = tmp_path_factory.mktemp("compared") / "s"
    run_study(small_spec(tiny_folder, baselines=WITH_RANDOM), folder, progress=False)
    return folder


def test_a_baseline_of_ones_own(tiny_folder: Path, corpus: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(registry.BUILT_IN["baselines"], "constant", "test_baselines:ConstantBaseline")
    study = run_study(small_spec(tiny_folder, baselines=("constant", "mismatched")), tmp_path / "s", progress=False)
    scores = [s for r in study.results() for e in r.explanations for s in e.scores if s.name.startswith("detection")]
    assert scores and all(set(s.baselines) == {"constant", "mismatched"} for s in scores)
    assert {s.baselines["constant"] for s in scores if s.value is not None} == {0.5}  # AUROC of what never varies


def test_the_default_ones_are_no_part_of_the_fingerprint(tiny_folder: Path) -> None:
    spec = small_spec(tiny_folder)
    assert spec.fingerprint == small_spec(tiny_folder, baselines=DEFAULT_BASELINES).fingerprint
    assert spec.fingerprint != small_spec(tiny_folder, baselines=WITH_RANDOM).fingerprint
    with pytest.raises(UserError, match="unknown baseline: 'lokup'"):
        small_spec(tiny_folder, baselines=("lokup",))


def test_random_weights_are_other_weights_of_the_same_network(tiny_subject) -> None:
    before = {name: p.clone() for name, p in tiny_subject.model.named_parameters()}
    ours, again, other = (with_random_weights(tiny_subject, seed) for seed in (3, 3, 4))
    assert [site.name for site in ours.sites()] == [site.name for site in tiny_subject.sites()]
    assert ours.fingerprint == again.fingerprint not in (tiny_subject.fingerprint, other.fingerprint)
    drawn = 0
    for (name, a), b, c in zip(
        ours.model.named_parameters(), again.model.parameters(), other.model.parameters(), strict=True
    ):
        assert a.shape == before[name].shape and torch.equal(a, b)
        if a.ndim > 1:
            assert not torch.equal(a, before[name]) and not torch.equal(a, c), name
            drawn += "embed" in name
    assert drawn
    for name, parameter in tiny_subject.model.named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_plain_module_in_memory_is_drawn_anew() -> None:
    from tiny_models import byte_level_tokenizer

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.blocks = nn.Embedding(400, 8), nn.ModuleList([nn.Linear(8, 8)])
            self.scale = nn.Parameter(torch.full((8,), 2.0) + torch.arange(8))

        def forward(self, ids):
            return self.blocks[0](self.embed(ids)) * self.scale

    subject = load_subject(Net(), byte_level_tokenizer(), name="net")
    fresh = with_random_weights(subject, 1)
    fresh.check_unchanged()
    for a, b in zip(subject.model.parameters(), fresh.model.parameters(), strict=True):
        assert not torch.equal(a, b)
    ids = np.zeros((1, 3), np.int32)
    values = [s.activations(ids, np.array([3]), ["blocks.0"])["blocks.0"] for s in (subject, fresh)]
    assert not torch.allclose(*values), "its forward pass uses the new weights"


def valued(study, name: str) -> list[float | None]:
    """One score of the first explanation of each unit."""
    chosen = [e for r in study.results() for e in r.explanations if e.rank == 0]
    return [score.value for e in chosen for score in e.scores if score.name == name]


def test_a_study_says_what_random_weights_reach(compared: Path) -> None:
    with open_study(compared) as study, open_study(compared / "random-weights") as random:
        assert random.spec.baselines == DEFAULT_BASELINES and random.spec.subject.endswith("/tiny#0")
        assert random.counts.keys() == study.counts.keys() and sum(random.counts.values()) == 5
        assert [r.unit.index for r in random.results()] == [r.unit.index for r in study.results()]
        said = {one.score: one for one in beside_random_weights(study)}
        for name in ("correlation.top-and-random", "correlation.random-only"):
            theirs, ours = (mean_over_units(valued(one, name), bounds=(-1, 1)) for one in (random, study))
            assert (said[name].value.value, said[name].value.low, said[name].value.n) == pytest.approx(
                (theirs.value, theirs.low, theirs.n)
            )
            assert said[name].share == pytest.approx(theirs.value / ours.value) and said[name].units == 5


def test_the_line_stands_in_run_show_and_report(compared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_study(compared) as study:
        ranked = next(o for o in beside_random_weights(study) if o.score == study.ranked_by)
        text, report = str(ranked), shards_of(study.report)
    assert "% of the mean score" in text and "of 5 units" in text
    groups = report["study"]["distributions"][ranked.score]["groups"]
    means = [group["random_weights"]["value"] for group in groups if group["random_weights"]]
    assert means == [pytest.approx(ranked.value.value, abs=1e-3)]
    for command in (["run", str(compared)], ["show", str(compared)]):
        assert main(command) == 0
        assert text in capsys.readouterr().out
    assert main(["run", str(compared), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["random_weights"]
    assert {"site", "score", "value", "share", "units"} <= rows[0].keys()


def test_it_changes_nothing_else_and_goes_on(tiny_folder: Path, corpus: Path, compared: Path, tmp_path: Path) -> None:
    plain = run_study(small_spec(tiny_folder), tmp_path / "plain", progress=False)
    with open_study(compared) as study:
        assert [r.explanations for r in study.results()] == [r.explanations for r in plain.results()]
    shutil.copytree(compared, tmp_path / "again")
    for name in ("manifest.json", "study.sqlite", "report.html"):  # as if killed before its end
        (tmp_path / "again" / name).unlink()
    run_study(small_spec(tiny_folder, baselines=WITH_RANDOM), tmp_path / "again", progress=False)
    assert contents(tmp_path / "again") == contents(compared)


def test_who_has_no_weights_is_told_before_anything_is_written(tmp_path: Path, tiny_folder: Path, corpus: Path) -> None:
    texts = Texts.of([f"a text of number {n}" for n in range(40)])
    subject = FunctionSubject(lambda some: [float(len(t)) for t in some], "length", fingerprint="length")
    spec = small_spec(tiny_folder, subject="length", sites=("output",), units="all", baselines=WITH_RANDOM)
    with pytest.raises(MissingPower, match="random-weights needs a subject that can have its weights read"):
        run_study(spec, tmp_path / "s", progress=False, corpus=texts, subject=subject)
    spec = small_spec(tiny_folder, card="causal", scorers=("ablation",), baselines=WITH_RANDOM)
    with pytest.raises(UserError, match="compares observational scores"):
        run_study(spec, tmp_path / "s", progress=False)
    assert not (tmp_path / "s").exists()
    with pytest.raises(UserError, match="random-weights:NAME#SEED"):
        parse_random("random-weights:tiny")


def test_models_in_memory(tiny_subject, corpus: Path, tmp_path: Path) -> None:
    subject = load_subject(tiny_subject.model, tiny_subject.tokenizer, name="given")
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    spec = small_spec(tmp_path, subject="given", units=2, max_tokens=None, baselines=WITH_RANDOM)
    study = run_study(spec, tmp_path / "s", progress=False, corpus=texts, subject=subject)
    assert study is not None and beside_random_weights(study)
    name = open_study(tmp_path / "s" / "random-weights").recording.spec
    assert name.subject == "given" and name.subject_fingerprint != subject.fingerprint


def test_by_name(tiny_folder: Path) -> None:
    ours = open_subject(f"random-weights:{tiny_folder}#7")
    assert ours.fingerprint == with_random_weights(load_subject(str(tiny_folder)), 7).fingerprint
