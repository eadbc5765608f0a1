"""Items of the scorers that ask: balanced, from the scored split, the same for all, and marks that are no cue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glossator.inputs.tokens import CLOSE, OPEN
from glossator.scorers.asking import Replies
from glossator.scorers.items import balanced_places, firing_tokens, plan_windows, spread
from glossator.scorers.judged import Judged, auroc_of
from glossator.scorers.marking import MOST_MARKED, plan_intruders, plan_marked
from scorer_cases import VOCABULARY, evidence_of, exemplars_of, windows_of
from scorer_reader_cases import place_of, toy_world

NAMES = ("make", "of-the", "past-graded", "after-comma", "names-inside-sentences")


def evidence(name="make"):
    return toy_world().evidence(place_of(name))


def rng(seed=0):
    return np.random.default_rng(seed)


def runs(mask):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return tuple(int(n) for n in edges[1::2] - edges[::2])


@pytest.mark.parametrize("name", NAMES)
def test_windows_are_balanced_and_right_and_of_the_test_split(name):
    found = evidence(name)
    items = plan_windows(found, "test", 30, rng())
    fires = firing_tokens(found.test, found.statistics.firing_threshold).any(axis=1)
    assert items.positive.sum() * 2 == len(items) == 30
    assert (fires[items.rows] == items.positive).all()
    assert len(set(items.rows.tolist())) == len(items)
    assert set(items.documents) <= set(found.test.windows.documents)
    others = np.concatenate([found.explain.exemplars.windows.documents, found.calibrate.windows.documents])
    assert not set(items.documents) & set(others)


def test_windows_are_whole_where_there_are_enough_so_that_length_is_no_cue():
    items = plan_windows(evidence(), "test", 20, rng())
    assert (items.exemplars.windows.lengths[items.rows] == items.exemplars.windows.width).all()


def test_the_same_seed_draws_the_same_items_and_another_one_others():
    first, again, other = (plan_windows(evidence(), "test", 30, rng(seed)).rows.tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_too_few_windows_give_a_reason_and_no_items():
    silent = exemplars_of(windows_of(np.zeros((20, 8), int)), np.zeros((20, 8)), "random")
    items = plan_windows(evidence_of(silent, silent, silent), "test", 20, rng())
    assert len(items) == 0 and "0 firing and 20 silent" in items.reason
    insufficient = replace(evidence(), status="insufficient", reason="fires too rarely")
    for plan in (plan_windows, plan_marked, plan_intruders):
        assert "fires too rarely" in plan(insufficient, "test", 20, rng()).reason


def test_strengths_are_covered():
    ranked = np.arange(100)
    drawn = spread(ranked, 10, rng())
    assert [int(i) // 10 for i in drawn] == list(range(10))


@pytest.mark.parametrize("name", NAMES)
def test_right_marks_fire_and_wrong_marks_are_silent(name):
    found = evidence(name)
    items = plan_marked(found, "test", 30, rng())
    fires = firing_tokens(found.test, found.statistics.firing_threshold)
    assert len(items) >= 8
    for row, marks, positive in zip(items.rows, items.marks, items.positive, strict=True):
        assert marks.any() and marks.sum() <= MOST_MARKED
        assert fires[row][marks].all() if positive else not fires[row][marks].any()
        assert found.test.windows.valid[row][marks].all()


@pytest.mark.parametrize("name", NAMES)
def test_each_pattern_and_each_window_stands_once_rightly_and_once_wrongly(name):
    items = plan_marked(evidence(name), "test", 30, rng())
    right, wrong = items.positive, ~items.positive
    assert sorted(map(runs, items.marks[right])) == sorted(map(runs, items.marks[wrong]))
    assert sorted(items.rows[right]) == sorted(items.rows[wrong])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("looks_at", ["number", "first place", "last place", "longest run", "number of runs", "window"])
def test_a_reader_that_sees_only_the_marks_scores_at_chance(name, looks_at):
    see = {
        "number": lambda row, mask: mask.sum(),
        "first place": lambda row, mask: np.flatnonzero(mask)[0],
        "last place": lambda row, mask: np.flatnonzero(mask)[-1],
        "longest run": lambda row, mask: max(runs(mask)),
        "number of runs": lambda row, mask: len(runs(mask)),
        "window": lambda row, mask: row,
    }[looks_at]
    items = plan_marked(evidence(name), "test", 60, rng())
    seen = np.array([see(row, mask) for row, mask in zip(items.rows, items.marks, strict=True)], float)
    value = auroc_of(Judged.of(items, Replies(seen))).value
    exact = looks_at not in ("first place", "last place") or items.moved == 0
    assert value == pytest.approx(0.5, abs=1e-12 if exact else 0.1)


def test_most_patterns_keep_their_place():
    items = plan_marked(evidence(), "test", 60, rng())
    assert items.moved <= 0.1 * len(items)


def test_marks_are_written_around_runs_and_windows_with_marks_in_them_are_left_out():
    windows = windows_of(np.array([[1, 2, 3, 4]]))
    assert windows.marked(0, np.array([False, True, True, False])) == " w1<< w2 w3>> w4"
    assert windows.marked(0, np.array([True, False, False, True])) == "<< w1>> w2 w3<< w4>>"
    strange = replace(windows_of(np.ones((40, 4), int)), vocabulary=replace(VOCABULARY, pieces=(b" a", b"<<", b" c")))
    fires = exemplars_of(strange, np.eye(4)[np.arange(40) % 4], "random")
    assert "0 firing windows" in plan_marked(evidence_of(fires, fires, fires), "test", 20, rng()).reason


def test_a_unit_that_fires_everywhere_has_no_wrong_marks():
    everywhere = exemplars_of(windows_of(np.ones((40, 6), int)), np.ones((40, 6)), "random")
    assert "only 0 windows" in plan_marked(evidence_of(everywhere, everywhere, everywhere), "test", 20, rng()).reason


@pytest.mark.parametrize("name", NAMES)
def test_intruders_are_silent_at_their_place_and_stand_at_each_equally_often(name):
    found = evidence(name)
    items = plan_intruders(found, "test", 20, rng())
    fires = firing_tokens(found.test, found.statistics.firing_threshold)
    assert np.bincount(items.place).tolist() == [4] * 5
    for question, (rows, masks, place) in enumerate(zip(items.rows, items.marks, items.place, strict=True)):
        assert len(set(rows.tolist())) == 5
        for i, (row, mask) in enumerate(zip(rows, masks, strict=True)):
            assert fires[row].any() == (i != place)
            assert mask.any() and (i == place or fires[row][mask].all())
        assert all(OPEN in text and CLOSE in text for text in items.texts[question])


def test_the_number_of_marks_does_not_tell_the_intruder():
    items = plan_intruders(evidence("past-graded"), "test", 200, rng())
    marked = items.marks.sum(axis=2)
    own = marked[np.arange(len(items)), items.place]
    rest = (marked.sum(axis=1) - own) / 4
    assert abs(float(own.mean() - rest.mean())) < 0.2


def test_places_are_balanced():
    assert np.bincount(balanced_places(23, 5, rng())).tolist() == [5, 5, 5, 4, 4]
