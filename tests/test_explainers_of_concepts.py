"""Explainers that name units of images by known concepts: planted ones are named, units of nothing are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.agents.scene_studio import settings
from glossator.errors import MissingPower, UserError
from glossator.explainers import Abstained, explain_one
from glossator.explainers.clip_dissect import ClipDissectExplainer
from glossator.explainers.dissection import DissectionExplainer
from glossator.explainers.labels import LabelsExplainer
from glossator.explainers.milan import MilanExplainer
from glossator.explainers.one_shot import OneShotExplainer
from glossator.image_programs.overlap import covered, strongest
from glossator.image_programs.reading import SHOWS_SEVERAL, Read, read
from glossator.inputs import WHOLE, Concept, Grid, Images
from glossator.inputs.images import cells_of_pixels
from glossator.programs.language import Program
from glossator.programs.scene.atoms import Shows
from glossator.programs.scene.english import named
from glossator.scenes import Scene, SceneImages, Thing
from glossator.scenes.scene import LIGHTS, RELATIONS, SIZES, WEATHERS
from glossator.scenes.words import BACKGROUNDS, COLOURS, NUMBERS, classes, nouns
from glossator.simulators.program import ProgramSimulator
from image_cases import CELLS, SIDE, evidence_of, pictures, tiny_clip

BY_CONTENT = (DissectionExplainer(), MilanExplainer())


@pytest.fixture(scope="module")
def images() -> Images:
    return pictures()


@pytest.fixture(scope="module")
def scenes() -> SceneImages:
    """Dogs, red or not, cats and cars, on six backgrounds."""
    rng = np.random.default_rng(3)
    made = []
    for seed in range(300):
        noun = rng.choice(["dog", "cat", "car", "tree"])
        colour = rng.choice(["red", "blue", "green", "yellow", "pink", "black"])
        background = rng.choice(["grass", "snow", "desert", "room", "city", "sky"])
        made.append(Scene((Thing(str(noun), str(colour)),), background=str(background), seed=seed))
    return SceneImages.of_scenes(made, side=64)


def test_intersections_are_those_of_pixels(images):
    """Shares of cells give the IoU of pixels when a unit's map is enlarged without smoothing."""
    some = images.take(np.arange(60))
    values = np.random.default_rng(0).random((60, 49)).astype(np.float32)
    mask = strongest(values, 0.9)
    known = covered(some, CELLS)
    enlarged = np.stack([cells_of_pixels(one.reshape(7, 7), SIDE, SIDE) for one in mask])
    found = known.iou(mask[None])[:, 0]
    for concept, iou in zip(known.concepts, found, strict=True):
        pixels = some.annotations.coverage(np.arange(60), concept, Grid("cells", (SIDE, SIDE)))
        shown = pixels.reshape(60, SIDE, SIDE) > 0.5
        exact = (enlarged & shown).sum() / (enlarged | shown).sum()
        assert iou == pytest.approx(exact, rel=1e-5)


def test_a_plateau_counts_as_strongest_but_a_constant_does_not():
    saturated = np.array([[0.0, 6.0, 6.0, 1.0]])
    assert strongest(saturated, 6.0).tolist() == [[False, True, True, False]]
    assert not strongest(np.full((1, 4), 6.0), 6.0).any()


