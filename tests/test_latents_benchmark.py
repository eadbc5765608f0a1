"""The benchmark of latents: every group is scored, and an interrupted one goes on with what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import latents
from glossator.errors import UserError


def test_groups_are_scored_and_kept(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"quick": True, "subject": str(tiny_folder), "site": "resid.1", "neurons": "mlp.1", "width": 32}
    options |= {"tokens": 16_000, "train_tokens": 2048, "latents": 48, "k": 4, "units": 3, "others": 2}
    options |= {"folder": str(tmp_path)}
    found = latents.run(options)
    assert list(found["groups"]) == ["neurons", "sae", "pca", "ica", "random", "random-weights"]
    assert [group["units"] for group in found["groups"].values()] == [2, 3, 2, 2, 2, 3]
    assert all({"value", "low", "high"} <= set(group["correlation.random-only"]) for group in found["groups"].values())
    assert set(found["dictionaries"]) == {"trained", "random-weights"}
    assert all(one["held_out"]["loss"]["clean"] > 0 for one in found["dictionaries"].values())
    assert all(one["headline"] and one["unit"].partition("/")[2].startswith("sae@") for one in found["best"])
    monkeypatch.setattr(latents, "explain_and_score", lambda *_: pytest.fail("scored again"))
    again = latents.run(options)
    assert again["groups"] == found["groups"] and again["dictionaries"] == found["dictionaries"]
    with pytest.raises(UserError, match="unknown option"):
        latents.run({"sites": 3})
