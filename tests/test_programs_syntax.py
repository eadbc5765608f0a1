"""Printing and parsing: identity on every program, and errors that say where and what."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from glossator.errors import UserError
from glossator.programs import After, And, Clause, Like, Not, Position, Program, Repeated, Table, Token, parse_program
from glossator.programs.language import DEEPEST, scaled
from glossator.programs.quantise import quantise
from program_strategies import programs, tests


@given(programs)
@settings(max_examples=500, deadline=None)
def test_print_then_parse_is_identity(program):
    text = str(program)
    assert parse_program(text) == program
    assert repr(parse_program(text)) == repr(program), "also where == does not look: -0.0 and 0.0"
    assert "\n" not in text and text.isprintable()


@given(tests)
@settings(max_examples=200, deadline=None)
def test_tests_alone_round_trip(test):
    assert parse_program(f"0 + 1*{test}").clauses[0].test == test


@given(programs)
@settings(max_examples=200, deadline=None)
def test_quantised_programs_round_trip_and_stay(program):
    once = quantise(program)
    assert quantise(once) == once
    assert parse_program(str(once)) == once


def test_the_syntax_as_documented():
    program = Program(
        0.5,
        (
            Clause(0.9, Token((" keep", "\n"))),
            Clause(-0.25, And((Like((" red",), 0.5), Not(After(Token((",",))))))),
            Clause(1.0, Repeated()),
            Clause(1.0, Position(3)),
            Clause(1.0, Table(((" a", 0.5),), -1.0)),
        ),
    )
    text = (
        '0.5 + 0.9*token(" keep", "\\n") - 0.25*and(like(" red"; 0.5), not(after(token(",")))) '
        '+ 1.0*repeated() + 1.0*position(3..) + 1.0*table(" a"=0.5; -1.0)'
    )
    assert str(program) == text
    assert parse_program(text) == program
    assert parse_program('.5\n+ .9 * token( " keep" ,"\\u000a") - 25e-2*and(like(" red";.5),not(after(token(","))))'
                         ' + repeated( ) + position(3 .. ) + table(" a" = 0.5 ; -1)') == program  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("", 1, 1, "a number"),
        ("1 + ", 1, 5, "a test"),
        ('1 + tokn("a")', 1, 5, "did you mean token"),
        ("1 + token(a)", 1, 11, "double quotes"),
        ('1 + token("a"', 1, 14, "`)`"),
        ('1 + token("a")\n  + not("a")', 2, 9, "a test"),
        ('1 + token("a") x', 1, 16, "another clause"),
        ('1 + 2*table(" a"=1; 0)', 1, 5, "strength 1"),
        ('1 + not(table(" a"=1; 0))', 1, 5, "a whole clause"),
        ("1 + shape(fancy)", 1, 5, "unknown shape"),
        ("1 + word(nouns)", 1, 5, "unknown word class"),
        ('1 + like("a"; 1)', 1, 5, "floor"),
        ('1 + like("a", "a"; 0.5)', 1, 5, "twice"),
        ('1 + within(token("a"), 0)', 1, 5, "from 1"),
        ("1 + position(5..3)", 1, 5, "from 5"),
        ('1 + and(token("a"))', 1, 5, "at least two"),
        ('1 + prefix("")', 1, 5, "at least one character"),
        ('1 + token("\\ud800")', 1, 5, "surrogates"),
        ('1 + token("\\x")', 1, 11, "escape"),
        ("1e999", 1, 1, "bias"),
        ("nan", 1, 1, "a number"),
        ("1 + repeated(99999999999999999999999999)", 1, 5, "whole number"),
        ('1; raises after(token("a"))', 1, 11, "next token alone"),
        ('1; raises table(" a"=1; 0)', 1, 11, "a whole clause"),
        ('1; lowers token("a"); raises token("b")', 1, 23, "then `lowers`"),
        ('1; raises token("a"); raises token("b")', 1, 23, "at most once"),
        ("1; lifts token", 1, 4, "`raises`"),
        ("1;", 1, 3, "`raises`"),
    ],
)
def test_errors_tell_place_and_cure(text, line, column, says):
    with pytest.raises(UserError) as caught:
        parse_program(text)
    assert f"line {line}, column {column}" in str(caught.value)
    assert says in str(caught.value)


def test_the_output_side_is_said_after_the_clauses():
    program = Program(0.5, (Clause(0.9, Token((" keep",))),), Token((" on", " up")), Like((" red",), 0.5))
    text = '0.5 + 0.9*token(" keep"); raises token(" on", " up"); lowers like(" red"; 0.5)'
    assert str(program) == text and parse_program(text) == program
    assert parse_program('.5+.9*token(" keep")\n;raises token(" on"," up") ;lowers like(" red" ; .5)') == program
    assert parse_program('0; lowers token(" on")') == Program(0.0, (), lowers=Token((" on",)))
    assert scaled(program, 2.0) == Program(1.0, (Clause(1.8, Token((" keep",))),), **program.output)
    assert program.output == {"raises": program.raises, "lowers": program.lowers} and Program(0.0).output == {}


def test_no_depth_breaks_the_parser():
    for depth in (DEEPEST, DEEPEST + 1, 20_000):
        text = "0.0 + 1.0*" + "not(" * (depth - 1) + "repeated()" + ")" * (depth - 1)
        if depth == DEEPEST:
            assert str(parse_program(text)) == text
        else:
            with pytest.raises(UserError, match="deep"):
                parse_program(text)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Token(()),
        lambda: Token("word"),
        lambda: Token((3,)),
        lambda: Like((" a",), float("nan")),
        lambda: Position(-1),
        lambda: Position(1.5),
        lambda: Repeated(0),
        lambda: Table(((" a", float("inf")),)),
        lambda: Table(((" a", 1.0), (" a", 2.0))),
        lambda: Clause(float("nan"), Repeated()),
        lambda: Clause(1.0, "word"),
        lambda: Program("much"),
        lambda: Program(0.0, (Repeated(),)),
        lambda: Program(0.0, (), raises=Repeated()),
        lambda: Program(0.0, (), lowers=Table(())),
        lambda: Program(0.0, (), raises="up"),
        lambda: After(Table(())),
        lambda: scaled(Program(1.0), 0.0),
    ],
)
def test_constructors_refuse(build):
    with pytest.raises(ValueError):
        build()


def test_programs_are_values():
    one, other = parse_program('1 + 2*token(" a")'), parse_program('1.0 + 2.0*token(" a")')
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert one != parse_program('1 + 2*prefix(" a")')
    assert scaled(parse_program('1 + 2*token("a") + table("b"=3; 1)'), 2.0) == parse_program(
        '2 + 4*token("a") + table("b"=6; 2)'
    )
