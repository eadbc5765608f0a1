"""The benchmark of intervals counts what it should, on a population whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage import FIRING, SCORES, null_unit, summary, trials_of
from benchmarks.populations import Population, pairs_won
from glossator.statistics import auroc, pearson, pearson_terms, sums_by
from inducer_cases import windows_of


def population(documents=120, rare=False):
    rng = np.random.default_rng(0)
    document = np.repeat(np.arange(documents), 60)
    fires = (rng.random(documents) < (0.1 if rare else 0.8))[document] & (rng.random(len(document)) < 0.1)
    truth = fires * rng.exponential(size=len(document))
    predicted = fires * 0.7 + rng.random(len(document)) * 0.3
    y = truth - truth.mean()
    of_window = np.repeat(np.arange(documents), 3)
    largest, most = predicted.reshape(-1, 20).max(axis=1), truth.reshape(-1, 20).max(axis=1)
    terms = [sums_by(document, documents, *pearson_terms(truth, p)) for p in (predicted, predicted**2)]
    errors = sums_by(document, documents, np.ones_like(y), y, y * y, (truth - predicted) ** 2)
    won = pairs_won(largest, most > 0, of_window, documents)
    whole = Population("neuron", *terms, errors, *won, np.bincount(document, truth, documents) > 0)
    return whole, (truth, predicted, document), (most > 0, largest, of_window)


def test_the_scores_of_a_sample_are_those_of_the_library():
    whole, tokens, windows = population(30)
    found, weights = whole.statistics(np.arange(30)), np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30), 5)
    for name, same in (("correlation", pearson(*tokens, 30)), ("auroc", auroc(*windows, 30))):
        assert found[name][0].under(weights * 1.0) == pytest.approx(same.under(weights * 1.0), abs=1e-12)
    assert found["auroc"][0].deciding == auroc(*windows, 30).deciding


def test_coverage_is_counted_by_documents_and_by_firing_documents():
    trials = [
        t for rare in (False, True)
        for t in trials_of(population(rare=rare)[0], (20, 45), 60, np.random.default_rng(2))
    ]  # fmt: skip
    for score in SCORES:
        of_score = [t for t in trials if t.score == score]
        found = summary(of_score, (20, 45))
        assert all(0.85 <= found["documents"][n]["coverage"] <= 1 for n in ("20", "45"))
        assert sum(f["intervals"] for f in found["firing_documents"].values()) == len(of_score)
        assert set(found["firing_documents"]) <= {f"{a}-{b or ''}" for a, b in FIRING}
        assert 0.3 < found["without_interval"]["20"] < 0.9  # the rare unit's
    assert all(t.firing >= 10 for t in trials if t.reported)


def test_null_units_are_active_in_so_many_documents():
    windows = windows_of(1, 60)
    for number in range(3):
        active = null_unit(windows, 5, number, np.random.default_rng(number)) > 0
        assert len(np.unique(windows.documents[active.any(axis=1)])) <= 5
        assert not active[~windows.valid].any()
    assert active.sum() == 5
