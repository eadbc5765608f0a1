"""Units of images with exact truth: what they respond to, how answers about them are graded, who finds them out."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.image_units import Case, World, agent, random_label
from glossator.agents.predictive import auc
from glossator.errors import MissingPower
from glossator.inputs import WHOLE, Concept, Images
from glossator.planted.image_grading import grade_images, hard_scenes
from glossator.planted.images import (
    CELLS,
    DISCOUNT,
    IMAGE_KINDS,
    NOUNS,
    RELATIONS,
    SHAPES,
    SITE,
    PlantedImages,
    PlantedImageUnit,
    planted_images,
)
from glossator.programs import parse_program
from glossator.programs.running import run
from glossator.scenes import SceneImages, random_scenes

RULES = tuple(kind for kind in IMAGE_KINDS if kind != "null")


@pytest.fixture(scope="module")
def world() -> World:
    return World.drawn(7, 2500)


def unit(kind, *concepts):
    return PlantedImageUnit("one", kind, tuple(Concept.of(text) for text in concepts), 3)


@pytest.mark.parametrize("kind", RULES)
def test_the_program_of_a_unit_says_its_rule(kind):
    for one in planted_images(3, 5, (kind,)):
        scenes = hard_scenes(one.parts, 1, 200)
        assert set(np.unique(one.level(scenes))) <= {0.0, DISCOUNT, 1.0} and one.level(scenes).any()
        assert np.allclose(run(one.truth, scenes, WHOLE, None)[:, 0], one.level(scenes))


def test_responses_are_graded_noisy_and_where_the_thing_is():
    one = unit("mono", "noun:dog")
    scenes = SceneImages.of_scenes(random_scenes(300, 1, among=("dog", "cat")), side=64)
    values, level = one.values(scenes), one.level(scenes)
    height = values.max(axis=1)
    assert height[level == 1].min() > 0.3 > 2 * height[level == 0].max()
    assert np.std(height[level == 1]) > 0.05
    where = scenes.annotations.coverage(np.arange(300), one.parts[0], CELLS)
    assert (where[np.arange(300), values.argmax(axis=1)][level == 1] > 0).all()
    assert np.array_equal(values, one.values(scenes)) and not np.array_equal(
        values, PlantedImageUnit("one", "mono", one.parts, 4).values(scenes)
    )


def test_a_discount_leaves_half():
    one = unit("discounted", "noun:dog", "light:night")
    scenes = SceneImages.of_scenes(random_scenes(600, 1, among=("dog",)), side=64)
    level, height = one.level(scenes), one.values(scenes).max(axis=1)
    assert height[level == DISCOUNT].mean() == pytest.approx(DISCOUNT * height[level == 1].mean(), rel=0.1)


def test_units_come_from_the_seed():
    units = planted_images(11, 0)
    assert len([one for one in units if one.kind != "null"]) == 66
    assert len({one.english for one in units if one.kind != "null"}) == 66
    assert units == planted_images(11, 0) and units != planted_images(11, 1)
    assert units[:3] == planted_images(3, 0, ("mono",))


def test_contextual_units_are_of_every_relation():
    units = planted_images(4 * len(RELATIONS), 0, ("contextual",))
    said = [one.parts[0].name for one in units if one.parts[0].kind == "relation"]
    assert {relation for relation in RELATIONS if any(f" {relation} " in name for name in said)} == set(RELATIONS)


def test_null_units_hang_on_nothing_that_is_shown():
    scenes = SceneImages.of_scenes(random_scenes(2000, 3, among=NOUNS), side=16)
    dogs, snow = (scenes.annotations.present(Concept(*c)) for c in (("class", "mammal"), ("background", "snow")))
    units = planted_images(len(SHAPES), 0, ("null",))
    assert {one.shape for one in units} == set(SHAPES)
    for one in units:
        height = one.values(scenes).max(axis=1)
        assert height.max() > 0.6 and len(np.unique(height)) > 1000
        for shown in (dogs, snow):
            assert abs(auc(height[shown], height[~shown]) - 0.5) < 4 * (12 * min(shown.sum(), 2000)) ** -0.5
        with pytest.raises(ValueError):
            grade_images(one, None)


def test_planted_units_are_a_subject_of_scenes():
    subject = PlantedImages(planted_images(1, 0))
    scenes = SceneImages.of_scenes(random_scenes(4, 1), side=32)
    seen = {}
    subject.visit(scenes, [SITE], seen.__setitem__)
    assert tuple(seen[SITE].shape) == (4, 49, 7)
    with pytest.raises(MissingPower, match="scenes"):
        subject.visit(Images.of(np.zeros((1, 8, 8, 3), np.uint8)), [SITE], lambda *_: None)


SAME = {
    "mono": (("class:mammal",), ['0.2 + 3.0*shows("class:mammal")']),
    "or": (("noun:dog", "light:night"), ['0.0 + 1.0*shows("noun:dog", "light:night")',
           '0.1 + 0.7*shows("noun:dog") + 0.9*and(shows("light:night"), not(shows("noun:dog")))']),
    "not": (("noun:dog", "background:snow"), ['0.0 + 1.0*shows("noun:dog") - 1.0*shows("background:snow")']),
    "discounted": (("noun:dog", "background:snow"), ['0.0 + 1.0*shows("noun:dog") - 0.2*shows("background:snow")']),
}  # fmt: skip
OTHER = {
    "mono": (("class:mammal",), ['1.0*shows("class:animal")', '1.0*shows("noun:dog")',
             '1.0*and(shows("class:mammal"), not(shows("light:night")))']),
    "and": (("noun:dog", "class:bird"), ['1.0*shows("noun:dog")', '1.0*or(shows("noun:dog"), shows("class:bird"))']),
    "not": (("noun:dog", "background:snow"), ['1.0*shows("noun:dog")']),
    "contextual": (("relation:dog next to bird",), ['1.0*and(shows("noun:dog"), shows("class:bird"))']),
    "discounted": (("noun:dog", "background:snow"), ['1.0*shows("noun:dog")',
                   '1.0*and(shows("noun:dog"), not(shows("background:snow")))']),
}  # fmt: skip


@pytest.mark.parametrize("kind", SAME)
def test_the_truth_in_another_form_is_exact(kind):
    parts, programs = SAME[kind]
    one = unit(kind, *parts)
    for program in (one.truth, *(parse_program(text) for text in programs)):
        assert grade_images(one, program, seed=1).exact, str(program)


@pytest.mark.parametrize("kind", OTHER)
def test_what_is_nearly_the_truth_is_not(kind):
    parts, programs = OTHER[kind]
    assert not grade_images(unit(kind, *parts), None).exact
    for text in programs:
        assert not grade_images(unit(kind, *parts), parse_program(f"0.0 + {text}"), seed=1).exact, text


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("mono", "or", "and", "not")]


@pytest.mark.parametrize("kind", [*SLOW, "contextual", "discounted", "null"])
def test_the_experimenter_finds_most_units_and_claims_nothing_of_null_units(kind, world):
    right = 0
    for number, one in enumerate(planted_images(2, 205, (kind,))):
        found = agent(Case(one, world, number, 300, 205))
        assert found.images <= 300
        label = found.label
        right += label is None if kind == "null" else grade_images(one, label and label.program, seed=1).exact
    assert right >= 1


def test_a_random_label_looks_at_nothing(world):
    found = random_label(Case(planted_images(1, 0)[0], world, 0, 300, 0))
    assert found.images == 0 and found.label is not None and found.label.program is not None
