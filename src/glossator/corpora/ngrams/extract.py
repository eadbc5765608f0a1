"""N-grams of a corpus: slices of its texts, 1..n words long, with their counts and numbers of documents.

An n-gram never crosses a document or an empty line, and is shown as the text spells it, never as joined tokens.
Memory grows with the n-grams that are kept, not with the corpus: see `_Counter`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from glossator.corpora import Corpus, open_corpus
from glossator.corpora.documents import Document
from glossator.corpora.ngrams.counting import Occurrences, Survivors, count
from glossator.corpora.ngrams.words import words
from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.inputs import Texts

Punctuation = Literal["alone", "within", "none"]


@dataclass(frozen=True)
class NgramSpec:
    """n: longest n-gram in words; min_count: n-grams that stand less often are left out.

    fold_case: count spellings that differ in case alone together, shown in the commonest one.
    punctuation: "alone", a mark is an n-gram of its own and longer ones do not cross it; "within", a mark is a word
    like any other, as in the SASC paper; "none", marks are left out and nothing crosses them.
    most: keep so many of the most frequent n-grams, None for all.
    """

    n: int = 3
    min_count: int = 1
    fold_case: bool = False
    punctuation: Punctuation = "alone"
    most: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 8:
            raise UserError("unsupported n-gram length", value=self.n, allowed="1 to 8 words")
        if self.min_count < 1:
            raise UserError("bad min_count", value=self.min_count, allowed="1 or more")
        if self.punctuation not in get_args(Punctuation):
            raise UserError(
                "unknown handling of punctuation", value=self.punctuation, allowed=", ".join(get_args(Punctuation))
            )
        if self.most is not None and self.most < 1:
            raise UserError("bad most", value=self.most, allowed="1 or more, or None for all")


@dataclass(frozen=True, eq=False)
class Ngrams:
    """N-grams in the order of their first occurrence, shorter first where several begin at one place.

    texts: as spelled most often (first such spelling where several tie); counts, document_counts int64 (n,);
    lengths int8 (n,), in words; documents, starts, ends int64 (n,): texts[i] is the slice starts[i]:ends[i] of
    document number documents[i] of the corpus; keys uint64 (n,), by which `locate` finds them again.
    """

    texts: tuple[str, ...]
    counts: np.ndarray
    document_counts: np.ndarray
    lengths: np.ndarray
    documents: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    keys: np.ndarray
    spec: NgramSpec
    corpus: str
    corpus_words: int
    corpus_documents: int

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Ngrams:
        """The n-grams at these row numbers (or where a boolean mask is True), in that order."""
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        arrays = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return Ngrams(
            texts=tuple(self.texts[i] for i in rows),
            **arrays,
            spec=self.spec,
            corpus=self.corpus,
            corpus_words=self.corpus_words,
            corpus_documents=self.corpus_documents,
        )

    @property
    def inputs(self) -> Texts:
        """The n-grams as inputs, each in the group of the document in which it stands first."""
        return Texts.of(self.texts, self.documents)

    def without(self, pattern: str | re.Pattern[str]) -> Ngrams:
        """The n-grams in which this regular expression finds nothing: the leak-free list of a known answer."""
        compiled = re.compile(pattern)
        return self.take(np.array([compiled.search(text) is None for text in self.texts], dtype=bool))

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the texts in order and of how they were counted."""
        return fingerprint({"texts": self.texts, "counts": self.counts.tolist(), "spec": self.spec})

    @cached_property
    def _by_key(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.keys, kind="stable")
        return self.keys[order], order

    def locate(self, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where these n-grams stand in a text: rows of this list, starts, ends, each int64, in order of the text."""
        found = Occurrences(self.spec.n, self.spec.fold_case, self.spec.punctuation).of([(0, text, words(text))])
        keys, order = self._by_key
        if not len(keys):
            return (np.empty(0, np.int64),) * 3
        place = np.minimum(np.searchsorted(keys, found.key), len(keys) - 1)
        here = keys[place] == found.key
        rows, starts, ends = order[place[here]], found.start[here], found.end[here]
        by_place = np.lexsort((ends, starts))
        return rows[by_place], starts[by_place], ends[by_place]


_COLUMNS = ("counts", "document_counts", "lengths", "documents", "starts", "ends", "keys")

CorpusLike = Corpus | str | Path | Iterable[str | Document]


def extract_ngrams(corpus: CorpusLike, spec: NgramSpec | None = None) -> Ngrams:
    """All n-grams of a corpus that a spec asks for.

    corpus: a `Corpus`, what `open_corpus` takes, or any iterable of strings; each string is a document. It is read
    twice or more (a bare iterator is first held in memory). Occurrences count together when their words are the same
    up to composed characters, kinds of apostrophes and of white space between them (and case, with `fold_case`).
    Raises `UserError` for a corpus without a text or without an n-gram that is frequent enough.
    Keys are 64-bit hashes: that two of a million n-grams share one has a chance of 3e-8.
    """
    spec = spec or NgramSpec()
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    found = count(opened, spec.n, spec.fold_case, spec.punctuation, spec.min_count, spec.most)
    if not len(found.key):
        raise UserError(
            "the corpus has no n-gram with enough occurrences",
            value=f"min_count {spec.min_count}",
            fix="Lower min_count, or provide more text",
        )
    return Ngrams(
        texts=tuple(_slices(opened, found)),
        counts=found.count,
        document_counts=found.documents,
        lengths=found.length.astype(np.int8),
        documents=found.document,
        starts=found.start,
        ends=found.end,
        keys=found.key,
        spec=spec,
        corpus=opened.name,
        corpus_words=found.corpus_words,
        corpus_documents=found.corpus_documents,
    )


def _slices(corpus: Corpus, found: Survivors) -> list[str]:
    """The text of each n-gram, read from the corpus once more."""
    texts = [""] * len(found.key)
    order = np.argsort(found.document, kind="stable")
    borders = np.searchsorted(found.document[order], np.arange(found.corpus_documents + 1))
    for number, document in enumerate(corpus.documents()):
        for row in order[borders[number] : borders[number + 1]]:
            texts[row] = document.text[found.start[row] : found.end[row]]
    return texts
