"""The readability task: fair questions, unbiased draws, shares by hand, and out and in again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glossator.errors import UserError
from glossator.human import import_answers
from glossator.human.folder import HumanFolder
from glossator.human.readability import AFTER, BEFORE, CHANCE, score_readability
from glossator.human.sources import inclusion, systematic
from glossator.human.tasks import PLACES
from glossator.study import Study
from human_cases import exported, filled, study_of_two_methods


@pytest.fixture(scope="module")
def study(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of_two_methods(tiny_folder, tmp_path_factory.mktemp("readability") / "s")


def test_questions_show_the_unit_and_four_others_around_their_peaks(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "readability", tmp_path / "out", units="all")
    key = HumanFolder(study).key(drawn.tasks)
    by_unit: dict[str, set[tuple]] = {}
    for item in drawn.tasks.items:
        assert item.groups == len(item.grouped) == 5 and len({len(group) for group in item.grouped}) == 1
        for passage in item.passages:
            assert 1 <= len(passage.tokens) <= BEFORE + AFTER + 1 and max(passage.levels or ()) > 0
        own = item.grouped[PLACES.index(key[item.id]["right"])]
        by_unit.setdefault(key[item.id]["unit"], set()).add((own, item.passages))
    assert set(by_unit) <= set(study.names()) and len(by_unit) == 5
    assert all(len(shown) == 1 for shown in by_unit.values())  # the same passages for every description of a unit
    assert len({next(iter(shown))[0] for shown in by_unit.values()}) == 5


def test_out_and_in_again(study: Study, tmp_path: Path) -> None:
    drawn = exported(study, "readability", tmp_path / "out", units="all")
    key = HumanFolder(study).key(drawn.tasks)
    right = {slot: key[slot]["right"] for slot in drawn.tasks.slots}
    results = import_answers(study, [filled(drawn.tasks, right, tmp_path / "a.json", "ann")])
    rows = {row["kind"]: row for row in results["readability"]["kinds"]}
    assert rows["sentence"]["right"]["value"] == 1.0 and rows["sentence"]["right"]["n"] == 5
    assert rows["headline"]["right"]["value"] == pytest.approx(CHANCE)  # token lists have no headline
    assert rows["sentence"]["headline_above"]["value"] == pytest.approx(CHANCE - 1)
    with pytest.raises(UserError, match="not an answer"):
        import_answers(study, [filled(drawn.tasks, dict.fromkeys(right, "6"), tmp_path / "b.json", "bob")])
    assert "right" not in json.dumps(json.loads((tmp_path / "out" / "manifest.json").read_text()))


def of_unit(unit: str, kind: str, right: str, weight: float = 1.0, lacks: tuple[str, ...] = ()) -> dict:
    return {"unit": unit, "method": "m", "kind": kind, "right": right, "weight": weight, "lacks": list(lacks)}


def test_shares_by_hand() -> None:
    answers = [
        (of_unit("a", "headline", "1", 3.0), "ann", "1"),
        (of_unit("a", "headline", "1", 3.0), "bob", "2"),
        (of_unit("a", "sentence", "1", 3.0), "ann", "2"),
        (of_unit("b", "sentence", "4", 1.0, ("headline",)), "ann", "4"),
    ]
    rows = {row["kind"]: row for row in score_readability(answers)["kinds"]}
    assert rows["headline"]["right"].value == pytest.approx((3 * 0.5 + 1 * CHANCE) / 4)
    assert rows["sentence"]["right"].value == pytest.approx(1 / 4)
    assert rows["sentence"]["headline_above"].value == pytest.approx((3 * 0.5 + 1 * (CHANCE - 1)) / 4)
    assert rows["token-list"]["right"].value is None and rows["token-list"]["right"].reason == "no answers"
    assert (rows["headline"]["answers"], rows["sentence"]["answers"]) == (2, 2)


def test_importance_samples_have_their_chances_and_leave_means_as_they_are() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.05, 1.0, 40)
    sizes[0] = 50.0  # certain to be drawn
    chances = inclusion(sizes, 10)
    assert chances[0] == 1.0 and chances.sum() == pytest.approx(10) and chances.max() <= 1
    assert np.allclose(chances[1:] / sizes[1:], chances[1] / sizes[1])
    assert (inclusion(sizes, 40) == 1).all()
    drawn = [systematic(chances, rng) for _ in range(4000)]
    assert all(len(set(one)) == 10 for one in drawn)
    often = np.bincount(np.concatenate(drawn), minlength=40) / len(drawn)
    assert np.abs(often - chances).max() < 0.04
    values = rng.random(40)
    totals = [(values[one] / chances[one]).sum() / 40 for one in drawn]
    assert np.mean(totals) == pytest.approx(values.mean(), abs=0.01)
