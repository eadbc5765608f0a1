"""Generated programs, a small awkward vocabulary, and an interpreter that shares no code with the executor."""

from __future__ import annotations

import unicodedata

import numpy as np
from hypothesis import strategies as st

from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import (
    After,
    Agrees,
    And,
    Between,
    Clause,
    Contains,
    Count,
    Induction,
    Lexicon,
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
)  # fmt: skip
from glossator.programs.language import is_local, walk
from glossator.programs.memory import ASPECTS
from glossator.programs.shapes import SHAPES
from glossator.programs.words import WORD_CLASSES, members

PIECES = (
    b" the", b" keep", b" Keep", b"keep", b"ing", b" dogs", b" bread", b" went", b" red", b" seven", b" NOT", b"McD",
    b"A", b"7", b" 42", b"3.14", b",", b".", b" (", b")", b'"', b"\\", b"\n", b"\n\n", b"\t", b" ", b"  ", b"",
    b"\xe2", b"\x80\x99",
    " é".encode(), "ж".encode(), "日本".encode(), b"'s", b"$", b"x1", b" ant", b"ant", b" the", b"<|end|>",
)  # fmt: skip
VOCABULARY = Vocabulary("awkward", PIECES, frozenset({len(PIECES) - 1}))
EMBEDDING = np.random.default_rng(7).normal(size=(len(PIECES), 6)).astype(np.float32)
LEXICON = Lexicon(VOCABULARY, EMBEDDING)

texts = st.one_of(
    st.sampled_from(VOCABULARY.texts), st.text(max_size=6), st.sampled_from(["\u2028", '"', "\\n", "\x00"])
)
filled = texts.filter(bool)
numbers = st.floats(-1e30, 1e30, allow_nan=False) | st.floats(-4, 4)


def lists_of(item: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(item, min_size=1, max_size=4, unique=True).map(tuple)


ranges = st.integers(0, 9).flatmap(lambda low: st.tuples(st.just(low), st.none() | st.integers(low, 12)))
aspects = st.sampled_from(sorted(ASPECTS))
atoms: st.SearchStrategy[Test] = st.one_of(
    st.builds(Token, lists_of(texts)),
    st.builds(Spelled, lists_of(texts.map(str.lower).filter(lambda t: t == t.lower()))),
    st.builds(Like, lists_of(texts), st.floats(0, 0.999)),
    st.builds(Prefix, filled),
    st.builds(Suffix, filled),
    st.builds(Contains, filled),
    st.builds(Shape, st.sampled_from(sorted(SHAPES))),
    st.builds(Word, st.sampled_from(sorted(WORD_CLASSES))),
    ranges.map(lambda ends: Position(*ends)),
    st.builds(Repeated, st.none() | st.integers(1, 12)),
    st.builds(
        lambda aspect, ends: Same(aspect, ends[0] + 1, None if ends[1] is None else ends[1] + 1), aspects, ranges
    ),
    st.builds(Induction, st.integers(1, 4)),
)


def wrapped(inner: st.SearchStrategy[Test]) -> st.SearchStrategy[Test]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(After, inner),
        st.builds(Within, inner, st.integers(1, 20)),
        st.builds(Between, inner, inner, st.none() | st.integers(1, 3)),
        st.builds(lambda ends, since: Position(*ends, since), ranges, inner),
        st.builds(lambda test, ends, since: Count(test, *ends, since), inner, ranges, st.none() | inner),
        st.builds(Share, inner, st.floats(0, 1) | st.sampled_from([0.25, 0.5])),
        st.builds(Agrees, aspects, inner),
        st.builds(Not, inner),
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Sequence, several),
    )


