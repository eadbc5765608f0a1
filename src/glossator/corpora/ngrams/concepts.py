"""What a name stands for, by WordNet: which texts hold its concept, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from glossator.corpora.ngrams.held_words import WordTable, names_in
from glossator.corpora.wordnet import Synset, WordNet

LIKELY = 0.2
"""A meaning counts for a word from this share of its uses."""


@dataclass(frozen=True, eq=False)
class Concept:
    """A name and the words that stand for it, each with the share of its uses that do.

    all_of: where WordNet does not have the name, the words that a text must all hold. kinds: words below the name that
    mostly mean something below it, the most common first.
    """

    name: str
    members: dict[str, float]
    all_of: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def held(self, table: WordTable) -> np.ndarray:
        """How surely each text of the table holds the concept, float32 (texts,), 0 to 1."""
        if self.all_of:
            rows = [table.row[word] for word in self.all_of if word in table.row]
            if len(rows) < len(self.all_of):
                return np.zeros(table.holds.shape[1], np.float32)
            return np.asarray(table.holds[rows].sum(0) == len(rows), dtype=np.float32)
        known = [(table.row[word], weight) for word, weight in self.members.items() if word in table.row]
        if not known:
            return np.zeros(table.holds.shape[1], np.float32)
        rows, weights = [row for row, _ in known], np.array([weight for _, weight in known], np.float32)
        return np.asarray(np.minimum(weights @ table.holds[rows], 1.0), dtype=np.float32)

    def partly_held(self, table: WordTable) -> np.ndarray:
        """As `held`, but of a name that WordNet does not have the share of its words that each text holds."""
        rows = [table.row[word] for word in self.all_of if word in table.row]
        if not rows:
            return self.held(table)
        return np.asarray(table.holds[rows].sum(0), dtype=np.float32) / len(self.all_of)


@lru_cache(maxsize=20_000)
def concept_of(name: str, wordnet: WordNet) -> Concept:
    """The name itself, its synonyms, words derived from it, and all that its likely meanings stand above."""
    base = wordnet.base(name)
    if base not in wordnet:
        words = [word for word in names_in(name, wordnet) if " " not in word]
        return Concept(name, {}, tuple(dict.fromkeys(words)) or (base,))
    members: dict[str, float] = {}
    for meaning in likely(base, wordnet):
        below = set(wordnet.below(meaning.number))
        for number in below | {n for n in meaning.related("+") if derived(base, wordnet.synsets[n])}:
            for word in wordnet.synsets[number].words:
                low = word.lower()
                members[low] = min(1.0, members.get(low, 0.0) + wordnet.shares(low)[number])
    members[base] = 1.0
    own = {word.lower() for meaning in likely(base, wordnet) for word in meaning.words} | {base}
    kinds = [word for word, share in members.items() if share >= 0.5 and word not in own and base not in word]
    kinds.sort(key=lambda word: (-wordnet.frequency(word), word))
    return Concept(name, members, kinds=tuple(kinds))


def derived(word: str, synset: Synset) -> bool:
    """Whether a related synset has a word of the same stem (the relation says which meaning, not which word)."""
    return any(other.lower()[:4] == word[:4] for other in synset.words)


def likely(word: str, wordnet: WordNet) -> list[Synset]:
    """Meanings that the word is used in often enough, or else its first."""
    shares = wordnet.shares(word)
    meanings = wordnet.meanings(word)
    return [meaning for meaning in meanings if shares[meaning.number] >= LIKELY] or meanings[:1]
