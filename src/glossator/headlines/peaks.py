"""Where a unit peaks: how strongly it responds to single words, alone and after other words, as a short program.

Headline and modes name classes, and every token of a class counts alike, so that they cannot say at which of several
tokens in a window a unit is strongest. Peaks can: some words and some words before have a strength each, and strengths
add up. They are fitted to squared activations, since people look at peaks: shrunk means of each word and of each word
before, for what the other leaves open, and then scaled to the activations at the peaks. Only the entries that explain
most are kept, so that the program stays short and its bits can be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from glossator.explanations import Peaks
from glossator.headlines.shelf import Shelf
from glossator.headlines.strong import squares
from glossator.programs.compose import joined
from glossator.programs.language import After, Clause, Program, Spelled, Test, Token
from glossator.programs.problem import Problem
from glossator.programs.quantise import quantise
from glossator.statistics import shrinkage

WORDS, BEFORE = 32, 16
"""How many words, and words before, have a strength of their own."""
ROUNDS = 3
STEPS = 2.0
"""Strengths are told apart in so many steps a doubling, as the code of programs has them."""
WINDOWS, NAMED = 40, 8
"""Words are shown from so many windows with the highest peaks, at most so many."""


def peaks_of(problem: Problem, shelf: Shelf) -> Peaks | None:
    """The words at which the unit peaks, and its strengths; None for a unit that is never active."""
    squared, usual = squares(problem)
    if usual <= 0:
        return None
    entries, mean = Entries(problem, shelf), float(squared.mean())
    alone, before = np.zeros(entries.size), np.zeros(entries.size)
    for _ in range(ROUNDS):
        alone = entries.shrunk(squared - mean - before[entries.before], entries.here)
        before = entries.shrunk(squared - mean - alone[entries.here], entries.before)
    words, words_before = entries.foremost(alone, entries.here, WORDS), entries.foremost(before, entries.before, BEFORE)
    tests: list[Test] = [*map(entries.test, words), *(After(entries.test(i)) for i in words_before)]
    strengths = np.concatenate([alone[words], before[words_before]])
    scale = problem.scale * _scale(
        problem, mean + _only(alone, words)[entries.here] + _only(before, words_before)[entries.before]
    )
    clauses = tuple(Clause(value * scale, test) for test, value in joined(tests, strengths, STEPS))
    return Peaks(written_peaks(problem), quantise(Program(mean * scale, clauses)))


def _only(values: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    found = np.zeros(len(values))
    found[kept] = values[kept]
    return found


def _scale(problem: Problem, predicted: np.ndarray) -> float:
    """What squares (T,) are multiplied by to predict activations: least squares, tokens weighted by their square."""
    target = problem.target
    return float(target**3 @ predicted / max(float(target**2 @ predicted**2), 1e-12))


class Entries:
    """Words in any spelling, and tokens that are none, numbered; here, before (T,): the entry of each token and of the
    one before it, the last number for none."""

    def __init__(self, problem: Problem, shelf: Shelf):
        types = problem.seen
        word = shelf.word_of[types]
        self.words = len(shelf.words)
        numbers = np.where(word < self.words, word, self.words + np.arange(len(types)))
        self.problem, self.shelf, self.size = problem, shelf, self.words + len(types) + 1
        numbers = np.append(numbers, self.size - 1)
        self.here, self.before = numbers[problem.back[0]], numbers[problem.back[1]]

    def shrunk(self, values: np.ndarray, place: np.ndarray) -> np.ndarray:
        """(size,) mean of values (T,) over each entry, shrunk to 0 for entries with few tokens."""
        counts = np.bincount(place, minlength=self.size).astype(float)
        sums, squares = np.bincount(place, values, self.size), np.bincount(place, values**2, self.size)
        seen = counts > 0
        found = np.zeros(self.size)
        found[seen] = sums[seen] / (counts[seen] + shrinkage(counts[seen], sums[seen], squares[seen]))
        found[-1] = 0.0
        return found

    def foremost(self, values: np.ndarray, place: np.ndarray, number: int) -> list[int]:
        """The entries that explain most of what is above the mean, largest first."""
        gain = np.bincount(place, minlength=self.size) * np.maximum(values, 0.0) ** 2
        order = np.argsort(-gain, kind="stable")[:number]
        return [int(i) for i in order if gain[i] > 0]

    def test(self, entry: int) -> Test:
        if entry < self.words:
            return Spelled((self.shelf.words[entry],))
        bank = self.problem.bank
        return Token((bank.lexicon.vocabulary.texts[bank.types[self.problem.seen[entry - self.words]]],))


def written_peaks(problem: Problem) -> tuple[str, ...]:
    """The written words at the peaks of the windows in which the unit is strongest, by the sum of squared peaks."""
    windows, width = problem.windows, problem.windows.width
    values = np.zeros(len(windows.tokens) * width)
    values[problem.flat] = problem.target
    values = values.reshape(-1, width)
    rows = np.argsort(-values.max(axis=1), kind="stable")[:WINDOWS]
    weight: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for row in rows[values[rows].max(axis=1) > 0].tolist():
        place = int(values[row].argmax())
        first, end = windows.word_at(row, place)
        text = windows.vocabulary.join(windows.tokens[row, first:end]).strip()
        if not text or "\ufffd" in text:
            continue
        key = text.lower()
        shown.setdefault(key, text)
        weight[key] += float(values[row, place]) ** 2
    return tuple(shown[key] for key, _ in weight.most_common(NAMED))
