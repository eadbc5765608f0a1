"""Peaks: reference numbers, what ties and constant predictions get, what is left out, and the lookup table beside."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from glossator.explainers import explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.scorers.lab import Lab, score_explanation
from glossator.scorers.peak import NO_PEAK, weighted_median
from glossator.simulators import ZERO_TO_TEN, Simulation, Simulator
from scorer_cases import LEXICON, UNIT, TokenWorld, evidence_of, exemplars_of, explanation_of, table_of, windows_of

LAB = Lab(LEXICON)


def peaks(truth, predicted, lab=LAB, documents=None):
    """(hit, share) on top windows with these activations and predictions, all of one width."""
    truth, predicted = np.asarray(truth, float), np.asarray(predicted, float)
    tokens = np.arange(truth.size).reshape(truth.shape)
    top = exemplars_of(windows_of(tokens, documents), truth, "top")
    silent = exemplars_of(windows_of(truth.size + tokens, np.arange(len(truth)) + 900), truth * 0, "random")
    both = exemplars_of(
        windows_of(
            np.concatenate([top.windows.tokens, silent.windows.tokens]),
            np.concatenate([top.windows.documents, silent.windows.documents]),
        ),
        np.concatenate([top.activations, silent.activations]),
        ["top"] * len(top) + ["random"] * len(silent),
    )
    explanation = table_of(dict(enumerate(predicted.ravel().tolist())))
    found = score_explanation(UNIT, explanation, evidence_of(both, both, both), lab, ["peak"])
    assert [score.name for score in found] == ["peak.hit", "peak.share"]
    return found


def test_hit_and_share_are_what_one_counts_by_hand():
    truth = [[0, 5, 1], [4, 0, 0], [0, 0, 2], [1, 8, 0]]
    predicted = [[0, 1, 0.5], [1, 2, 0], [0, 0, 3], [0, 2, 1]]  # hits in all but the second
    hit, share = peaks(truth, predicted)
    assert hit.value == pytest.approx(3 / 4)
    assert share.value == pytest.approx(np.median([1 / 5, 1 / 4, 3 / 2, 2 / 8]), abs=1e-6)
    assert hit.how["windows"] == {"top": 4} and hit.n == share.n == 4
    assert hit.low is None and "only 4 of 4 documents decide it" in hit.how["no_interval"]


def test_ties_count_as_a_draw_and_a_constant_has_chance():
    truth = [[0, 5, 1, 0], [4, 0, 0, 1]]
    hit, share = peaks(truth, np.full((2, 4), 0.5))
    assert hit.value == pytest.approx(1 / 4)
    assert share.value == pytest.approx((0.5 / 5 + 0.5 / 4) / 2, abs=1e-6)
    hit, _ = peaks(truth, [[3, 3, 0, 0], [0, 3, 3, 3]])
    assert hit.value == pytest.approx((1 / 2 + 0) / 2)
    hit, share = peaks([[5, 5, 0, 0], [4, 0, 0, 1]], [[0, 2, 1, 0], [1, 0, 0, 0]])  # two tokens are the peak
    assert hit.value == 1.0
    assert share.value == pytest.approx((1 / 5 + 1 / 4) / 2, abs=1e-6)


def test_windows_without_a_peak_do_not_count_and_none_is_said():
    hit, _ = peaks([[0, 5], [0, 0], [3, 0]], [[0, 1], [1, 0], [0, 1]])
    assert hit.value == pytest.approx(1 / 2)
    hit, share = peaks([[0, -1], [0, 0]], [[0, 1], [1, 0]])
    assert (hit.value, share.value) == (None, None)
    assert hit.reason == share.reason == NO_PEAK


def test_the_rule_hits_where_a_constant_and_another_rule_do_not():
    world = TokenWorld(noise=0.05)
    evidence = world.evidence()
    other = explanation_of(*[dataclasses.replace(c) for c in world.truth().program.clauses[:1]], bias=0.01)
    lookup = explain_one(LookupExplainer(), evidence.explain)[0]
    hit, share = score_explanation(
        UNIT, world.truth(), evidence, LAB.for_unit({"lookup": lookup, "mismatched": other}), ["peak"]
    )
    assert hit.value > 0.8 and share.value == pytest.approx(1, abs=0.1)
    assert hit.baselines["mismatched"] < 0.5 < hit.baselines["lookup"]
    assert share.baselines["mismatched"] < 0.2
    assert set(hit.margins) == set(share.margins) == {"lookup", "mismatched"}


def test_the_weighted_median_is_that_of_repeated_values():
    rng = np.random.default_rng(3)
    values, document = np.sort(rng.normal(size=30)), rng.integers(0, 8, 30)
    weights = rng.integers(0, 4, (50, 8)).astype(float)
    weights[0] = 0
    found = weighted_median(values, document, 8).under(weights)
    for row, value in zip(weights, found, strict=True):
        repeated = np.repeat(values, row[document].astype(int))
        assert np.isnan(value) if not len(repeated) else value == pytest.approx(np.median(repeated))


class OnTen(Simulator):
    """Gives the activation as a reader would: on a scale of 0 to 10."""

    def simulate(self, explanation, windows, grid=None):
        table = dict(explanation.program.clauses[0].test.values)
        values = [[table.get(f" w{t}", 0.0) for t in row] for row in windows.tokens.tolist()]
        return Simulation(np.array(values), ZERO_TO_TEN)


def test_a_reading_on_another_scale_is_calibrated_before_it_is_a_share():
    truth = np.array([[0, 5, 1], [4, 0, 0], [0, 0, 2], [1, 8, 0]], float)
    hit, share = peaks(truth, truth * 1.25, dataclasses.replace(LAB, simulator=OnTen()))
    assert hit.value == 1.0
    assert share.value == pytest.approx(1.0, abs=1e-6)
