"""Rendered scenes: the same bytes for the same scene, exact masks, relations that hold, and speed in proportion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.errors import UserError
from glossator.inputs import WHOLE, Concept, Grid, Images
from glossator.recording.saved_inputs import load_inputs, save_inputs
from glossator.scenes import Relation, Scene, SceneImages, Thing, random_scenes, render
from glossator.scenes.layout import held, settled
from glossator.scenes.scene import RELATIONS, SIZES
from glossator.scenes.sprites import STYLES, named_colours, own_colour, pixels_of
from glossator.scenes.words import BACKGROUNDS, COLOURS, classes, nouns

CELLS = Grid("cells", (7, 7))


def test_the_vocabulary_has_hundreds_of_nouns_each_drawn_in_both_styles() -> None:
    assert len(nouns()) > 350
    for name, noun in nouns().items():
        assert noun.classes[-1] in {"animal", "food", "vehicle", "structure", "nature", "object"}
        for style in STYLES:
            drawn = pixels_of(name, style)
            assert (drawn[..., 3] >= 128).mean() > 0.05, (name, style)
    assert "dog" in classes()["mammal"] and "dog" in classes()["animal"]
    words = [word for noun in nouns().values() for word in (noun.name, *noun.aliases)]
    assert len(words) == len(set(words))


def test_equal_scenes_have_equal_pixels_and_another_seed_has_others() -> None:
    scene = random_scenes(3, seed=7)[2]
    again = Scene.from_json(scene.as_json())
    assert again == scene and (render(again).pixels == render(scene).pixels).all()
    assert (render(settled(scene)).pixels == render(scene).pixels).all()
    other = Scene(scene.things, scene.relations, "grass", seed=scene.seed + 1)
    assert (render(other).pixels != render(scene).pixels).any()


def test_scene_i_does_not_depend_on_how_many_are_drawn() -> None:
    assert random_scenes(5, seed=3) == random_scenes(9, seed=3)[:5]
    assert random_scenes(5, seed=3) != random_scenes(5, seed=4)


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_is_drawn_at_every_side(background: str) -> None:
    for side in (32, 100, 224):
        drawn = render(Scene(background=background), side)
        assert drawn.pixels.shape == (side, side, 3) and drawn.pixels.dtype == np.uint8 and not len(drawn.things)


def test_masks_are_the_pixels_that_differ_from_the_picture_without_the_things() -> None:
    scene = settled(Scene((Thing("dog", "red"), Thing("ball" if "ball" in nouns() else "football", count=3)), seed=5))
    with_things, without = render(scene), render(Scene(seed=5))
    assert with_things.masks.shape == (4, 224, 224) and sorted(with_things.things) == [0, 1, 1, 1]
    changed = (with_things.pixels != without.pixels).any(axis=2)
    seen = with_things.masks.any(axis=0)
    assert not (with_things.masks.sum(axis=0) > 1).any()
    grown = np.pad(seen, 2)
    near = np.any([np.roll(grown, (y, x), (0, 1)) for y in (-2, -1, 0, 1, 2) for x in (-2, -1, 0, 1, 2)], axis=0)
    assert not (changed & ~near[2:-2, 2:-2]).any()
    assert (seen & ~changed).sum() < 0.35 * seen.sum()  # white parts of a football on white


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(RELATIONS),
    sizes=st.tuples(st.sampled_from(SIZES[:2]), st.sampled_from(SIZES[:2])),
    counts=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    seed=st.integers(0, 2**31 - 1),
)
def test_relations_that_are_asked_for_hold(kind: str, sizes: tuple, counts: tuple, seed: int) -> None:
    things = tuple(Thing(n, None, s, c) for n, s, c in zip(("dog", "car"), sizes, counts, strict=True))
    relation = Relation(kind, 0, 1)
    scene = Scene(things, (relation,), seed=seed)
    assert held(scene, relation)
    opposite = {"above": "below", "below": "above", "left of": "right of", "right of": "left of"}
    opposite |= {"in front of": "behind", "behind": "in front of"}
    if kind in opposite:
        assert not held(scene, Relation(opposite[kind], 0, 1))


@pytest.mark.parametrize("colour", COLOURS)
def test_a_tinted_thing_has_mostly_its_colour(colour: str) -> None:
    drawn = render(Scene((Thing("chair", colour, "large", place=(0.5, 0.5)),), background="plain grey"))
    names = named_colours(drawn.pixels[drawn.masks[0]])
    kin = {"black": {"grey"}, "white": {"grey"}, "brown": {"orange"}, "orange": {"brown"}, "red": {"pink", "brown"}}
    allowed = [list(COLOURS).index(name) for name in {colour, *kin.get(colour, ())}]
    assert np.isin(names, allowed).mean() > 0.7


def test_sprites_have_colours_of_their_own() -> None:
    own = {"strawberry": "red", "banana": "yellow", "tree": "green", "grapes": "purple", "crow": "black"}
    assert {noun: own_colour(noun, "noto") for noun in own} == own


def test_coverage_is_that_of_the_masks_on_every_grid() -> None:
    images = SceneImages.of_scenes(random_scenes(30, seed=1))
    assert isinstance(images, Images) and images.pixels.shape == (30, 224, 224, 3)
    known, rows = images.annotations, np.array([4, 0, 17])
    for row in rows.tolist():
        scene, drawn = images.scenes[row], render(images.scenes[row])
        for noun in {thing.noun for thing in scene.things}:
            mine = [i for i, thing in enumerate(drawn.things) if scene.things[thing].noun == noun]
            mask = drawn.masks[mine].any(axis=0)
            exact = mask.reshape(7, 32, 7, 32).mean(axis=(1, 3)).ravel()
            at = rows.tolist().index(row)
            covered = known.coverage(rows, Concept("noun", noun), CELLS)[at]
            np.testing.assert_allclose(covered, exact, atol=1e-6)
            whole = known.coverage(np.array([row]), Concept("noun", noun), WHOLE)
            np.testing.assert_allclose(whole[0, 0], mask.mean(), atol=1e-6)
            assert known.present(Concept("noun", noun))[row] == mask.any()
        free = (drawn.labels < 0).mean()
        np.testing.assert_allclose(
            known.coverage(np.array([row]), Concept("background", scene.background), WHOLE)[0, 0], free, atol=1e-5
        )
        assert known.coverage(np.array([row]), Concept("light", scene.light), CELLS).min() == 1


def test_concepts_of_scenes_are_what_they_show() -> None:
    red_dogs = Scene((Thing("dog", "red", "small", 2), Thing("tree")), (Relation("left of", 0, 1),), "grass", "night")
    known = SceneImages.of_scenes([red_dogs, Scene((Thing("banana"),), weather="rain")]).annotations
    present = {str(concept): known.present(concept).tolist() for concept in known.concepts}
    for name in ("noun:dog", "class:mammal", "class:animal", "colour:red", "size:small", "count:two", "light:night"):
        assert present[name] == [True, False], name
    assert present["relation:dog left of tree"] == [True, False] and present["colour:yellow"] == [False, True]
    assert present["weather:rain"] == [False, True] and present["count:one"] == [True, True]
    assert known.present(Concept("relation", "animal left of plant")).tolist() == [True, False]
    assert not known.present(Concept("relation", "tree left of dog")).any()
    assert not known.present(Concept("noun", "cat")).any() and not known.present(Concept("label", "dog")).any()


def test_rows_are_taken_without_drawing_and_kept_in_a_recording(tmp_path) -> None:
    images = SceneImages.of_scenes(random_scenes(6), side=64)
    some = images.take(np.array([4, 1]))
    assert some.scenes == (images.scenes[4], images.scenes[1]) and some.ids.tolist() == [4, 1]
    assert (some.pixels[0] == images.pixels[4]).all() and (np.asarray(some.pixels) == images.pixels[[4, 1]]).all()
    assert some.show(0).text == images.scenes[4].caption()
    entry = save_inputs(images, tmp_path, {})
    assert not (tmp_path / "pixels.npy").exists()
    again = load_inputs(entry, tmp_path, lambda name: np.load(tmp_path / f"{name}.npy"))
    assert isinstance(again, SceneImages) and again.scenes == images.scenes and again.content() == images.content()
    with pytest.raises(UserError, match="another version"):
        load_inputs(
            {**entry, "scenes": {"side": 64, "renderer": "0"}}, tmp_path, lambda n: np.load(tmp_path / f"{n}.npy")
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Thing("dogg"),
        lambda: Thing("dog", count=7),
        lambda: Thing("dog", colour="mauve"),
        lambda: Scene(background="moon"),
        lambda: Scene((Thing("dog"),), (Relation("above", 0, 1),)),
        lambda: Scene.from_json("{}"),
        lambda: Concept.of("dog"),
        lambda: render(Scene((Thing("dog"),), style="crayon")),
    ],
)
def test_what_cannot_be_drawn_is_said(make) -> None:
    with pytest.raises(UserError):
        make()
