"""Texts to scenes and back, edits as minimal differences, and pictures that say what they lack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.errors import UserError
from glossator.scenes import Relation, Scene, Thing, random_scenes, render
from glossator.scenes.edits import apply, parse_edit
from glossator.scenes.layout import held, settled
from glossator.scenes.parse import parse
from glossator.scenes.pictures import Picture, Renderer, pictures_of
from glossator.scenes.scene import LIGHTS, RELATIONS, SIZES, WEATHERS
from glossator.scenes.words import BACKGROUNDS, COLOURS, PLACES, classes, nouns, plural

THINGS = st.builds(
    Thing,
    noun=st.sampled_from(list(nouns())),
    colour=st.sampled_from([None, *COLOURS]),
    size=st.sampled_from(SIZES),
    count=st.integers(1, 6),
    place=st.sampled_from([None, *PLACES.values()]),
)


@st.composite
def scenes(draw: st.DrawFn, least: int = 0) -> Scene:
    things = tuple(draw(st.lists(THINGS, min_size=least, max_size=4)))
    pairs = [(i, j) for i in range(len(things)) for j in range(len(things)) if i != j]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True)) if pairs else []
    relations = tuple(Relation(draw(st.sampled_from(RELATIONS)), i, j) for i, j in chosen)
    where = (draw(st.sampled_from(list(BACKGROUNDS))), draw(st.sampled_from(LIGHTS)), draw(st.sampled_from(WEATHERS)))
    return Scene(things, relations, *where, seed=draw(st.integers(0, 999)))


@settings(max_examples=300, deadline=None)
@given(scenes())
def test_a_caption_is_read_as_the_scene_that_it_was_written_for(scene: Scene) -> None:
    read = parse(scene.caption(), scene.seed)
    assert read.unknown == () and read.scene.things == scene.things, scene.caption()
    assert set(read.scene.relations) == set(scene.relations), scene.caption()
    where = ("background", "light", "weather", "seed")
    assert all(getattr(read.scene, name) == getattr(scene, name) for name in where)


@pytest.mark.parametrize(
    ("text", "caption", "unknown"),
    [
        ("Three puppies and a tabby", "an empty scene on a plain white background", ("three", "puppies", "tabby")),
        ("A dog is sitting next to a ladybug, on a lawn!", "a dog next to a ladybird on grass", ()),
        ("a photo of two oranges and an orange", "two tangerines and a tangerine on a plain white background", ()),
        ("dogs at dusk", "two dogs on a plain white background at sunset", ()),
        ("a dog in the snow while it is snowing", "a dog on snow while it snows", ()),
        ("seventeen dogs", "two dogs on a plain white background", ("seventeen",)),
        ("a beach without dogs", "an empty scene on a plain white background", ("beach", "without", "dogs")),
        ("a cat on the beach but no dog", "a cat on the beach", ("but", "no", "dog")),
        ("something red", "an empty scene on a plain white background", ("something", "red")),
        ("a dog above", "a dog on a plain white background", ("above",)),
        ("a dog in the desert on snow", "a dog in the desert", ("on snow",)),
        ("a big red dog and the dog is above a cat", "a large red dog above a cat on a plain white background", ()),
        ("a gray car, to the left of a TV", "a grey car to the left of a television on a plain white background", ()),
        ("", "an empty scene on a plain white background", ()),
    ],
)
def test_what_is_understood_is_drawn_and_the_rest_is_reported(text: str, caption: str, unknown: tuple) -> None:
    read = parse(text)
    assert (read.scene.caption(), read.unknown) == (caption, unknown)


def test_a_class_stands_for_one_of_its_nouns_which_the_seed_chooses() -> None:
    drawn = {parse("an animal on grass", seed).scene.things[0].noun for seed in range(40)}
    assert len(drawn) > 15 and drawn <= set(classes()["animal"])


@pytest.mark.parametrize("noun", list(nouns()))
def test_every_noun_and_alias_is_read_for_one_and_for_several(noun: str) -> None:
    for name in (noun, *nouns()[noun].aliases):
        for count in (1, 3):
            said = name if count == 1 else f"three {plural(name)}"
            found = parse(said)
            assert [t.noun for t in found.scene.things] == [noun] and not found.unknown
            assert count == 1 or found.scene.things[0].count == 3


def touched(scene: Scene, thing: int) -> np.ndarray:
    """The pixels that a thing of the scene has any part in, seen against two backgrounds."""
    scene = settled(scene)
    found = np.zeros((224, 224), bool)
    for background in ("plain white", "plain black"):
        with_it = Scene((scene.things[thing],), background=background, seed=scene.seed)
        found |= (render(with_it).pixels != render(Scene(background=background)).pixels).any(axis=2)
    return found


EDITS = st.sampled_from(["noun", "remove", "colour", "size", "count", "add"])


@settings(max_examples=80, deadline=None)
@given(scene=scenes(least=1), kind=EDITS, data=st.data())
def test_an_edit_changes_no_pixel_outside_the_outline_of_what_it_edits(scene: Scene, kind: str, data) -> None:
    i = data.draw(st.integers(0, len(scene.things) - 1))
    thing = scene.things[i]
    same = [j for j, other in enumerate(scene.things) if other.noun == thing.noun]
    the = f"the {['first', 'second', 'third', 'fourth'][same.index(i)]} {thing.noun}"
    values = {"noun": list(nouns()), "colour": list(COLOURS), "size": SIZES, "count": ("two", "four")}
    instruction = {
        "remove": lambda: f"remove {the}",
        "add": lambda: f"add a {data.draw(st.sampled_from(list(nouns())))}",
        "noun": lambda: f"replace {the} with a {data.draw(st.sampled_from(values['noun']))}",
    }.get(kind, lambda: f"make {the} {data.draw(st.sampled_from(values[kind]))}")()
    edit = parse_edit(instruction)
    assert edit.unknown == (), instruction
    after = apply(scene, edit)
    before_drawn, after_drawn = render(scene), render(after)
    changed = (before_drawn.pixels != after_drawn.pixels).any(axis=2)
    old = np.zeros_like(changed) if kind == "add" else touched(scene, i)
    new = np.zeros_like(changed) if kind == "remove" else touched(after, -1 if kind == "add" else i)
    assert not (changed & ~old & ~new).any(), (instruction, scene.caption())
    assert len(after.things) == len(scene.things) + {"remove": -1, "add": 1}.get(kind, 0)
    assert after.seed == scene.seed


BASE = settled(Scene((Thing("dog", "red"), Thing("cat")), (Relation("left of", 0, 1),), "grass", seed=3))


@pytest.mark.parametrize(
    ("instruction", "caption"),
    [
        ("replace the dog with a wolf", "a red wolf to the left of a cat on grass"),
        ("Swap the animal for two small cars", "two small red cars to the left of two small cars on grass"),
        ("change the cat into a lion", "a red dog to the left of a lion on grass"),
        ("replace the red dog with a blue tiger", "a blue tiger to the left of a cat on grass"),
        ("remove the dog", "a cat on grass"),
        (
            "add three balloons above the cat",
            "a red dog to the left of a cat and three balloons on grass; the balloons above the cat",
        ),
        ("make the cat green and large", "a red dog to the left of a large green cat on grass"),
        ("make the dog bigger", "a large red dog to the left of a cat on grass"),
        ("turn the cat blue", "a red dog to the left of a blue cat on grass"),
        ("make it night", "a red dog to the left of a cat on grass at night"),
        ("make it snow", "a red dog to the left of a cat on grass while it snows"),
        ("make it rain; make it night", "a red dog to the left of a cat on grass at night in the rain"),
        ("move it to the beach", "a red dog to the left of a cat on the beach"),
        ("put them in the desert", "a red dog to the left of a cat in the desert"),
        ("change the background to a brick wall", "a red dog to the left of a cat in front of a brick wall"),
        ("set the background to snow", "a red dog to the left of a cat on snow"),
        ("move the cat to the right", "a red dog to the left of a cat on the right on grass"),
        ("make the dog two and then remove the cat", "two red dogs on grass"),
    ],
)
def test_instructions_are_followed(instruction: str, caption: str) -> None:
    edit = parse_edit(instruction)
    assert (apply(BASE, edit).caption(), edit.unknown) == (caption, ())


@pytest.mark.parametrize("instruction", ["", "please", "remove", "remove the", "make it better", "sing"])
def test_what_is_no_edit_is_said(instruction: str) -> None:
    with pytest.raises(UserError, match=r"edit|names no thing"):
        parse_edit(instruction)


def test_a_new_background_or_light_leaves_the_masks_as_they_were() -> None:
    for instruction in ("make it night", "move it to the city", "make it foggy"):
        after = apply(BASE, parse_edit(instruction))
        assert (render(after).labels == render(BASE).labels).all()
    inside = render(BASE).masks[0]
    moved = render(apply(BASE, parse_edit("move it to the city")))
    assert (moved.pixels[inside] == render(BASE).pixels[inside]).all(axis=1).mean() > 0.75


def test_pictures_say_what_is_missing_and_keep_it_in_their_files() -> None:
    renderer = Renderer(side=96)
    plain, odd = renderer.draw(["a red dog above a cat on grass", "a unicorn and a dog"], seed=1)
    assert plain.missing == () and plain.scene is not None and plain.backend == "renderer"
    assert odd.missing == ("not understood: unicorn",) and plain.seed != odd.seed
    for picture in (plain, odd):
        again = Picture.from_png(picture.png())
        assert (again.pixels == picture.pixels).all()
        assert (again.scene, again.prompt, again.seed, again.missing) == (
            picture.scene, picture.prompt, picture.seed, picture.missing,
        )  # fmt: skip
    night, not_done = renderer.edit([again, plain], ["make it night", "remove the horse"])
    assert night.scene is not None and night.scene.light == "night"
    assert (not_done.pixels == plain.pixels).all() and "remove the horse" in not_done.missing[0]
    assert [p.pixels.tobytes() for p in renderer.draw(["a dog", "a dog"], 5)] == [
        p.pixels.tobytes() for p in renderer.draw(["a dog", "a dog"], 5)
    ]


def test_what_is_hidden_or_does_not_fit_is_missing() -> None:
    crowd = Scene((Thing("fly", size="small", place=(0.5, 0.45)), Thing("elephant", size="large", place=(0.5, 0.5))))
    drawn = Renderer()._drawn(crowd, "", ())
    assert drawn.missing == ("hidden or cut off: 1 of a small fly",)
    apart = Scene((Thing("dog", place=(0.2, 0.2)), Thing("cat", place=(0.8, 0.8))), (Relation("next to", 0, 1),))
    assert not held(apart, apart.relations[0])
    assert Renderer()._drawn(apart, "", ()).missing == ("does not hold: dog next to cat",)


def test_a_described_part_names_what_lies_in_it() -> None:
    renderer = Renderer()
    picture = renderer.draw(["a red dog on the left and a cat on the right, on grass"])[0]
    left = np.zeros((224, 224), bool)
    left[:, :112] = True
    assert renderer.describe(picture) == "a red dog on the left and a cat on the right on grass"
    assert renderer.describe(picture, left) == "a red dog on the left"
    sky = np.zeros((224, 224), bool)
    sky[:10] = True
    assert renderer.describe(picture, sky) == "nothing but the background on grass"
    dogs = renderer.draw(["a red dog on grass", "a dog at night", "two red dogs and a car"])
    summary = renderer.summarise(dogs, [None] * 3)
    assert summary.startswith("dog (3 of 3), ") and "red (2 of 3)" in summary
    assert "car" not in summary
    with pytest.raises(UserError, match="nothing is known"):
        renderer.describe(Picture(np.zeros((8, 8, 3), np.uint8), None, "", 0, "file"))


def test_rows_of_inputs_are_pictures_that_can_be_edited() -> None:
    from glossator.scenes import SceneImages

    images = SceneImages.of_scenes(random_scenes(3), side=64)
    (picture,) = pictures_of(images, [2])
    assert picture.scene == images.scenes[2] and (picture.pixels == images.pixels[2]).all()


def test_bytes_that_are_no_picture_are_said() -> None:
    for data in (b"", b"GIF89a", Renderer(side=16).draw(["a dog"])[0].png()[:200]):
        with pytest.raises(UserError, match="not an image"):
            Picture.from_png(data)
