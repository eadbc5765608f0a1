"""A score against its null, many units at once, and how much data that takes: against hand computation and theory."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from glossator.errors import UserError
from glossator.statistics import (
    Jackknifed,
    Resampled,
    alpha_among,
    called,
    compare,
    comparing,
    constant,
    exchange_p,
    interval,
    jackknife,
    largest,
    margin,
    needed_for_width,
    needed_to_tell,
    over_units,
    p_of_zero,
    paired_difference,
    permutation_p,
    power_of,
    q_values,
    rank_correlation,
    ratio,
    spread_of,
    undefined,
)


def mean_of(values) -> Resampled:
    return ratio(np.asarray(values, float), np.ones(len(values)))


# A score against its null


def test_a_margin_is_the_paired_difference_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    null = rng.normal(size=60)
    ours = null + 0.3 + 0.1 * rng.normal(size=60)
    found, values, margins = compare(mean_of(ours), {"lookup": mean_of(null), "gone": None})
    assert values == {"lookup": pytest.approx(null.mean()), "gone": None}
    over = margins["lookup"]
    assert list(margins) == ["lookup"]
    same = paired_difference(list(ours), list(null))
    assert (over.value, over.low, over.high) == pytest.approx((same.value, same.low, same.high))
    assert over.high - over.low < 0.3 * (found.high - found.low)  # the documents' own spread cancels


def test_over_a_constant_the_margin_moves_the_interval() -> None:
    found, values, margins = compare(mean_of(np.arange(20.0)), {"chance": constant(0.5, 20)})
    assert values["chance"] == 0.5
    assert margins["chance"].low == pytest.approx(found.low - 0.5)
    assert margins["chance"].high == pytest.approx(found.high - 0.5)


def test_no_margin_where_there_is_nothing_to_pair() -> None:
    ours = jackknife(mean_of(np.arange(20.0)))
    assert margin(ours, jackknife(mean_of(np.arange(19.0)))) is None
    assert margin(ours, jackknife(Resampled(20, undefined, "constant"))) is None
    assert margin(jackknife(Resampled(20, undefined, "constant")), ours) is None
    rare = Resampled(20, lambda w: np.where(w[:, 0] > 0.5, 1.0, np.nan))
    found = margin(jackknife(rare), jackknife(constant(0.0, 20)))
    assert found is not None
    assert (found.value, found.low, found.high, found.p) == (1.0, None, None, None)


def test_p_of_normal_differences_is_students() -> None:
    differences = np.random.default_rng(2).normal(size=300) + 0.1
    found = margin(jackknife(mean_of(differences)), jackknife(constant(0.0, 300)))
    assert found is not None
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=0.2)


@pytest.mark.parametrize("documents", [6, 30])
def test_p_values_of_nothing_are_small_as_often_as_they_say(documents: int) -> None:
    rng = np.random.default_rng(3)
    draws = rng.normal(size=(2000, documents))
    p = np.array([p_of_zero(jackknife(mean_of(row))) for row in draws])
    assert 0.025 <= (p <= 0.05).mean() <= 0.062  # the wider of two intervals: rather too few
    assert (p <= 0.5).mean() == pytest.approx(0.45, abs=0.07)


def test_permutation_p_counts_the_observed_value() -> None:
    assert permutation_p(1.0, np.arange(-5.0, 5.0)) == pytest.approx(5 / 11)
    assert permutation_p(9.0, np.arange(99.0) / 99) == pytest.approx(1 / 100)
    assert permutation_p(1.0, np.array([np.nan, 0.0, 1.0])) == pytest.approx(2 / 3)


# Many units


def test_q_values_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.5]
    # sorted .005 .01 .03 .04 .5; p m / rank: .025 .025 .05 .05 .5
    assert q_values(p) == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.5])
    assert called(p, 0.03) == [True, False, False, True, False]
    harmonic = 1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5
    assert q_values(p, "any") == pytest.approx(
        [0.025 * harmonic, 0.05 * harmonic, 0.05 * harmonic, 0.025 * harmonic, 1]
    )


def test_the_example_of_the_paper() -> None:
    """Benjamini & Hochberg 1995, sec. 3.2: of 15 hypotheses, the four smallest p-values are rejected at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0000]  # fmt: skip
    assert called(p) == [True] * 4 + [False] * 11
    assert q_values(p)[3] == pytest.approx(0.0095 * 15 / 4)


