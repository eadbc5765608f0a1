"""Intervals and the statistics under them, against brute force, SciPy and simulated populations."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from glossator.statistics import (
    Resampled,
    auroc,
    document_index,
    estimate,
    mean_over_units,
    paired_difference,
    paired_ratio,
    pearson,
    percentile_interval,
    ratio,
    resample_weights,
    undefined,
)


def correlated(rng, documents=60, tokens=40, slope=0.7):
    """Tokens whose documents differ: (truth, prediction, document of token)."""
    index = np.repeat(np.arange(documents), rng.integers(tokens // 2, tokens, documents))
    shared = rng.normal(size=documents)[index]
    truth = shared + rng.normal(size=len(index))
    return truth, slope * truth + shared * rng.normal() + rng.normal(size=len(index)), index


def test_weights_draw_as_many_documents_as_there_are_and_are_seeded():
    weights = resample_weights(37, 500, seed=3)
    assert weights.shape == (500, 37)
    assert (weights.sum(axis=1) == 37).all()
    assert weights.std() == pytest.approx(np.sqrt(1 - 1 / 37), rel=0.05)  # multinomial: variance 1 - 1/D
    assert (weights == resample_weights.__wrapped__(37, 500, 3)).all()
    assert (weights != resample_weights(37, 500, seed=4)).any()


def test_pearson_under_weights_is_pearson_of_repeated_documents():
    rng = np.random.default_rng(0)
    truth, prediction, index = correlated(rng)
    statistic = pearson(truth, prediction, index, 60)
    assert statistic.value == pytest.approx(stats.pearsonr(truth, prediction).statistic, abs=1e-12)
    weights = resample_weights(60, 20, seed=1)
    for row, r in zip(weights, statistic.under(weights), strict=True):
        tokens = np.repeat(np.arange(len(index)), row[index].astype(int))
        assert r == pytest.approx(np.corrcoef(truth[tokens], prediction[tokens])[0, 1], abs=1e-12)


def test_pearson_survives_a_large_mean():
    rng = np.random.default_rng(1)
    truth, prediction, index = correlated(rng)
    there = pearson(truth + 1e6, prediction * 1e-6 - 1e3, index, 60).value
    assert there == pytest.approx(pearson(truth, prediction, index, 60).value, abs=1e-6)


@pytest.mark.parametrize(("decimals", "items"), [(0, 40), (1, 200), (6, 200)])
def test_auroc_under_weights_is_the_mann_whitney_count(decimals, items):
    rng = np.random.default_rng(2)
    index = rng.integers(0, 15, items)
    positive = rng.random(items) < 0.3
    score = np.round(rng.normal(size=items) + positive, decimals)
    statistic = auroc(positive, score, index, 15)
    weights = np.vstack([np.ones(15), resample_weights(15, 10, seed=1)])
    for row, found in zip(weights, statistic.under(weights), strict=True):
        item = np.repeat(np.arange(items), row[index].astype(int))
        p, s = positive[item], score[item]
        wins = (s[p][:, None] > s[~p]).sum() + (s[p][:, None] == s[~p]).sum() / 2
        assert found == pytest.approx(wins / (p.sum() * (~p).sum()), abs=1e-12)


def test_auroc_of_one_class_is_undefined_with_a_reason():
    assert auroc(np.ones(3, bool), np.arange(3.0), np.arange(3), 3).reason == "all items are positive"
    assert auroc(np.zeros(3, bool), np.arange(3.0), np.arange(3), 3).reason == "no positive items"


def test_ratio():
    statistic = ratio(np.array([1.0, 2.0]), np.array([4.0, 4.0]), one_minus=True)
    assert statistic.value == pytest.approx(1 - 3 / 8)
    assert np.isnan(ratio(np.array([0.0, 1.0]), np.array([0.0, 1.0])).under(np.array([[2.0, 0.0]]))[0])
    assert ratio(np.zeros(2), np.zeros(2), reason="silent").reason == "silent"


@pytest.mark.parametrize(
    ("truth", "prediction", "reason"),
    [
        ([0.1, 0.1, 0.1], [1.0, 2.0, 3.0], "true activations are constant"),
        ([1.0, 2.0, 3.0], [0.1, 0.1, 0.1], "prediction is constant"),
    ],
)
def test_constant_data_have_no_correlation(truth, prediction, reason):
    found = estimate(pearson(np.array(truth), np.array(prediction), np.arange(3), 3))
    assert found.value is None and found.low is None and reason in found.reason


def test_one_document_has_no_value():
    found = estimate(pearson(np.arange(5.0), np.arange(5.0) ** 2, np.zeros(5, int), 1))
    assert found.value is None and "fewer than 2 documents" in found.reason


def test_resamples_that_lack_the_only_firing_document_are_counted_not_scored():
    truth, prediction = np.zeros(200), np.tile([0.0, 1.0], 100)
    truth[7] = 5.0
    found = estimate(pearson(truth, prediction, np.repeat(np.arange(20), 10), 20))
    assert found.defined == pytest.approx(1 - (1 - 1 / 20) ** 20, abs=0.05)
    assert found.low is not None and found.low <= found.value <= found.high
    assert percentile_interval(np.array([1.0, np.nan, np.nan]))[:2] == (None, None)


def test_percentile_interval_is_numpys():
    draws = np.random.default_rng(0).normal(size=1001)
    assert percentile_interval(draws, 0.9)[:2] == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])))


def test_document_index_numbers_documents():
    index, documents = document_index(np.array([9, 4, 9, 100]))
    assert index.tolist() == [1, 0, 1, 2] and documents == 3


def coverage(true_value, draw, statistic, trials, documents, resamples=400):
    """Share of trials whose interval holds the true value."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(trials):
        found = estimate(statistic(*draw(rng, documents)), resamples=resamples)
        hits += found.low <= true_value <= found.high
    return hits / trials


