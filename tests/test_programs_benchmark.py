"""What `bench programs` tells beside correlations: shares of the activation, and programs of one source on others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import kept, program_shares, programs
from benchmarks.program_shares import means_of, shares, transfer
from glossator.evidence import Evidence
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Headline, Mode, Peaks
from glossator.programs import Clause, Program, Token
from glossator.scorers.lab import Lab
from inducer_cases import LEXICON, UNIT, WORDS, evidence_of, windows_of
from scorer_cases import LEXICON as TOYS
from scorer_cases import TokenWorld


def test_a_class_accounts_for_what_falls_on_its_tokens():
    world = TokenWorld(noise=0.0)
    best = np.argsort(-world.strengths)[:3].tolist()
    named = Headline("words", Program(0.0, (Clause(1.0, Token(tuple(f" w{i}" for i in best))),)))
    truth = world.truth()
    explanation = dataclasses.replace(
        truth, headline=named, modes=(Mode(named, 0.5, 2.0),), peaks=Peaks((), truth.program)
    )
    evidence = world.evidence()
    found = shares(evidence, explanation, Lab(TOYS))
    test = evidence.test.of("random")
    holds = np.isin(test.windows.tokens, best) & test.valid
    assert found["headline_activation"] == pytest.approx(
        test.activations[holds].sum() / test.activations.sum(), rel=1e-4
    )
    assert found["headline_tokens"] == pytest.approx(holds.sum() / test.valid.sum())
    assert found["modes_activation"] == found["headline_activation"] < found["program_activation"] <= 1.0
    assert found["peaks_hit"] == found["program_peak_hit"] == 1.0 > found["headline_peak_hit"]
    nothing = shares(evidence, None, Lab(TOYS))
    assert nothing["headline_activation"] == nothing["program_tokens"] == 0.0
    assert means_of([found, nothing])["headline_tokens"] == pytest.approx(found["headline_tokens"] / 2)


def test_programs_are_found_in_one_source_and_tried_on_the_others(monkeypatch):
    """The unit fires on one set of words in source a and on another in source b."""
    monkeypatch.setattr(program_shares, "LEAST_TOKENS", 100)

    def of_source(seed: int):
        windows = windows_of(seed)
        windows.documents[:] = np.arange(len(windows)) // 4
        in_a = windows.documents % 2 == 0
        first, second = (np.isin(windows.tokens, range(start, start + 6)) for start in (0, 20))
        return windows, np.where(in_a[:, None], first, second).astype(np.float32)

    explain, test = (evidence_of(values, windows) for windows, values in map(of_source, (0, 1)))
    evidence = Evidence(UNIT, explain, *[test.exemplars] * 3, test.statistics, "ok", "")
    recording = SimpleNamespace(group_ids=[f"{'ab'[i % 2]}:{i}" for i in range(100)])
    found = transfer(recording, [(UNIT, evidence)], ProgramExplainer(lexicon=LEXICON))
    assert found["sources"] == ["a", "b"] and found["programs"] == 2 and len(WORDS) > 26
    assert found["within"] > 0.9 and found["across"] < 0.2


def test_a_network_with_random_weights_stands_beside_the_trained_one(tiny_folder: Path, tmp_path: Path) -> None:
    options = {
        "quick": True,
        "subject": str(tiny_folder),
        "sites": ("mlp.1",),
        "units": 3,
        "tokens": 16_000,
        "width": 32,
    }
    found = programs.run(options | {"transfer_units": 1, "random_units": 2, "folder": str(tmp_path)})
    assert set(found["random_weights"]) == {"mlp.1"} and found["random_weights"]["mlp.1"]["lookup"] is not None
    assert len(list(tmp_path.glob("programs-*/manifest.json"))) == 2  # each network has its own recording


def test_a_run_that_was_stopped_goes_on_and_says_the_same(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "quick": True, "subject": str(tiny_folder), "sites": ("mlp.0", "mlp.1"), "units": 2, "tokens": 16_000,
        "width": 32, "transfer_units": 0, "folder": str(tmp_path),
    }  # fmt: skip
    measured, made = programs._layer, []

    def stopped(site: str, *others: Any) -> Any:
        if site == "mlp.1" and len(made) < 2:
            made.append("stopped")
            raise KeyboardInterrupt
        made.append(site)
        return measured(site, *others)

    monkeypatch.setattr(programs, "_layer", stopped)
    with pytest.raises(KeyboardInterrupt):
        programs.run(options)
    found = programs.run(options)
    assert made == ["mlp.0", "stopped", "mlp.1"]
    assert programs.run(options) == found and len(made) == 3
    monkeypatch.setattr(kept, "code", lambda: "other code")
    programs.run(options)
    assert made[3:] == ["mlp.0", "mlp.1"]  # figures of other code are made again
