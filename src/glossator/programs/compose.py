"""From the tests that a search found to a short program: alike clauses share one strength, numbers are rounded.

Tokens, spellings and meaning seeds of about the same strength join one clause. That is what makes a program short in
bits, and what makes its English a list of words instead of a list of clauses.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import replace

import numpy as np

from glossator.programs.atoms import Like, Spelled, Test, Token
from glossator.programs.english import english_length
from glossator.programs.inducer import strengths
from glossator.programs.language import After, Clause, Program
from glossator.programs.problem import Problem
from glossator.programs.quantise import quantise


def joined(tests: Items[Test], values: np.ndarray, steps: float) -> list[tuple[Test, float]]:
    """Merge tests of one kind whose strengths (m,) lie on one step of a factor 2 ** (1 / steps); strongest first."""
    groups: dict[object, list[int]] = {}
    for i, test in enumerate(tests):
        size = abs(values[i])
        step = round(steps * np.log2(size)) if size > 0 else None
        key = _family(test)
        groups.setdefault((key, np.sign(values[i]), step) if key is not None else (i,), []).append(i)
    merged = [(_union([tests[i] for i in members]), float(np.mean(values[members]))) for members in groups.values()]
    return sorted(merged, key=lambda item: -abs(item[1]))


def _family(test: Test) -> object:
    match test:
        case Token():
            return "token"
        case Spelled():
            return "spelled"
        case Like(_, floor):
            return ("like", floor)
        case After(Token() | Spelled() | Like() as inner):
            return ("after", _family(inner))
    return None


def _union(tests: list[Test]) -> Test:
    first = tests[0]
    match first:
        case Token():
            return Token(_texts(t.texts for t in tests))
        case Spelled():
            return Spelled(_texts(t.words for t in tests))
        case Like():
            return replace(first, seeds=_texts(t.seeds for t in tests))
        case After():
            return After(_union([t.test for t in tests]))
    return first


def _texts(parts) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for part in parts for text in part))


def compose(problem: Problem, tests: Items[Test], *, steps: float = 1.5, limit: int | None = None) -> Program | None:
    """The program that says these tests with strengths refitted on all parts of the explain split.

    steps: how finely strengths are told apart; limit: greatest number of characters of the English, kept by leaving
    out the last tests found. None when nothing with a strength is left.
    """
    tests = list(tests)
    while tests:
        program = _fitted(problem, tests, steps)
        if limit is None or english_length(program) <= limit:
            return program if program.clauses else None
        over = english_length(program) - limit
        tests = tests[: -max(1, over // 16)]
    return None


def _fitted(problem: Problem, tests: list[Test], steps: float) -> Program:
    alone = np.stack([problem.column(t) for t in tests])
    values = strengths(alone, problem.target, problem.weight)[1:]
    merged = [test for test, _ in joined(tests, values, steps)]
    together = np.stack([problem.column(t) for t in merged])
    bias, *values_merged = strengths(together, problem.target, problem.weight).tolist()
    return quantise(Program(bias, tuple(Clause(v, t) for v, t in zip(values_merged, merged, strict=True))))
