"""The class whose members a module responds to alike: counts of animals are named "animal", not by one of them.

Seen in responses to single words of the vocabulary: where several are about as loud as the loudest, what they have in
common is looked for above them in WordNet. The choice among classes follows how well membership tells loud words from
others, each word counted by how common it is: a class that is too wide pays for its members that are quiet, one that is
too narrow for loud words that are none. And the name should be common itself: nobody calls dogs and cats placentals.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import numpy as np

from glossator.corpora.wordnet import WordNet, general_names
from glossator.explainers.naming.proposing import common_word

LOUD = 0.9
"""A word is loud from this share of the way from the median response to the largest."""
LEAST_LOUD, MOST_LOUD = 4, 0.05
"""So few loud words are no class, and neither are more than this share of all words."""
COVERED, PART = 0.4, 0.2
"""A class covers at least the first share of the loud words; each of two that are named together, the second."""
RECALL = 2.0
"""How much more recall counts than precision (the beta of an F score): a list often holds some of a class alone."""
LEAST_F = 0.25
"""A class that fits worse is not what the loud words have in common."""
VAST = 1000
"""A class with more words of the vocabulary below it says next to nothing."""
COMMON, COMMON_ENOUGH, OWN = 0.25, 100, 0.2
"""What a doubling counts, against a doubling of F: of how often texts use the name for the class, up to so often; and
of the share of the name's uses that mean the class."""
ONE_OF_THEM = 2.0
"""What a halving of the share of loud words that are members counts where the name is one of the loud words: that it is
loud says nothing for its own class as long as others are left out ("gun" beside swords; "weapon" leaves out none)."""


def loud_words(names: Sequence[str], values: np.ndarray) -> list[str]:
    """Single words whose responses are about as large as the largest; empty if there are too few or too many."""
    rows = np.array([row for row, name in enumerate(names) if " " not in name and np.isfinite(values[row])])
    if not len(rows):
        return []
    mine = values[rows]
    middle, top = float(np.median(mine)), float(mine.max())
    found = rows[mine >= middle + LOUD * (top - middle)] if top > middle else rows[:0]
    return [names[row] for row in found] if LEAST_LOUD <= len(found) <= MOST_LOUD * len(rows) else []


def classes_of(words: Sequence[str], wordnet: WordNet, most: int = 2) -> list[tuple[str, tuple[str, ...]]]:
    """Names of the classes that best describe these words, with those of them that are members, the most common first.
    Where none fits, the two that cover most are named together, and nothing where these do not fit either."""
    members = _members(wordnet)
    loud = set(words)
    fair = {
        number: {word: members[number][word] for word in members[number].keys() & loud}
        for number in {number for word in words for number, _ in _above(word, wordnet)}
        if 0 < len(members.get(number, ())) <= VAST
    }
    found = _by_worth(fair, words, wordnet) or _pair(fair, words, wordnet)
    return [(name, tuple(sorted(its, key=lambda word: (-wordnet.frequency(word), word)))) for name, its in found[:most]]


Named = list[tuple[str, Collection[str]]]


def _by_worth(shares: dict[int, dict[str, float]], words: Sequence[str], wordnet: WordNet) -> Named:
    found = []
    for number, its in shares.items():
        fit = _fit(_members(wordnet)[number], words, wordnet)
        if fit >= LEAST_F and len(its) >= COVERED * len(words):
            name = common_word(wordnet, number)
            uses = min(max(wordnet.synsets[number].tagged), COMMON_ENOUGH)
            own = math.log2(wordnet.shares(name)[number])
            left_out = math.log2(len(its) / len(words)) if name in words else 0.0
            worth = math.log2(fit) + COMMON * math.log2(1 + uses) + OWN * own + ONE_OF_THEM * left_out
            found.append((worth, name, its))
    best: dict[str, Collection[str]] = {}
    for _, name, its in sorted(found, key=lambda item: (-item[0], item[1])):
        best.setdefault(name, its)
    return list(best.items())


def _fit(members: dict[str, float], words: Sequence[str], wordnet: WordNet) -> float:
    """How well membership tells the loud words from others: their F score, 0 to 1."""
    loud = set(words)
    # A word counts by how often it means a member, and a loud one in part because the others say what it means.
    hits = sum(_weight(w, wordnet) * (0.5 + 0.5 * math.sqrt(min(s, 1.0))) for w, s in members.items() if w in loud)
    misses = sum(_weight(word, wordnet) * share for word, share in members.items() if word not in loud)
    if not hits:
        return 0.0
    precision, recall = hits / (hits + misses), hits / sum(_weight(word, wordnet) for word in words)
    return (1 + RECALL**2) * precision * recall / (RECALL**2 * precision + recall)


def _weight(word: str, wordnet: WordNet) -> float:
    """What a word counts: the root of how common it is, so that no single word decides."""
    return math.sqrt(max(1, wordnet.frequency(word)))


def _pair(shares: dict[int, dict[str, float]], words: Sequence[str], wordnet: WordNet) -> Named:
    members = _members(wordnet)
    chosen: list[str] = []
    covered: set[str] = set()
    both: dict[str, float] = {}
    for _ in range(2):
        gains = [(-len(its.keys() - covered), len(members[number]), number) for number, its in shares.items()]
        gain, _, number = min(gains, default=(0, 0, 0))
        if -gain >= PART * len(words):
            chosen.append(common_word(wordnet, number))
            covered |= shares[number].keys()
            both |= members[number]
    if len(set(chosen)) < 2 or len(covered) < COVERED * len(words) or _fit(both, words, wordnet) < LEAST_F:
        return []
    return [(" or ".join(chosen), covered)]


def _above(word: str, wordnet: WordNet) -> Iterator[tuple[int, float]]:
    """Synsets above the meanings of a word, with the share of its uses that mean something below each. Above an
    adjective stand those that it is similar to, and what they say something of ("size" above "tiny")."""
    shares = wordnet.shares(word)
    for meaning in wordnet.meanings(word):
        numbers = set(wordnet.above(meaning.number))
        if meaning.part == "a":
            numbers |= {*meaning.related("&")}
            said_of = {noun for number in numbers for noun in wordnet.synsets[number].related("=")}
            numbers |= {above for noun in said_of for above in wordnet.above(noun)}
        for number in numbers:
            yield number, shares[meaning.number]


@lru_cache(maxsize=2)
def _members(wordnet: WordNet) -> dict[int, dict[str, float]]:
    """For each synset the single words of the vocabulary that have a meaning below it, with the share of their uses."""
    found: dict[int, dict[str, float]] = {}
    for name in general_names(wordnet):
        if " " not in name:
            for number, share in _above(name, wordnet):
                its = found.setdefault(number, {})
                its[name] = its.get(name, 0.0) + share
    return found
