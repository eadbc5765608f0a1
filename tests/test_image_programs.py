"""Programs over images: written and read, executed, costed, said, and found again in units that do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.errors import MissingPower, UserError
from glossator.explainers import Abstained, explain_one
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation, Provenance
from glossator.inputs import WHOLE, Grid, Images, Texts
from glossator.programs import Program, bits, english, parse_program, quantise
from glossator.programs.running import run
from glossator.programs.scene.content import execute
from glossator.programs.scene.english import noun, sentence
from glossator.simulators.program import ProgramSimulator
from glossator.units import Unit
from image_cases import CELLS, SIDE, evidence_of, pictures

WRITTEN = (
    '0.1 + 2.0*shows("noun:dog", "noun:cat") - 0.5*looks(red; 0.25)',
    '0.0 + 1.0*and(together("noun:dog", "colour:red"), not(anywhere(shows("light:night"))))',
    "0.0 + 1.0*beside(looks(vertical), 2)",
    '0.0 + 3.0*or(shows("label:x y"; 0.5), looks(top))',
)


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_written_is_read_again_and_costs_bits_without_a_lexicon(text):
    program = parse_program(text)
    assert str(program) == text and program.language == "scene"
    assert parse_program(str(quantise(program))) == quantise(program)
    assert 20 < bits(program, None) < 120
    assert english(program)[0].isupper() and english(program).endswith(".")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('token("a") + looks(red)', "tokens or images, not both"),
        ("looks(rde)", "did you mean red"),
        ('shows("dog")', "KIND:NAME"),
        ('shows("beast:dog")', "no such kind of concept"),
        ('together("noun:dog")', "at least two concepts"),
        ('shows("noun:dog"; 2)', "between 0 and 1"),
        ("beside(looks(red), 0)", "from 1"),
    ],
)
def test_what_is_no_program_is_refused(text, said):
    with pytest.raises(UserError, match=said):
        parse_program(text)


def test_english():
    def said(text: str) -> str:
        return english(parse_program(text)).removeprefix("Responds ")

    assert said('shows("noun:dog")') == "to dogs."
    assert said('2*shows("noun:dog") + 0.5*shows("class:toy") - shows("light:night")') == (
        "most to dogs; also to toys; less to night scenes."
    )
    assert said('and(shows("noun:ball"), shows("colour:red"), shows("size:large"))') == "to large red balls."
    assert said('shows("count:one", "class:electronics")') == "to single objects or electronics."
    several = '", "'.join(f"count:{name}" for name in ("two", "three", "four", "five", "six", "many"))
    assert said(f'shows("{several}")') == "to things shown several times."
    assert said('and(shows("noun:dog"), not(shows("light:night")))') == "to dogs except at night."
    assert said('and(shows("noun:dog"), anywhere(shows("noun:tree")))') == "to dogs in images with trees."


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ('and(shows("weather:rain"), shows("background:wood"))', "wooden backgrounds in the rain"),
        ('and(shows("weather:rain"), shows("size:medium"))', "medium-sized things in the rain"),
        ('and(shows("colour:blue"), anywhere(shows("light:day")))', "blue things by day"),
        ('and(looks(left), looks(blue))', "blue areas on the left of the image"),
        ('and(shows("weather:rain"), looks(centre))', "the centre of the image in the rain"),
        ('and(looks(edges), shows("colour:red"))', "red things with edges and fine texture"),
        ('and(shows("noun:dog"), shows("background:grass"; 0.75))', "dogs with mostly grass backgrounds"),
        ('and(not(shows("light:night")), shows("noun:dog"), not(looks(top)))',
         "dogs except at night and except at the top of the image"),
        ('not(shows("light:night"))', "anything but night scenes"),
        ('and(not(shows("light:night")), not(shows("noun:dog")))', "anything without dogs except at night"),
        ('shows("size:large", "noun:dog", "size:medium")', "dogs or large or medium-sized things"),
        ('shows("background:dots", "background:wood", "background:sky")', "dotted, wooden or sky backgrounds"),
        ('shows("relation:dog next to wolf")', "dogs next to wolves"),
    ],
)  # fmt: skip
def test_what_is_where_is_said_as_captions_say_it(test, said):
    assert noun(parse_program(test).clauses[0].test) == said


def test_a_colour_and_a_noun_of_a_whole_image_need_not_be_one_thing():
    both = parse_program('and(shows("noun:dog"), shows("colour:red"))')
    assert sentence(both) == "Responds to red dogs."
    assert sentence(both, whole=True) == "Responds to dogs with red things."
    always = parse_program('1.0 + 1.1*shows("noun:dog")')
    assert (sentence(always), sentence(always, whole=True)) == (
        "Responds everywhere; most to dogs.", "Responds to all images; most to dogs."
    )  # fmt: skip
    at_one_spot = parse_program('together("noun:dog", "colour:red")')
    assert sentence(at_one_spot, whole=True) == "Responds to red dogs."


def test_each_of_several_phrases_has_its_own_preposition():
    program = parse_program('2*and(shows("weather:rain"), shows("background:wood")) + 1.9*shows("size:medium")')
    assert english(program) == "Responds to wooden backgrounds in the rain and to medium-sized things."


def block(colour: tuple[int, int, int]) -> Images:
    """One white image whose upper left quarter has a colour."""
    pixels = np.full((1, 40, 40, 3), 255, np.uint8)
    pixels[0, :20, :20] = colour
    return Images.of(pixels)


@pytest.mark.parametrize(
    ("colour", "name"),
    [((220, 20, 30), "red"), ((250, 150, 20), "orange"), ((110, 60, 15), "brown"), ((240, 230, 40), "yellow"),
     ((20, 180, 40), "green"), ((30, 220, 220), "cyan"), ((30, 50, 230), "blue"), ((140, 40, 220), "purple"),
     ((240, 60, 180), "pink"), ((120, 120, 120), "grey"), ((10, 10, 10), "black"), ((190, 10, 30), "red")],
)  # fmt: skip
def test_colours_are_told_from_pixels(colour, name):
    found = execute(parse_program(f"looks({name})"), block(colour), Grid("cells", (2, 2)))
    np.testing.assert_allclose(found, [[1, 0, 0, 0]])
    whole = execute(parse_program(f"looks({name})"), block(colour), WHOLE)
    np.testing.assert_allclose(whole, [[0.25]])


def test_edges_and_places_are_told_from_pixels():
    down, across = np.mgrid[:48, :48]
    stripes = {"vertical": across, "horizontal": down, "rising": across + down, "falling": across - down}
    for name, phase in stripes.items():
        pixels = np.repeat((127 + 120 * np.sin(phase / 2))[None, :, :, None], 3, axis=3).astype(np.uint8)
        values = {
            one: float(execute(parse_program(f"looks({one})"), Images.of(pixels), WHOLE)[0, 0]) for one in stripes
        }
        assert max(values, key=values.__getitem__) == name and values[name] > 3 * sorted(values.values())[-2]
    cells = Grid("cells", (2, 2))
    found = {one: execute(parse_program(f"looks({one})"), block((0, 0, 0)), cells)[0] for one in ("left", "top")}
    np.testing.assert_allclose(found["left"], [0.75, 0.25, 0.75, 0.25])
    np.testing.assert_allclose(found["top"], [0.75, 0.75, 0.25, 0.25])


def test_tests_on_cells_and_on_whole_images():
    shown = pictures(200)
    dog = shown.annotations.present(next(c for c in shown.annotations.concepts if str(c) == "noun:dog"))
    cells = execute(parse_program('shows("noun:dog")'), shown, CELLS)
    np.testing.assert_array_equal(cells.max(axis=1) > 0, dog)
    np.testing.assert_array_equal(execute(parse_program('shows("noun:dog")'), shown, WHOLE)[:, 0], dog)
    assert ((cells > 0) & (cells < 1)).any()  # shares, not only yes and no
    near = execute(parse_program('beside(shows("noun:dog"))'), shown, CELLS)
    square, padded = cells.reshape(200, 7, 7), np.pad(cells.reshape(200, 7, 7), ((0, 0), (1, 1), (1, 1)))
    by_hand = np.max([padded[:, y : y + 7, x : x + 7] for y in range(3) for x in range(3)], axis=0)
    np.testing.assert_array_equal(near.reshape(square.shape), by_hand)
    anywhere = execute(parse_program('anywhere(shows("noun:dog"))'), shown, CELLS)
    np.testing.assert_array_equal(anywhere, np.repeat(cells.max(axis=1, keepdims=True), 49, axis=1))
    share = execute(parse_program('shows("noun:dog"; 0.1)'), shown, WHOLE)[:, 0] > 0
    np.testing.assert_array_equal(share, cells.mean(axis=1) >= 0.1)
    together = execute(parse_program('together("noun:dog", "colour:red")'), shown, WHOLE)[:, 0] > 0
    both = execute(parse_program('and(shows("noun:dog"), shows("colour:red"))'), shown, WHOLE)[:, 0] > 0
    assert together.any() and (together <= both).all() and (together != both).any()


def test_a_program_says_which_inputs_it_reads():
    shown, text = pictures(4), Texts.of(("a", "b"))
    simulate = ProgramSimulator(None).simulate

    def told(text: str) -> Explanation:
        return Explanation(Unit("s", "u", 0), "x", Provenance("told"), parse_program(text))

    with pytest.raises(MissingPower, match="reads windows of tokens"):
        simulate(told('token("a")'), shown, CELLS)
    with pytest.raises(MissingPower, match="needs tokens"):
        simulate(told('shows("noun:dog")'), text, WHOLE)
    bare = Images.of(shown.pixels)
    with pytest.raises(MissingPower, match="nothing is known of the content"):
        simulate(told('shows("noun:dog")'), bare, CELLS)
    assert simulate(told("looks(red)"), bare, CELLS).expected.shape == (4, 49)
    np.testing.assert_array_equal(run(Program(0.5), bare, WHOLE, None), np.full((4, 1), 0.5, np.float32))


PLANTED = {
    "one": (WHOLE, '2.0*shows("noun:dog")', "dogs"),
    "one of two": (WHOLE, '2.0*shows("noun:ball", "noun:dog")', None),
    "class": (WHOLE, '1.0*shows("class:animal")', "animals"),
    "both": (WHOLE, '3.0*and(shows("noun:tree"), shows("noun:dog"))', "trees with dogs"),
    "bound": (WHOLE, '1.0*together("noun:dog", "colour:red")', "red dogs"),
    "on cells": (CELLS, '2.0*shows("noun:dog")', "dogs"),
    "described": (CELLS, '1.0*and(shows("noun:dog"), shows("colour:red"))', "red dogs"),
    "context": (CELLS, '1.0*and(shows("noun:dog"), anywhere(shows("noun:tree")))', None),
    "one of two on cells": (CELLS, '2.0*shows("noun:ball", "noun:dog")', None),
    "pixels": (CELLS, "1.0*looks(vertical)", "vertical edges"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_unit_that_does_what_a_program_says_is_found_again(name):
    grid, truth, headline = PLANTED[name]
    (found,) = explain_one(ProgramExplainer(), evidence_of(pictures(400), truth, grid), n=1)
    assert found.program == parse_program(f"0.0 + {truth}")
    assert headline is None or (found.headline is not None and str(found.headline) == headline)
    assert found.headline is not None and found.modes and found.headline.program is not None
    classes = run(found.headline.program, pictures(50, seed=1), grid, None)
    assert set(np.unique(classes)) <= {0.0, 1.0}


def test_an_exception_is_found_and_holds_on_other_images():
    truth = parse_program('3*and(shows("noun:dog"), not(shows("light:night")))')
    for grid in (WHOLE, CELLS):
        (found,) = explain_one(ProgramExplainer(), evidence_of(pictures(400), str(truth), grid), n=1)
        other = pictures(300, seed=1)
        np.testing.assert_allclose(execute(found.program, other, grid), execute(truth, other, grid), atol=0.1)


def test_photographs_without_labels_get_programs_over_pixels():
    shown = Images.of(pictures(300).pixels)
    (found,) = explain_one(ProgramExplainer(), evidence_of(shown, "looks(red)", CELLS), n=1)
    assert found.program == parse_program("0.0 + 1.0*looks(red)") and str(found.headline) == "red areas"


@pytest.mark.parametrize(("grid", "units"), [(WHOLE, 40), (CELLS, 12)])
def test_units_that_have_nothing_to_do_with_the_images_are_not_claimed(grid, units):
    shown = pictures(250)
    real = execute(parse_program('1*shows("noun:dog") + 0.5*shows("light:night")'), shown, grid)
    evidence = [
        evidence_of(shown, lambda _, i=i: real[np.random.default_rng(i).permutation(len(shown))], grid, index=i)
        for i in range(units)
    ]
    answers = ProgramExplainer().explain(evidence, n=1, seed=0)
    assert sum(not isinstance(answer, Abstained) for answer in answers) <= 0.05 * units


def test_an_explanation_depends_on_its_unit_and_the_seed_alone():
    def units(shown: Images) -> list:
        return [evidence_of(shown, truth, CELLS, index=i) for i, (_, truth, _) in enumerate(PLANTED.values())][5:8]

    shown = pictures(500)  # more places than are looked at, so that some are drawn
    together = ProgramExplainer().explain(units(shown), n=2, seed=3)
    alone = [ProgramExplainer().explain([one], n=2, seed=3)[0] for one in units(shown)]
    assert together == alone and all(not isinstance(one, Abstained) for one in alone)


def test_side_of_the_pictures():
    assert pictures(3).pixels.shape == (3, SIDE, SIDE, 3)
