"""The benchmark of acting on neurons: its figures, what it times, and a small run on real neurons."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import causal
from causal_cases import subject_of, tiny_windows
from glossator.causal.acting import InPlace, divergences_in_place
from glossator.scorers.ablation_trial import RANDOM_UNIT
from glossator.scores import Score
from glossator.units import Unit


def test_what_is_timed_is_what_is_returned():
    subject = subject_of("llama")
    windows = tiny_windows(subject)
    planned = {(str(i), "mean"): InPlace(Unit("tiny-llama", "mlp.1", i), float(i)) for i in range(5)}
    found, seconds, floor = causal.timed_divergences(subject, windows, planned)
    assert list(found) == list(planned)
    expected = divergences_in_place(subject, windows, list(planned.values()))
    np.testing.assert_allclose(np.stack(list(found.values())), expected, rtol=1e-5, atol=1e-12)
    assert seconds > 0
    assert floor > 0


def scored(number, value, random, correlation):
    reason = None if value is not None else "nothing"
    score = Score("ablation", value, "fraction", baselines={RANDOM_UNIT: random}, reason=reason)
    return causal.Scored(
        Unit("s", "mlp.0", number), None, score, {"top-and-random": correlation, "random-only": -correlation}
    )


def test_figures_over_units():
    units = [scored(i, 0.1 * i, 0.01, 0.2 * i) for i in range(9)] + [scored(9, None, None, 0.5)]
    found = causal._figures(units, seconds=6.0, floor=8.0, passes=20)
    assert found["cost_ratio"] == 0.75
    assert found["scored"] == 9
    assert found["ablation_score"]["value"] == pytest.approx(0.4)
    assert found["random_unit"]["value"] == pytest.approx(0.01)
    assert found["difference"]["value"] == pytest.approx(0.39)
    assert found["rank_correlation_top_and_random"]["value"] == pytest.approx(1)
    assert found["rank_correlation"]["value"] == pytest.approx(-1)
    nothing = causal._figures(units[-1:], seconds=1.0, floor=1.0, passes=1)
    assert nothing["ablation_score"]["value"] is None
    assert "fewer than 2 units" in nothing["ablation_score"]["reason"]


@pytest.mark.slow
@pytest.mark.weights
def test_a_small_run_on_real_neurons(tmp_path):
    options = {"sites": ("mlp.28",), "units": 2, "recorded_units": 4, "tokens": 8192, "windows": 4, "tokens_each": 16}
    found = causal.run({"quick": True, **options, "folder": str(tmp_path)})
    (site,) = found["sites"]
    assert site["site"] == "mlp.28"
    for keys in (found, site):
        assert {"cost_ratio", "rank_correlation", "ablation_score", "random_unit"} <= set(keys)
    assert any(row["ablation_score"] is not None for row in found["units"])
    for row in found["units"]:
        if row["ablation_score"] is None:
            assert row["reason"] and row["low"] is None and row["high"] is None
            continue
        assert row["low"] <= row["ablation_score"] <= row["high"] <= 1
        assert 1e-9 < row["nats_of_mean_ablation"] < 0.1
