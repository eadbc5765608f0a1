"""Documents to windows of a fixed width, without repeats, split by document without leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from glossator.corpora.documents import Corpus
from glossator.corpora.probe_set import FRACTIONS, ProbeSet, check_fractions, shares_of
from glossator.corpora.splits import RUN, assign_splits, group_by_shared_runs, shared_beginnings
from glossator.errors import UserError
from glossator.inputs.tokens import TokenWindows, Vocabulary

_BATCH_CHARACTERS = 1 << 20
_CHARACTERS_PER_TOKEN = 6


class TextTokenizer(Protocol):
    """Text to token ids, and what each id stands for."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """One int32 array a text, with no special tokens added."""
        ...


def make_windows(
    corpus: Corpus,
    tokenizer: TextTokenizer,
    width: int,
    *,
    max_tokens: int | None = None,
    min_length: int = 8,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
) -> ProbeSet:
    """Cut documents into consecutive windows of `width` tokens and split the documents.

    Documents are taken in a seeded order until `max_tokens` tokens stand in windows (never more; all of them when
    None). A beginning of `RUN` tokens or more that an earlier document has as well is cut off first. The last window of
    a document is kept when it has at least `min_length` tokens. Of windows with the same tokens the first is kept.
    fractions: shares of the tokens for explain, calibrate, select and test.
    Raises `UserError` for settings that make no sense and for a corpus too small to be split.
    """
    _check(width, max_tokens, min_length, fractions)
    sizes = np.array([len(document.text) for document in corpus.documents()], dtype=np.int64)
    order = np.random.default_rng(seed).permutation(len(sizes))
    read = _Reader(corpus, tokenizer, order, sizes)
    while True:
        read.more(max_tokens)
        shared = shared_beginnings(read.tokens)
        texts = [tokens[begin:] for tokens, begin in zip(read.tokens, shared.tolist(), strict=True)]
        windows, owners, lengths = _cut(texts, width, min_length)
        if max_tokens is None or int(lengths.sum()) >= max_tokens or read.exhausted:
            break
    if max_tokens is not None:
        keep = np.cumsum(lengths) <= max_tokens
        windows, owners, lengths = windows[keep], owners[keep], lengths[keep]
    if not len(windows):
        raise UserError(
            "the corpus has no window",
            value=corpus.name,
            fix=f"It has no document of {min_length} tokens; give longer texts",
        )
    used, documents = np.unique(owners, return_inverse=True)
    splits, report = _split(
        [texts[i] for i in used], [read.ids[i] for i in used], documents, lengths, fractions, seed, corpus.name
    )
    spec = {
        "corpus": corpus.name,
        "corpus_fingerprint": corpus.fingerprint,
        "vocabulary": tokenizer.vocabulary.fingerprint,
        "width": width,
        "max_tokens": max_tokens,
        "min_length": min_length,
        "fractions": list(fractions),
        "seed": seed,
        "run": RUN,
        "left_out": corpus.left_out,
        "short": sum(len(text) < min_length and len(text) > 0 for text in texts),
        "shared_beginnings": {"documents": int((shared > 0).sum()), "tokens": int(shared.sum())},
        **report,
    }
    token_windows = TokenWindows(
        tokens=windows,
        lengths=lengths,
        valid=np.arange(width) < lengths[:, None],
        documents=documents.astype(np.int64),
        ids=np.arange(len(windows), dtype=np.int64),
        vocabulary=tokenizer.vocabulary,
    )
    return ProbeSet(token_windows, [read.ids[i] for i in used], splits, spec)


def _check(width: int, max_tokens: int | None, min_length: int, fractions: Sequence[float]) -> None:
    if not 1 <= min_length <= width:
        raise UserError(
            "bad window settings", value=f"width {width}, min_length {min_length}", allowed="1 <= min_length <= width"
        )
    if max_tokens is not None and max_tokens < width:
        raise UserError("max_tokens is below one window", value=max_tokens, allowed=f"{width} or more")
    check_fractions(fractions)


class _Reader:
    """Tokenized documents in the seeded order, read in as many passes over the corpus as the wished tokens need."""

    def __init__(self, corpus: Corpus, tokenizer: TextTokenizer, order: np.ndarray, sizes: np.ndarray):
        self._corpus, self._tokenizer, self._order, self._sizes = corpus, tokenizer, order, sizes
        self._budget = 0
        self.tokens: list[np.ndarray] = []
        self.ids: list[str] = []

    @property
    def exhausted(self) -> bool:
        return len(self.tokens) == len(self._order)

    def more(self, max_tokens: int | None) -> None:
        """Tokenize the next documents of the order, roughly `max_tokens` tokens of them (all when None)."""
        start = len(self.tokens)
        stop = len(self._order)
        if max_tokens is not None:
            self._budget += max_tokens * _CHARACTERS_PER_TOKEN
            stop = max(start + 1, int(np.searchsorted(np.cumsum(self._sizes[self._order]), self._budget)) + 1)
        place = {int(number): row for row, number in enumerate(self._order[start:stop])}
        tokens: list[np.ndarray] = [np.empty(0, np.int32)] * len(place)
        ids = [""] * len(place)
        for rows, names, texts in self._batches(place):
            for row, name, encoded in zip(rows, names, self._tokenizer.encode(texts), strict=True):
                tokens[row], ids[row] = np.asarray(encoded, dtype=np.int32), name
        self.tokens += tokens
        self.ids += ids

    def _batches(self, place: dict[int, int]) -> Iterator[tuple[list[int], list[str], list[str]]]:
        rows: list[int] = []
        names: list[str] = []
        texts: list[str] = []
        characters = 0
        for number, document in enumerate(self._corpus.documents()):
            if number not in place:
                continue
            rows.append(place[number])
            names.append(document.id)
            texts.append(document.text)
            characters += len(document.text)
            if characters > _BATCH_CHARACTERS:
                yield rows, names, texts
                rows, names, texts, characters = [], [], [], 0
        if texts:
            yield rows, names, texts


def _cut(documents: list[np.ndarray], width: int, min_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows int32 (n, width) with zeros as padding, the document of each, its length int32; repeats left out."""
    sizes = np.array([len(tokens) for tokens in documents], dtype=np.int64)
    counts = sizes // width + (sizes % width >= min_length)
    owners = np.repeat(np.arange(len(documents)), counts)
    within = (np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)) * width
    starts = np.repeat(np.cumsum(sizes) - sizes, counts) + within
    lengths = np.minimum(width, sizes[owners] - within).astype(np.int32)
    flat = np.concatenate([*documents, np.zeros(width, np.int32)])
    windows = flat[starts[:, None] + np.arange(width)] * (np.arange(width) < lengths[:, None])
    keys = np.ascontiguousarray(np.concatenate([windows, lengths[:, None]], axis=1, dtype=np.int32))
    _, first = np.unique(keys.view(np.dtype((np.void, keys.itemsize * keys.shape[1]))).ravel(), return_index=True)
    first.sort()
    return windows[first].astype(np.int32), owners[first], lengths[first]


def _split(
    tokens: list[np.ndarray],
    ids: list[str],
    documents: np.ndarray,
    lengths: np.ndarray,
    fractions: Sequence[float],
    seed: int,
    name: str,
) -> tuple[np.ndarray, dict[str, Any]]:
    groups = group_by_shared_runs(tokens)
    n_groups, wanted = len(np.unique(groups)), sum(f > 0 for f in fractions)
    if n_groups < wanted:
        raise UserError(
            f"the corpus cannot be split: its {len(ids)} documents make only {n_groups} groups without shared text",
            value=name,
            fix="Give separate texts: one a row (JSONL, CSV, Parquet), one a file of a folder, or in one text file with"
            " blank lines between them",
        )
    sizes = np.bincount(documents, weights=lengths, minlength=len(ids)).astype(np.int64)
    names = [f"{i}\0{identity}" for i, identity in enumerate(ids)]
    splits = assign_splits(groups, sizes, names, fractions, seed)
    in_group = np.bincount(groups, weights=sizes, minlength=len(ids))
    return splits, {
        "tokens": int(sizes.sum()),
        "documents": len(ids),
        "groups": n_groups,
        "largest_group_share": float(in_group.max() / sizes.sum()),
        "shares": shares_of(splits, sizes),
    }
