"""Phrases: exact token sequences that fire a unit jointly.

Neither word predicts the unit alone, so a greedy search can miss the phrase; what it finds instead, a conjunction of
tests at two positions, is best read as that phrase.
"""

from __future__ import annotations

from collections.abc import Sequence as Items

import numpy as np

from glossator.programs.language import After, And, Sequence, Test, Token
from glossator.programs.problem import Problem

STRONG, NEARLY = 0.5, 0.9
"""Where a unit is strong, as a share of its greatest activation; the share of such places that a run must end at."""
RUNS, LONGEST_RUN, LEAST_PLACES = 3, 5, 4
"""Runs end in one of so many tokens, have at most this length, and are seen in at least so many places."""


def runs_of(problem: Problem) -> list[Sequence]:
    """The exact tokens that nearly always end where the unit is strongest, for each of the commonest tokens there: a
    unit may be fired by one phrase, and neither its last word nor the word before says so alone."""
    texts, seen = problem.bank.lexicon.vocabulary.texts, problem.seen
    strong = (problem.target >= STRONG * problem.target.max(initial=0.0)) & (problem.searched > 0)
    rows = np.flatnonzero(strong & (problem.target > 0) & (problem.back[0] < len(seen)))
    found = []
    for last in np.argsort(-np.bincount(problem.back[0][rows]), kind="stable")[:RUNS]:
        mine = rows[problem.back[0][rows] == last]
        run: list[Test] = []
        for back in problem.back[:LONGEST_RUN] if len(mine) >= LEAST_PLACES else ():
            counts = np.bincount(back[mine], minlength=len(seen) + 1)
            column = int(counts.argmax())
            if column == len(seen) or counts[column] < NEARLY * len(mine):
                break
            run.insert(0, Token((texts[int(problem.bank.types[seen[column]])],)))
            if len(run) > 1:
                found.append(Sequence(tuple(run)))
    return found


def phrased(problem: Problem, test: Test) -> Test:
    """The one run of exact tokens that ends wherever a conjunction holds, where that says the same; else the test."""
    if not isinstance(test, (And, Sequence)):
        return test
    holds = problem.column(test) >= 0.5
    rows, texts = np.flatnonzero(holds), problem.bank.lexicon.vocabulary.texts
    run: list[Test] = []
    for back in problem.back[:LONGEST_RUN] if len(rows) >= LEAST_PLACES else ():
        column = int(back[rows[0]])
        if column == len(problem.seen) or (back[rows] != column).any():
            break
        run.insert(0, Token((texts[int(problem.bank.types[problem.seen[column]])],)))
    if len(run) < 2:
        return test
    phrase = Sequence(tuple(run))
    return phrase if np.array_equal(problem.column(phrase) >= 0.5, holds) else test


def phrase_of(tests: Items[Test]) -> Sequence | None:
    """Exact tokens at this place and directly before it, one a place, as a sequence; None for anything else."""
    places: dict[int, Token] = {}
    for test in tests:
        if isinstance(test, Sequence):
            ends: list[Test] = list(reversed(test.tests))
        else:
            ends = [test]
        first = distance(ends[0])
        for place, end in enumerate(ends, start=first):
            while isinstance(end, After):
                end = end.test
            if not isinstance(end, Token) or len(end.texts) > 1 or place in places:
                return None
            places[place] = end
    if len(places) < 2 or sorted(places) != list(range(len(places))):
        return None
    return Sequence(tuple(places[place] for place in range(len(places) - 1, -1, -1)))


def distance(test: Test) -> int:
    """How many tokens back a test looks, as far as "after" says it."""
    return 1 + distance(test.test) if isinstance(test, After) else 0
