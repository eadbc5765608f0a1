"""SASC on transformer factors by layer: every layer is named and scored, and labels of people stand beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import sasc_factors
from glossator.errors import UserError
from study_cases import write_corpus
from tiny_models import save_tiny


@pytest.mark.slow
def test_layers_are_named_and_scored_beside_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiny_models import byte_level_tokenizer

    subject = save_tiny(tmp_path / "bert", "bert", byte_level_tokenizer())
    corpus = write_corpus(tmp_path / "corpus.jsonl")
    human = tmp_path / "human.jsonl"
    human.write_text(json.dumps({"layer": 1, "factor": 3, "label": "animals"}) + "\n")
    options = {"subject": str(subject), "corpus": str(corpus), "latents": 24, "tokens": 6000, "train_tokens": 4096}
    options |= {"width": 32, "ngrams": 60, "factors": 1, "space": "none", "folder": str(tmp_path / "f")}
    found = sasc_factors.run(options | {"human": str(human)})
    assert [one["layer"] for one in found["layers"]] == [0, 1] and found["layers"][1]["factors"] in (1, 2)
    assert found["dictionary"]["held_out"]["by_site"].keys() == {"resid.0", "resid.1"}
    assert set(found["human"]) == set(sasc_factors.SCORES)
    assert found["trend"]["sigma.corpus"]["reason"]  # too few units
    monkeypatch.setattr(sasc_factors, "explain_modules", lambda *_: pytest.fail("named again"))
    assert sasc_factors.run(options | {"human": str(human)})["layers"] == found["layers"]
    human.write_text("{}")
    with pytest.raises(UserError, match=r"line 1 of .* is no label"):
        sasc_factors.run(options | {"human": str(human)})
