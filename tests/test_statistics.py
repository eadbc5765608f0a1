"""Intervals and the statistics under them, against brute force, SciPy and simulated populations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from glossator.statistics import (
    Resampled,
    auroc,
    average_precision,
    document_index,
    estimate,
    evenly,
    mean_over_units,
    paired_difference,
    paired_ratio,
    pearson,
    ratio,
    undefined,
)


def correlated(rng, documents=60, tokens=40, slope=0.7):
    """Tokens whose documents differ: (truth, prediction, document of token)."""
    index = np.repeat(np.arange(documents), rng.integers(tokens // 2, tokens, documents))
    shared = rng.normal(size=documents)[index]
    truth = shared + rng.normal(size=len(index))
    return truth, slope * truth + shared * rng.normal() + rng.normal(size=len(index)), index


def drawn(documents, times):
    """How often each document is drawn in so many bootstrap samples."""
    return np.random.default_rng(1).multinomial(documents, np.full(documents, 1 / documents), times).astype(float)


def test_pearson_under_weights_is_pearson_of_repeated_documents():
    rng = np.random.default_rng(0)
    truth, prediction, index = correlated(rng)
    statistic = pearson(truth, prediction, index, 60)
    assert statistic.value == pytest.approx(stats.pearsonr(truth, prediction).statistic, abs=1e-12)
    weights = drawn(60, 20)
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
    weights = np.vstack([np.ones(15), drawn(15, 10)])
    for row, found in zip(weights, statistic.under(weights), strict=True):
        item = np.repeat(np.arange(items), row[index].astype(int))
        p, s = positive[item], score[item]
        wins = (s[p][:, None] > s[~p]).sum() + (s[p][:, None] == s[~p]).sum() / 2
        assert found == pytest.approx(wins / (p.sum() * (~p).sum()), abs=1e-12)


@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_average_precision_under_weights_is_the_mean_precision_at_each_positive(decimals):
    rng = np.random.default_rng(4)
    index = np.sort(rng.integers(0, 15, 200))
    positive = rng.random(200) < 0.2
    score = np.round(rng.normal(size=200) + positive, decimals)
    statistic = average_precision(positive, score, index, 15)
    for weights in [np.ones(15), *rng.multinomial(15, np.full(15, 1 / 15), 5).astype(float)]:
        items = np.repeat(np.arange(200), weights[index].astype(int))
        p, s = positive[items], score[items]
        expected = np.mean([p[s >= own].mean() for own in s[p]])
        assert statistic.under(weights[None])[0] == pytest.approx(expected)
    constant = average_precision(positive, np.zeros(200), index, 15)
    assert constant.value == pytest.approx(positive.mean())
    assert average_precision(np.zeros(200, bool), score, index, 15).reason == "no positive items"


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


def test_document_index_numbers_documents():
    index, documents = document_index(np.array([9, 4, 9, 100]))
    assert index.tolist() == [1, 0, 1, 2] and documents == 3


def test_evenly_spread_places_hold_the_first_and_the_last():
    assert [evenly(count, 3).tolist() for count in (0, 1, 3, 10)] == [[], [0], [0, 1, 2], [0, 4, 9]]


def test_mean_over_units_leaves_out_missing_values():
    values = [0.1, None, 0.3, 0.5]
    found = mean_over_units(values)
    assert found.value == pytest.approx(0.3) and found.n == 3
    assert found.low < found.value < found.high
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


def test_a_statistic_with_a_reason_has_no_value():
    assert Resampled(3, undefined, "because").value is None
    assert np.isnan(undefined(np.ones((4, 3)))).all()
