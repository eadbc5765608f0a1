"""A program in one plain sentence of at most 200 characters: only what earns its place there.

An atom (one token, one seed, one ending, one test) is said when the program would explain at least `EARNS` less of what
it explains without it; the program keeps what is not said. No list shows more than three texts, and pieces of spelling
that are no letters are left to the program.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

import numpy as np

from glossator.programs.english import NAMED
from glossator.programs.language import (
    After,
    And,
    Clause,
    Contains,
    Like,
    Not,
    Or,
    Prefix,
    Program,
    Repeated,
    Sequence,
    Shape,
    Spelled,
    Suffix,
    Table,
    Test,
    Token,
    Within,
    Word,
    depth,
    walk,
)
from glossator.programs.memory_english import following, remembered
from glossator.programs.problem import Problem
from glossator.programs.shapes import SHAPES
from glossator.programs.words import english_of

EARNS = 0.03
"""The share of the variance explained by the whole program that an atom must add to be said."""
EMPTY = frozenset({"letters", "lowercase", "space-start", "no-space-start", "has-punctuation", "short"})
"""Spellings that hold of half of all tokens."""
LONGEST, LISTED, MOST = 200, 3, 6
"""Characters of a sentence, texts of a list, atoms all told."""


@dataclass(frozen=True)
class _Atom:
    """gain: share of the explained variance that is lost without it; weakens: whether its strength is below 0."""

    test: Test
    gain: float
    weakens: bool


def sentence(problem: Problem, program: Program) -> str:
    """What the unit responds to, strongest reasons first; says so where that is no single thing."""
    atoms = [atom for atom in _atoms(problem, program) if _is_plain(atom.test)]
    atoms.sort(key=lambda atom: -atom.gain)
    earned = [atom for atom in atoms if atom.gain >= EARNS] or atoms[:1]
    for most in range(min(len(earned), MOST), 0, -1):
        text = _said(earned[:most])
        if len(text) <= LONGEST:
            return text
    return "Fires on many different tokens."


def _atoms(problem: Problem, program: Program) -> list[_Atom]:
    columns = [problem.column(clause.test) for clause in program.clauses]
    linear = np.full(len(problem.target), program.bias / problem.scale)
    for clause, column in zip(program.clauses, columns, strict=True):
        linear += clause.strength / problem.scale * column
    weight, target = problem.weight, problem.target

    def error(prediction: np.ndarray) -> float:
        return float(weight @ (target - np.maximum(prediction, 0.0)) ** 2)

    mean = float(np.average(target, weights=weight))
    whole = error(linear)
    explained = float(weight @ (target - mean) ** 2) - whole
    found = []
    for clause, column in zip(program.clauses, columns, strict=True):
        if isinstance(clause.test, Table):
            continue
        for test, rest in _parts(clause.test):
            without = 0.0 if rest is None else problem.column(rest)
            lost = error(linear + clause.strength / problem.scale * (without - column)) - whole
            found.append(_Atom(test, lost / explained if explained > 0 else 0.0, _weakens(clause)))
    return found


def _weakens(clause: Clause) -> bool:
    return clause.strength < 0


def _parts(test: Test) -> Iterable[tuple[Test, Test | None]]:
    """Each text of a list as a test of its own, with the test of the others; a test without a list whole."""
    inner, after = (test.test, True) if isinstance(test, After) else (test, False)
    place = (lambda part: After(part)) if after else (lambda part: part)
    match inner:
        case Token(texts) if len(texts) > 1:
            for text in texts:
                yield place(Token((text,))), place(Token(tuple(t for t in texts if t != text)))
        case Spelled(words) if len(words) > 1:
            for word in words:
                yield place(Spelled((word,))), place(Spelled(tuple(w for w in words if w != word)))
        case Like(seeds, _) if len(seeds) > 1:
            for seed in seeds:
                others = tuple(s for s in seeds if s != seed)
                yield place(replace(inner, seeds=(seed,))), place(replace(inner, seeds=others))
        case _:
            yield test, None


def _is_plain(test: Test) -> bool:
    """Whether it tells a reader something: no piece of spelling without letters, no bytes, no word as such, and nothing
    after something after something."""
    pieces = [part for part in walk(test) if isinstance(part, (Prefix, Suffix))]
    empty = any(isinstance(part, Shape) and part.name in EMPTY for part in walk(test))
    return (
        all(piece.text.isalpha() for piece in pieces) and "\ufffd" not in str(test) and not empty and depth(test) <= 3
    )


def _said(atoms: Items[_Atom]) -> str:
    more = [atom.test for atom in atoms if not atom.weakens]
    less = [atom.test for atom in atoms if atom.weakens]
    if not more:
        return f"Fires almost everywhere, less on {_listed(less)}."
    return f"Fires on {_listed(more)}{f'; less on {_listed(less)}' if less else ''}."


def _listed(tests: Items[Test]) -> str:
    """Phrases of one kind are said together, in the order of the best of each kind."""
    kinds: dict[str, list[Test]] = {}
    for test in tests:
        kinds.setdefault(_kind(test), []).append(test)
    phrases = list(dict.fromkeys(_together(of_kind) for of_kind in kinds.values()))
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])}, and {phrases[-1]}"


def _kind(test: Test) -> str:
    match test:
        case Token() | Spelled():
            return "token"
        case Like() | Prefix() | Suffix() | Contains():
            return type(test).__name__
        case After(Token() | Spelled() | Like() as inner):
            return f"after {_kind(inner)}"
    return repr(test)


def _together(tests: Items[Test]) -> str:
    first = tests[0]
    if len(tests) == 1:
        return noun(first)
    if isinstance(first, After):
        return f"tokens after {_together([test.test for test in tests if isinstance(test, After)])}"
    shown = _texts(text for test in tests for text in _texts_of(test))
    match first:
        case Like():
            return f"words like {shown}"
        case Suffix():
            return f"words ending in {shown}"
        case Prefix():
            return f"words starting with {shown}"
        case Contains():
            return f"tokens containing {shown}"
    return shown


def _texts_of(test: Test) -> tuple[str, ...]:
    match test:
        case Token(texts) | Like(texts, _) | Spelled(texts):
            return texts
        case Suffix(text):
            return (f"-{text}",)
        case Prefix(text):
            return (f"{text}-",)
        case Contains(text):
            return (text,)
    return ()


def _texts(texts: Iterable[str]) -> str:
    """Up to three texts, each once in whatever case: “a”, “b” or “c”."""
    given: dict[str, str] = {}
    for text in texts:
        given.setdefault(_text(text).lower(), _text(text))
    shown = list(given.values())[:LISTED]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"


def _text(text: str) -> str:
    if text in NAMED:
        return NAMED[text]
    if text.isspace():
        return "line breaks" if "\n" in text else "blank space"
    body = text.strip(" ")
    if body.strip("-").isalpha() and "-" in (body[0], body[-1]):
        return body
    return f"“{_visible(body)}”"


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def noun(test: Test) -> str:
    """A plural noun phrase for the tokens of which a test is true, without long lists."""
    match test:
        case Token() | Spelled():
            return _texts(_texts_of(test))
        case Like() | Suffix() | Prefix() | Contains():
            named = {Like: "words like", Suffix: "words ending in", Prefix: "words starting with"}
            return f"{named.get(type(test), 'tokens containing')} {_texts(_texts_of(test))}"
        case Shape(name):
            return SHAPES[name].english
        case Word(name):
            return english_of(name)
        case Or(tests):
            return " or ".join(map(noun, tests))
        case And(tests):
            head = next((t for t in tests if not _modifies(t)), None)
            rest = [t for t in tests if t is not head]
            return " ".join(["tokens" if head is None else noun(head), *map(_modifier, rest)])
        case Not(inner) if not _modifies(inner):
            return f"tokens other than {noun(inner)}"
        case Sequence(tests):
            if all(isinstance(part, Token) and len(part.texts) == 1 for part in tests):
                whole = "".join(part.texts[0] for part in tests if isinstance(part, Token))
                if whole.endswith("\n") and whole.strip():
                    return f"line breaks after “{_visible(whole.strip())}”"
                return f"the end of “{_visible(whole.strip(' '))}”"
            return " right after ".join(noun(part) for part in reversed(tests))
    return f"tokens {_modifier(test)}" if _modifies(test) else str(test)


def _modifies(test: Test) -> bool:
    return isinstance(test, (After, Within, Not, Repeated)) or remembered(test, noun) is not None


def _modifier(test: Test) -> str:
    """What can follow a noun."""
    match test:
        case After():
            return following(test, noun)
        case Within(inner, _):
            return f"soon after {noun(inner)}"
        case Repeated(within):
            return "seen before" if within is None else "seen shortly before"
        case Not(inner) if _modifies(inner):
            return f"not {_modifier(inner)}"
        case Not(inner):
            return f"other than {noun(inner)}"
    return remembered(test, noun) or f"that are {noun(test)}"
