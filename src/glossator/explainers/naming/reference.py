"""The reference corpus as naming and scoring need it: n-grams, the words they hold, where they lie, and sentences.

Made once and shared by any number of modules; what one half of the procedure uses is kept from the other.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from glossator.corpora import Corpus, open_corpus
from glossator.corpora.ngrams.extract import CorpusLike, Ngrams, NgramSpec, extract_ngrams
from glossator.corpora.ngrams.held_words import WordTable, word_table
from glossator.corpora.ngrams.words import words
from glossator.corpora.wordnet import WordNet, load_wordnet
from glossator.errors import UserError
from glossator.explainers.naming.classes import Classes, word_classes
from glossator.explainers.naming.space import Space
from glossator.explainers.naming.vocabulary import Vocabulary, open_vocabulary
from glossator.subjects.embedders import Embedder

NGRAMS = NgramSpec(n=3, fold_case=True, punctuation="none", most=100_000)
_BORDER = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, eq=False)
class Sentences:
    """texts; documents int64 (n,): number of each one's document; table: the words of the texts."""

    texts: tuple[str, ...]
    documents: np.ndarray
    table: WordTable


@dataclass(frozen=True, eq=False)
class Reference:
    """What a corpus gives, with the vocabulary and (unless `embedder` is None) the space that names are looked for in.

    ngrams: the texts that modules are run on; rows: which of the corpus's n-grams these are.
    """

    corpus: Corpus
    ngrams: Ngrams
    wordnet: WordNet
    table: WordTable
    classes: Classes
    space: Space | None

    @classmethod
    def of(
        cls,
        corpus: CorpusLike,
        spec: NgramSpec = NGRAMS,
        *,
        embedder: Embedder | None = None,
        vocabulary: Vocabulary | None = None,
        wordnet: WordNet | None = None,
    ) -> Reference:
        """Read a corpus. embedder: of the space for naming; without one names come from n-grams and WordNet alone."""
        wordnet = wordnet or load_wordnet()
        opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
        ngrams = extract_ngrams(opened, spec)
        table = word_table(ngrams.texts, wordnet)
        space = None
        if embedder is not None:
            vocabulary = vocabulary or open_vocabulary(embedder, wordnet)
            space = Space.of(embedder.embed(ngrams.texts), vocabulary)
        return cls(opened, ngrams, wordnet, table, word_classes(table, wordnet), space)

    def only(self, rows: np.ndarray) -> Reference:
        """The same with these n-grams (bool or row numbers) alone; what is said of the others is forgotten."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        if not len(rows):
            raise UserError("no n-gram is left", fix="Leave out less, or give more text")
        space = None if self.space is None else self.space.only(rows)
        return replace(
            self,
            ngrams=self.ngrams.take(rows),
            table=self.table.only(rows),
            classes=self.classes.only(rows),
            space=space,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the n-grams in order: the evidence that names come from."""
        return hashlib.sha256("\0".join(self.ngrams.texts).encode("utf-8", "replace")).hexdigest()[:16]

    @cached_property
    def sentences(self) -> Sentences:
        """Sentences of 4 to 30 words, at most `MOST_SENTENCES`, with the words they hold."""
        return sentences_of(self.corpus, self.wordnet)


MOST_SENTENCES = 30_000


def sentences_of(corpus: Corpus, wordnet: WordNet, most: int = MOST_SENTENCES) -> Sentences:
    """Distinct sentences of 4 to 30 words; when there are more than `most`, those with the smallest hashes."""
    found: dict[str, int] = {}
    for number, document in enumerate(corpus.documents()):
        for piece in _BORDER.split(document.text):
            text = " ".join(piece.split())
            if len(text) <= 400 and 4 <= len(words(text)) <= 30:
                found.setdefault(text, number)
    kept = sorted(sorted(found, key=stable_order)[:most], key=lambda text: (found[text], text))
    documents = np.array([found[text] for text in kept], dtype=np.int64)
    return Sentences(tuple(kept), documents, word_table(kept, wordnet))


def stable_order(text: str, salt: object = "") -> int:
    """A number that depends on the text (and salt) alone: sorts, halves and draws that need no state."""
    return int.from_bytes(hashlib.blake2b(f"{salt}\0{text}".encode("utf-8", "replace"), digest_size=8).digest())
