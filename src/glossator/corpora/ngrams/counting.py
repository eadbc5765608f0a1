"""Counting n-grams in bounded memory: hashes in NumPy columns, sorted and summed in blocks, in ranges of the hash.

The table holds one row a spelling. When it outgrows `TABLE_ROWS` the upper half of the hashes is dropped and counted
in another pass over the corpus, so that n-grams that are too rare to be kept are never all in memory at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from glossator.corpora import Corpus
from glossator.corpora.ngrams.words import folded, is_mark, words

TABLE_ROWS = 1 << 22
"""Spellings in the table before it is split: about 300 MB at most."""
_BLOCK_CHARACTERS = 1 << 20
_EMPTY_LINE = re.compile(r"\n[^\S\n]*\n|\u2029|\f|\r\n[^\S\n]*\r\n")
_LAST = 2**64 - 1


@dataclass(frozen=True, eq=False)
class Table:
    """One row a spelling (or an occurrence): key and exact uint64, the rest int64.

    key: hash of the folded n-gram; exact: of its spelling; count; documents: documents whose first occurrence of the
    key has this spelling, so that the sum over a key counts each document once; place: order of the first occurrence
    in the corpus; document, start, end: where that is; length: in words.
    """

    key: np.ndarray
    exact: np.ndarray
    count: np.ndarray
    documents: np.ndarray
    place: np.ndarray
    document: np.ndarray
    start: np.ndarray
    end: np.ndarray
    length: np.ndarray


@dataclass(frozen=True, eq=False)
class Survivors(Table):
    """One row a key, in the order of the corpus; corpus_words counts words, symbols and marks."""

    corpus_words: int = 0
    corpus_documents: int = 0


def _take(table: Table, rows: np.ndarray | slice) -> Table:
    return Table(*(getattr(table, f.name)[rows] for f in fields(Table)))


def _joined(tables: list[Table]) -> Table:
    return Table(*(np.concatenate([getattr(table, f.name) for table in tables]) for f in fields(Table)))


def count(corpus: Corpus, n: int, fold_case: bool, punctuation: str, min_count: int, most: int | None) -> Survivors:
    """The n-grams of all documents that stand at least `min_count` times, the `most` frequent of them."""
    ranges = [(0, _LAST)]
    kept: Table | None = None
    totals = (0, 0)
    while ranges:
        low, high = ranges.pop()
        counter = _Counter(low, high)
        occurrences = Occurrences(n, fold_case, punctuation)
        for block in _blocks(corpus):
            counter.add(occurrences.of(block))
        summed = counter.finish()
        ranges += counter.left_over
        totals = (occurrences.words, occurrences.documents)
        found = _by_key(summed, min_count)
        kept = _most(found if kept is None else _joined([kept, found]), most)
    assert kept is not None
    order = np.lexsort((kept.length, kept.place))
    ordered = _take(kept, order)
    return Survivors(
        **{f.name: getattr(ordered, f.name) for f in fields(Table)}, corpus_words=totals[0], corpus_documents=totals[1]
    )


def _blocks(corpus: Corpus) -> Iterator[list[tuple[int, str, list[tuple[int, int]]]]]:
    """Documents with their numbers and words, about a million characters at a time."""
    block: list[tuple[int, str, list[tuple[int, int]]]] = []
    characters = 0
    for number, document in enumerate(corpus.documents()):
        block.append((number, document.text, words(document.text)))
        characters += len(document.text)
        if characters >= _BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


class Occurrences:
    """All n-grams of texts, one row an occurrence, numbered on over the blocks of a corpus."""

    def __init__(self, n: int, fold_case: bool, punctuation: str):
        self.n, self.fold_case, self.punctuation = n, fold_case, punctuation
        self.words = self.documents = 0

    def of(self, texts: list[tuple[int, str, list[tuple[int, int]]]]) -> Table:
        """Rows of `texts`: (document number, text, its words), by length, then in the order of the text."""
        spans = [np.array(found, dtype=np.int64).reshape(-1, 2) for _, _, found in texts]
        sizes = np.array([len(found) for found in spans], dtype=np.int64)
        places = np.concatenate(spans)
        document = np.repeat(np.array([number for number, _, _ in texts], dtype=np.int64), sizes)
        word = self._words(texts)
        gap, breaks = self._gaps(texts)
        first = self.words
        self.words += len(places)
        self.documents += len(texts)
        # Numbers of the stretch that a word belongs to: n-grams stay within one.
        mark = word["mark"]
        if self.punctuation != "within":
            breaks = breaks | mark
            breaks[1:] |= mark[:-1]
        stretch = np.cumsum(breaks)
        usable = ~mark if self.punctuation == "none" else np.ones(len(places), dtype=bool)
        parts = []
        key, exact = _mix(word["folded"]), _mix(word["exact"])
        for length in range(1, self.n + 1):
            if length > 1:
                key = _joined_hash(key[:-1], gap["folded"][length - 1 :], word["folded"][length - 1 :])
                exact = _joined_hash(exact[:-1], gap["exact"][length - 1 :], word["exact"][length - 1 :])
            end = len(places) - length + 1
            if end <= 0:
                break
            rows = np.flatnonzero((stretch[:end] == stretch[length - 1 :]) & usable[:end])
            parts.append(
                Table(
                    key=key[rows],
                    exact=exact[rows],
                    count=np.ones(len(rows), np.int64),
                    documents=np.zeros(len(rows), np.int64),
                    place=first + rows,
                    document=document[rows],
                    start=places[rows, 0],
                    end=places[rows + length - 1, 1],
                    length=np.full(len(rows), length, np.int64),
                )
            )
        return _joined(parts) if parts else _EMPTY

    def _words(self, texts: list[tuple[int, str, list[tuple[int, int]]]]) -> dict[str, np.ndarray]:
        known: dict[str, int] = {}
        ids = [known.setdefault(text[a:b], len(known)) for _, text, found in texts for a, b in found]
        rows = np.array(ids, dtype=np.int64)
        return {
            "exact": _hashes(known)[rows],
            "folded": _hashes(folded(word, self.fold_case) for word in known)[rows],
            "mark": np.array([is_mark(word) for word in known], dtype=bool)[rows],
        }

    def _gaps(self, texts: list[tuple[int, str, list[tuple[int, int]]]]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Hashes of what stands before each word, and whether a new stretch of text begins at it."""
        known: dict[str | None, int] = {None: 0}
        ids: list[int] = []
        for _, text, found in texts:
            before = None
            for a, b in found:
                ids.append(0 if before is None else known.setdefault(text[before:a], len(known)))
                before = b
        rows = np.array(ids, dtype=np.int64)
        gaps = ["" if gap is None else gap for gap in known]
        plain = (" " if any(c.isspace() for c in gap) else "" for gap in gaps)
        breaks = np.array([gap is None or _EMPTY_LINE.search(gap) is not None for gap in known], dtype=bool)
        return {"exact": _hashes(gaps)[rows], "folded": _hashes(plain)[rows]}, breaks[rows]


