"""Sentences: grammatical, short, and without what hardly explains anything."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.headlines.sentence import noun, sentence
from glossator.programs import parse_program
from glossator.programs.bank import build_bank
from glossator.programs.problem import make_problem
from test_headlines import LEXICON, MONTH, SEEN, evidence_of, fires, holds


def said(values: np.ndarray, program: str) -> str:
    bank = build_bank(LEXICON, np.bincount(SEEN.tokens.reshape(-1), minlength=len(LEXICON) + 1))
    problem = make_problem(evidence_of(values, SEEN).exemplars, bank, 0.01, 0.1)
    return sentence(problem, parse_program(program))


MANY = '0.0 + 1.0*token(" we", " our", " us", " stone") + 0.9*word(months) + 0.01*token(" paper") - 0.3*token(",")'


def test_an_atom_is_said_when_it_earns_its_place():
    values = fires(holds(SEEN, " we", " our", " us", " stone", *MONTH))
    text = said(values, MANY)
    assert text.startswith("Fires on ") and "months" in text and "paper" not in text and "“,”" not in text
    assert sum(f"“{word}”" in text for word in ("we", "our", "us", "stone")) == 3


def test_a_program_that_only_weakens_is_said_as_such():
    values = np.where(holds(SEEN, ","), 0.0, 1.0)
    assert said(values, '1.0 - 1.0*token(",")') == "Fires almost everywhere, less on “,”."


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('token(" the", " a", " of", " to")', "“the”, “a” or “of”"),
        ('after(token(" the"))', "tokens after “the”"),
        ('within(token(" the"), 4)', "tokens soon after “the”"),
        ('and(shape(digit), after(token(" in")))', "digits after “in”"),
        ('and(word(months), between(contains("("), contains(")")))', "months in parentheses"),
        ('suffix("ing")', "words ending in -ing"),
        ('not(word(months))', "tokens other than months"),
        ('sequence(token(" in"), token(" the"))', "the end of “in the”"),
        ('repeated(8)', "tokens seen shortly before"),
        ('token("\\n")', "line breaks"),
    ],
)  # fmt: skip
def test_nouns(test, expected):
    assert noun(parse_program(f"0.0 + 1.0*{test}").clauses[0].test) == expected


def test_a_line_break_after_a_mark_is_said_as_such():
    program = parse_program('0.0 + 1.0*sequence(token("."), token("\\n"))')
    assert noun(program.clauses[0].test) == "line breaks after “.”"