def test_units_without_a_p_value_are_not_tested() -> None:
    assert q_values([None, 0.01, None, 0.02]) == [None, pytest.approx(0.02), None, pytest.approx(0.02)]
    assert q_values([]) == []
    assert q_values([None]) == [None]
    assert called([None, 0.01]) == [False, True]
    with pytest.raises(ValueError, match="between 0 and 1"):
        q_values([0.5, math.nan])


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=40))
def test_q_values_keep_the_order_and_are_no_smaller_than_p(p: list[float | None]) -> None:
    q = q_values(p)
    tested = sorted((a, b) for a, b in zip(p, q, strict=True) if a is not None and b is not None)
    assert all(a <= b <= 1 for a, b in tested)
    assert all(b <= d for (_, b), (_, d) in pairwise(tested))
    strict = q_values(p, "any")
    assert all(b is None or (c is not None and b <= c) for b, c in zip(q, strict, strict=True))
    with_scipy = stats.false_discovery_control([a for a in p if a is not None]) if tested else []
    assert [b for b in q if b is not None] == pytest.approx(list(with_scipy))


def test_the_false_discovery_rate_is_kept() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        z = rng.normal(size=100) + np.r_[np.full(20, 3.0), np.zeros(80)]
        chosen = np.array(called(list(stats.norm.sf(z)), 0.1))
        shares.append(chosen[20:].sum() / max(chosen.sum(), 1))
    assert 0.05 < np.mean(shares) < 0.1  # 0.1 times the share of units without an effect


