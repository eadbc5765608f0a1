"""The benchmarks of spurious features and of bias: known units and biases are told apart, small runs are complete."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import bias, spurious
from benchmarks.scene_classifiers import drawn, portrait
from benchmarks.spurious import FOLLOWS, MOVED, NOUNS, PLACES, OnceDrawn, follows, labelled_scenes, moved_scenes
from glossator.agents import FunctionUnderTest, Makers, experiment
from glossator.scenes.pictures import Picture

RNG = np.random.default_rng(0)


def of_noun(picture: Picture) -> float:
    return 1.0 + NOUNS.index(noun) if picture.scene and (noun := picture.scene.things[0].noun) in NOUNS else 0.0


def of_place(picture: Picture) -> float:
    assert picture.scene is not None
    return 1.0 + PLACES.index(picture.scene.background) if picture.scene.background in PLACES else 0.0


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (of_noun, FOLLOWS),
        (of_place, None),
        (lambda p: of_noun(p) + 0.3 * of_place(p), FOLLOWS),
        (lambda p: 0.3 * of_noun(p) + of_place(p), None),
        (lambda p: 1.0, None),
    ],
)
def test_units_of_nouns_and_of_backgrounds_are_told_apart(unit, expected) -> None:
    scenes, _ = labelled_scenes(8, np.random.default_rng(0), 0.97)
    pool = [Picture(np.zeros((8, 8, 3), np.uint8), scene, "", 0, "renderer") for scene in scenes]
    asked = FunctionUnderTest("known", "images", lambda pictures: [unit(p) for p in pictures], pool)
    answer = experiment(asked, Makers(OnceDrawn()), follows, seed=3)
    assert answer.headline == expected and answer.spent["inputs"] == 4 * spurious.TRIALS


def test_the_pictures_of_experiments_are_never_of_the_test() -> None:
    """No noun of the classes stands before a background of the training or test images."""
    seen = []

    def note(pictures):
        seen.extend(p.scene for p in pictures)
        return [0.0] * len(pictures)

    scenes, _ = labelled_scenes(4, np.random.default_rng(0), 0.97)
    pool = [Picture(np.zeros((8, 8, 3), np.uint8), scene, "", 0, "renderer") for scene in scenes]
    unit = FunctionUnderTest("all", "images", note, pool)
    seen.clear()
    experiment(unit, Makers(OnceDrawn()), follows)
    assert len(seen) == 4 * spurious.TRIALS
    for scene in seen:
        assert not (scene.things[0].noun in NOUNS and scene.background in (*PLACES, spurious.FILLER))


def test_backgrounds_are_as_correlated_as_they_are_said_to_be() -> None:
    rng = np.random.default_rng(1)
    scenes, labels = labelled_scenes(2000, rng, 0.97)
    own = np.array([scene.background == PLACES[label] for scene, label in zip(scenes, labels, strict=True)])
    assert 0.95 < own.mean() < 0.99 and {s.background for s, usual in zip(scenes, own, strict=True) if not usual} == {
        spurious.FILLER
    }
    moved, labels = moved_scenes(50, rng)
    assert all(s.background == MOVED[i] != PLACES[i] for s, i in zip(moved, labels, strict=True))


def test_a_layer_on_one_unit_that_tells_all_is_right_and_l1_chooses_it() -> None:
    labels = np.arange(400) % 4
    known = RNG.normal(size=(400, 12)).astype(np.float32)
    known[:, [2, 5, 7]] += 6 * np.eye(4)[labels][:, :3]
    assert set(spurious.by_l1(known, labels, 3).tolist()) == {2, 5, 7}
    tests = {"same": (known, labels)}
    assert spurious.accuracy((known, labels), np.array([2, 5, 7]), tests)["same"] > 0.95
    assert spurious.accuracy((known, labels), np.array([0, 1]), tests)["same"] < 0.45
    assert spurious.accuracy((known, labels), np.array([], int), tests)["same"] == 0.25


class Discounting:
    """Margins of 5 with noise; one noun loses under one attribute, whose number the pixels are (0: none)."""

    def __init__(self, noun: int | None = None, attribute: int = 0, by: float = 4.0):
        self.noun, self.attribute, self.by = noun, attribute, by

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        number, repeats, count = int(pixels[0]), bias.REPEATS, len(bias.NOUNS)
        rng = np.random.default_rng(number)
        truth = np.repeat(np.arange(count), repeats)
        logits = 5 * np.eye(count)[truth] + rng.normal(size=(count * repeats, count)) * 0.5
        if number:
            logits[np.arange(len(truth)), truth] -= 1.0  # an edit that costs every noun the same is no bias
        if self.noun is not None and number == self.attribute + 1:
            logits[truth == self.noun, self.noun] -= self.by
        return logits


def test_a_discount_on_a_subgroup_is_found_and_named() -> None:
    probes = bias.Probes(np.zeros(1), tuple(np.full(1, i + 1) for i in range(len(bias.ATTRIBUTES))))
    clean, _ = bias.largest_drop(Discounting(), probes)  # type: ignore[arg-type]
    for noun, attribute in ((0, 0), (2, 20), (3, len(bias.ATTRIBUTES) - 1)):
        score, found = bias.largest_drop(Discounting(noun, attribute), probes)  # type: ignore[arg-type]
        assert score > 1.5 * clean and found == [bias.NOUNS[noun], *list(bias.ATTRIBUTES)[attribute]]


def test_edits_of_attributes_change_what_they_name() -> None:
    for (kind, name), edit in bias.ATTRIBUTES.items():
        for noun in bias.NOUNS:
            scene = bias.apply(portrait(noun, RNG, "plain grey"), edit)
            assert name == (scene.things[0].colour if kind == "colour" else getattr(scene, kind)) and not edit.unknown


def test_the_area_under_the_curve_is_that_of_pairs() -> None:
    assert bias._auc([3, 4, 5], [0, 1, 2], 0) == {"value": 1.0, "low": 1.0, "high": 1.0, "pairs": 3}
    assert bias._auc([0, 2], [1, 1], 0)["value"] == 0.5
    steps = bias._roc([3, 1], [2, 0])
    assert [(s["found"], s["false_alarms"]) for s in steps] == [(0.5, 0.0), (0.5, 0.5), (1.0, 0.5), (1.0, 1.0)]


def test_a_named_subgroup_predicts_failures_on_new_images() -> None:
    class OnSnow:
        """Takes dogs for cats where the image is nearly white, and is right elsewhere."""

        def logits(self, pixels: np.ndarray) -> np.ndarray:
            wrong = pixels.reshape(len(pixels), -1).mean(axis=1) > 160
            truth = np.zeros(len(pixels), int) if len(pixels) == bias.HELD_OUT else np.arange(len(pixels)) % 4
            return np.eye(4)[np.where(wrong & (truth == 0), 1, truth)]

    found = bias.failures(OnSnow(), ["dog", "background", "snow"], 1)  # type: ignore[arg-type]
    assert found["named"] > 0.5 > 3 * found["all"]
    told = bias._failures([{"failures": {"named": 0.6, "all": 0.2}}, {"failures": {"named": 0.4, "all": 0.3}}])
    assert told["lift"] == pytest.approx(2.0) and told["interval"][0] <= 2.0 <= told["interval"][1]


@pytest.mark.slow
def test_small_runs_have_every_figure() -> None:
    found = spurious.run({"quick": True, "models": 2, "images": 200, "random": 1})
    for kind in ("biased", "clean"):
        assert set(found[kind]["accuracy"]) == set(spurious.ARMS)
        assert 0 <= found[kind]["accuracy"]["agent"]["moved"]["mean"] <= 1
        assert found[kind]["units_chosen"]["mean"] <= found[kind]["units"]
    assert found["images_per_unit"] == 4 * spurious.TRIALS and len(found["models"]) == 4
    found = bias.run({"quick": True, "models": 1, "images": 200})
    assert 0 <= found["auc"]["value"] <= 1 and len(found["models"]) == 2 and found["roc"][-1]["found"] == 1
    assert len(drawn([portrait("dog", RNG, "snow")])) == 1
