"""Aligning subject and simulator tokens: each piece of text is encoded separately, once.

Tokenizers differ, and a token of one can span two tokens of the other. Encoded separately, every piece ends where a
simulator token ends, and its level can be read there. If both sides share a tokenizer, most pieces are one token, the
same one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from glossator.language_models.in_process import InProcess
from glossator.subjects.tokenizer import FastTextTokenizer

_ANCHOR = "\n"


class PieceTokens:
    """Token ids of pieces of text as they stand inside a line, for one tokenizer."""

    def __init__(self, tokenizer: FastTextTokenizer):
        self.tokenizer = tokenizer
        self._anchor = self._plain(_ANCHOR)
        self._known: dict[str, tuple[int, ...]] = {}

    def __call__(self, piece: str) -> tuple[int, ...]:
        """The ids of a piece without what tokenizers put at the very start of a text."""
        if piece not in self._known:
            self._known[piece] = self._after_anchor(piece)
        return self._known[piece]

    def many(self, pieces: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of all pieces in a row, and how many each has."""
        found = [self(piece) for piece in pieces]
        return np.array([i for ids in found for i in ids], np.int64), np.array([len(ids) for ids in found], np.int64)

    def _after_anchor(self, piece: str) -> tuple[int, ...]:
        ids = self._plain(_ANCHOR + piece)
        n = len(self._anchor)
        return ids[n:] if ids[:n] == self._anchor and len(ids) > n else self._plain(piece)

    def _plain(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.backend.encode(text, add_special_tokens=False).ids)


def how_ten_is_written(tokens: PieceTokens) -> str:
    """`10` where that is one token, else `X`."""
    return "10" if len(tokens("10")) == 1 else "X"


def answer_ids(tokens: PieceTokens, words: Iterable[str]) -> list[int]:
    """The one token of each level as it is written after a tab."""
    found = []
    for word in words:
        ids = tokens(word)
        if len(ids) != 1:
            raise ValueError(f"{word!r} is not one token")
        found.append(ids[0])
    return found


def beginning(lm: InProcess, text: str) -> list[int]:
    """The ids of a prompt's first part, with what the tokenizer puts before every text."""
    return lm.prompts.begun(text)
