"""N-gram responses in context: each window of text is run once, and an n-gram takes the values of its tokens.

This takes one pass over the text instead of one over its n-grams, and is closer to how units fire.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.corpora import Corpus, open_corpus
from glossator.corpora.ngrams import CorpusLike, Ngrams
from glossator.errors import MissingPower, UserError
from glossator.inputs import WHOLE
from glossator.subjects.base import Subject
from glossator.subjects.embedders import SentenceEmbedder
from glossator.subjects.functions import as_values
from glossator.subjects.text_readouts import EmbedderSubject, Pool, PooledSubject

_BLOCK_TOKENS = 1 << 14
_BLOCK_VALUES = 1 << 22


def responses_in_text(
    subject: Subject, corpus: CorpusLike, ngrams: Ngrams, *, pool: Pool = "mean", width: int = 128
) -> np.ndarray:
    """The mean over all occurrences of an n-gram of its tokens' values, pooled by `pool` within an occurrence: float32
    (n-grams, units), NaN for an n-gram that does not stand in the corpus.

    subject: a read-out of an encoder (of its token vectors, scaled to length 1) or units of a subject, pooled; others
    raise `MissingPower`. corpus: the one that the n-grams are from, or another. width: tokens of a window; windows
    overlap by a quarter, so that a token has that much text before it.
    """
    if width < 8:
        raise UserError("windows are too short", value=width, allowed="8 tokens or more")
    if isinstance(subject, EmbedderSubject) and isinstance(subject.embedder, SentenceEmbedder):
        source: Any = subject.embedder
        values_of, read = source.token_vectors, subject.readout
    elif isinstance(subject, PooledSubject):
        source, values_of, read = subject, subject.token_values, None
    else:
        raise MissingPower(
            "this subject has no values per token", value=subject.name, allowed="EmbedderSubject, PooledSubject"
        )
    opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
    sums = _Sums(len(ngrams), pool)
    for block in _blocks(opened, ngrams, source.tokenizer, min(width, source.longest)):
        raw = values_of(block.windows)
        raw = np.concatenate([rows[skip:] for rows, skip in zip(raw, block.skips, strict=True)])
        sums.add(block, raw if read is None else as_values(read(raw), len(raw), WHOLE, subject.name)[:, 0])
    return sums.means()


@dataclass(frozen=True, eq=False)
class _Block:
    """Windows of some documents, and where n-grams stand in them.

    skips: tokens of each window that the window before has already; rows (m,): n-grams, first, last (m,): their tokens
    among those that are left, last not included.
    """

    windows: list[np.ndarray]
    skips: list[int]
    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray


def _blocks(corpus: Corpus, ngrams: Ngrams, tokenizer: Any, width: int) -> Iterator[_Block]:
    parts: list[_Block] = []
    tokens = 0
    overlap = width // 4
    for document in corpus.documents():
        encoding = tokenizer.backend.encode(document.text, add_special_tokens=False)
        ids = np.asarray(encoding.ids, dtype=np.int32)
        starts = range(0, max(len(ids) - overlap, 1), width - overlap)
        windows = [ids[start : start + width] for start in starts]
        skips = [0, *[overlap] * (len(windows) - 1)]
        rows, start, end = ngrams.locate(document.text)
        offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        # Tokens that overlap [start, end): those that end after its start and begin before its end.
        first = np.searchsorted(np.maximum.accumulate(offsets[:, 1]), start, side="right")
        last = np.searchsorted(np.maximum.accumulate(offsets[:, 0]), end, side="left")
        met = last > first
        parts.append(_Block(windows, skips, rows[met], first[met] + tokens, last[met] + tokens))
        tokens += len(ids)
        if tokens >= _BLOCK_TOKENS:
            yield _together(parts)
            parts, tokens = [], 0
    if parts:
        yield _together(parts)


def _together(parts: list[_Block]) -> _Block:
    return _Block(
        [window for part in parts for window in part.windows],
        [skip for part in parts for skip in part.skips],
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "first", "last")),
    )


class _Sums:
    """Sums of occurrences' values by n-gram, float64."""

    def __init__(self, n: int, pool: Pool):
        self.n, self.pool = n, pool
        self._sums: np.ndarray | None = None
        self._counts: np.ndarray | None = None

    def add(self, block: _Block, values: np.ndarray) -> None:
        """Take in values (tokens of the block, units)."""
        units = values.shape[1]
        if self._sums is None or self._counts is None:
            self._sums, self._counts = np.zeros((self.n, units)), np.zeros((self.n, units), np.int64)
        order = np.argsort(block.rows, kind="stable")
        per_piece = max(1, _BLOCK_VALUES // units)
        for piece in (order[i : i + per_piece] for i in range(0, len(order), per_piece)):
            rows = block.rows[piece]
            answers = _pooled(values.astype(np.float64), block.first[piece], block.last[piece], self.pool)
            known = np.isfinite(answers)
            starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
            self._sums[rows[starts]] += np.add.reduceat(np.where(known, answers, 0), starts)
            self._counts[rows[starts]] += np.add.reduceat(known.astype(np.int64), starts)

    def means(self) -> np.ndarray:
        """float32 (n, units), NaN for an n-gram that never had a value."""
        if self._sums is None or self._counts is None:
            return np.full((self.n, 1), np.nan, np.float32)
        counts = self._counts
        return np.where(counts > 0, self._sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def _pooled(values: np.ndarray, first: np.ndarray, last: np.ndarray, pool: Pool) -> np.ndarray:
    """(m, units) of values at tokens (tokens, units), over first:last of each; what is not finite does not count."""
    known = np.isfinite(values)
    if pool == "last":
        return values[last - 1]
    if pool == "max":
        padded = np.vstack([np.where(known, values, -np.inf), np.full((1, values.shape[1]), -np.inf)])
        return np.maximum.reduceat(padded, np.stack([first, last], axis=1).ravel())[::2]
    sums = _before(np.where(known, values, 0))
    if known.all():
        return (sums[last] - sums[first]) / (last - first)[:, None]
    counts = _before(known.astype(np.float64))
    counts = counts[last] - counts[first]
    return np.where(counts > 0, (sums[last] - sums[first]) / np.maximum(counts, 1), np.nan)


def _before(values: np.ndarray) -> np.ndarray:
    """Sums over the rows before each row, (rows + 1, units)."""
    return np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
