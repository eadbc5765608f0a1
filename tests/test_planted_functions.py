"""Functions with a known definition: what they answer, how answers are graded, who finds them."""

import math

import numpy as np
import pytest

from benchmarks import agent
from benchmarks.agent import in_subprocess
from benchmarks.function_fitting import fit
from benchmarks.function_solvers import CALLS, SOLVERS
from glossator.errors import UserError
from glossator.planted.functions import FAMILIES, VARIANTS, Asked, grade, held_out, text_functions, triplets

FUNCTIONS = text_functions(14, 5)
IDENTITY = "def f(x):\n    return x\n"


def here(source, inputs):
    scope = {"math": math}
    exec(source, scope)
    return [scope["f"](x) for x in inputs]


def test_the_source_of_every_function_solves_it_and_the_identity_solves_none():
    for function in FUNCTIONS:
        own = grade(function, function.source, here, seed=1)
        assert own.solved and own.main == (0 if function.family == "numeric" else 1)
        assert own.triplets in (None, 1.0)
        assert not grade(function, IDENTITY, here, seed=1).solved, function.english
        assert not grade(function, None, here, seed=1).solved


def test_seeds_give_functions_and_their_own_names_all_families_and_variants():
    again, other = text_functions(14, 5), text_functions(14, 6)
    assert [f.source for f in again] == [f.source for f in FUNCTIONS]
    assert np.mean([a.source == b.source for a, b in zip(FUNCTIONS, other, strict=True)]) < 0.5
    assert {(f.family, f.variant) for f in FUNCTIONS} == {(f, v) for f in FAMILIES for v in VARIANTS}


def test_noise_depends_on_the_call_and_is_the_same_again():
    noisy = next(f for f in FUNCTIONS if f.family == "numeric" and f.variant == "noise")
    asked = Asked(noisy, 400)
    answers = np.array(asked([3.0] * 400))
    assert answers.std() == pytest.approx(noisy.noise, rel=0.15)
    assert answers.mean() == pytest.approx(noisy.exact(3.0), abs=4 * noisy.noise / 20)
    assert Asked(noisy, 400)([3.0] * 400) == answers.tolist()


def test_calls_are_limited():
    asked = Asked(FUNCTIONS[0], 3)
    asked([1.0, 2.0])
    with pytest.raises(UserError, match="1 of 3"):
        asked([1.0, 2.0])
    assert asked.made == 2


def test_missing_another_rule_is_not_solved():
    for function in FUNCTIONS:
        if function.variant != "corrupted" or function.family != "numeric":
            continue
        main_rule = "def f(x):\n" + function.source.splitlines()[-1] + "\n"
        missed = grade(function, main_rule, here, seed=1)
        assert missed.main == 0 and missed.elsewhere > 0 and not missed.solved


def test_numbers_are_graded_where_nobody_asked_and_texts_on_both_sides_of_a_rule():
    numeric = next(f for f in FUNCTIONS if f.family == "numeric")
    assert held_out(numeric, 0) == [i + 0.5 for i in range(-128, 128)]
    spared = [f for f in FUNCTIONS if f.family == "string" and f.variant == "corrupted"]
    for function in spared:
        within = sum(function.corrupted(text) for text in held_out(function, 0))
        assert 3 <= within <= 17, function.english


def test_triplets_offer_two_near_misses_that_differ():
    offered = [(f, t) for f in FUNCTIONS if f.family == "string" for t in triplets(f, 0)]
    assert len(offered) > 300
    for function, (text, options, place) in offered:
        assert options[place] == function.exact(text) and len(set(options)) == 3
    assert {place for _, (_, _, place) in offered} == {0, 1, 2}


@pytest.mark.parametrize(
    "source",
    ["def f(x):\n    while True: pass\n", "def f(x):\n    return 'a' * 10 ** 12\n", "def f(x: return", "f = 3\n"],
)
def test_answers_that_fail_are_unsolved_not_errors(source, monkeypatch):
    monkeypatch.setattr(agent, "_CHILD", agent._CHILD.replace("(10, 10)", "(1, 1)"))
    assert in_subprocess(source, ["one", "two"]) == [None, None]


@pytest.mark.parametrize(
    "source",
    [
        "3.5 * x - 20", "12 if x < -31.5 else 47", "18 * math.sin(6.283185307 * x / 37 + 1.1)",
        "(9 if 10 <= x < 40 else -4) + 2 * x", "(0.3 * x + 2) * (25 if x < 11 else -8)", "300 / x + 4",
    ],
)  # fmt: skip
def test_expressions_are_recovered_from_points(source):
    x = np.random.default_rng(2).uniform(-128, 128, 150)
    y = np.array(here(f"def f(x):\n    return {source}\n", x.tolist()), float)
    fresh = np.arange(-127.5, 128, 1.0)
    truth = np.array(here(f"def f(x):\n    return {source}\n", fresh.tolist()), float)
    found = np.array(here(fit(x, y).source, fresh.tolist()), float)
    assert ((truth - found) ** 2).sum() < 0.05 * (truth**2).sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_experimenter_solves_most_functions_within_its_calls(family):
    functions = [f for f in text_functions(2, 31) if f.family == family]
    solved = []
    for number, function in enumerate(functions):
        asked = Asked(function, CALLS[family])
        source = SOLVERS[family](asked, np.random.default_rng(number), True)
        assert asked.made <= CALLS[family]
        solved.append(grade(function, source, here, seed=2).solved)
    assert np.mean(solved) >= 0.7


def test_answers_that_say_nothing_are_not_solved():
    """An experimenter that is answered at random has nothing to find."""

    class Noise(Asked):
        def __call__(self, inputs):
            super().__call__(inputs)
            return np.random.default_rng(len(inputs)).normal(size=len(inputs)).tolist()

    function = FUNCTIONS[2]
    source = SOLVERS["numeric"](Noise(function, CALLS["numeric"]), np.random.default_rng(0), True)
    assert not grade(function, source, here, seed=2).solved