@pytest.mark.parametrize("explainer", BY_CONTENT, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("grid", [CELLS, WHOLE], ids=str)
@pytest.mark.parametrize("concept", ["noun:dog", "colour:red", "class:vehicle"])
def test_planted_concepts_are_named_and_predict(images, explainer, grid, concept):
    evidence = evidence_of(images, f'0.0 + 2.0*shows("{concept}")', grid)
    best = explain_one(explainer, evidence, n=3)[0]
    # a class of one noun is that noun
    named = {"class:vehicle": "noun:car"}.get(concept, concept)
    assert f'"{named}"' in str(best.program) and best.rank == 0
    predicted = ProgramSimulator(None).simulate(best, images, grid).expected
    assert np.corrcoef(predicted.ravel(), evidence.exemplars.activations.ravel())[0, 1] > 0.9
    assert best.headline is not None and best.headline.program is not None and best.headline.program.clauses
    assert best.provenance.evidence == evidence.fingerprint


@pytest.mark.parametrize("explainer", BY_CONTENT, ids=lambda one: type(one).__name__)
def test_units_of_nothing_are_rarely_claimed(images, explainer):
    """Blobs of a random size at random spots of a few images, in which the content plays no part."""
    claimed = 0
    for number in range(40):
        rng = np.random.default_rng([7, number])
        values = np.zeros((len(images), 7, 7), np.float32)
        for row in rng.choice(len(images), 60, replace=False):
            y, x = rng.integers(0, 5, 2)
            values[row, y : y + 3, x : x + 3] = rng.exponential()
        evidence = evidence_of(images, lambda _, v=values: v, CELLS, index=number)
        claimed += not isinstance(explainer.explain([evidence], n=1, seed=0)[0], Abstained)
    assert claimed <= 2


def test_dissection_follows_the_papers_rule_without_the_test_of_chance(images):
    rng = np.random.default_rng(1)
    evidence = evidence_of(images, lambda _: rng.random((len(images), 49)), CELLS)
    assert isinstance(DissectionExplainer(least=0.0).explain([evidence], n=1, seed=0)[0], Abstained)
    as_published = DissectionExplainer(least=0.0, alpha=None).explain([evidence], n=2, seed=0)[0]
    assert not isinstance(as_published, Abstained) and len(as_published) == 2
    assert "a detector exceeds 0.9" in DissectionExplainer(least=0.9).explain([evidence], n=1, seed=0)[0].reason


def test_milan_says_pairs_and_prefers_what_is_rare_elsewhere(images):
    both = evidence_of(images, '0.0 + 2.0*and(shows("noun:dog"), shows("colour:red"))', CELLS)
    best = explain_one(MilanExplainer(), both)[0]
    assert str(best.program).endswith('and(shows("noun:dog"), shows("colour:red"))')
    dogs = evidence_of(images, '0.0 + 2.0*shows("noun:dog")', CELLS)
    assert '"noun:dog"' in str(explain_one(MilanExplainer(weight=1.0), dogs)[0].program)


def test_what_is_not_known_is_missing():
    plain = Images.of(np.random.default_rng(0).integers(0, 256, (60, 28, 28, 3)).astype(np.uint8))
    evidence = evidence_of(plain, lambda one: one.pixels[:, ::4, ::4, 0], CELLS)
    for explainer in (*BY_CONTENT, OneShotExplainer()):
        with pytest.raises(MissingPower):
            explainer.explain([evidence], n=1, seed=0)


def test_one_step_summaries_say_what_most_of_the_strongest_images_share(scenes):
    def said(program: str, grid: Grid = CELLS):
        return OneShotExplainer().explain([evidence_of(scenes, program, grid)], n=1, seed=0)[0]

    (dogs,) = said('0.0 + 1.0*shows("noun:dog")')
    assert str(dogs.program).endswith('shows("noun:dog")') and dogs.provenance.settings["said"].startswith("dog (15 of")
    (red,) = said('0.0 + 1.0*and(shows("noun:dog"), shows("colour:red"))')
    assert str(red.program).endswith('and(shows("noun:dog"), shows("colour:red"))')
    (whole,) = said('0.0 + 1.0*together("noun:cat", "colour:blue")', WHOLE)
    assert str(whole.program).endswith('together("noun:cat", "colour:blue")')
    nothing = np.random.default_rng(5).random((300, 49))
    (abstained,) = OneShotExplainer().explain([evidence_of(scenes, lambda _: nothing, CELLS)], n=1, seed=0)
    assert isinstance(abstained, Abstained) and "nothing in common" in abstained.reason


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("dogs", 'shows("noun:dog")'),
        ("large red dogs", 'and(shows("noun:dog"), shows("size:large"), shows("colour:red"))'),
        ("cats or birds", 'shows("noun:cat", "class:bird")'),
        ("red things", 'shows("colour:red")'),
        ("red areas on grass", 'and(shows("colour:red"), anywhere(shows("background:grass")))'),
        ("on grass", 'shows("background:grass")'),
        ("dogs in the rain", 'and(shows("noun:dog"), anywhere(shows("weather:rain")))'),
        ("dogs without cats", 'and(shows("noun:dog"), not(anywhere(shows("noun:cat"))))'),
        ("a dog next to a ball", 'shows("relation:dog next to ball")'),
        ("my label", 'shows("label:my label")'),
        ("dogs, several of one kind (8 of 15)", f'and(shows("noun:dog"), {SHOWS_SEVERAL})'),
        ("red dogs with a cat", 'and(and(shows("noun:dog"), shows("colour:red")), anywhere(shows("noun:cat")))'),
        ("stripes backgrounds", 'shows("background:stripes")'),
        ("dogs except at night", 'and(shows("noun:dog"), not(anywhere(shows("light:night"))))'),
        (
            "red things on grass except at night and except in the rain",
            'and(shows("colour:red"), anywhere(shows("background:grass")), not(anywhere(shows("light:night"))), '
            'not(anywhere(shows("weather:rain"))))',
        ),
        ("large or medium-sized things", 'shows("size:large", "size:medium")'),
        ("single things or two things of one kind", 'shows("count:one", "count:two")'),
    ],
)
def test_descriptions_become_tests(text, program):
    found = read(text, CELLS, [Concept("label", "my label")])
    assert found.unknown == () and str(Program(0.0, ()) if found.whole is None else found.whole) == program


