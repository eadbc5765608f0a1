"""Intervals cover when few documents carry most of it, say nothing where they cannot, and agree with p."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from glossator.scorers.peak import weighted_median
from glossator.statistics import (
    LEAST_FIRING,
    Jackknifed,
    Resampled,
    auroc,
    estimate,
    interval,
    jackknife,
    margin,
    mean_over_units,
    p_of_zero,
    paired_difference,
    pearson,
    pearson_by_document,
    pearson_of_sums,
    ratio,
)


def covered(true_value, draw, statistic, *, trials, documents):
    """(covered, truth above, truth below): shares of trials."""
    rng = np.random.default_rng(5)
    ends = []
    for _ in range(trials):
        found = estimate(statistic(*draw(rng, documents)))
        assert found.low is not None and found.high is not None, found.no_interval
        ends.append((found.low, found.high))
    low, high = np.array(ends).T
    return np.mean((low <= true_value) & (true_value <= high)), np.mean(true_value > high), np.mean(true_value < low)


def clustered(rng, documents, tokens=30):
    """Truth and prediction share half of their variance within and between documents: the true r is 0.5."""
    index = np.repeat(np.arange(documents), tokens)

    def both(size):
        common = rng.normal(size=size)
        return (common + rng.normal(size=size)) / 2, (common + rng.normal(size=size)) / 2

    (a, b), (c, d) = both(documents), both(documents * tokens)
    return a[index] + c, b[index] + d, index, documents


def heavy(rng, documents):
    """Sums of Pearson r of documents like those of a sparse unit: firing tokens come in some documents, in numbers and
    strengths that are log-normal, and what is predicted of them varies as much."""
    fires = rng.random(documents) < 0.6
    n, scale = rng.integers(50, 300, documents), fires * np.exp(rng.normal(size=documents))
    count = rng.poisson(3, documents) * fires
    y = scale * count
    hit = np.clip(0.7 + 0.3 * rng.normal(size=documents), 0, 1.5)
    noise = np.exp(rng.normal(size=documents)) * 0.5
    return np.stack([n, y, hit * y + noise, y * scale, hit**2 * y * scale + noise**2, hit * y * scale], axis=1)


def r_of(sums):
    return Resampled(len(sums), lambda weights: pearson_of_sums(weights @ sums), bounds=(-1.0, 1.0))


def true_r():
    sums = heavy(np.random.default_rng(0), 400_000).sum(axis=0)
    return float(pearson_of_sums(sums[None])[0])


@pytest.mark.parametrize("documents", [20, 45, 200])
def test_a_few_loud_documents_are_allowed_for(documents):
    covers, *_ = covered(true_r(), lambda rng, n: (heavy(rng, n),), r_of, trials=1000, documents=documents)
    assert 0.94 <= covers <= 0.99


def seldom_hit(rng, documents):
    """Like `heavy`, but what is predicted rises with the truth in one of fifty documents, and is as loud elsewhere."""
    sums = heavy(rng, documents)
    n, y, _, yy, _, _ = sums.T
    hit = (y > 0) & (rng.random(documents) < 0.02)
    scale = np.exp(rng.normal(size=documents)) * 3
    p, pp, yp = np.where(hit, y, scale), np.where(hit, yy, scale**2), np.where(hit, yy, y * scale / n)
    return np.stack([n, y, p, yy, pp, yp], axis=1)


@pytest.mark.parametrize("documents", [30, 100])
def test_samples_without_the_documents_that_matter_are_allowed_for(documents):
    truth = float(pearson_of_sums(seldom_hit(np.random.default_rng(0), 400_000).sum(axis=0)[None])[0])

    def with_room(sums):
        return pearson_by_document(sums)

    def without(sums):
        return replace(pearson_by_document(sums), one_more=0.0)

    def draw(rng, n):
        return (seldom_hit(rng, n),)

    assert covered(truth, draw, with_room, trials=500, documents=documents)[0] >= 0.93
    assert covered(truth, draw, without, trials=500, documents=documents)[0] <= 0.88


def test_one_document_more_is_as_loud_as_those_that_carry_the_rest_and_wholly_predicted():
    rng = np.random.default_rng(3)
    sums = heavy(rng, 40)
    n, y, p, yy, pp, yp = sums.sum(axis=0)
    centred = [yy - y * y / n, pp - p * p / n, yp - y * p / n]
    loud = []
    for own, squares, mean in ((sums[:, 1], sums[:, 3], y / n), (sums[:, 2], sums[:, 4], p / n)):
        spread = squares - 2 * mean * own + mean**2 * sums[:, 0]
        loud.append((spread**2).sum() / spread.sum())
    centred[0] += loud[0]
    centred[1] += loud[1]
    centred[2] += np.sqrt(loud[0] * loud[1])
    found = pearson_by_document(sums)
    assert found.value + found.one_more == pytest.approx(centred[2] / np.sqrt(centred[0] * centred[1]))
    assert 0 < found.one_more < 0.5
    same = np.tile(sums[:1], (50, 1))
    same[:, 5] = 0.0
    assert pearson_by_document(same).one_more == pytest.approx(
        (pearson_by_document(same).value + 1 / 50) / (1 + 1 / 50) - pearson_by_document(same).value
    )


def test_a_percentile_bootstrap_would_not_do():
    rng, truth, hits = np.random.default_rng(5), true_r(), 0
    for _ in range(300):
        weights = rng.multinomial(20, np.full(20, 1 / 20), 400)
        low, high = np.nanquantile(r_of(heavy(rng, 20)).under(weights), [0.025, 0.975])
        hits += low <= truth <= high
    assert hits / 300 < 0.9


def test_intervals_cover_the_true_correlation_and_intervals_over_tokens_do_not():
    assert 0.93 <= covered(0.5, clustered, pearson, trials=400, documents=60)[0] <= 0.985

    def token_wise(truth, prediction, index, documents):
        return pearson(truth, prediction, np.arange(len(index)), len(index))

    assert covered(0.5, clustered, token_wise, trials=40, documents=20)[0] < 0.75


def windows(rng, documents):
    positive = rng.random(documents) < 0.4
    return positive, rng.normal(size=documents) + positive, np.arange(documents), documents


def test_coverage_of_auroc_and_of_a_skewed_mean_is_nominal():
    area = stats.norm.cdf(1 / np.sqrt(2))
    assert 0.93 <= covered(area, windows, auroc, trials=800, documents=60)[0] <= 0.975
    mean = covered(1.0, lambda rng, n: (list(rng.exponential(size=n)),), mean_of, trials=1000, documents=40)
    assert 0.93 <= mean[0] <= 0.975 and abs(mean[1] - mean[2]) < 0.04  # a mean alone would miss above


def mean_of(values):
    return ratio(np.asarray(values, float), np.ones(len(values)))


def test_of_normal_values_it_is_students_t_and_hardly_wider():
    values = np.random.default_rng(1).normal(size=400)
    found = mean_over_units(list(values))
    half = stats.t.ppf(0.975, 399) * values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert estimate(mean_of(values), level=0.5).high < found.high


def test_loud_documents_widen_by_their_kurtosis_and_even_ones_do_not():
    even, loud = np.tile([-1.0, 1.0], 20), np.r_[np.tile([-1.0, 1.0], 19), -6.0, 6.0]
    for values in (even, loud):
        excess = max(stats.kurtosis(values, bias=False), 0)
        freedom, tails = 80 / (excess + 80 / 39), 1 + 1.5 * excess / 40
        spread = jackknife(mean_of(values)).spread
        assert spread.error == pytest.approx(values.std(ddof=1) / np.sqrt(40))
        assert (spread.freedom, spread.tails) == pytest.approx((freedom, tails))
        assert spread.reach(0.95)[0] == pytest.approx(tails * stats.t.ppf(0.975, freedom) * spread.error)
        assert spread.p_of(spread.reach(0.9)[1]) == pytest.approx(0.1)
    assert jackknife(mean_of(even)).spread.tails == 1 < 1.2 < jackknife(mean_of(loud)).spread.tails


def test_a_median_which_moves_in_steps_is_covered_too():
    def median_of(values):
        order = np.argsort(values)
        return weighted_median(values[order], order, len(values))

    covers, *_ = covered(1.0, lambda rng, n: (np.exp(rng.normal(size=n)),), median_of, trials=300, documents=40)
    assert 0.92 <= covers <= 0.985
    values = np.exp(np.random.default_rng(0).normal(size=40))
    steps = estimate(median_of(values))
    mean = estimate(replace(mean_of(values), in_steps=True))
    assert (mean.low, mean.high) == pytest.approx(
        (estimate(mean_of(values)).low, estimate(mean_of(values)).high), rel=0.15
    )
    assert steps == estimate(median_of(values))
    over = margin(jackknife(median_of(values)), jackknife(median_of(values)))
    assert over is not None and (over.value, over.low, over.high, over.p) == (0.0, 0.0, 0.0, 1.0)


def test_an_interval_stays_within_what_is_possible():
    right = np.r_[np.zeros(2), np.ones(18)]
    found = estimate(ratio(right, np.ones(20), bounds=(0.0, 1.0)))
    assert found.value == 0.9 and found.high == 1.0 and 0.5 < found.low < 0.72  # exact: 0.68


def test_below_ten_deciding_documents_the_value_stands_without_an_interval_or_p():
    positive = np.r_[np.ones(LEAST_FIRING - 1, bool), np.zeros(40, bool)]
    statistic = auroc(positive, np.arange(len(positive)), np.arange(len(positive)), len(positive))
    found = estimate(statistic)
    assert found.value == 0.0 and found.low is None and found.high is None
    assert found.no_interval == f"only {LEAST_FIRING - 1} of 49 documents decide it, {LEAST_FIRING} needed"
    over = margin(jackknife(statistic), jackknife(mean_of(np.arange(49.0))))
    assert over is not None and (over.low, over.high, over.p) == (None, None, None)
    enough = np.r_[positive, True]
    assert estimate(auroc(enough, np.arange(50), np.arange(50), 50)).low is not None


def test_a_value_that_hangs_on_one_document_has_no_interval():
    truth, prediction = np.zeros(200), np.tile([0.0, 1.0], 100)
    truth[7] = 5.0
    found = estimate(pearson(truth, prediction, np.repeat(np.arange(20), 10), 20))
    assert found.value is not None and found.low is None
    assert found.no_interval == "it is undefined without one of the documents"


@pytest.mark.parametrize("seed", range(40))
def test_p_is_below_five_per_cent_exactly_where_the_interval_leaves_out_0(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(6, 60))
    values = rng.exponential(size=n) ** rng.uniform(0.5, 3) - rng.uniform(0.3, 2)
    found = jackknife(mean_of(values))
    for level in (0.5, 0.9, 0.95, 0.99):
        low, high = interval(found, level)
        assert (p_of_zero(found) < 1 - level) == (low > 0 or high < 0)
        assert low <= found.value <= high
    down, up = np.abs(found.value) * rng.uniform(0.2, 2, 2)
    for roomy in (replace(found, one_more=(down, up)), replace(found, value=-found.value, one_more=(down, up))):
        for level in (0.5, 0.9, 0.95, 0.99):
            low, high = interval(roomy, level)
            assert (p_of_zero(roomy) < 1 - level) == (low > 0 or high < 0)
        low, high = interval(roomy)
        assert low <= roomy.value - down and high >= roomy.value + up


def test_of_a_difference_one_document_more_may_move_either_and_moves_both_somewhat():
    of_score, of_null = (Jackknifed(v, np.full(20, v), one_more=(0.0, up)) for v, up in ((0.3, 0.1), (0.2, 0.04)))
    assert interval(of_score - of_null) == pytest.approx((0.1, 0.1 + 0.1 - 0.04 / 2))
    assert p_of_zero(of_score - of_null) < 0.05 and p_of_zero(of_null - of_score) == p_of_zero(of_score - of_null)


def test_documents_that_all_agree_say_no_more_than_their_number():
    found = Jackknifed(0.5, np.full(10, 0.5))
    assert interval(found) == (0.5, 0.5) and p_of_zero(found) == 2 / 2**10
    assert p_of_zero(Jackknifed(0.0, np.zeros(10))) == 1.0


def test_leaving_out_many_documents_in_pieces_changes_nothing():
    values = np.random.default_rng(0).normal(size=700)
    found = jackknife(mean_of(values))
    assert found.without == pytest.approx((values.sum() - values) / 699)
    assert math.isclose(found.value, values.mean())


def test_intervals_over_units_keep_the_range_of_the_score_and_cover_its_mean():
    """Few units near an end of their range: skewed towards the other one."""
    found = mean_over_units([0.62, 0.91, 0.88], bounds=(-1.0, 1.0))
    plain = mean_over_units([0.62, 0.91, 0.88])
    assert plain.high > 1 and -1 < found.low < plain.low < found.value < found.high < 1
    assert mean_over_units([0.5, 0.9, 0.99], bounds=(-np.inf, 1.0)).high < 1
    assert mean_over_units([0.5, 0.01, 0.02], bounds=(0.0, np.inf)).low > 0
    agreed = mean_over_units([1.0, 1.0, 1.0], bounds=(0.0, 1.0))  # three of three say little
    assert agreed.low == pytest.approx(0.025 ** (1 / 3)) and agreed.high == 1.0
    seven_of_eight = mean_over_units([1.0] * 7 + [0.0], bounds=(0.0, 1.0))
    assert (seven_of_eight.low, seven_of_eight.high) == pytest.approx((0.4735, 0.9968), abs=1e-3)  # Clopper & Pearson
    outside = [0.9, 1.4, 0.7]  # not the range of these values
    assert mean_over_units(outside, bounds=(0.0, 1.0)) == mean_over_units(outside)
    many = np.linspace(0.2, 0.4, 200).tolist()
    assert mean_over_units(many, bounds=(-1.0, 1.0)).low == pytest.approx(mean_over_units(many).low, abs=1e-3)
    apart = paired_difference([0.9, 0.99, 0.2], [0.1, 0.0, 0.1], bounds=(0.0, 1.0))
    assert -1 < apart.low < apart.high < 1

    rng, covered, before = np.random.default_rng(0), 0, 0
    for _ in range(400):
        values = rng.beta(0.5, 2, 3).tolist()
        new, old = mean_over_units(values, bounds=(0.0, 1.0)), mean_over_units(values)
        assert 0 < new.low < new.high < 1
        covered, before = covered + (new.low <= 0.2 <= new.high), before + (max(old.low, 0) <= 0.2 <= min(old.high, 1))
    assert covered >= 0.92 * 400 and covered > before
