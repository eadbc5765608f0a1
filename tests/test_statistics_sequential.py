"""E-values, by simulation: false alarms under optional stopping, power, many at once."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.statistics.sequential import rate_above, rate_at_least, rate_below, rejected


def test_false_alarms_stay_below_alpha_under_optional_stopping():
    rng, alarms, runs = np.random.default_rng(0), 0, 2000
    for _ in range(runs):
        good = np.cumsum(rng.random(80) < 0.5)
        alarms += any(rate_above(int(s), n) >= 20 for n, s in enumerate(good, 1))
    assert alarms / runs <= 0.05


def test_rates_are_told_apart():
    rng = np.random.default_rng(1)
    good = np.cumsum(rng.random((200, 40)) < 0.85, axis=1)
    assert np.mean([rate_above(int(row[-1]), 40) >= 20 for row in good]) > 0.95
    assert rate_below(0, 7) == rate_above(7, 7) >= 20 > rate_above(6, 6)
    assert rate_above(0, 0) == 1


def test_the_rate_that_is_reached_at_least_is_too_high_for_few_under_optional_stopping():
    rng, above, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        good = np.cumsum(rng.random(40) < 0.8)
        above += max(rate_at_least(int(s), n) for n, s in enumerate(good, 1)) > 0.8
    assert above / runs <= 0.05
    assert 0.56 < rate_at_least(17, 20) < 0.57 and rate_at_least(0, 8) == rate_at_least(0, 0) == 0
    assert rate_above(12, 12, rate_at_least(12, 12)) == pytest.approx(20, rel=1e-3)


def test_many_at_once():
    assert rejected([100, 1, 45], 0.05) == [True, False, True]  # 3 / (0.05 * 2) = 30
    assert rejected([25, 1, 1], 0.05) == [False, False, False]
    assert rejected([], 0.05) == []
