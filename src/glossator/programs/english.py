"""Programs in plain English: what the unit fires on, strongest first, in few words; then what it promotes.

The text comes from the program and nothing else. It keeps what is useful to people (tokens, meanings, spellings,
contexts and rough strengths) and drops exact strengths and floors.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

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
from glossator.programs.memory_english import following, remembered
from glossator.programs.scene.english import sentence
from glossator.programs.shapes import SHAPES
from glossator.programs.words import english_of

STRONG, MEDIUM = 0.4, 0.3
"""A clause is strong from the first share of the strongest clause's strength on; a bias counts from the second on."""
TABLE_SHOWN = 5
AFTER, WORDS, ALSO = "after ", "words ", "also"

NAMED = {
    "\n": "line breaks", "\n\n": "blank lines", "\t": "tabs", " ": "single spaces", "": "empty tokens",
}  # fmt: skip
_MODIFIERS = (After, Within, Repeated, Between, Position, Count, Share, Same, Agrees, Induction)
"""Tests that are said after a noun."""
_APART = frozenset("/“” ")


def english(program: Program, limit: int | None = None, *, whole: bool = False) -> str:
    """The program in one sentence.

    limit: greatest number of characters. A longer text loses its weakest clauses, one by one, and then says how many
    were left out; `english_length` tells the length of the whole. With one clause left it may still be longer. whole:
    of images, whether it is about whole ones (`scene.english.sentence`).
    """
    if program.language == "scene":
        return sentence(program, whole=whole)
    order = sorted(range(len(program.clauses)), key=lambda i: -_size(program.clauses[i]))
    output = [f"{side} {_noun(test)}" for side, test in program.output.items()]
    kept = len(order)
    while True:
        clauses = [program.clauses[i] for i in sorted(order[:kept])]
        text = _sentence(program.bias, clauses, len(order) - kept, output)
        if limit is None or len(text) <= limit or kept <= 1:
            return text
        kept -= 1


def english_length(program: Program) -> int:
    """How many characters the whole English takes."""
    return len(english(program))


def _size(clause: Clause) -> float:
    if isinstance(clause.test, Table):
        return max((abs(v) for _, v in clause.test.values), default=abs(clause.test.default))
    return abs(clause.strength)


def _sentence(bias: float, clauses: list[Clause], left_out: int, output: list[str]) -> str:
    clauses = [c for c in clauses if c.strength != 0.0]
    threshold = max(0.0, -bias)
    strongest = max((_size(c) - threshold for c in clauses), default=0.0)
    groups: dict[str, list[Test]] = {"strong": [], "medium": [], "helped": [], "less": []}
    for clause in sorted(clauses, key=lambda c: -_size(c)):
        own = _size(clause) - threshold
        if clause.strength < 0:
            name = "less"
        elif own <= 0:
            name = "helped"
        else:
            name = "strong" if own >= STRONG * strongest else "medium"
        groups[name].append(clause.test)
    parts = []
    if bias > 0 and (not clauses or bias >= MEDIUM * max(_size(c) for c in clauses)):
        only_less = len(groups["less"]) == len(clauses)
        parts.append("everywhere" if only_less else "a little everywhere")
        if only_less and clauses and all(_size(c) >= bias for c in clauses):
            parts = [f"everywhere except on {_listed(tuple(groups.pop('less')))}"]
    graded = sum(bool(groups[name]) for name in ("strong", "medium")) > 1 or bool(parts)
    lead = {"strong": "most on", "medium": ALSO, "less": "less on"}
    lead["helped"] = "helped by" if parts or strongest > 0 else "when together on"
    for name, tests in groups.items():
        if tests:
            words = "on" if name in ("strong", "medium") and not graded else lead[name]
            parts.append(f"{words} {_listed(tuple(tests), tokens=words != ALSO)}")
    if left_out:
        parts.append(f"and {left_out} weaker")
    if not parts and not output:
        return "Never."
    text = "; ".join([*parts, *output])
    return text[0].upper() + text[1:] + "."


@lru_cache(maxsize=1024)
def _listed(tests: tuple[Test, ...], *, tokens: bool = True) -> str:
    """Several tests as one list: exact tokens first, then kinds of words (“a/b” or like “c” or ending “-ed/-ing”), then
    the rest; tokens: whether "after" needs a noun before it."""
    kinds: dict[str | Test, list[Test]] = {}
    for test in tests:
        kinds.setdefault(_kind(test), []).append(test)
    listed = ""
    for kind in sorted(kinds, key=lambda kind: _ORDER.index(kind) if kind in _ORDER else len(_ORDER)):
        phrase = _merged(kind, kinds[kind])
        if not listed:
            listed = phrase
        elif kind in _ORDER:
            listed += f" or {phrase.removeprefix(WORDS)}"
        else:
            listed += f", {phrase}"
    return f"tokens {listed}" if tokens and listed.startswith(AFTER) else listed


def _kind(test: Test) -> str | Test:
    """Tests with the same kind are said together; others have a kind of their own."""
    match test:
        case Token() | Spelled():
            return "token"
        case Like():
            return "like"
        case Prefix() | Suffix() | Contains():
            return type(test).__name__
        case After(Token() | Spelled() | Like() as inner):
            return f"{AFTER}{_kind(inner)}"
    return test


