"""Observational scorers: reference numbers, invariances, what counts as truth, and what is missing and why."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from scipy import stats

from glossator.explanations import Explanation, Provenance
from glossator.programs import Clause, Token
from glossator.scorers.correlation import CorrelationScorer
from glossator.scorers.explained_variance import absolute_of, centred_of, uncentred_of
from glossator.scorers.lab import Lab, score_explanation, score_explanations
from glossator.scorers.sample import draw_sample
from glossator.simulators import Simulator
from glossator.statistics import pearson
from pace import pace
from scorer_cases import (
    LEXICON,
    UNIT,
    WORDS,
    TokenWorld,
    evidence_of,
    exemplars_of,
    explanation_of,
    table_of,
    windows_of,
)

LAB = Lab(LEXICON)
NAMES = {
    f"{name}.{setting}"
    for setting in ("top-and-random", "random-only")
    for name in (
        "correlation", "correlation.per-window", "explained-variance.centred", "explained-variance.uncentred",
        "absolute-deviation-explained", "detection.auroc", "detection.balanced-accuracy", "firing.precision",
        "firing.recall", "firing.f1", "firing.iou", "firing.auprc",
    )
} | {"peak.hit", "peak.share"}  # fmt: skip


def named(scores):
    found = {s.name: s for s in scores}
    assert len(found) == len(scores)
    return found


def sequences(truth, simulated):
    """Evidence whose test windows hold these activations, with an explanation that predicts these values."""
    width = max(map(len, truth))
    tokens, activations, values = np.zeros((len(truth), width), int), np.zeros((len(truth), width)), {}
    for row, (y, p) in enumerate(zip(truth, simulated, strict=True)):
        ids = 10 * row + np.arange(len(y))
        tokens[row, : len(y)], activations[row, : len(y)] = ids, y
        values |= dict(zip(ids.tolist(), p, strict=True))
    drawn = exemplars_of(windows_of(tokens, lengths=np.array([len(y) for y in truth])), activations, "random")
    return evidence_of(drawn, drawn, drawn), table_of(values)


@pytest.mark.parametrize(
    ("truth", "prediction", "r", "uncentred", "centred", "absolute"),
    [
        ([0, 1, 0, 3], [0, 2, 1, 8], 0.9837387536759293, -1.7, -3.5, -0.75),
        ([0, 2, 2, 2], [0, 1, 1, 2], 0.816496580927726, 5 / 6, 1 / 3, 2 / 3),
    ],
)
def test_measures_give_the_reference_numbers(truth, prediction, r, uncentred, centred, absolute):
    y, p, index = np.array(truth, float), np.array(prediction, float), np.zeros(4, int)
    assert pearson(y, p, index, 1).value == pytest.approx(r, abs=1e-9)
    assert uncentred_of(y, p, index, 1).value == pytest.approx(uncentred, abs=1e-9)
    assert centred_of(y, p, index, 1).value == pytest.approx(centred, abs=1e-9)
    assert absolute_of(y, p, index, 1).value == pytest.approx(absolute, abs=1e-9)


def test_scorers_pool_tokens_of_windows_of_several_lengths_as_the_reference_does():
    evidence, explanation = sequences([[0, 1, 3], [0.5, 0.1]], [[0, 2, 8], [3, 0]])
    lab = dataclasses.replace(LAB, calibration="uncalibrated")
    scores = named(score_explanation(UNIT, explanation, evidence, lab))
    close = {"abs": 1e-7}  # activations are float32
    assert scores["correlation.random-only"].value == pytest.approx(0.9629916451602939, **close)
    assert scores["explained-variance.uncentred.random-only"].value == pytest.approx(-2.14424951, **close)
    assert scores["absolute-deviation-explained.random-only"].value == pytest.approx(-0.86956522, **close)
    per_window = scores["correlation.per-window.random-only"].value
    assert per_window == pytest.approx((0.99587059 + 1.0) / 2, abs=1e-7)
    linear = named(score_explanation(UNIT, explanation, evidence, LAB))
    assert linear["explained-variance.uncentred.random-only"].value == pytest.approx(0.95731806, **close)
    assert linear["absolute-deviation-explained.random-only"].value == pytest.approx(0.75483092, **close)


def test_the_rule_behind_a_unit_scores_near_one_and_another_units_near_zero():
    world = TokenWorld(noise=0.02)
    evidence = world.evidence()
    silent = np.flatnonzero(world.strengths == 0)[20:32]
    other = table_of(dict(zip(silent.tolist(), world.strengths[world.strengths > 0], strict=True)))
    lab = LAB.for_unit({"mismatched": other})
    scores = named(score_explanation(UNIT, world.truth(), evidence, lab))
    assert set(scores) == NAMES
    for name, score in scores.items():
        assert score.value > 0.9, name
        if score.low is None:  # too few silent or firing documents
            assert score.high is None and "decide it, 10 needed" in score.how["no_interval"]
        else:
            assert score.low <= score.value <= score.high
        assert score.column == "observational" and score.n > 10
        assert score.how["split"] == "test" and "max(activation, 0)" in score.how["truth"]
    for setting in ("top-and-random", "random-only"):
        assert abs(scores[f"correlation.{setting}"].baselines["mismatched"]) < 0.3
        assert scores[f"firing.f1.{setting}"].baselines["mismatched"] < 0.7


def test_baselines_are_scored_exactly_as_explanations_are():
    world = TokenWorld(noise=0.5)
    evidence, truth = world.evidence(), world.truth()
    vague = explanation_of(Clause(1.0, Token((WORDS[3], WORDS[5]))))
    both = score_explanations(UNIT, [truth, vague], evidence, LAB.for_unit({"vague": vague, "truth": truth}))
    for of_truth, of_vague in zip(*both, strict=True):
        assert of_truth.name == of_vague.name
        assert of_truth.baselines == of_vague.baselines == {"vague": of_vague.value, "truth": of_truth.value}


def test_correlation_and_detection_do_not_depend_on_scale_but_variance_without_calibration_does():
    world = TokenWorld(noise=0.3)
    evidence = world.evidence()
    small, large = (named(score_explanation(UNIT, world.truth(s), evidence, LAB)) for s in (1.0, 7.0))
    for name in NAMES - {"peak.share"}:
        assert large[name].value == pytest.approx(small[name].value, abs=1e-6), name
        assert large[name].low == pytest.approx(small[name].low, abs=1e-6), name
    assert large["peak.share"].value == pytest.approx(7 * small["peak.share"].value, rel=1e-6)
    raw = dataclasses.replace(LAB, calibration="uncalibrated")
    small, large = (named(score_explanation(UNIT, world.truth(s), evidence, raw)) for s in (1.0, 7.0))
    assert large["explained-variance.centred.random-only"].value < small["explained-variance.centred.random-only"].value


def test_a_wrong_sign_stays_a_wrong_sign():
    world = TokenWorld(noise=0.1)
    inverted = explanation_of(*(Clause(-c.strength, c.test) for c in world.truth().program.clauses), bias=5.0)
    scores = named(score_explanation(UNIT, inverted, world.evidence(), LAB))
    assert scores["correlation.top-and-random"].value < -0.8


def test_truth_is_one_sided():
    truth = np.array([[0, 2.0, 0, -5.0], [0, 0, 3.0, -7.0]])
    evidence, explanation = sequences(truth, np.maximum(truth, 0))
    assert named(score_explanation(UNIT, explanation, evidence, LAB))["correlation.random-only"].value == pytest.approx(
        1
    )


def test_samples_take_as_many_random_windows_as_top_ones():
    drawn = TokenWorld().draw(top=8, random=20)
    sample = draw_sample(drawn, "top-and-random", seed=1)
    assert sample.kinds == {"top": 8, "random": 8}
    assert (sample.rows == draw_sample(drawn, "top-and-random", seed=1).rows).all()
    assert (sample.rows != draw_sample(drawn, "top-and-random", seed=2).rows).any()
    assert draw_sample(drawn, "random-only").kinds == {"random": 20}
    assert len(sample.truth) == drawn.windows.valid[sample.rows].sum()
    maxima = np.where(drawn.windows.valid, drawn.activations, -np.inf)[sample.rows].max(axis=1)
    np.testing.assert_allclose(sample.input_max(sample.activations), maxima)


def test_windows_of_other_kinds_and_without_valid_tokens_are_not_scored():
    drawn = TokenWorld().draw(top=4, random=4)
    drawn.windows.valid[5] = False
    drawn.kinds[6], drawn.in_random[6] = "near-miss", False
    assert draw_sample(drawn, "random-only").rows.tolist() == [4, 7]


def test_a_random_window_that_is_a_top_one_stays_in_random_only_and_counts_once_beside_the_top():
    drawn = TokenWorld().draw(top=3, random=4)
    drawn.kinds[3] = "top"  # window 3 is of the random draw and among the highest
    assert draw_sample(drawn, "random-only").rows.tolist() == [3, 4, 5, 6]
    both = draw_sample(drawn, "top-and-random")
    assert both.kinds == {"top": 3, "random": 3} and len(set(both.rows)) == 6
    assert set(both.rows[3:]) == {4, 5, 6}
    assert draw_sample(drawn, "random-only", most=2).kinds == {"random": 2}


def test_per_window_correlation_counts_silent_predictions_as_zero_and_leaves_out_silent_windows():
    truth = [[0, 1, 0, 2], [0, 0, 1, 0], [0, 0, 0, 0]]
    evidence, explanation = sequences(truth, [[0, 1, 0, 2], [0, 0, 0, 0], [0, 3, 0, 0]])
    score = named(score_explanation(UNIT, explanation, evidence, LAB))["correlation.per-window.random-only"]
    assert score.value == pytest.approx((1 + 0) / 2)


def test_the_firing_scores_by_hand():
    test = exemplars_of(windows_of(np.array([[1, 2, 3, 4], [1, 2, 5, 6]])), [[1, 1, 0, 0], [1, 0, 1, 0]], "random")
    explanation = table_of({1: 3.0, 2: 3.0, 5: 1.0, 6: 0.5})
    fit = exemplars_of(windows_of(np.array([[1, 2, 5, 6], [1, 2, 6, 7]])), [[1, 1, 0, 0], [1, 1, 0, 0]], "random")
    scores = named(score_explanation(UNIT, explanation, evidence_of(fit, fit, test), LAB))
    # The calibrate split puts the cut between 1 and 3: tokens 1 and 2 are named, four times, three of them rightly.
    assert scores["firing.precision.random-only"].value == pytest.approx(3 / 4)
    assert scores["firing.recall.random-only"].value == pytest.approx(3 / 4)
    assert scores["firing.f1.random-only"].value == pytest.approx(3 / 4)
    assert scores["firing.f1.random-only"].how["firing_tokens"] == 4
    assert scores["firing.iou.random-only"].value == pytest.approx(3 / 5)
    # Three positives stand among the four of prediction 3, the fourth at the next level, as one of five.
    assert scores["firing.auprc.random-only"].value == pytest.approx(3 / 4 * 3 / 4 + 1 / 4 * 4 / 5)


def test_the_threshold_of_detection_comes_from_the_calibrate_split():
    explanation = table_of({1: 1.0, 2: 2.0, 3: 3.0})
    test = exemplars_of(
        windows_of(np.array([[3, 0], [2, 0], [1, 0], [0, 0]])), [[1, 0], [1, 0], [0, 0], [0, 0]], "random"
    )
    good = exemplars_of(windows_of(np.array([[2, 0], [1, 0]])), [[1, 0], [0, 0]], "random")
    strict = exemplars_of(windows_of(np.array([[3, 0], [2, 0]])), [[1, 0], [0, 0]], "random")
    for fit, expected in ((good, 1.0), (strict, 0.75)):
        scores = named(score_explanation(UNIT, explanation, evidence_of(fit, fit, test), LAB))
        assert scores["detection.balanced-accuracy.random-only"].value == pytest.approx(expected)
        assert scores["detection.auroc.random-only"].value == 1.0


def missing(scores, name):
    score = scores[name]
    assert score.value is None and score.low is None and score.high is None
    return score.reason


def test_a_silent_explanation_has_no_correlation_and_no_precision_but_a_recall_of_zero():
    world = TokenWorld()
    scores = named(score_explanation(UNIT, explanation_of(), world.evidence(), LAB.for_unit({"rule": world.truth()})))
    assert "prediction is constant" in missing(scores, "correlation.random-only")
    assert "prediction is constant" in missing(scores, "correlation.per-window.random-only")
    assert scores["correlation.random-only"].baselines["rule"] > 0.9
    assert scores["detection.auroc.top-and-random"].value == 0.5
    never = table_of({299: 1.0})
    fit = exemplars_of(windows_of(np.array([[1, 299], [1, 2]])), [[0, 1], [0, 0]], "random")
    test = exemplars_of(windows_of(np.array([[1, 2], [3, 2]])), [[0, 1], [0, 0]], "random")
    scores = named(score_explanation(UNIT, never, evidence_of(fit, fit, test), LAB))
    assert "no token is called firing" in missing(scores, "firing.precision.random-only")
    assert scores["firing.recall.random-only"].value == 0 == scores["firing.f1.random-only"].value
    assert scores["firing.iou.random-only"].value == 0
    assert scores["firing.auprc.random-only"].value == 1 / 4  # the share of firing tokens: nothing is told apart


def test_a_silent_unit_has_reasons_everywhere():
    world = TokenWorld(noise=0.0, firing=0)
    scores = named(score_explanation(UNIT, table_of({1: 1.0}), world.evidence(), LAB))
    assert set(scores) == NAMES
    assert "true activations are constant" in missing(scores, "correlation.random-only")
    assert "true activations are constant" in missing(scores, "explained-variance.centred.random-only")
    assert "never fires" in missing(scores, "explained-variance.uncentred.random-only")
    assert "no positive items" in missing(scores, "detection.auroc.random-only")
    assert "in no input" in missing(scores, "detection.balanced-accuracy.random-only")
    assert all(score.value is None and score.reason for score in scores.values())


def test_missing_windows_and_insufficient_evidence_are_reasons():
    world = TokenWorld()
    full = world.evidence()
    no_top = dataclasses.replace(full, test=full.test.of("random"))
    scores = named(score_explanation(UNIT, world.truth(), no_top, LAB))
    assert "no windows for top-and-random" in missing(scores, "correlation.top-and-random")
    assert scores["correlation.random-only"].value > 0.9
    no_fit = dataclasses.replace(full, calibrate=full.calibrate.take(np.zeros(0, int)))
    scores = named(score_explanation(UNIT, world.truth(), no_fit, LAB))
    assert "calibrate split" in missing(scores, "explained-variance.centred.random-only")
    assert "calibrate split" in missing(scores, "detection.balanced-accuracy.random-only")
    assert "calibrate split" in missing(scores, "firing.f1.random-only")
    assert scores["detection.auroc.random-only"].value > 0.9
    poor = dataclasses.replace(full, status="insufficient", reason="3 firing windows")
    for score in score_explanation(UNIT, world.truth(), poor, LAB.for_unit({"lookup": world.truth()})):
        assert "3 firing windows" in score.reason and score.baselines == {"lookup": None}


def test_one_document_is_not_enough():
    world = TokenWorld()
    test = world.draw(0, 10, per_document=10)
    scores = named(score_explanation(UNIT, world.truth(), evidence_of(test, test, test), LAB))
    assert "fewer than 2 documents" in missing(scores, "correlation.random-only")


def test_what_the_simulator_cannot_read_has_missing_scores_and_is_a_missing_baseline():
    world = TokenWorld()
    words = Explanation(UNIT, "some words", Provenance("by-hand"))
    for score in score_explanation(UNIT, words, world.evidence(), LAB):
        assert score.value is None and "no program" in score.reason
    scores = score_explanation(UNIT, world.truth(), world.evidence(), LAB.for_unit({"vague": words}))
    assert all(score.value is not None and score.baselines == {"vague": None} for score in scores)


def test_each_explanation_is_simulated_once_a_split():
    world = TokenWorld()
    calls = []

    class Counting(Simulator):
        def simulate(self, explanation, windows, grid=None):
            from glossator.simulators.program import ProgramSimulator

            calls.append((id(explanation), id(windows)))
            return ProgramSimulator(LEXICON).simulate(explanation, windows)

    lab = dataclasses.replace(LAB, simulator=Counting(), baselines={"null": world.truth(2.0)})
    score_explanations(UNIT, [world.truth(), world.truth(3.0)], world.evidence(), lab)
    assert len(calls) == len(set(calls)) == 2 * 3


def test_the_select_split_can_be_scored_instead():
    world = TokenWorld(noise=1.0)
    evidence = dataclasses.replace(world.evidence(), select=world.draw(6, 9, 5000))
    score = CorrelationScorer(split="select").score(UNIT, world.truth(), evidence, LAB)[0]
    assert score.how["windows"] == {"random": 6, "top": 6} and score.how["split"] == "select"


def test_scores_are_the_same_twice():
    world = TokenWorld(noise=1.0)
    evidence, truth = world.evidence(), world.truth()
    assert score_explanation(UNIT, truth, evidence, LAB) == score_explanation(UNIT, truth, evidence, LAB)


def test_intervals_resample_documents():
    """Windows of one document that repeat each other say no more than one of them."""
    world = TokenWorld(noise=1.0)
    once = world.draw(0, 12)
    many = once.take(np.repeat(np.arange(12), 20))
    lab = LAB
    a, b = (named(score_explanation(UNIT, world.truth(), evidence_of(e, e, e), lab)) for e in (once, many))
    for name in (
        "correlation.random-only",
        "explained-variance.centred.random-only",
        "correlation.per-window.random-only",
    ):
        assert b[name].n == 12
        assert (b[name].low, b[name].high) == pytest.approx((a[name].low, a[name].high), abs=1e-9)


def test_detection_agrees_with_the_mann_whitney_statistic():
    world = TokenWorld(noise=0.2)
    evidence = world.evidence()
    score = named(score_explanation(UNIT, world.truth(), evidence, LAB))["detection.auroc.random-only"]
    drawn = evidence.test.of("random")
    fires = drawn.activations.max(axis=1, where=drawn.windows.valid, initial=-9) > evidence.statistics.firing_threshold
    predicted = np.where(drawn.windows.valid, world.strengths[drawn.windows.tokens], -1).max(axis=1)
    wins = stats.mannwhitneyu(predicted[fires], predicted[~fires]).statistic
    assert score.value == pytest.approx(wins / (fires.sum() * (~fires).sum()))


def test_a_unit_with_five_explanations_and_three_baselines_is_scored_in_milliseconds():
    world = TokenWorld(noise=0.5)
    evidence = world.evidence(test=30)
    evidence.test.windows.documents[:] = np.arange(60)
    baselines = {name: table_of(dict(enumerate(world.strengths * s))) for s, name in enumerate(("a", "b", "c"), 1)}
    explanations = [world.truth(s) for s in (1.0, 2.0, 3.0, 4.0, 5.0)]
    lab, times = Lab(LEXICON).for_unit(baselines), []
    for _ in range(5):
        start = time.process_time()
        score_explanations(UNIT, explanations, evidence, lab)
        times.append(time.process_time() - start)
    assert min(times) < 24 * pace(time.process_time)  # about 9