def test_what_programs_call_things_is_read_as_those_things():
    concepts = [Concept("background", name) for name in BACKGROUNDS] + [Concept("light", name) for name in LIGHTS]
    concepts += [Concept("weather", name) for name in WEATHERS] + [Concept("colour", name) for name in COLOURS]
    concepts += [Concept("size", name) for name in SIZES] + [Concept("count", name) for name in (*NUMBERS, "many")]
    concepts += [Concept("noun", name) for name in nouns()] + [Concept("relation", f"dog {r} car") for r in RELATIONS]
    concepts += [Concept("class", name) for name in classes() if name not in nouns()]
    said = {str(concept): read(named(concept), WHOLE) for concept in concepts}
    assert {name: found for name, found in said.items() if found != Read(Shows((name,)), ())} == {}
    assert named(Concept("background", "stripes")) == "striped backgrounds"
    assert named(Concept("background", "dots")) == "dotted backgrounds"
    for name, (kind, value) in settings().items():  # as experimenters say them
        assert read(name, WHOLE) == Read(Shows((f"{kind}:{value}",)), ())


@pytest.mark.parametrize("text", ["fluffy dogs", "dogs at the top", "three dogs", "unicorns", "dogs but not"])
def test_half_a_description_is_none(text):
    found = read(text, CELLS)
    assert found.unknown and found.whole is None


def test_labels_of_people_are_explanations(tmp_path, images):
    path = tmp_path / "labels.csv"
    path.write_text(
        'unit,label\nplanted/units/0,dogs\nunits/0,"fluffy dogs"\nunits/1,2.0*shows("noun:cat")\nunits/1-,x\n'
    )
    explainer = LabelsExplainer(file=str(path))
    one, other, third = (evidence_of(images, '0.0 + 1.0*shows("noun:dog")', CELLS, index=i) for i in (0, 1, 2))
    dogs, cats, none = explainer.explain([one, other, third], n=3, seed=0)
    assert [e.text for e in dogs] == ["dogs"] and str(dogs[0].program).endswith('shows("noun:dog")')
    assert dogs[0].headline.text == "dogs"
    assert str(cats[0].program) == '0.0 + 2.0*shows("noun:cat")'
    assert isinstance(none, Abstained) and not none.failed
    path.write_text("unit,label\nunits/0,fluffy dogs\n")
    (fluffy,) = explain_one(LabelsExplainer(file=str(path)), one)
    assert fluffy.program is None and fluffy.provenance.settings["not understood"] == ["fluffy"]