def clustered(rng, documents, tokens=30):
    """Truth and prediction share half of their variance within and between documents: the true r is 0.5."""
    index = np.repeat(np.arange(documents), tokens)

    def both(size):
        common = rng.normal(size=size)
        return (common + rng.normal(size=size)) / 2, (common + rng.normal(size=size)) / 2

    (a, b), (c, d) = both(documents), both(documents * tokens)
    return a[index] + c, b[index] + d, index, documents


def test_intervals_cover_the_true_correlation_and_token_resampling_does_not():
    assert 0.88 <= coverage(0.5, clustered, pearson, trials=200, documents=60) <= 0.99

    def token_wise(truth, prediction, index, documents):
        return pearson(truth, prediction, np.arange(len(index)), len(index))

    assert coverage(0.5, clustered, token_wise, trials=40, documents=60, resamples=100) < 0.75


@pytest.mark.slow
def test_coverage_of_correlation_auroc_and_mean_is_nominal():
    assert 0.925 <= coverage(0.5, clustered, pearson, trials=2000, documents=100, resamples=1000) <= 0.97

    def windows(rng, documents):
        positive = rng.random(documents) < 0.4
        return positive, rng.normal(size=documents) + positive, np.arange(documents), documents

    true_area = stats.norm.cdf(1 / np.sqrt(2))
    assert 0.925 <= coverage(true_area, windows, auroc, trials=2000, documents=100, resamples=1000) <= 0.97
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        found = mean_over_units(list(rng.exponential(size=100)), resamples=1000)
        hits += found.low <= 1 <= found.high
    assert 0.915 <= hits / 2000 <= 0.97


def test_mean_over_units_leaves_out_missing_values():
    values = [0.1, None, 0.3, 0.5]
    found = mean_over_units(values)
    assert found.value == pytest.approx(0.3) and found.n == 3
    assert 0.1 <= found.low < found.value < found.high <= 0.5
    assert mean_over_units([None, 0.2]).value is None
    assert "1 of 2" in mean_over_units([None, 0.2]).reason


def test_paired_difference_is_narrow_where_units_differ_and_methods_agree():
    rng = np.random.default_rng(0)
    theirs = rng.normal(size=200)
    ours = theirs + 0.1 + rng.normal(size=200) * 0.05
    found = paired_difference([*ours, None, 1.0], [*theirs, 0.5, None])
    assert found.n == 200 and found.value == pytest.approx((ours - theirs).mean())
    assert 0.08 < found.low < found.high < 0.12
    assert mean_over_units(list(ours)).low < found.low - 0.05  # unpaired, the spread over units would hide it


def test_paired_ratio():
    found = paired_ratio([0.3, 0.4, None], [0.2, 0.3, 0.1])
    assert found.value == pytest.approx(0.7 / 0.5) and found.n == 2
    assert "not positive" in paired_ratio([1.0, 1.0], [-1.0, 0.5]).reason
    assert paired_ratio([1.0, None], [None, 0.5]).value is None


def test_a_thousand_resamples_of_a_hundred_documents_take_milliseconds():
    truth, prediction, index = correlated(np.random.default_rng(0), documents=100, tokens=80)
    estimate(pearson(truth, prediction, index, 100))
    times = []
    for _ in range(20):
        start = time.process_time()
        estimate(pearson(truth, prediction, index, 100))
        times.append(time.process_time() - start)
    assert min(times) < 0.010


def test_a_statistic_with_a_reason_has_no_value():
    assert Resampled(3, undefined, "because").value is None
    assert np.isnan(undefined(np.ones((4, 3)))).all()
