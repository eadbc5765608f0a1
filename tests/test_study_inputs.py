"""Studies of subjects that take no tokens: functions of texts and of images, measurements."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from explorer_cases import shards_of, units_of
from glossator import registry
from glossator.cli import main
from glossator.corpora import open_corpus, probe_set
from glossator.errors import MissingPower, UserError
from glossator.explainers import Explainer
from glossator.explanations import Explanation, Provenance
from glossator.inputs import Stimuli, Texts
from glossator.recording import EvidenceSpec
from glossator.study import StudySpec, open_study, run_study
from glossator.subjects.functions import FunctionSubject
from glossator.subjects.measured import MeasuredSubject
from test_inputs_recorded import CELLS, N, animals, images, redness, texts


@dataclass
class Told(Explainer):
    """Says the same of every unit."""

    reads: ClassVar[frozenset[str]] = frozenset({"texts", "images", "stimuli"})

    def explain(self, evidence, *, n, seed):
        made = [Provenance("told", evidence=one.fingerprint) for one in evidence]
        return [[Explanation(one.unit, "cats, dogs", by)] for one, by in zip(evidence, made, strict=True)]


@pytest.fixture(autouse=True)
def told(monkeypatch):
    monkeypatch.setitem(registry.BUILT_IN["explainers"], "told", "test_study_inputs:Told")


def given(kind: str):
    if kind == "texts":
        return FunctionSubject(animals, "animals"), Texts.of(texts())
    if kind == "images":
        return FunctionSubject(redness, "redness", takes="images", grid=CELLS), images()
    stimuli = Stimuli.of(texts(), np.arange(N) // 20)
    return MeasuredSubject(stimuli, np.asarray(animals(list(texts()))), "voxels"), stimuli


def spec(subject, **changes) -> StudySpec:
    site = subject.sites()[0].name
    few = EvidenceSpec(min_firing_windows=1)
    return StudySpec(subject=subject.name, sites=(site,), units="all", explainers=("told",), evidence=few, **changes)


@pytest.mark.parametrize("kind", ["texts", "images", "stimuli"])
def test_a_study_is_made_resumed_and_shown(kind, tmp_path, capsys):
    subject, inputs = given(kind)
    folder = tmp_path / "study"
    with run_study(spec(subject), folder, subject=subject, corpus=inputs, progress=False) as study:
        assert study.counts["ok"] == 2 and study.recording.inputs.kind == kind
        best = next(study.results()).best()
    assert best.text == "cats, dogs"
    score = next(s for s in best.scores if s.name == "correlation")
    assert score.value is None and "program" in score.reason  # nobody reads words here
    before = (folder / "study.sqlite").read_bytes()
    run_study(spec(subject), folder, subject=subject, corpus=inputs, progress=False).close()
    assert (folder / "study.sqlite").read_bytes() == before
    site = subject.sites()[0].name
    assert main(["show", f"{site}/0", "--study", str(folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["windows"]
    assert len(shown) == 12 and all(len(w["true"]) == len(w["tokens"]) for w in shown)
    assert main(["show", f"{site}/0", "--study", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "Top test inputs" in out
    shards = shards_of(folder / "report.html")
    windows = units_of(folder / "report.html")[0]["windows"]["windows"]
    assert all((w["image"] or "").startswith("data:image/png") == (kind == "images") for w in windows)
    assert f"{N} {kind}" in dict(shards["study"]["page"]["facts"])["Inputs"]


def test_inputs_are_dealt_as_a_probe_set_says(tmp_path):
    subject, inputs = given("texts")
    probes = probe_set(inputs, fractions=(0.7, 0.0, 0.0, 0.3), seed=3, name="mine")
    with run_study(spec(subject), tmp_path / "s", subject=subject, corpus=probes, progress=False) as study:
        assert study.recording.spec.windows["corpus"] == "mine"
        assert set(np.unique(study.recording.split_of_input)) == {0, 3}


def test_a_corpus_is_read_text_by_text(tmp_path):
    subject, _ = given("texts")
    corpus = [f"{text}, number {i}" for i, text in enumerate(texts())]
    with run_study(spec(subject), tmp_path / "s", subject=subject, corpus=corpus, progress=False) as study:
        assert study.recording.inputs.kind == "texts" and len(study.recording.inputs) == N


def test_what_cannot_be_studied_is_refused_before_anything_is_written(tmp_path):
    subject, inputs = given("images")
    tokens_only = StudySpec(subject=subject.name, sites=("output",), units="all", explainers=("lookup",))
    with pytest.raises(MissingPower, match="lookup reads tokens, not images"):
        run_study(tokens_only, tmp_path / "s", subject=subject, corpus=inputs)
    with pytest.raises(MissingPower, match="takes images"):
        run_study(spec(subject), tmp_path / "s", subject=subject, corpus=Texts.of(texts()))
    with pytest.raises(UserError, match="does not take text"):
        run_study(spec(subject), tmp_path / "s", subject=subject, corpus=list(texts()))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("No image here.")
    with pytest.raises(UserError, match="takes images, and there are none in notes"):
        run_study(spec(subject), tmp_path / "s", subject=subject, corpus=open_corpus(str(tmp_path / "notes")))
    assert not (tmp_path / "s").exists()


def test_other_inputs_under_the_same_name_are_another_study(tmp_path):
    subject, inputs = given("texts")
    run_study(spec(subject), tmp_path / "s", subject=subject, corpus=inputs, progress=False).close()
    with pytest.raises(UserError, match=re.compile("holds another|differ", re.IGNORECASE)):
        run_study(spec(subject), tmp_path / "s", subject=subject, corpus=Texts.of(texts()[::-1]), progress=False)
    assert open_study(tmp_path / "s").counts["ok"] == 2


FUNCTION = """
ANIMALS = ("cat", "dog", "horse", "cow")

