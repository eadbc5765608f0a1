"""The code: prices worked out by hand, no discount for nothing, and the same price however a program is written."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.programs import Clause, Lexicon, Program, bits, parse_program, quantise
from glossator.programs.bits import KINDS, literal_bits
from glossator.programs.bits import test_bits as bits_of_test
from glossator.programs.language import Test
from glossator.programs.scene import bits as scene
from glossator.programs.shapes import SHAPES
from glossator.programs.words import WORD_CLASSES
from program_strategies import LEXICON, VOCABULARY, programs, tests

KIND = math.log2(KINDS)
LITERAL = math.log2(len(VOCABULARY) + 1)
EMPTY = 8 + 5 + 1


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("0", EMPTY),
        ('0 + token(" keep")', EMPTY + 2 + 5 + KIND + 1 + LITERAL),
        ('0 + token(" keep", " the")', EMPTY + 2 + 5 + KIND + 3 + 2 * LITERAL - 1),
        ('0 + like(" keep"; 0.5)', EMPTY + 2 + 5 + KIND + 1 + LITERAL + 4),
        ('0 + suffix("ing")', EMPTY + 2 + 5 + KIND + 5 + 15),
        ('0 + suffix("I")', EMPTY + 2 + 5 + KIND + 3 + 12),
        ("0 + shape(number)", EMPTY + 2 + 5 + KIND + math.log2(len(SHAPES))),
        ("0 + word(colours)", EMPTY + 2 + 5 + KIND + math.log2(len(WORD_CLASSES))),
        ("0 + repeated(4)", EMPTY + 2 + 5 + KIND + 1 + 5),
        ("0 + position(1..3)", EMPTY + 2 + 5 + KIND + 3 + 1 + 3 + 1),
        ("0 + position(0..; repeated())", EMPTY + 2 + 5 + 2 * KIND + 1 + 1 + 1 + 1),
        ("0 + same(initial, 1..1)", EMPTY + 2 + 5 + KIND + math.log2(6) + 1 + 1 + 1),
        ("0 + share(repeated(); 0.25)", EMPTY + 2 + 5 + 2 * KIND + 1 + 7),
        ('0 + after(token(" keep"))', EMPTY + 2 + 5 + 2 * KIND + 1 + LITERAL),
        ('0 + table(" keep"=1, " the"=2; 0)', EMPTY + 2 + KIND + 3 + 2 * (LITERAL + 5) - 1 + 5),
        ('0 + token(" keep") + token(" the")', EMPTY + 2 + 2 * (5 + KIND + 1 + LITERAL) - 1),
        ('0; raises token(" keep")', EMPTY + 2 + 5 + 1 + KIND + 1 + LITERAL),
        ('0 + token(" the"); lowers suffix("I")', EMPTY + 2 + 5 + KIND + 1 + LITERAL + 5 + 1 + KIND + 3 + 12 - 1),
    ],
)
def test_prices_by_hand(text, cost):
    assert bits(parse_program(text), LEXICON) == pytest.approx(cost)


def test_the_number_of_kinds_is_the_language_s():
    def leaves(kind: type) -> set[type]:
        below = kind.__subclasses__()
        return {kind} if not below else set().union(*map(leaves, below))

    assert sum(kind.language != "scene" for kind in leaves(Test)) == KINDS
    assert sum(kind.language != "tokens" for kind in leaves(Test)) == scene.KINDS


@given(programs, st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_clauses_costs_nothing(program, random):
    clauses = list(program.clauses)
    random.shuffle(clauses)
    shuffled = Program(program.bias, tuple(clauses), **program.output)
    assert bits(shuffled, LEXICON) == pytest.approx(bits(program, LEXICON))


@given(programs, tests, st.floats(0.1, 1))
@settings(max_examples=200, deadline=None)
def test_another_clause_never_makes_a_program_cheaper(program, test, strength):
    longer = Program(program.bias, (*program.clauses, Clause(strength, test)), **program.output)
    assert bits(longer, LEXICON) >= bits(program, LEXICON) > 0
    assert 0 < bits_of_test(test, LEXICON) < math.inf


def test_frequent_tokens_are_cheap_when_counts_are_known():
    counts = np.zeros(len(VOCABULARY))
    counts[VOCABULARY.ids[" the"]] = 1000
    counted = Lexicon(VOCABULARY, None, counts)
    assert literal_bits(" the", counted) < 0.1 < LITERAL < literal_bits(" keep", counted)
    total = sum(2.0 ** -literal_bits(text, counted) for text in VOCABULARY.ids)
    assert total <= 1.0 + 1e-9, "the prices must be those of a code"
    assert literal_bits("unheard-of", counted) > literal_bits(" keep", LEXICON)


def test_quantise_puts_numbers_on_the_grid_and_drops_the_negligible():
    program = parse_program('-0.2 + 0.3333333*token("a") + 0.2501*like("b"; 0.33) + 0.0001*token("c")')
    assert str(quantise(program)) == '-0.235 + 0.333*token("a") + 0.235*like("b"; 0.3125)'
    assert quantise(Program(0.0, ())) == Program(0.0, ())