tests = st.recursive(atoms, wrapped, max_leaves=8)
tables = st.builds(
    Table, st.lists(st.tuples(texts, numbers), max_size=5, unique_by=lambda entry: entry[0]).map(tuple), numbers
)
clauses = st.one_of(st.builds(Clause, numbers, tests), st.builds(Clause, st.just(1.0), tables))
local = st.recursive(
    atoms.filter(is_local),
    lambda inner: st.builds(Not, inner) | st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    max_leaves=4,
)
outputs = st.none() | local
programs = st.builds(Program, numbers, st.lists(clauses, max_size=5).map(tuple), outputs, outputs)
modest = st.floats(-4, 4)
modest_programs = st.builds(
    Program, modest, st.lists(st.builds(Clause, modest, tests), max_size=4).map(tuple)
)  # numbers of one size, so that float32 sums can be compared


@st.composite
def windows(draw: st.DrawFn) -> TokenWindows:
    """Any number of windows of any width, with padding and left-out places."""
    n, width = draw(st.integers(0, 4)), draw(st.integers(0, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = rng.integers(0, width + 1, n).astype(np.int32)
    inside = np.arange(width) < lengths[:, None]
    few = rng.choice(len(PIECES), size=draw(st.integers(1, len(PIECES))))  # repetitions must be common
    tokens = np.where(inside, rng.choice(few, (n, width)), 0).astype(np.int32)
    return TokenWindows(
        tokens, lengths, inside & (rng.random((n, width)) < 0.9), np.arange(n), np.arange(n), VOCABULARY
    )


def graded(test: Test) -> bool:
    """Whether a cosine, which float32 rounds, decides a yes or no inside the test."""
    halved = (Between, Position, Count, Share, Agrees)
    return any(isinstance(t, halved) and any(isinstance(u, Like) for u in walk(t)) for t in walk(test))


def slow_value(program: Program, tokens: list[int], at: int) -> float:
    """The value of a program at one place of one window, by the words of the language and nothing vectorised."""
    total = program.bias
    for clause in program.clauses:
        if isinstance(clause.test, Table):
            total += dict(clause.test.values).get(VOCABULARY.texts[tokens[at]], clause.test.default)
        else:
            total += clause.strength * slow_truth(clause.test, tokens, at)
    return max(0.0, total)


def slow_truth(test: Test, tokens: list[int], at: int) -> float:
    if at < 0:
        return 0.0
    exact = VOCABULARY.texts[tokens[at]]
    text = PIECES[tokens[at]].decode("utf-8", "replace")
    body = text[1:] if text.startswith(" ") else text
    match test:
        case Token(known):
            return float(exact in known)
        case Spelled(words):
            return float(body.lower() in words)
        case Like(seeds, floor):
            return slow_nearness(seeds, floor, tokens[at])
        case Prefix(part):
            return float(body.startswith(part))
        case Suffix(part):
            return float(body.endswith(part))
        case Contains(part):
            return float(part in body)
        case Shape("continues-word"):
            before = PIECES[tokens[at - 1]].decode("utf-8", "replace") if at else ""
            return float(text[:1].isalnum() and before[-1:].isalnum())
        case Shape("punctuation"):
            return float(bool(body) and all(unicodedata.category(c).startswith("P") for c in body))
        case Shape(name):
            return float(SHAPES[name].holds(text, body))
        case Word(name):
            fragment = "." in name and len(body) < 4 and body.islower() and not text.startswith(" ")
            return float(body.lower() in members(name) and not fragment)
        case Position(low, high, since):
            start = 0 if since is None else slow_start(since, tokens, at)
            return float(at - start >= low and (high is None or at - start <= high))
        case Count(counted, low, high, since):
            start = 0 if since is None else slow_start(since, tokens, at)
            number = sum(slow_truth(counted, tokens, i) >= 0.5 for i in range(start, at))
            return float(number >= low and (high is None or number <= high))
        case Share(counted, least):
            number = sum(slow_truth(counted, tokens, i) >= 0.5 for i in range(at + 1))
            return float(number >= least * (at + 1) - 1e-9)
        case Same(aspect, low, high):
            mine = slow_aspect(aspect, tokens, at)
            back = [at - i for i in range(at) if mine is not None and slow_aspect(aspect, tokens, i) == mine]
            return float(bool(back) and back[-1] >= low and (high is None or back[-1] <= high))
        case Agrees(aspect, other):
            held = [i for i in range(at) if slow_truth(other, tokens, i) >= 0.5]
            mine = slow_aspect(aspect, tokens, at)
            return float(bool(held) and mine is not None and mine == slow_aspect(aspect, tokens, held[-1]))
        case Induction(n):
            named = [VOCABULARY.texts[t] for t in tokens]
            ends = [i for i in range(n, at) if at >= n and named[i - n : i] == named[at - n : at]]
            return float(bool(ends) and named[ends[-1]] == exact)
        case Repeated(within):
            first = 0 if within is None else max(0, at - within)
            return float(exact in [VOCABULARY.texts[t] for t in tokens[first:at]])
        case After(inner):
            return slow_truth(inner, tokens, at - 1)
        case Within(inner, k):
            return max((slow_truth(inner, tokens, i) for i in range(max(0, at - k), at)), default=0.0)
        case Between(opening, closing, int() as depth):
            now = 0
            for i in range(at + 1):
                before = now
                opens, closes = slow_truth(opening, tokens, i) >= 0.5, slow_truth(closing, tokens, i) >= 0.5
                now = before if opens and closes else before + 1 if opens else max(0, before - closes)
            return float(min(before, now) >= depth)
        case Between(opening, closing):
            inside = False
            for i in range(at + 1):
                was_inside = inside
                opens, closes = slow_truth(opening, tokens, i) >= 0.5, slow_truth(closing, tokens, i) >= 0.5
                if opens and closes:
                    inside = not inside
                elif closes:
                    inside = False
                elif opens:
                    inside = True
            return float(was_inside and not closes)
        case And(parts):
            return min(slow_truth(t, tokens, at) for t in parts)
        case Or(parts):
            return max(slow_truth(t, tokens, at) for t in parts)
        case Not(inner):
            return 1.0 - slow_truth(inner, tokens, at)
        case Sequence(parts):
            return min(slow_truth(t, tokens, at - len(parts) + 1 + i) for i, t in enumerate(parts))
    raise AssertionError(test)


def slow_start(since: Test, tokens: list[int], at: int) -> int:
    """The place after the last token before this one where a test holds."""
    return max((i + 1 for i in range(at) if slow_truth(since, tokens, i) >= 0.5), default=0)


def slow_aspect(aspect: str, tokens: list[int], at: int) -> object:
    text = PIECES[tokens[at]].decode("utf-8", "replace")
    body = text[1:] if text.startswith(" ") else text
    match aspect:
        case "token":
            return VOCABULARY.texts[tokens[at]]
        case "pair":
            return None if at == 0 else tuple(VOCABULARY.texts[t] for t in tokens[at - 1 : at + 1])
        case "word":
            return body.lower() or None
        case "initial":
            return body[0].lower() if body[:1].isalpha() else None
        case "ending":
            return body.lower()[-2:] if len(body) > 2 and body.isalpha() else None
    kinds = ("lowercase", "capitalised", "uppercase", "letters", "number", "punctuation", "symbol", "whitespace")
    return next((kind for kind in kinds if SHAPES[kind].holds(text, body)), None)


def slow_nearness(seeds: tuple[str, ...], floor: float, token: int) -> float:
    directions = LEXICON.directions
    rows = [list(VOCABULARY.texts).index(s) for s in seeds if s in VOCABULARY.texts]
    if not rows:
        return 0.0
    canonical = list(VOCABULARY.texts).index(VOCABULARY.texts[token])
    cosines = [float(directions[row] @ directions[canonical]) for row in rows]
    return min(1.0, max(0.0, (max(cosines) - floor) / 0.25))
