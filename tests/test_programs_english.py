"""The English of programs: short, true to the program, never cut without saying so."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.programs import english, english_length, parse_program
from glossator.programs.words import WORD_CLASSES
from program_strategies import programs

CASES = [
    (
        '0 + 1*token(" keep", " kept") + 0.9*token(" more") + 0.4*shape(number) + 0.4*suffix("ing") '
        '+ 0.1*and(token(" the"), after(token(","))) - 0.4*shape(punctuation)',
        "Most on “keep/kept/more” or ending “-ing”, numbers; also “the” after “,”; less on punctuation.",
    ),
    ('0 + token(" keep", " Keep", "keep", "ed")', "On “keep/-ed”."),
    ('0 + token("ing") + 0.1*token("\\n")', "Most on “-ing”; also line breaks."),
    (
        '0 + like(" keep", " hold"; 0.5) + like(" more"; 0.4)',
        "On words like “keep/hold/more”.",
    ),
    ('0 + suffix("ed") + suffix("s") + prefix("un")', "On words ending “-ed/-s” or starting “un-”."),
    ("1 - 1*word(articles)", "Everywhere except on articles."),
    ("1 - 0.5*word(articles)", "Everywhere; less on articles."),
    ("1 + 2*word(articles)", "A little everywhere; most on articles."),
    ('-1.5 + token(" a") + after(token(" b"))', "When together on “a”, after “b”."),
    (
        '-0.5 + token(" a") + 0.4*within(word(noun.food), 3)',
        "On “a”; helped by tokens within 3 after foods.",
    ),
    ('0 + sequence(token(" in"), token(" order"), token(" to"))', "On the end of “in order to”."),
    ('0 + sequence(word(articles), token(" dog"))', "On “dog” right after articles."),
    ('0 + and(word(colours), not(after(token(" the"))), position(0..3))',
     "On colours not after “the” in the first 4 places."),
    ('0 + between(token(" ("), token(")"))', "On tokens between “(” and “)”."),
    ('0 + between(contains("("), contains(")"); 2)', "On tokens in parentheses at least 2 deep."),
    ('0 + and(token(" any"), between(word(negations), word(ends of sentence)))',
     "On “any” after negations in the sentence."),
    ("0 + position(0..3; shape(newline))", "On tokens in the first 4 places of the line."),
    ('0 + and(token(","), count(token(","), 2..2; word(ends of sentence)))',
     "On “,” after 2 occurrences of “,” in the sentence."),
    ('0 + not(count(token(" a"), 1..; token(" b")))', "On tokens not after “a” since the last of “b”."),
    ("0 + share(shape(digit); 0.25)", "On tokens in text with at least 25 % digits."),
    ("0 + same(initial, 1..1) + agrees(ending, shape(capitalised))",
     "On tokens with the same first letter as the token before, "
     "tokens with the same ending as the last of capitalised words."),
    ("0 + induction()", "On tokens that follow the token before as they did last time."),
    ("0 + repeated() + position(5..)", "On tokens seen before, tokens from place 6 on."),
    ('0 + table(" a"=1, " b"=3; 0)', "On a table of 2 tokens, most “b/a”."),
    ('0 + token(" keep", " a/b", "“", "\\t", " tabs")', "On “keep/tabs”/“a/b”/“\u201c”/tabs."),
    ('0 + token(" keep") + like(" hold"; 0.5) + 0.1*after(token(","))',
     "Most on “keep” or like “hold”; also after “,”."),
    ("0", "Never."),
    ('0 + token(" keep"); raises token(" on", " up"); lowers suffix("ed")',
     "On “keep”; raises “on/up”; lowers words ending “-ed”."),
    ('0; raises word(prepositions)', "Raises prepositions."),
    ("0.5", "Everywhere."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_sentences(text, expected):
    assert english(parse_program(text)) == expected


@given(programs)
@settings(max_examples=300, deadline=None)
def test_every_program_has_one_printable_sentence(program):
    text = english(program)
    assert text.isprintable() and text.endswith(".") and not text[0].islower()
    assert english_length(program) == len(text)


@given(programs, st.integers(0, 120))
@settings(max_examples=200, deadline=None)
def test_a_limit_is_kept_or_the_loss_is_told(program, limit):
    whole, cut = english(program), english(program, limit)
    if len(whole) <= limit:
        assert cut == whole
    elif cut != whole:
        assert "weaker" in cut


def test_the_weakest_clauses_go_first():
    words = ["keep", "more", "dog", "house", "river", "music", "paper", "green", "later", "under", "water", "night"]
    program = parse_program("0 " + " ".join(f'+ {1 - i / 20}*token(" {w}")' for i, w in enumerate(words)))
    assert english_length(program) <= 200, "twelve words fit"
    cut = english(program, 60)
    assert len(cut) <= 60 and "“keep/" in cut and "night" not in cut and "weaker" in cut


def test_every_word_class_reads_differently():
    assert len(set(WORD_CLASSES.values())) == len(WORD_CLASSES)
