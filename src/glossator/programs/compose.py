"""From found tests to a short program: similar clauses share one strength, numbers are rounded.

Tokens, spellings and meaning seeds of similar strength join one clause. This makes a program short in bits, and its
English a list of words instead of a list of clauses.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Items

import numpy as np

from glossator.programs.atoms import Like, Spelled, Token
from glossator.programs.bank import characters
from glossator.programs.english import english_length
from glossator.programs.inducer import LEAST_RIDGE, RIDGE, Told, solved, strengths
from glossator.programs.language import After, Clause, Program, Test
from glossator.programs.phrases import phrased
from glossator.programs.problem import Problem
from glossator.programs.quantise import quantise

ROOM = 1.3
"""Joined clauses are shorter than their parts together: from this much over the limit on it is worth looking."""
SHORT = 14
"""Tests of up to this many characters are tried again at the end, to fill what is left of the limit."""
FRAME = 5.0
"""Characters that a test takes beside its own words."""
EXCHANGES, TRIALS, FIRSTS = 20, 30, 3
"""At most so many exchanges are made, and so many looked at in full for each; so many of the best that
could stand for a test."""
LOOSE = 8
"""Characters by which an exchange may seem too long before its English is looked at."""


def joined(tests: Items[Test], values: np.ndarray, steps: float) -> list[tuple[Test, float]]:
    """Merge tests of one kind whose strengths (m,) lie on one step of a factor 2 ** (1 / steps) from the greatest
    downwards; strongest first."""
    sizes = np.abs(values)
    shares = np.divide(sizes, sizes.max(initial=0.0), out=np.ones_like(sizes), where=sizes > 0)
    levels = zip(np.sign(values).tolist(), np.rint(steps * np.log2(shares)).tolist(), strict=True)
    groups: dict[object, list[int]] = {}
    for i, (test, level) in enumerate(zip(tests, levels, strict=True)):
        key = _family(test)
        groups.setdefault((key, *level) if key is not None else (i,), []).append(i)
    means = (sum(values[members].tolist()) / len(members) for members in groups.values())
    merged = [(_union([tests[i] for i in members]), mean) for members, mean in zip(groups.values(), means, strict=True)]
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
    """One test for several of a family."""
    if len(tests) == 1:
        return tests[0]
    first = tests[0]
    if isinstance(first, After):
        return After(_union([t.test for t in tests if isinstance(t, After)]))
    texts = _texts(_named(t) for t in tests)
    match first:
        case Token():
            return Token(texts)
        case Spelled():
            return Spelled(texts)
        case Like():
            return Like(texts, first.floor)
    return first


def _named(test: Test) -> tuple[str, ...]:
    match test:
        case Token(texts) | Spelled(texts) | Like(texts, _):
            return texts
    return ()


def _texts(parts: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for part in parts for text in part))


def compose(problem: Problem, tests: Items[Test], *, steps: float = 1.0, limit: int | None = None) -> Program | None:
    """The program that says these tests with strengths refitted on all parts of the explain split.

    steps: how finely strengths are told apart; limit: greatest number of characters of the English. To keep it, tests
    are left out one by one: each time the one whose loss costs the least explained variance for its characters.
    None when nothing with a strength is left.
    """
    tests = list(dict.fromkeys(phrased(problem, test) for test in tests))
    gram, moment = _normal_equations(problem, [problem.column(t) for t in tests])
    kept = list(range(len(tests)))
    lengths = np.array([characters(t) for t in tests], float)
    out: list[int] = []
    while kept and (sketch := _sketch(tests, kept, lengths, gram, moment, steps, limit)) is None:
        rows = _rows(kept)
        inverse = np.linalg.inv(gram[np.ix_(rows, rows)])
        loss = ((inverse @ moment[rows]) ** 2 / np.diag(inverse))[1:]
        out.append(kept.pop(int(np.argmin(loss / (lengths[kept] + FRAME)))))
    for i in reversed(out):  # what was left out last may fit after all
        more = [*kept, i]
        if lengths[i] <= SHORT and (fuller := _sketch(tests, more, lengths, gram, moment, steps, limit)) is not None:
            kept, sketch = more, fuller
    noise = float(problem.weight @ problem.target**2 - _explained(gram, moment, kept)) / float(problem.weight.sum())
    for _ in range(EXCHANGES if len(kept) < len(tests) else 0):
        for other in _exchanges(kept, gram, moment, lengths, noise)[:TRIALS]:
            if (better := _sketch(tests, other, lengths, gram, moment, steps, limit)) is not None:
                kept, sketch = other, better
                break
        else:
            break
    while kept and sketch is not None:
        program = _fitted(problem, [clause.test for clause in sketch.clauses])
        if limit is None or english_length(program) <= limit:
            return program if program.clauses else None
        kept.pop()
        sketch = _sketch(tests, kept, lengths, gram, moment, steps, None)
    return None


def _exchanges(
    kept: list[int], gram: np.ndarray, moment: np.ndarray, lengths: np.ndarray, least: float
) -> list[list[int]]:
    """What is kept with one test given up for one or two others of about its length, best first.

    Only where that explains more by at least `least`, about what a test that means nothing would explain by chance.
    """
    found = list[tuple[float, list[int]]]()
    others = np.setdiff1d(np.arange(len(lengths)), kept)
    rows = _rows(kept)
    inverse, known = np.linalg.inv(gram[np.ix_(rows, rows)]), moment[rows]
    base = float(known @ inverse @ known)
    for place, given_up in enumerate(kept, start=1):
        rest, room = [i for i in kept if i != given_up], lengths[given_up] + LOOSE
        fitting = [int(i) for i in others if lengths[i] <= room]
        if not fitting:
            continue
        left_in = np.delete(np.arange(len(rows)), place)
        column = inverse[left_in, place]
        smaller = inverse[np.ix_(left_in, left_in)] - np.outer(column, column) / inverse[place, place]
        without = float(known[left_in] @ smaller @ known[left_in])
        gains = without - base + _gains(gram, moment, rest, fitting, smaller)
        for first in np.argsort(-gains, kind="stable")[:FIRSTS]:
            one, left = [*rest, fitting[first]], room - lengths[fitting[first]]
            found.append((float(gains[first]), one))
            if second := [i for i in fitting if lengths[i] <= left and i != fitting[first]]:
                more = gains[first] + _gains(gram, moment, one, second)
                found.append((float(more.max()), [*one, second[int(np.argmax(more))]]))
    return [rest for gain, rest in sorted(found, key=lambda pair: -pair[0]) if gain > least]


def _explained(gram: np.ndarray, moment: np.ndarray, kept: list[int]) -> float:
    """The sum of squares that a bias and these tests explain."""
    rows = _rows(kept)
    return float(moment[rows] @ np.linalg.solve(gram[np.ix_(rows, rows)], moment[rows]))


def _rows(tests: list[int]) -> list[int]:
    """Of the normal equations: the bias, and these tests."""
    return [0, *(i + 1 for i in tests)]


def _gains(
    gram: np.ndarray, moment: np.ndarray, kept: list[int], others: list[int], inverse: np.ndarray | None = None
) -> np.ndarray:
    """How much more each of the others would explain beside those kept: squared partial moments over what is left of
    their own squares. inverse: of the normal equations of those kept, where it is known."""
    rows, more = _rows(kept), [i + 1 for i in others]
    cross = gram[np.ix_(rows, more)]
    both = np.column_stack([cross, moment[rows]])
    solved = np.linalg.solve(gram[np.ix_(rows, rows)], both) if inverse is None else inverse @ both
    left = gram[more, more] - (cross * solved[:, :-1]).sum(axis=0)
    return (moment[more] - cross.T @ solved[:, -1]) ** 2 / np.maximum(left, 1e-9)


def _sketch(
    tests: list[Test], kept: list[int], lengths: np.ndarray, gram: np.ndarray, moment: np.ndarray, steps: float,
    limit: int | None,
) -> Program | None:  # fmt: skip
    """The kept tests joined, with plain least-squares strengths; None when its English is longer than the limit."""
    if limit is not None and lengths[kept].sum() > ROOM * limit:
        return None
    rows = _rows(kept)
    bias, *values = np.linalg.solve(gram[np.ix_(rows, rows)], moment[rows])
    merged = joined([tests[i] for i in kept], np.array(values), steps)
    program = Program(float(bias), tuple(Clause(v, t) for t, v in merged))
    return program if limit is None or english_length(program) <= limit else None


def _normal_equations(problem: Problem, columns: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    gram, moment, square = Told.of(columns, problem.target, problem.weight).normal_equations()
    _, share = solved(gram, moment, square)
    gram[np.diag_indices_from(gram)] += max(RIDGE * share, LEAST_RIDGE)
    return gram, moment


def _fitted(problem: Problem, tests: list[Test]) -> Program:
    bias, *values = strengths([problem.column(t) for t in tests], problem.target, problem.weight).tolist()
    clauses = tuple(Clause(problem.scale * v, t) for v, t in zip(values, tests, strict=True))
    return quantise(Program(problem.scale * bias, clauses))
