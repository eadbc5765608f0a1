"""Texts that test a name: written around it, and held-out ones with and without its concept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from glossator.corpora import Corpus
from glossator.corpora.ngrams.held_words import Concept, WordTable, concept_of, word_table
from glossator.corpora.ngrams.words import words
from glossator.corpora.wordnet import WordNet, general_names
from glossator.explainers.naming.classes import REPORTING, Text, examples, from_templates, stable_order
from glossator.explainers.naming.naming_split import NamingSplit, places
from glossator.explainers.naming.selection import LEAST_KINDS, Ranked, members_of

LEAST = 3
"""Fewer texts on one side give no score."""
RANDOM = 199
"""Names drawn at random that a reported name is ranked against: the least p is 1 in 200."""
DRAWS = 8000
"""At most so many names are looked at to find those."""
MOST_SENTENCES = 30_000
SCORES = ("sigma.corpus", "sigma.written", "sigma.held-out")
Sides = tuple[Sequence[Text], Sequence[Text]]
"""Texts with the concept, and texts without."""
_BORDER = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Texts that no name comes from: sentences of documents, n-grams, windows. groups (n,): the document of each."""

    texts: tuple[str, ...]
    groups: np.ndarray
    table: WordTable

    @classmethod
    def of(cls, texts: Sequence[str], groups: np.ndarray, wordnet: WordNet) -> HeldOut:
        return cls(tuple(texts), np.asarray(groups), word_table(texts, wordnet))

    @classmethod
    def sentences(cls, corpus: Corpus, wordnet: WordNet, seed: int, most: int = MOST_SENTENCES) -> HeldOut:
        """Distinct sentences of 4 to 30 words from half of the documents; if all documents have more than `most`, those
        with the smallest hashes."""
        found: dict[str, int] = {}
        for number, document in enumerate(corpus.documents()):
            for piece in _BORDER.split(document.text):
                text = " ".join(piece.split())
                if len(text) <= 400 and 4 <= len(words(text)) <= 30:
                    found.setdefault(text, number)
        kept = sorted(sorted(found, key=stable_order)[:most], key=lambda text: (found[text], text))
        documents = np.unique([found[text] for text in kept])
        half = documents[places([str(n) for n in documents], ("documents", seed)) < 0.5]
        kept = [text for text in kept if found[text] in set(half.tolist())]
        return cls.of(kept, np.array([found[text] for text in kept], np.int64), wordnet)

    def with_it(self, held: np.ndarray, most: int, salt: object) -> list[Text]:
        """Texts that hold the concept (more surely than not), one a document."""
        return [Text(self.texts[row], "corpus") for row in self._one_a_group(np.flatnonzero(held >= 0.5), salt)[:most]]

    def without_it(self, held: np.ndarray, lengths: Sequence[int], salt: object) -> list[Text]:
        """For each length in words, so many words in a row of texts that do not hold the concept at all: of one text
        where it is long enough, else of those that follow as well."""
        ordered = self._one_a_group(np.flatnonzero(held == 0), salt)
        found = []
        for place, length in enumerate(lengths if ordered else ()):
            text = self.texts[ordered[place % len(ordered)]]
            for more in range(1, len(ordered)):
                if len(words(text)) >= length:
                    break
                text += f" {self.texts[ordered[(place + more) % len(ordered)]]}"
            spans = words(text)
            if not spans:
                continue
            spare = max(0, len(spans) - length)
            start = stable_order(text, (salt, place)) % (spare + 1)
            end = min(start + length, len(spans)) - 1
            found.append(Text(text[spans[start][0] : spans[end][1]], "corpus"))
        return found

    def _one_a_group(self, rows: np.ndarray, salt: object) -> list[int]:
        """Of these texts the first of each document, in an order that depends on the texts and the salt alone."""
        first: dict[int, int] = {}
        for row in sorted(rows.tolist(), key=lambda row: self._order(row, salt)):
            first.setdefault(int(self.groups[row]), row)
        return list(first.values())

    _orders: dict[tuple[int, object], int] = field(default_factory=dict, repr=False)

    def _order(self, row: int, salt: object) -> int:
        if (row, salt) not in self._orders:
            self._orders[row, salt] = stable_order(self.texts[row], salt)
        return self._orders[row, salt]


@dataclass(frozen=True, eq=False)
class ConceptTexts:
    """The texts of each score, for any name. most: held-out texts that a name is tested on at most."""

    dealt: NamingSplit
    held_out: HeldOut
    most: int

    def of(self, row: Ranked, by_model: tuple[Sequence[str], Sequence[str]] = ((), ())) -> dict[str, Sides]:
        """By score; by_model: what a language model wrote with and without the concept."""
        seed, wordnet = self.dealt.seed, self.dealt.reference.wordnet
        held = row.concept.held(self.held_out.table)
        written = _written(by_model[0]) or self._phrases(row)
        others = _written(by_model[1]) or [
            text
            for other in self.dealt.others(row.concept, True)
            for text in (*from_templates(other, REPORTING), *examples(other, wordnet))
        ]
        found = self.held_out.with_it(held, self.most, seed)
        # In one order for all names, so that most of these texts are run once for all of them.
        apart = self.held_out.without_it(held, [len(words(text.text)) for text in (*written, *found)], seed)
        sides: list[Sides] = [([*written, *found], apart), (written, others), (found, apart[len(written) :])]
        return dict(zip(SCORES, sides, strict=True))

    def _phrases(self, row: Ranked) -> list[Text]:
        if row.kinds:
            members = members_of(row.name, reporting=True)
            kinds = members if len(members) >= LEAST_KINDS else self.dealt.kinds(row.concept, reporting=True)
            return [text for kind in kinds for text in from_templates(kind, REPORTING[:2])]
        return [
            *from_templates(row.name.text, REPORTING),
            *examples(row.name.text, self.dealt.reference.wordnet),
        ]

    def spoken_of(self, concept: Concept) -> bool:
        """Whether at least `LEAST` held-out texts hold the concept."""
        return int((concept.held(self.held_out.table) >= 0.5).sum()) >= LEAST

    @cached_property
    def random_names(self) -> dict[bool, list[str]]:
        """Names of the general vocabulary drawn at random, up to `RANDOM` that held-out texts speak of, and as many
        that they do not."""
        wordnet = self.dealt.reference.wordnet
        names = general_names(wordnet)
        rng = np.random.default_rng(stable_order("random names", self.dealt.seed))
        found: dict[bool, list[str]] = {True: [], False: []}
        for row in rng.permutation(len(names))[:DRAWS].tolist():
            mine = found[self.spoken_of(concept_of(names[row], wordnet))]
            if len(mine) < RANDOM:
                mine.append(names[row])
            if all(len(part) >= RANDOM for part in found.values()):
                break
        return found


def _written(texts: Sequence[str]) -> list[Text]:
    return [Text(text, "written") for text in texts]
