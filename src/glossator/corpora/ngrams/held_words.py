"""Which words and phrases of WordNet occur in which n-grams, from which responses suggest names, and what a name stands
for by WordNet: which texts hold its concept, and how surely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from glossator.corpora.ngrams.words import words
from glossator.corpora.wordnet import Synset, WordNet

if TYPE_CHECKING:
    from scipy import sparse

_FUNCTION_WORDS = """
a about above after again against all almost also although always am among an and another any are aren't as at
away back be because been before being below between both but by came can cannot can't come could couldn't did
didn't do does doesn't doing don't done down during each either else enough etc even ever every few for from
further get gets getting give given go goes going gone got had hadn't has hasn't have haven't having he he's her
here hers herself him himself his how however i i'd i'll i'm i've if in into is isn't it it's its itself just
last later least less let let's like made make makes making many may maybe me might mine more most much must my
myself near neither never next no nor not nothing now of off often on once one only onto or other others our
ours out over own per perhaps please put quite rather really same say says said see seem she should shouldn't
since so some something still such sure take taken than that that's the their theirs them themselves then there
these they they're thing things this those though through thus to together too toward towards two under until up
upon us use used uses using very via want was wasn't way we well went were what when where whether which while
who whom whose why will with within without won't would wouldn't yes yet you you're your yours yourself it'll
they'll we're we've you'll you've first second new able several various certain whatever
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that name nothing by themselves; a module that responds to one is named by its top n-grams all the same."""


@dataclass(frozen=True, eq=False)
class WordTable:
    """names: words and phrases in lower case, lemmas where known; holds: CSR (names, n-grams) of 0 and 1."""

    names: tuple[str, ...]
    holds: sparse.csr_array

    @cached_property
    def row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}

    @cached_property
    def counts(self) -> np.ndarray:
        return np.diff(self.holds.indptr)

    def only(self, columns: np.ndarray) -> WordTable:
        """The table restricted to these n-grams; names that none of them contains stay, with a count of 0."""
        return WordTable(self.names, self.holds[:, columns].tocsr())


def word_table(texts: Sequence[str], wordnet: WordNet, longest: int = 3) -> WordTable:
    """Content words by lemma, and phrases of up to `longest` words that WordNet has, of each text."""
    rows: dict[str, int] = {}
    names, columns = [], []
    lemma: dict[str, str] = {}
    for column, text in enumerate(texts):
        for name in dict.fromkeys(names_in(text, wordnet, longest, lemma)):
            names.append(rows.setdefault(name, len(rows)))
            columns.append(column)
    from scipy import sparse

    entries = np.ones(len(names), np.float32)
    return WordTable(tuple(rows), sparse.csr_array((entries, (names, columns)), shape=(len(rows), len(texts))))


def names_in(text: str, wordnet: WordNet, longest: int = 3, lemma: dict[str, str] | None = None) -> list[str]:
    """Content words of a text by lemma (figures as `number`), then phrases that WordNet has.

    lemma: lemmas found so far, kept from text to text for speed.
    """
    lemma = {} if lemma is None else lemma
    low = text.lower()
    forms = [low[a:b].replace("’", "'") for a, b in words(low)]
    forms = [form for form in forms if form[0].isalnum()]
    found = []
    for form in forms:
        if form not in FUNCTION_WORDS:
            if form not in lemma:
                lemma[form] = "number" if form[0].isdecimal() else wordnet.base(form.removesuffix("'s"))
            found.append(lemma[form])
    for n in range(2, min(longest, len(forms)) + 1):
        for start in range(len(forms) - n + 1):
            if all(form in FUNCTION_WORDS for form in forms[start : start + n]):
                continue
            phrase = " ".join(forms[start : start + n])
            if phrase not in lemma:
                lemma[phrase] = wordnet.base(phrase)
            if lemma[phrase] in wordnet:
                found.append(lemma[phrase])
    return found


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
