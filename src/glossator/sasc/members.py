"""The class whose members a module responds to alike: counts of animals are named "animal", not by one of them.

Seen in responses to single words of the vocabulary: where several are about as loud as the loudest, what they have in
common is looked for above them in WordNet. The name should be specific, cover them and be common itself: nobody calls
dogs, cats and horses placentals.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import numpy as np

from glossator.sasc.naming import common_word
from glossator.sasc.vocabulary import general_names
from glossator.sasc.wordnet import WordNet

LOUD = 0.9
"""A word is loud from this share of the way from the median response to the largest."""
LEAST_LOUD, MOST_LOUD = 4, 0.05
"""So few loud words are no class, and neither are more than this share of all words."""
COVERED, PART = 0.4, 0.2
"""A class covers at least the first share of the loud words; each of two that are named together, the second."""
COMPLETE, WHOLE = 0.5, 100.0
"""A class of which this share of words is loud is meant as a whole; what that is worth, times its F1."""
VAST = 1000
"""A class with more words of the vocabulary below it says next to nothing."""
SIZE_WEIGHT, COMMON_ENOUGH = 1.2, 1500
"""What a doubling of a class's size costs against a doubling of how common its name is, which counts up to here."""


def loud_words(names: Sequence[str], values: np.ndarray) -> list[str]:
    """Single words that are about as loud as the loudest; empty where these are too few or too many."""
    rows = np.array([row for row, name in enumerate(names) if " " not in name and np.isfinite(values[row])])
    if not len(rows):
        return []
    mine = values[rows]
    middle, top = float(np.median(mine)), float(mine.max())
    found = rows[mine >= middle + LOUD * (top - middle)] if top > middle else rows[:0]
    return [names[row] for row in found] if LEAST_LOUD <= len(found) <= MOST_LOUD * len(rows) else []


def classes_of(words: Sequence[str], wordnet: WordNet, most: int = 2) -> list[tuple[str, tuple[str, ...]]]:
    """Names of the classes that say best what these words are, with those of them that are members, the most common
    first. Where nothing but a vast class covers them, the two below it that cover most are named together."""
    sizes = _sizes(wordnet)
    shares: dict[int, dict[str, float]] = {}
    for word in words:
        for number, share in _above(word, wordnet):
            shares.setdefault(number, {}).setdefault(word, 0.0)
            shares[number][word] += share
    fair = {number: members for number, members in shares.items() if sizes.get(number, 0) <= VAST}
    found = _by_worth(fair, words, wordnet, sizes) or _pair(fair, words, wordnet, sizes)
    found = found or _by_worth(shares, words, wordnet, sizes)
    return [(name, tuple(sorted(its, key=lambda word: (-wordnet.frequency(word), word)))) for name, its in found[:most]]


Named = list[tuple[str, Collection[str]]]


def _by_worth(
    shares: dict[int, dict[str, float]], words: Sequence[str], wordnet: WordNet, sizes: dict[int, int]
) -> Named:
    largest = math.log2(len(general_names(wordnet)))
    found = []
    for number, members in shares.items():
        name = common_word(wordnet, number)
        # A word counts by how often it means a member, and in part because the other words say what it means here.
        covered = sum(0.5 + 0.5 * math.sqrt(share) for share in members.values()) / len(words)
        if covered >= COVERED:
            uses = wordnet.frequency(name) * wordnet.shares(name)[number]
            size = covered * math.log2(1 + sizes.get(number, 0)) + (1 - covered) * largest
            worth = math.log2(1 + min(uses, COMMON_ENOUGH)) + name.count(" ") - SIZE_WEIGHT * size
            precision = len(members) / max(1, sizes.get(number, 0))
            if precision >= COMPLETE:  # most of a class is loud: it is that class, however common its name
                worth += WHOLE * 2 * precision * covered / (precision + covered)
            found.append((worth, name, members))
    best: dict[str, Collection[str]] = {}
    for _, name, its in sorted(found, key=lambda item: (-item[0], item[1])):
        best.setdefault(name, its)
    return list(best.items())


def _pair(shares: dict[int, dict[str, float]], words: Sequence[str], wordnet: WordNet, sizes: dict[int, int]) -> Named:
    chosen: list[str] = []
    covered: set[str] = set()
    for _ in range(2):
        gains = [(-len(its.keys() - covered), sizes.get(number, 0), number) for number, its in shares.items()]
        gain, _, number = min(gains, default=(0, 0, 0))
        if -gain >= PART * len(words):
            chosen.append(common_word(wordnet, number))
            covered |= shares[number].keys()
    return [(" or ".join(chosen), covered)] if len(set(chosen)) == 2 and len(covered) >= COVERED * len(words) else []


def _above(word: str, wordnet: WordNet) -> Iterator[tuple[int, float]]:
    """Synsets above the meanings of a noun, with the share of its uses that mean something below each."""
    shares = wordnet.shares(word)
    for meaning in wordnet.meanings(word, "n"):
        for number in wordnet.above(meaning.number):
            yield number, shares[meaning.number]


@lru_cache(maxsize=2)
def _sizes(wordnet: WordNet) -> dict[int, int]:
    """How many single words of the vocabulary have a meaning below each synset."""
    found: dict[int, int] = {}
    for name in general_names(wordnet):
        if " " not in name:
            for number in {number for number, _ in _above(name, wordnet)}:
                found[number] = found.get(number, 0) + 1
    return found