def animals(texts):
    return [sum(word in ANIMALS for word in text.split()) + len(text) / 50 for text in texts]
"""


def command(tmp_path, *more: str) -> list[str]:
    """`glossator run` of a function that stands in a file, on texts in another."""
    (tmp_path / "mine.py").write_text(FUNCTION)
    rows = [json.dumps({"id": f"t{i}", "text": text}) for i, text in enumerate(texts())]
    (tmp_path / "texts.jsonl").write_text("\n".join(rows))
    given = ["--corpus", str(tmp_path / "texts.jsonl"), "--explainer", "told", "--units", "all"]
    return ["run", *given, "--out", str(tmp_path / "study"), *more]


def test_a_function_in_a_file_is_studied_from_the_command_line(tmp_path, capsys):
    name = f"function:{tmp_path / 'mine.py'}:animals"
    assert main(command(tmp_path, "--subject", name)) == 0
    with open_study(tmp_path / "study") as study:
        assert study.names() == ["animals/output/0"] and study.recording.inputs.kind == "texts"
    capsys.readouterr()
    # the same again from the folder alone would import code that only a file names
    (tmp_path / "study" / "manifest.json").unlink()
    shutil.rmtree(tmp_path / "study" / "recording")
    assert main(["run", str(tmp_path / "study"), "--quiet"]) == 2
    assert "--trust" in capsys.readouterr().err
    assert main(["run", str(tmp_path / "study"), "--trust", name]) == 0


def test_measured_responses_are_studied_from_the_command_line(tmp_path):
    np.savez(tmp_path / "voxels.npz", np.asarray(animals(list(texts()))))
    assert main(command(tmp_path, "--subject", f"responses:{tmp_path / 'voxels.npz'}")) == 0
    with open_study(tmp_path / "study") as study:
        assert study.names() == ["voxels/responses/0", "voxels/responses/1"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("function:nowhere.py:f", "no such file"), ("function:json:lods", "dumps"), ("responses:a.npz", "cannot be read")],
)
def test_a_subject_that_is_not_there_is_said_in_a_line(name, said, tmp_path, capsys):
    assert main(command(tmp_path, "--subject", name)) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err and not (tmp_path / "study").exists()
