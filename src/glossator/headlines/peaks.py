"""Where a unit peaks: how strongly it responds to single words, alone and after other words, as a short program.

Headline and modes name classes, and every token of a class counts alike, so that they cannot say at which of several
tokens in a window a unit is strongest. Peaks can: words, words before and pairs of both have a strength each, and
strengths add up. They are fitted to squared activations, since people look at peaks: shrunk means of each word and of
each word before, for what the other leaves open, then of each pair, for what both leave open; all are scaled to the
activations at the peaks. Entries that explain most for their length are kept, up to a number of bits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.explanations import Peaks
from glossator.headlines.shelf import Shelf
from glossator.headlines.strong import squares
from glossator.programs.compose import joined
from glossator.programs.language import After, And, Clause, Program, Spelled, Test, Token
from glossator.programs.problem import Problem
from glossator.programs.quantise import quantise
from glossator.statistics import largest, shrinkage

BITS = 1500
"""About how long the program is."""
WORD, BEFORE, PAIR = 13.0, 17.0, 45.0
"""About what an entry of each kind costs: words of one strength share a clause, pairs do not."""
MOST = 100
"""So many entries of a kind are looked at."""
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
    word, before, pair = problem.reading.derived((peaks_of, shelf), lambda: _entries(problem, shelf))
    mean = float(squared.mean())
    alone, context = np.zeros(word.size), np.zeros(before.size)
    for _ in range(ROUNDS):
        alone = word.shrunk(squared - mean - context[before.entry])
        context = before.shrunk(squared - mean - alone[word.entry])
    both = pair.shrunk(squared - mean - alone[word.entry] - context[before.entry])
    kinds = [(word, alone), (before, context), (pair, both)]
    kept = _worthwhile(kinds)
    tests = [entries.test(number) for entries, _, number in kept]
    strengths = [float(values[number]) for _, values, number in kept]
    predicted = np.full(len(squared), mean)
    for entries, values in kinds:
        mine = [number for kind, _, number in kept if kind is entries]
        strength = np.zeros(entries.size)
        strength[mine] = values[mine]
        predicted += strength[entries.entry]
    scale = problem.scale * _scale(problem.target, predicted)
    clauses = tuple(Clause(value * scale, test) for test, value in joined(tests, np.array(strengths), STEPS))
    return Peaks(written_peaks(problem), quantise(Program(mean * scale, clauses)))


@dataclass(frozen=True, eq=False)
class Entries:
    """Things that can have a strength: entry (T,) the one of each token, the last of `size` where it has none; test: of
    an entry by its number; bits: what one costs."""

    entry: np.ndarray
    size: int
    test: Callable[[int], Test]
    bits: float

    @cached_property
    def counts(self) -> np.ndarray:
        """(size,) tokens of each."""
        return np.bincount(self.entry, minlength=self.size).astype(float)

    def shrunk(self, values: np.ndarray) -> np.ndarray:
        """(size,) mean of values (T,) over each entry, shrunk to 0 for entries with few tokens."""
        sums, powers = np.bincount(self.entry, values, self.size), np.bincount(self.entry, values**2, self.size)
        seen = np.flatnonzero(self.counts)
        counts, sums = self.counts[seen], sums[seen]
        found = np.zeros(self.size)
        found[seen] = sums / (counts + shrinkage(counts, sums, powers[seen]))
        found[-1] = 0.0
        return found


def _entries(problem: Problem, shelf: Shelf) -> tuple[Entries, Entries, Entries]:
    """Of words, of words before, and of pairs of both."""
    word, before = _words(problem, shelf)
    return word, before, _pairs(word, before)


def _words(problem: Problem, shelf: Shelf) -> tuple[Entries, Entries]:
    """Words in any spelling, and tokens that are none: at each token, and before it."""
    types, words = problem.seen, len(shelf.words)
    own = shelf.word_of[types]
    size = words + len(types) + 1
    number = np.append(np.where(own < words, own, words + np.arange(len(types))), size - 1)
    texts = problem.bank.lexicon.vocabulary.texts

    def test(entry: int) -> Test:
        if entry < words:
            return Spelled((shelf.words[entry],))
        return Token((texts[problem.bank.types[types[entry - words]]],))

    here = Entries(number[problem.back[0]], size, test, WORD)
    return here, Entries(number[problem.back[1]], size, lambda entry: After(test(entry)), BEFORE)


def _pairs(word: Entries, before: Entries) -> Entries:
    """A word and the one before it."""
    pairs, entry = np.unique(word.entry.astype(np.int64) * before.size + before.entry, return_inverse=True)
    lone = (word.entry == word.size - 1) | (before.entry == before.size - 1)
    entry = np.where(lone, len(pairs), entry)

    def test(number: int) -> Test:
        first, second = divmod(int(pairs[number]), before.size)
        return And((word.test(first), before.test(second)))

    return Entries(entry, len(pairs) + 1, test, PAIR)


def _worthwhile(kinds: Sequence[tuple[Entries, np.ndarray]]) -> list[tuple[Entries, np.ndarray, int]]:
    """The entries that explain most of what is above the mean for their bits, as many as there is room for."""
    found = []
    for entries, values in kinds:
        gain = entries.counts * np.maximum(values, 0.0) ** 2
        for number in largest(gain, MOST).tolist():
            if gain[number] > 0:
                found.append((float(gain[number]) / entries.bits, entries, values, number))
    found.sort(key=lambda one: -one[0])
    room = np.cumsum([entries.bits for _, entries, _, _ in found]) <= BITS
    return [one[1:] for one, fits in zip(found, room.tolist(), strict=True) if fits]


def _scale(target: np.ndarray, predicted: np.ndarray) -> float:
    """What predicted squares (T,) are multiplied by to be activations: least squares, weighted by the squares."""
    return float(target**3 @ predicted / max(float(target**2 @ predicted**2), 1e-12))


def written_peaks(problem: Problem) -> tuple[str, ...]:
    """The written words at the peaks of the windows in which the unit is strongest, by the sum of squared peaks;
    marks stand in quotation marks."""
    windows, width = problem.windows, problem.windows.width
    flat = np.zeros(len(windows.tokens) * width)
    flat[problem.flat] = problem.target
    values = flat.reshape(-1, width)
    rows = np.argsort(-values.max(axis=1), kind="stable")[:WINDOWS]
    weight: dict[str, float] = defaultdict(float)
    shown: dict[str, str] = {}
    for row in rows[values[rows].max(axis=1) > 0].tolist():
        place = int(values[row].argmax())
        first, end = windows.word_at(row, place)
        text = windows.vocabulary.join(windows.tokens[row, first:end]).strip()
        if text and "\ufffd" not in text:
            shown.setdefault(text.lower(), text if any(map(str.isalnum, text)) else f"“{text}”")
            weight[text.lower()] += float(values[row, place]) ** 2
    return tuple(shown[key] for key in sorted(weight, key=lambda key: -weight[key])[:NAMED])
