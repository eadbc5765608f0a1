"""The benchmark of voxels and topics runs, and its planted groups of explanations differ as they should."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.voxels import run, topics_apart


def test_planted_topics_differ_and_shuffled_ones_do_not() -> None:
    found = topics_apart(8, seed=3)
    assert np.mean(found["topics_planted"]) >= 0.75 and np.mean(found["topics_null"]) <= 0.25


@pytest.mark.slow
@pytest.mark.weights
def test_a_small_run_has_every_figure() -> None:
    found = run({"quick": True, "repetitions": 4})
    assert len(found["voxels"]) == 12 and found["voxels_null_explained"] <= 2 / 6
    assert 0 <= found["voxels_found"] <= found["voxels_predicted"] <= 1
    assert set(found["intervals"]) >= {"voxels_found", "voxels_null_explained", "topics_planted", "topics_null"}