def test_groups_of_very_many_units_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The value is that of all of them, and the interval about as wide as with each unit left out."""
    rng = np.random.default_rng(3)
    a = rng.normal(size=2500)
    b = 0.5 * a + rng.normal(size=2500)
    grouped = rank_correlation(list(a), list(b))
    monkeypatch.setattr(over_units, "MOST_LEFT_OUT", 5000)
    each = rank_correlation(list(a), list(b))
    assert (grouped.value, grouped.n) == (each.value, 2500)
    assert grouped.high - grouped.low == pytest.approx(each.high - each.low, rel=0.25)
    assert (grouped.low, grouped.high) != (each.low, each.high)


def test_rank_correlation_is_spearmans_with_ties() -> None:
    rng = np.random.default_rng(1)
    a = np.round(rng.normal(size=60), 1)
    b = np.round(a + rng.normal(size=60), 1)
    found = rank_correlation([*a, None, 1.0], [*b, 2.0, None])
    assert found.value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert found.n == 60
    without = [stats.spearmanr(np.delete(a, i), np.delete(b, i)).statistic for i in range(60)]
    low, high = interval(Jackknifed(found.value, np.array(without), bounds=(-1.0, 1.0)))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert rank_correlation(list(np.arange(7.0)), list(np.arange(7.0))).value is None
    assert "first score is the same" in (rank_correlation([1.0] * 9, list(np.arange(9.0))).reason or "")


# How much data


def test_the_normal_formulas() -> None:
    assert needed_for_width(0.1, 0.5) == math.ceil((2 * 1.959963984540054 * 0.5 / 0.1) ** 2) == 385
    assert needed_for_width(1.0, 2.0, 0.9) == math.ceil((2 * 1.6448536269514722 * 2) ** 2)
    # the textbook case: half a standard deviation, two-sided 5 %, power 80 %
    assert needed_to_tell(0.5, 1.0) == math.ceil(((1.959963984540054 + 0.8416212335729143) / 0.5) ** 2) == 32
    assert needed_to_tell(0.0, 1.0) is None
    assert needed_to_tell(-0.1, 1.0) is None
    assert needed_to_tell(0.1, 0.0) == needed_for_width(0.1, 0.0) == 2
    assert power_of(32, 0.5, 1.0) >= 0.8 > power_of(31, 0.5, 1.0)
    assert power_of(10, 0.0, 1.0) == pytest.approx(0.025)
    assert alpha_among(64, 16) == pytest.approx(0.0125)


def test_a_pilot_plans_the_study() -> None:
    rng = np.random.default_rng(0)
    pilot, _, _ = compare(mean_of(rng.normal(size=400)), {})
    spread = spread_of(pilot.low, pilot.high, 400)
    assert spread == pytest.approx(1.0, rel=0.1)
    assert spread_of(-1.96, 1.96, 100) == pytest.approx(10.0, rel=1e-4)
    wanted = needed_for_width(0.1, spread)
    study, _, _ = compare(mean_of(rng.normal(size=wanted)), {})
    assert study.high - study.low == pytest.approx(0.1, rel=0.15)


def test_planned_power_is_had() -> None:
    n = needed_to_tell(0.4, 1.0, power=0.9)
    rng = np.random.default_rng(0)
    hits = [p_of_zero(jackknife(mean_of(rng.normal(size=n) + 0.4))) <= 0.05 for _ in range(600)]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.05)


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(1.01, 5))
def test_a_wider_interval_and_a_larger_difference_need_less(width: float, spread: float, factor: float) -> None:
    assert needed_for_width(width * factor, spread) <= needed_for_width(width, spread)
    one, other = needed_to_tell(width * factor, spread), needed_to_tell(width, spread)
    assert one is not None and other is not None and one <= other
    assert power_of(other, width, spread) >= 0.8 - 1e-6


@pytest.mark.parametrize(
    "asked",
    [
        lambda: needed_for_width(0.0, 1.0),
        lambda: needed_for_width(0.1, 1.0, 1.0),
        lambda: needed_to_tell(0.1, -1.0),
        lambda: needed_to_tell(0.1, 1.0, power=1.0),
        lambda: needed_to_tell(0.1, 1.0, alpha=0.0),
        lambda: power_of(0, 0.1, 1.0),
        lambda: spread_of(0.0, 1.0, 0),
        lambda: alpha_among(5, 6),
    ],
)
def test_impossible_questions_are_refused(asked) -> None:
    with pytest.raises(UserError, match=r"bad .* Allowed"):
        asked()


def text(rng, documents=14):
    """Documents of uneven length, and a prediction that is as different between them as within."""
    index = np.repeat(np.arange(documents), rng.integers(30, 200, documents))
    return index, rng.normal(size=documents)[index] + rng.normal(size=len(index))


@pytest.mark.parametrize("kind", ["throughout", "at a tenth", "at one token"])
def test_a_unit_of_chance_documents_is_as_rarely_claimed_as_the_level_says(kind):
    rng, p = np.random.default_rng(4), []
    for _ in range(150):
        index, prediction = text(rng)
        on = np.isin(index, rng.choice(14, 4, replace=False))
        if kind == "at a tenth":
            on &= rng.random(len(index)) < 0.1
        elif kind == "at one token":
            places = rng.permutation(np.flatnonzero(on))
            on = np.isin(np.arange(len(index)), places[np.unique(index[places], return_index=True)[1]])
        p.append(exchange_p(on * rng.gamma(1.0, size=len(index)), prediction, index))
    for level in (0.05, 0.2):
        assert abs(np.mean(np.array(p) <= level) - level) < 3 * np.sqrt(level * (1 - level) / 150)


def test_moving_the_same_units_along_the_text_would_claim_them_too_often():
    rng, p = np.random.default_rng(4), []
    for _ in range(150):
        index, prediction = text(rng)
        truth = np.isin(index, rng.choice(14, 4, replace=False)) * rng.gamma(1.0, size=len(index))
        fits = np.array([np.roll(truth, by) @ (prediction - prediction.mean()) for by in range(0, len(truth), 7)])
        p.append(np.mean(fits >= fits[0]))
    assert np.mean(np.array(p) <= 0.05) > 0.08


def test_a_unit_that_follows_the_text_is_claimed_however_rarely_it_fires():
    rng = np.random.default_rng(0)
    index, _ = text(rng)
    word = rng.random(len(index)) < 0.005
    assert exchange_p(word * 2.0, word + 0.3 * rng.random(len(index)), index) < 0.002
    assert exchange_p(word * 2.0e-30, word * 1e20, index) < 0.002
    assert exchange_p(rng.random(len(index)), 1.0 - word, index) > 0.05


@pytest.mark.parametrize("n", [0, 1, 2, 7, 260, 4999, 5000])
def test_the_largest_of_many_are_those_of_a_full_sort(n):
    for values in (np.random.default_rng(1).normal(size=5000), np.random.default_rng(2).integers(0, 9, 5000) * 1.0):
        np.testing.assert_array_equal(largest(values, n), np.argsort(-values, kind="stable")[:n])
    np.testing.assert_array_equal(largest(np.zeros(0), n), np.zeros(0))


def test_the_exchange_of_documents_is_that_of_a_slow_one():
    """Each document is given another one's values, read on from a chance place and begun again where they end."""
    rng = np.random.default_rng(3)
    documents = np.repeat(np.arange(12), rng.integers(1, 700, 12))
    prediction = rng.random(len(documents))
    for truth in (rng.random(len(documents)), 0.03 * prediction + rng.random(len(documents))):
        starts, lengths = np.unique(documents, return_index=True)[1], np.bincount(documents)
        given, offset = comparing._exchanged(lengths, len(documents))
        observed, hits = np.corrcoef(truth, prediction)[0, 1], 0
        for others, places in zip(given, offset, strict=True):
            drawn = [
                truth[starts[o] + (place + np.arange(n)) % lengths[o]]
                for o, place, n in zip(others, places, lengths, strict=True)
            ]
            hits += np.corrcoef(np.concatenate(drawn), prediction)[0, 1] >= observed - 1e-9
        assert exchange_p(truth, prediction, documents) == pytest.approx((1 + hits) / 1000)
