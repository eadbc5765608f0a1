"""Description length: how many bits a program costs under one explicit code, the same for programs and token lists.

The code, from the outside in (logarithms to base 2, universal(n) = 2 floor(log n) + 1 bits for a whole number n >= 1):
- program: 8 bits for the scale, a level for the bias, universal(1 + clauses), then the clauses in any order;
- level: 4 bits for 0 or one of 15 steps of a factor 2 ** -0.5 down from the scale, and a sign: 5 bits;
- clause: a level and a test; a table has no level of its own;
- output (what the unit raises or lowers): a clause that opens with the level -0, which no strength has, then 1 bit for
  which of the two it is, and a test;
- test: log of the number of kinds, then its arguments;
- word in any spelling: the literal of its token;
- token literal: log V, or -log of its smoothed frequency when the lexicon carries counts; a text that is no token is
  spelled; a list of literals is universal(n) and the literals in any order;
- spelling: universal(1 + length), 5 bits a lower-case letter or space, 12 for other ASCII, 26 for the rest;
- floor: 4 bits (steps of 1/16); share: 7 bits (steps of 1/120); shape, word class, aspect: log of how many there are;
- distances, depths and ends of ranges: universal; 1 bit for whether something that can be left out is there;
- table: universal(1 + entries), a literal and a level each in any order, and a level for the default.
"In any order" takes off the log of the number of orders: which of them was written says nothing.
Tests of images have a code of their own, `scene.bits`, within the same program and clauses.
`quantise.quantise` moves a program to the levels that this code can express.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from collections.abc import Sequence as Items

from glossator.errors import MissingPower
from glossator.programs.base import walk
from glossator.programs.language import (
    After,
    Agrees,
    And,
    Between,
    Clause,
    Contains,
    Count,
    Induction,
    Like,
    Not,
    Or,
    Position,
    Prefix,
    Program,
    Repeated,
    Same,
    Sequence,
    Shape,
    Share,
    Spelled,
    Suffix,
    Table,
    Test,
    Token,
    Within,
    Word,
)
from glossator.programs.lexicon import Lexicon
from glossator.programs.memory import ASPECTS
from glossator.programs.scene.bits import scene_bits
from glossator.programs.shapes import SHAPES
from glossator.programs.words import WORD_CLASSES, finer_classes

LEVEL_BITS = 5.0
SCALE_BITS = 8.0
FLOOR_BITS = 4.0
SIDE_BITS = 1.0
SHARE_BITS = 7.0
KINDS = 23


def bits(program: Program, lexicon: Lexicon | None) -> float:
    """Description length of the program in bits, at least 0; raises `MissingPower` for one that reads tokens where
    there is no lexicon."""
    costs = [_clause_bits(clause, lexicon) for clause in program.clauses]
    costs += [LEVEL_BITS + SIDE_BITS + test_bits(test, lexicon) for test in program.output.values()]
    items: list[Hashable] = [*program.clauses, *program.output.items()]
    return SCALE_BITS + LEVEL_BITS + _universal(1 + len(costs)) + _unordered(costs, items)


def test_bits(test: Test, lexicon: Lexicon | None) -> float:
    """Description length of one test in bits, without a strength."""
    if any(one.language == "scene" for one in walk(test)):
        return scene_bits(test)
    if lexicon is None:
        raise MissingPower("the length of a program that reads tokens needs a lexicon", value=str(test)[:60])
    return math.log2(KINDS) + _argument_bits(test, lexicon)


test_bits.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever the name says to test runners


def _clause_bits(clause: Clause, lexicon: Lexicon | None) -> float:
    return (0.0 if isinstance(clause.test, Table) else LEVEL_BITS) + test_bits(clause.test, lexicon)


def _argument_bits(test: Test, lexicon: Lexicon) -> float:
    match test:
        case Token(texts):
            return _literals(texts, lexicon)
        case Like(seeds, _):
            return _literals(seeds, lexicon) + FLOOR_BITS
        case Spelled(words):
            return _literals(tuple(_most_usual(word, lexicon) for word in words), lexicon)
        case Prefix(text) | Suffix(text) | Contains(text):
            return _spelling(text)
        case Shape():
            return math.log2(len(SHAPES))
        case Word(name):
            return math.log2(len(WORD_CLASSES if name in WORD_CLASSES else finer_classes()))
        case Position(low, high, since):
            return _range(low, high) + _optional(since, lexicon)
        case Count(inner, low, high, since):
            return test_bits(inner, lexicon) + _range(low, high) + _optional(since, lexicon)
        case Share(inner, _):
            return test_bits(inner, lexicon) + SHARE_BITS
        case Same(_, low, high):
            return math.log2(len(ASPECTS)) + _range(low - 1, high if high is None else high - 1)
        case Agrees(_, inner):
            return math.log2(len(ASPECTS)) + test_bits(inner, lexicon)
        case Induction(n):
            return _universal(n)
        case Repeated(within):
            return 1 + (0 if within is None else _universal(within))
        case After(inner) | Not(inner):
            return test_bits(inner, lexicon)
        case Within(inner, k):
            return test_bits(inner, lexicon) + _universal(k)
        case Between(opening, closing, depth):
            nested = 1 + (0 if depth is None else _universal(depth))
            return test_bits(opening, lexicon) + test_bits(closing, lexicon) + nested
        case And(tests) | Or(tests):
            return _universal(len(tests)) + _unordered([test_bits(t, lexicon) for t in tests], tests)
        case Sequence(tests):
            return _universal(len(tests)) + sum(test_bits(t, lexicon) for t in tests)
        case Table(values, _):
            costs = [literal_bits(text, lexicon) + LEVEL_BITS for text, _ in values]
            return _universal(1 + len(values)) + _unordered(costs, values) + LEVEL_BITS
    raise TypeError(f"no rule to cost {type(test).__name__}")


def _range(low: int, high: int | None) -> float:
    return _universal(1 + low) + 1 + (0 if high is None else _universal(1 + high - low))


def _optional(test: Test | None, lexicon: Lexicon) -> float:
    return 1 + (0 if test is None else test_bits(test, lexicon))


def literal_bits(text: str, lexicon: Lexicon) -> float:
    """What naming one token costs."""
    size = len(lexicon)
    row = lexicon.vocabulary.ids.get(text)
    if row is None:
        return math.log2(size + 1) + _spelling(text)
    if lexicon.counts is None:
        return math.log2(size + 1)
    return -math.log2((float(lexicon.counts[row]) + 1.0) / (lexicon.total_count + size + 1.0))


def _literals(texts: tuple[str, ...], lexicon: Lexicon) -> float:
    return _universal(len(texts)) + _unordered([literal_bits(t, lexicon) for t in texts], texts)


def _most_usual(word: str, lexicon: Lexicon) -> str:
    """The token that names a word: with a space before it if there is one, which is how words mostly occur."""
    return f" {word}" if f" {word}" in lexicon.vocabulary.ids else word


def _spelling(text: str) -> float:
    lower = sum(c == " " or "a" <= c <= "z" for c in text)
    other = sum(c.isascii() for c in text) - lower
    return _universal(1 + len(text)) + 5.0 * lower + 12.0 * other + 26.0 * (len(text) - lower - other)


def _universal(n: int) -> float:
    return 2.0 * (n.bit_length() - 1) + 1.0


def _unordered(costs: Items[float], items: Items[Hashable]) -> float:
    orders = math.lgamma(len(items) + 1) - sum(math.lgamma(m + 1) for m in Counter(items).values())
    return max(0.0, math.fsum(costs) - orders / math.log(2))