@pytest.mark.parametrize(
    ("content", "said"),
    [("a,b\n1,2\n", "lacks a column"), ("unit,label\nfirst,x\n", "names no unit"), ("unit,label\nu/1,\n", "no label"),
     (b"\xff\xfe\x00", "cannot be read")],
)  # fmt: skip
def test_bad_files_of_labels_are_refused_at_once(tmp_path, content, said):
    path = tmp_path / "labels.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=said):
        LabelsExplainer(file=str(path))
    with pytest.raises(MissingPower, match="needs a file"):
        LabelsExplainer()


class Knowing:
    """An image-text model that knows the images: one dimension a noun."""

    name, fingerprint = "knowing", "0"
    words = ("dog", "cat", "car", "tree")

    def __init__(self, scenes: SceneImages):
        self.by_pixels = {np.asarray(scenes.pixels[i]).tobytes(): s.things[0].noun for i, s in enumerate(scenes.scenes)}
        self.embedded = 0

    def images(self, pixels):
        self.embedded += len(pixels)
        return np.array(
            [[one == w for w in self.words] for one in (self.by_pixels[p.tobytes()] for p in pixels)], float
        )

    def texts(self, texts):
        return np.array([[text.endswith(f" {w}") for w in self.words] for text in texts], float)


def test_words_that_an_image_text_model_finds(scenes):
    model = Knowing(scenes)
    explainer = ClipDissectExplainer(model=model)
    cats = evidence_of(scenes, '0.0 + 1.0*shows("noun:cat")', CELLS)
    dogs = evidence_of(scenes, '0.0 + 1.0*shows("noun:dog")', WHOLE, index=1)
    found = [one[0] for one in explainer.explain([cats, dogs], n=2, seed=0)]
    assert [str(one.program)[-17:] for one in found] == ['shows("noun:cat")', 'shows("noun:dog")']
    assert model.embedded == len(scenes)  # each image once
    assert found[1] == explainer.explain([dogs], n=1, seed=0)[0][0]  # whatever stands beside it
    rng = np.random.default_rng(0)
    claims = [
        explainer.explain([evidence_of(scenes, lambda _: rng.random((300, 1)), WHOLE, index=i)], n=1, seed=0)[0]
        for i in range(40)
    ]
    assert sum(not isinstance(one, Abstained) for one in claims) <= 2


def test_a_saved_clip_is_opened_and_words_come_from_a_file(tmp_path, scenes):
    words = tmp_path / "words.txt"
    words.write_text("dogs\nsomething fluffy\n\ncats\n")
    folder = tiny_clip(tmp_path / "clip")
    explainer = ClipDissectExplainer(model=str(folder), words=str(words), alpha=None)
    assert explainer.vocabulary == ("dogs", "something fluffy", "cats")
    vectors = explainer.opened.images(scenes.pixels[np.arange(40)])
    alone = explainer.opened.images(scenes.pixels[np.arange(33, 36)])
    np.testing.assert_allclose(vectors[33:36], alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(explainer.opened.texts(["a", "a longer text"]), axis=1), 1, rtol=1e-5)
    some = evidence_of(scenes.take(np.arange(60)), '0.0 + 1.0*shows("noun:dog")', CELLS)
    (found,) = explainer.explain([some], n=3, seed=0)
    assert {e.text for e in found} >= {"something fluffy"} and all(e.provenance.model == "clip" for e in found)
    with pytest.raises(UserError, match=r"config.json"):
        ClipDissectExplainer(model=str(tmp_path)).opened  # noqa: B018
    with pytest.raises(MissingPower, match="image-text model"):
        ClipDissectExplainer()