class _Counter:
    """Rows with keys from `low` to `high`, summed; `left_over` are the ranges that did not fit."""

    def __init__(self, low: int, high: int):
        self.low, self.high = low, high
        self.left_over: list[tuple[int, int]] = []
        self._table = _EMPTY
        self._fresh: list[Table] = []
        self._fresh_rows = 0

    def add(self, rows: Table) -> None:
        if self.low > 0 or self.high < _LAST:
            rows = _take(rows, np.flatnonzero((rows.key >= np.uint64(self.low)) & (rows.key <= np.uint64(self.high))))
        summed = _by_spelling(_with_documents(rows))
        self._fresh.append(summed)
        self._fresh_rows += len(summed.key)
        # Merging only when much has come in keeps the sorting linear in the corpus.
        if self._fresh_rows > max(len(self._table.key), TABLE_ROWS // 4):
            self._merge()

    def _merge(self) -> None:
        self._table = _by_spelling(_joined([self._table, *self._fresh]))
        self._fresh, self._fresh_rows = [], 0
        while len(self._table.key) > TABLE_ROWS and self.high > self.low:
            middle = int(self._table.key[len(self._table.key) // 2])
            cut = middle if middle > self.low else self.low + 1
            self.left_over.append((cut, self.high))
            self.high = cut - 1
            self._table = _take(self._table, np.flatnonzero(self._table.key <= np.uint64(self.high)))

    def finish(self) -> Table:
        self._merge()
        return self._table


def _with_documents(rows: Table) -> Table:
    """Fill in `documents` for occurrences of whole documents: 1 at the first of its key in its document."""
    order = np.argsort(rows.key, kind="stable")
    key, document = rows.key[order], rows.document[order]
    first = np.ones(len(key), dtype=np.int64)
    first[1:] = (key[1:] != key[:-1]) | (document[1:] != document[:-1])
    return replace(_take(rows, order), documents=first)


def _by_spelling(rows: Table) -> Table:
    """One row a spelling, sorted by key and spelling, at the place of its first occurrence."""
    rows = _take(rows, np.lexsort((rows.place, rows.exact, rows.key)))
    same = np.zeros(len(rows.key), dtype=bool)
    same[1:] = (rows.key[1:] == rows.key[:-1]) & (rows.exact[1:] == rows.exact[:-1])
    starts = np.flatnonzero(~same)
    return replace(_take(rows, starts), count=_sums(rows.count, starts), documents=_sums(rows.documents, starts))


def _by_key(rows: Table, min_count: int) -> Table:
    """One row a key that is frequent enough: its commonest spelling, at the place of its first occurrence."""
    rows = _take(rows, np.lexsort((rows.place, -rows.count, rows.key)))
    starts = np.flatnonzero(np.r_[True, rows.key[1:] != rows.key[:-1]][: len(rows.key)])
    counts = _sums(rows.count, starts)
    place = np.minimum.reduceat(rows.place, starts) if len(starts) else rows.place[:0]
    found = replace(_take(rows, starts), count=counts, documents=_sums(rows.documents, starts), place=place)
    return _take(found, np.flatnonzero(counts >= min_count))


def _most(rows: Table, most: int | None) -> Table:
    if most is None or len(rows.key) <= most:
        return rows
    return _take(rows, np.lexsort((rows.length, rows.place, -rows.count))[:most])


def _sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, starts) if len(starts) else values[:0]


def _hashes(texts: Iterable[Any]) -> np.ndarray:
    """uint64, one a text: the same in every process, unlike Python's own hash."""
    digests = b"".join(hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=8).digest() for t in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


def _joined_hash(head: np.ndarray, gap: np.ndarray, word: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return _mix(_mix(head * np.uint64(0x9E3779B97F4A7C15) + gap) * np.uint64(0xD6E8FEB86659FD93) + word)


def _mix(values: np.ndarray) -> np.ndarray:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_EMPTY = Table(np.empty(0, np.uint64), np.empty(0, np.uint64), *(np.empty(0, np.int64) for _ in range(7)))
