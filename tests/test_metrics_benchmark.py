"""The sanity tests of scores: how predictions are changed, and when a score has fallen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.metric_cases import case_of, changed
from benchmarks.metric_judges import ChangedReader
from benchmarks.metrics import TESTS, fell, metric, outcome_of, values_of
from glossator.programs import execute
from glossator.scorers.other_units import GivenOthers
from glossator.units import Unit
from scorer_cases import LEXICON, TokenWorld

OTHERS = GivenOthers({}, np.arange(1))


@pytest.fixture(scope="module")
def case():
    world = TokenWorld(noise=0.0)
    evidence = world.evidence()
    program = world.truth().program
    predicted = {s: execute(program, evidence.split(s).windows, LEXICON).astype(float) for s in ("calibrate", "test")}
    return case_of(Unit("cases", "all", 0), "planted", evidence, predicted, OTHERS)


def test_half_of_the_hits_go_and_as_many_wrong_ones_come(case):
    firing, named = case.firing("test"), case.named("test")
    random = case.evidence.test.in_random[:, None]
    for test in TESTS:
        after = changed(case, test, np.random.default_rng(0))["test"] > case.cut
        after &= case.evidence.test.valid
        if test == "missing":
            assert not (after & ~named).any()
            for part in (random, ~random):
                assert (after & firing & part).sum() == pytest.approx((named & firing & part).sum() / 2, abs=1)
        else:
            assert (after & named).sum() == named.sum()
            assert (after & ~named & random).sum() == pytest.approx((named & random).sum(), abs=1)
            assert not (after & ~named & firing).any()


def test_what_a_right_explanation_scores_falls_where_it_must(case):
    outcome = outcome_of(case, 3, 0)
    for name in ("correlation.random-only", "firing.auprc.random-only", "firing.iou.random-only"):
        assert {test: found for test, (found, _) in outcome.falls[name].items()} == dict.fromkeys(TESTS, True), name
        assert all(0.1 < share < 0.9 for _, share in outcome.falls[name].values()), name
    assert outcome.falls["headline.share.random-only"]["extra"][0]
    assert not outcome.falls["firing.recall.random-only"]["extra"][0]  # it does not ask about silent tokens
    entry = metric("firing.recall.random-only", [outcome])
    assert entry["missing_ok"] == 1.0 and entry["extra_ok"] == 0.0 and entry["pass"] is False
    before = values_of(case, case.predicted)
    assert before["firing.auprc.random-only"] > 0.95 and before["headline.f1.random-only"] > 0.95


def test_a_fall_within_noise_is_none():
    assert fell(0.5, np.array([0.4, 0.41, 0.39]), 0.0)
    assert not fell(0.5, np.array([0.5, 0.5]), 0.0)
    assert not fell(0.5, np.array([0.3, 0.7, 0.45]), 0.0)
    assert not fell(0.5, np.array([0.499, 0.499]), 0.0)  # less than a hundredth of what there is
    assert fell(0.51, np.array([0.5, 0.5]), 0.5)


def test_a_judge_misses_half_or_sees_as_much_again_anew_in_each_draw():
    world = TokenWorld(noise=0.0)
    program = world.truth().program
    windows = world.evidence().test.windows
    texts = [windows.tokens[row, :length] for row, length in enumerate(windows.lengths.tolist())]

    def read(test, draw):
        reader = ChangedReader(None, LEXICON, {"it": program}, windows, test=test, draw=draw, share={"it": share})
        reader.tokenizer = SimpleNamespace(vocabulary=windows.vocabulary)
        return reader._execute("it", texts) > 0

    share = float((execute(program, windows, LEXICON) > 0)[windows.valid].mean())
    right = read(None, 0)
    missing = [read("missing", draw) for draw in range(3)]
    assert all(not (one & ~right).any() for one in missing)
    assert np.mean([one.sum() for one in missing]) == pytest.approx(right.sum() / 2, rel=0.1)
    together = (missing[0] & missing[1]).sum() / right.sum()
    assert together == pytest.approx(0.25, abs=0.1)  # draws are independent
    extra = [read("extra", draw) for draw in range(3)]
    assert all((one & right).sum() == right.sum() for one in extra)
    assert np.mean([(one & ~right).sum() for one in extra]) == pytest.approx(right.sum(), rel=0.25)
