"""The benchmark of channels at its smallest: every method is asked, figures have their controls, a run resumes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.channels import AGENT, METHODS, RANDOM, _auc, _figures, run


def test_a_small_run_gives_every_figure_and_resumes(tmp_path):
    options = {"quick": True, "out": str(tmp_path), "candidates": 30, "channels": 2, "images": 200, "agent_inputs": 40}
    found = run(options)
    (site,) = found["methods"]
    assert set(found["methods"][site]) == set(METHODS) == set(found["all"])
    assert found["all"][RANDOM]["named"] == found["all"][RANDOM]["channels"] == 2
    assert found["all"][AGENT]["channels"] == 1 and found["channels"][0]["agent_inputs"] <= 40
    assert found["sites"][site]["own"]["units"] == found["sites"][site]["rotated"][0]["units"] > 2
    for row in found["channels"]:
        assert {*row["labels"], *row["abstained"]} >= {*METHODS} - {AGENT}
        assert set(row["auc"]) == set(row["labels"])
    kept = next((tmp_path / "units").iterdir())
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "mark": 1}))
    again = run(options)
    assert [row for row in again["channels"] if "mark" in row] and again["sites"] == found["sites"]


def test_an_abstention_counts_as_telling_nothing():
    row = {"labels": {RANDOM: {}, "program": {}}, "auc": {RANDOM: {"cells": 0.4, "images": 0.6}}}
    row["auc"]["program"] = {"cells": 0.9, "images": 0.8}
    silent = {"labels": {RANDOM: {}}, "auc": {RANDOM: {"cells": 0.5, "images": 0.5}}}
    found = _figures([row, silent], "program")
    assert found["named"] == 1 and found["auc_cells"]["value"] == pytest.approx(0.7)
    assert found["auc_cells_above_random"]["value"] == pytest.approx(0.25)


def test_auc_counts_ties_half():
    assert _auc(np.array([1.0, 0.0, 1.0]), np.array([True, False, False])) == 0.75
    assert _auc(np.zeros(3), np.zeros(3, bool)) is None