def _merged(kind: str | Test, tests: list[Test]) -> str:
    first = tests[0]
    if not isinstance(kind, str):
        return _noun(first)
    if kind.startswith(AFTER) and isinstance(first, After):
        return f"{AFTER}{_merged(kind.removeprefix(AFTER), [t.test for t in tests if isinstance(t, After)])}"
    if kind in ("token", "like"):
        run = _run(text for test in tests for text in _texts_of(test))
        return run if kind == "token" else f"{WORDS}like {run}"
    if isinstance(first, (Prefix, Suffix, Contains)):
        parts = [_part(t) for t in tests if isinstance(t, (Prefix, Suffix, Contains))]
        return f"{_SPELLED[type(first)]} {_together(parts)}"
    return _noun(first)


def _texts_of(test: Test) -> tuple[str, ...]:
    match test:
        case Token(texts) | Like(texts, _):
            return texts
        case Spelled(words):
            return tuple(f" {word}" for word in words)
    return ()


_SPELLED: dict[type[Test], str] = {
    Prefix: f"{WORDS}starting",
    Suffix: f"{WORDS}ending",
    Contains: f"{WORDS}containing",
}
_ORDER = ("token", "like", "Suffix", "Prefix", "Contains")


def _part(test: Prefix | Suffix | Contains) -> str:
    shown = _visible(test.text)
    return f"{shown}-" if isinstance(test, Prefix) else f"-{shown}" if isinstance(test, Suffix) else shown


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _run(texts: Iterable[str]) -> str:
    """Token texts as a reader names them; those that differ only in case or a leading space stand once."""
    shown: dict[str, str] = {}
    named: dict[str, None] = {}
    given = list(texts)
    words = {t[1:].lower() for t in given if t[:1] == " "}
    for text in given:
        body = text[1:] if text[:1] == " " and len(text) > 1 else text
        if body in NAMED:
            named[NAMED[body]] = None
        else:
            piece = text[:1].islower() and body.lower() not in words
            shown.setdefault(body.lower(), f"-{_visible(body)}" if piece else _visible(body))
    return "/".join(filter(None, [_together(shown.values()), *named]))


def _together(texts: Iterable[str]) -> str:
    """Texts that can be told apart share one pair of quotation marks: “keep/hold/-ing”."""
    given = list(texts)
    shared = [text for text in given if not set(text) & _APART]
    alone = [f"“{text}”" for text in given if set(text) & _APART]
    return "/".join([*([f"“{'/'.join(shared)}”"] if shared else []), *alone])


def _noun(test: Test) -> str:
    """A plural noun phrase for the tokens of which the test is true."""
    match test:
        case Token(texts):
            return _run(texts)
        case Spelled(words):
            return _run(f" {word}" for word in words)
        case Like(seeds, _):
            return f"words like {_run(seeds)}"
        case Prefix() | Suffix() | Contains():
            return f"{_SPELLED[type(test)]} {_together([_part(test)])}"
        case Shape(name):
            return SHAPES[name].english
        case Word(name):
            return english_of(name)
        case Or(tests):
            return " or ".join(_noun(t) for t in tests)
        case And(tests):
            return _conjunction(tests)
        case Not(inner) if isinstance(inner, _MODIFIERS):
            return f"tokens not {_modifier(inner)}"
        case Not(inner):
            return f"tokens other than {_noun(inner)}"
        case Sequence(tests):
            if all(isinstance(t, Token) and len(t.texts) == 1 for t in tests):
                return f"the end of “{_visible(''.join(t.texts[0] for t in tests if isinstance(t, Token)).strip(' '))}”"
            return " right after ".join(_noun(t) for t in reversed(tests))
        case Table(values, _):
            best = sorted(values, key=lambda item: -item[1])[:TABLE_SHOWN]
            most = f", most {_run(text for text, _ in best)}" if best else ""
            return f"a table of {len(values)} tokens{most}"
    return f"tokens {_modifier(test)}"


def _modifier(test: Test) -> str:
    """What can follow a noun: "after the", "within 3 after a number", "in first place"."""
    said = remembered(test, _noun)
    if said is not None:
        return said
    match test:
        case After():
            return following(test, _noun)
        case Within(inner, k):
            return f"within {k} after {_noun(inner)}" if k > 1 else f"after {_noun(inner)}"
        case Repeated(None):
            return "seen before"
        case Repeated(within):
            return f"seen within the last {within}"
        case Not(inner) if isinstance(inner, _MODIFIERS):
            return f"not {_modifier(inner)}"
        case Not(inner):
            return f"except {_noun(inner)}"
    return f"that are {_noun(test)}"


def _conjunction(tests: tuple[Test, ...]) -> str:
    """A noun and its modifiers: the first test that names tokens is the noun."""
    head = next((t for t in tests if not isinstance(t, (*_MODIFIERS, Not))), None)
    rest = list(tests)
    if head is not None:
        rest.remove(head)
    noun = "tokens" if head is None else _noun(head)
    return " ".join([f"({noun})" if isinstance(head, Or) else noun, *map(_modifier, rest)])
