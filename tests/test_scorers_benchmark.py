"""The benchmark of scorers on a toy world: levels, the scripted reader, and every scorer's entry."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import scorers as bench
from benchmarks.scorer_levels import LEVELS, half_of, levels_of
from glossator.errors import UserError
from glossator.language_models import Message, Request
from glossator.planted import planted_units
from glossator.programs import execute, parse_program
from glossator.recording.texts import site_values
from glossator.scorers import prompts
from scorer_reader_cases import UNITS, explanation, levels, place_of, reader, toy_world


@pytest.mark.parametrize(
    ("whole", "half"),
    [
        ('1*token("a", "b", "c")', '1*token("a", "b")'),
        ('1*token("a") + 0.5*token("b")', '1*token("a")'),
        ('1*and(token("a"), after(token("b")))', '1*token("a")'),
        ('1*sequence(token("a"), token("b"))', '1*token("b")'),
        ('1*or(token("a"), token("b"))', '1*token("a")'),
        ('1*within(token("a"), 3)', '1*after(token("a"))'),
        ('1*after(token("a", "b"))', '1*after(token("a"))'),
    ],
)
def test_half_of_a_program(whole, half):
    assert half_of(parse_program(f"0 + {whole}")) == parse_program(f"0 + {half}")


@pytest.mark.parametrize("whole", ['1*token("a")', '1*suffix("ing")', "1*position(0..3)", '1*after(token("a"))'])
def test_what_says_one_thing_has_no_half(whole):
    assert half_of(parse_program(f"0 + {whole}")) is None


def test_levels_say_what_their_names_promise():
    world = toy_world()
    windows, place = world.windows["explain"], place_of("make")
    truth = world.activations["explain"][place] > 0
    fires = {
        level: execute(e.program, windows, world.lexicon) > 0
        for level, e in zip(LEVELS, levels("make").explanations, strict=True)
    }
    assert (fires["true"] == truth).all()
    assert (fires["partial"] <= truth).all() and 0 < fires["partial"].sum() < truth.sum()
    assert fires["vague"][truth].mean() >= 0.9 and fires["vague"].sum() > 5 * truth.sum()
    assert not (fires["coded"] & truth).any() and fires["coded"].any(axis=1)[truth.any(axis=1)].any()
    assert explanation("wrong").text in {u.description for u in planted_units()} - {explanation("true").text}
    assert not any(word in explanation("coded").text for word in ("make", "word"))


def test_units_without_a_half_have_no_levels():
    assert levels_of(toy_world(), place_of("ing")) is None


def test_random_windows_are_the_same_for_all_units_and_truth_is_the_planted_function():
    world = toy_world()
    first, second = (world.evidence(i).test for i in (0, 1))
    for found, unit in ((first, world.units[0]), (second, world.units[1])):
        np.testing.assert_array_equal(found.activations, unit.activations(found.windows))
    assert (first.of("random").windows.ids == second.of("random").windows.ids).all()
    values = site_values(world.subject, "planted", [0], first.windows.take(np.arange(5)))
    np.testing.assert_array_equal(values[..., 0], first.activations[:5])


def ask(lm, question, text, *shown):
    (answer,) = lm.ask([Request(question.messages(text, shown))])
    return answer


def test_the_reader_executes_what_it_is_told():
    said = explanation("true").text
    lm = reader()
    assert ask(lm, prompts.DETECT, said, " the make", " the old").value == {"answers": [True, False]}
    assert ask(lm, prompts.FUZZ, said, " the<< make>>", "<< the>> make").value == {"answers": [True, False]}
    shown = ["<< make>>", "<< made>> old", "<< red>> a", "<< makes>>", " a<< making>>"]
    assert ask(lm, prompts.INTRUDER, said, *shown).value == {"intruder": 3}
    assert ask(lm, prompts.ALONE, None, "<< a>>", "<< a>> b", "<< red>>", "<< a>>").value == {"intruder": 3}
    assert ask(lm, prompts.DETECT_ONE, said, " make").text == "yes"
    assert ask(lm, prompts.DETECT, "never heard of it", " make").value == {"answers": [False]}


def test_the_reader_refuses_what_it_does_not_know():
    lm = reader()
    for request in (Request((Message("user", "Hello?"),)), Request(prompt="Once upon a time")):
        assert lm.ask([request])[0].failure


def test_the_reader_can_be_noisy_and_is_always_the_same():
    texts = [" make", " the"] * 10
    said, exact, noisy = explanation("true").text, reader(), reader(noise=8.0)
    first, again = (ask(noisy, prompts.DETECT, said, *texts) for _ in range(2))
    assert first == again
    assert first.value != ask(exact, prompts.DETECT, said, *texts).value


@pytest.fixture(scope="module")
def measured():
    world = toy_world()
    names = UNITS[:3]
    places = [place_of(name) for name in names]
    made = bench._Bench(world, places, [levels(name) for name in names], {**bench.DEFAULTS, "subject": "toy"})
    return {row.name: made.measure(row) for row in bench.ROWS if row.name != "embedding"}


def test_every_scorer_has_an_entry_that_can_be_written_as_json(measured):
    for name, entry in measured.items():
        assert {"name", "order_ok", "auroc", "tokens", "constant_answer"} <= entry.keys()
        assert entry["name"] == name and json.dumps(entry, allow_nan=False)


@pytest.mark.parametrize("name", [row.name for row in bench.ROWS if row.name != "embedding"])
def test_truth_is_above_all_else_and_constants_get_the_baseline(measured, name):
    entry = measured[name]
    means = {level: entry["levels"][level]["value"] for level in LEVELS}
    assert means["true"] == pytest.approx(1.0, abs=0.05) and entry["auroc"] > 0.95
    assert means["true"] > means["vague"] > means["wrong"] - 0.25
    assert entry["constant_answer"] is None or abs(entry["constant_answer"] - entry["baseline"]) < 0.3
    asks = name in ("lm-detection", "lm-detection.json", "fuzzing", "intruder", "surprisal", "agreement",
                    "generate-and-test")  # fmt: skip
    assert (entry["tokens"] > 0) == asks
    if asks:
        assert entry["constant_answer"] == pytest.approx(entry["baseline"])


def test_steps_decide_the_order():
    def step(above, below, low, high):
        return {"above": above, "below": below, "value": (low + high) / 2, "low": low, "high": high}

    good = [step("true", "partial", 0.1, 0.3), step("partial", "vague", 0.1, 0.3), step("vague", "wrong", -0.1, 0.1),
            step("wrong", "coded", -0.2, 0.1), step("true", "wrong", 0.5, 0.6)]  # fmt: skip
    assert bench._in_order(good)
    for spoiled in (
        step("true", "partial", 0.0, 0.3),
        step("wrong", "coded", -0.3, -0.1),
        step("true", "wrong", -1, 1),
    ):
        steps = [spoiled if (s["above"], s["below"]) == (spoiled["above"], spoiled["below"]) else s for s in good]
        assert not bench._in_order(steps)


def test_discrimination_by_hand():
    found = bench._discrimination([0.9, 0.8, 0.4], [0.5, 0.4, 0.1])
    assert found["auroc"] == pytest.approx((3 + 3 + 1.5) / 9)


def test_unknown_scorers_are_a_clear_error():
    with pytest.raises(UserError, match="unknown scorer"):
        bench.run({"only": "detektion"})
    with pytest.raises(UserError, match="unknown option: 'lms'"):
        bench.run({"lms": "openai:gpt"})
    for value in ("x", 0, True, 2.5):
        with pytest.raises(UserError, match="bad units"):
            bench.run({"units": value})


@pytest.mark.weights
@pytest.mark.slow
def test_quick_benchmark_on_the_embedded_corpus(smollm2):
    found = bench.run({"quick": True, "only": "detection,lm-detection,fuzzing"})
    assert [entry["name"] for entry in found["scorers"]] == ["detection", "lm-detection", "fuzzing"]
    assert all(entry["auroc"] == 1.0 for entry in found["scorers"])
