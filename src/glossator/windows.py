"""Tokens as explainers, simulators and scorers see them: fixed windows over a vocabulary of byte pieces."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What each token id stands for, as the bytes it adds to the text (a leading space is part of the piece).

    Bytes, not strings: byte-level tokenizers cut characters apart, and only the bytes join back to the true text.
    """

    name: str
    pieces: tuple[bytes, ...]
    special: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """One printable string a token; bytes that are no whole character stay visible as \\xNN."""
        return tuple(piece.decode("utf-8", "backslashreplace") for piece in self.pieces)

    @cached_property
    def ids(self) -> dict[str, int]:
        """text -> lowest token id that has it."""
        found: dict[str, int] = {}
        for i, text in enumerate(self.texts):
            found.setdefault(text, i)
        return found

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.name.encode())
        for piece in self.pieces:
            digest.update(len(piece).to_bytes(4, "little") + piece)
        return digest.hexdigest()[:16]

    def join(self, tokens: np.ndarray) -> str:
        """The text of a run of tokens; characters cut at the border become the replacement character."""
        return b"".join(self.pieces[int(t)] for t in tokens).decode("utf-8", "replace")


@dataclass(frozen=True, eq=False)
class TokenWindows:
    """Windows of tokens; rows never cross a document border, short ones are padded at the end.

    tokens (n, width) int32; lengths (n,) int32, tokens from there on are padding; valid (n, width) bool, False on
    padding and on positions that are left out (attention sinks); documents (n,) int64, the corpus document of each
    window; ids (n,) int64, the window's number in its corpus.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    valid: np.ndarray
    documents: np.ndarray
    ids: np.ndarray
    vocabulary: Vocabulary

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def width(self) -> int:
        return self.tokens.shape[1]

    def take(self, rows: np.ndarray) -> TokenWindows:
        """The windows at these row numbers (or where a boolean row mask is True), in that order."""
        return TokenWindows(
            self.tokens[rows],
            self.lengths[rows],
            self.valid[rows],
            self.documents[rows],
            self.ids[rows],
            self.vocabulary,
        )

    def text(self, row: int) -> str:
        return self.vocabulary.join(self.tokens[row, : self.lengths[row]])


def concatenate(parts: list[TokenWindows]) -> TokenWindows:
    """Stack windows of one vocabulary and width."""

    def stacked(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return TokenWindows(
        tokens=stacked("tokens"),
        lengths=stacked("lengths"),
        valid=stacked("valid"),
        documents=stacked("documents"),
        ids=stacked("ids"),
        vocabulary=parts[0].vocabulary,
    )
