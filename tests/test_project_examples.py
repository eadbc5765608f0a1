"""The examples of CONTRIBUTING do what they say, on a unit whose activations are made by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from glossator.evidence import Evidence, Exemplars, ExplainEvidence, UnitStatistics
from glossator.explainers import explain_one
from glossator.explanations import Explanation, Headline, Provenance
from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import Lexicon, parse_program
from glossator.scorers.lab import Lab
from glossator.study import StudySpec, run_study
from glossator.units import Unit
from test_project_docs import blocks, run_blocks

ROOT = Path(__file__).resolve().parent.parent
TEXTS = ("the", " cat", " sat", " down", " again")
VOCABULARY = Vocabulary("five", tuple(text.encode() for text in TEXTS))
UNIT = Unit("toy", "mlp.0", 3)


def split_of(seed: int) -> Exemplars:
    """24 windows of 10 tokens, 12 top and 12 random, one document each; the unit is 2.0 at " sat" and else 0."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, len(TEXTS), (24, 10)).astype(np.int32)
    rows = np.arange(24)
    windows = TokenWindows(
        tokens,
        np.full(24, 10, np.int32),
        np.ones((24, 10), bool),
        rows.astype(np.int64),
        rows.astype(np.int64),
        VOCABULARY,
    )
    kinds = np.array(["top"] * 12 + ["random"] * 12)
    return Exemplars(windows, np.where(tokens == 2, 2.0, 0.0).astype(np.float32), kinds)


def small_unit() -> tuple[Unit, Evidence, Explanation]:
    """A unit, its evidence, and an explanation that also names a token at which the unit is silent."""
    statistics = UnitStatistics(240, 0.4, 0.64, 1.5, 3.25, 2.0, 1.0, 0.2, "half of the maximum")
    explain = ExplainEvidence(UNIT, split_of(0), statistics, "0" * 16)
    evidence = Evidence(UNIT, explain, split_of(1), split_of(2), split_of(3), statistics)
    program = parse_program('0.0 + 2.0*token(" sat") + 1.0*token(" down")')
    headline = Headline("sat or down", parse_program('0.0 + token(" sat", " down")'))
    return UNIT, evidence, Explanation(UNIT, "sat or down", Provenance("by hand"), program, headline=headline)


def small_lab() -> Lab:
    return Lab(lexicon=Lexicon.for_windows(VOCABULARY, None))


@pytest.fixture(scope="module")
def examples() -> dict:
    return run_blocks(ROOT / "CONTRIBUTING.md")


def test_the_scorer_example_counts_shared_silence(examples: dict) -> None:
    unit, evidence, explanation = small_unit()
    (score,) = examples["SilenceScorer"]().score(unit, explanation, evidence, small_lab())
    tokens = evidence.test.of("random").windows.tokens
    assert score.name == "silence.random-only"
    assert score.value == pytest.approx(1 - (tokens == 3).sum() / (tokens != 2).sum())
    assert score.low < score.value < score.high
    assert score.n == 12


def test_the_explainer_example_finds_the_token(examples: dict) -> None:
    _, evidence, _ = small_unit()
    explainer = examples["LoudestTokenExplainer"]()
    (found,) = explain_one(explainer, evidence.explain, n=1)
    assert str(found.program) == '0.0 + 2.0*token(" sat")'
    assert "sat" in found.text


def test_the_explainer_example_abstains_on_a_silent_unit(examples: dict) -> None:
    unit, evidence, _ = small_unit()
    silent = Exemplars(evidence.test.windows, np.zeros((24, 10), np.float32), evidence.test.kinds)
    shown = ExplainEvidence(unit, silent, evidence.statistics, "0" * 16)
    assert explain_one(examples["LoudestTokenExplainer"](), shown, n=1) == []


def test_the_examples_are_as_short_as_promised() -> None:
    for block in blocks((ROOT / "CONTRIBUTING.md").read_text(), "python"):
        assert len([line for line in block.splitlines() if line.strip()]) <= 22


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md"])
def test_the_library_examples_run(
    name: str, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a random model of two layers and less text in place of the real ones; scores with intervals are printed."""
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks((ROOT / name).read_text(), "python"))
    if "studies/layer-12" in code:  # made by the commands above it
        spec = StudySpec(str(tiny_folder), ("mlp.1",), units=(7,), width=32, max_tokens=40960, explainers=("lookup",))
        run_study(spec, "studies/layer-12", progress=False)
    for real, small in {
        "mlp.12/575": "mlp.1/7",
        "max_tokens=16384": "width=32, max_tokens=40960",
        '"smollm2-135m"': repr(str(tiny_folder)),
        "mlp.12": "mlp.1",
        "units=(345,)": "units=(7,), width=32, max_tokens=122880",
        "345": "7",
        "width=64, max_tokens=65536": "width=32, max_tokens=122880",
    }.items():
        code = code.replace(real, small)
    exec(compile(code, name, "exec"), {"__name__": "example"})
    printed = capsys.readouterr().out
    assert re.search(r"correlation\.top-and-random: 0\.\d+ \[-?0\.\d+, 0\.\d+\]", printed)
