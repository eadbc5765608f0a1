"""Tokens for explainers, simulators and scorers: fixed windows over a vocabulary of byte strings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from glossator.errors import MissingPower
from glossator.inputs.base import WHOLE, Grid, Inputs, Shown, no_such_grid

OPEN, CLOSE = "<<", ">>"
"""Stand around tokens that are pointed out in a text."""


@dataclass(frozen=True, eq=False)
class Decoding:
    """How a tokenizer whose tokens do not join as bytes turns a run of them into text: by its own decoder.

    decoder: its JSON as in a tokenizer.json, `null` for none; tokens: the entries of the vocabulary as they are written
    there, None for ids that have none; clean: whether spaces before English punctuation are taken out afterwards;
    suffix: what marks the end of a word where the decoder itself leaves it standing.
    """

    decoder: str
    tokens: tuple[str | None, ...]
    clean: bool = False
    suffix: str = ""

    def text(self, ids: Sequence[int]) -> str:
        return self.joined([token for i in ids if (token := self.tokens[i]) is not None])

    def joined(self, tokens: list[str]) -> str:
        """The text of entries of the vocabulary."""
        decoder = _decoder(self.decoder)
        text = " ".join(tokens) if decoder is None else decoder.decode(tokens)
        if self.suffix:
            text = text.replace(self.suffix, " ").strip()
        return _cleaned(text) if self.clean else text


@cache
def _decoder(spec: str) -> Any:
    from tokenizers import Tokenizer

    model = {"type": "WordLevel", "vocab": {"": 0}, "unk_token": ""}
    return Tokenizer.from_str(json.dumps({"version": "1.0", "model": model, "decoder": json.loads(spec)})).decoder


def _cleaned(text: str) -> str:
    """As `clean_up_tokenization` of `transformers`."""
    for end in (".", "?", "!", ","):
        text = text.replace(f" {end}", end)
    text = text.replace(" ' ", "'")
    for end in ("n't", "'m", "'s", "'ve", "'re"):
        text = text.replace(f" {end}", end)
    return text


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """What each token id stands for, as the bytes it adds to the text (a leading space is part of the piece).

    Bytes, not strings: byte-level tokenizers cut characters apart, and only the bytes join back to the true text.
    Where a tokenizer has a decoder of another kind, a piece is what it adds between two others, and `decoding` says
    what a run of them reads.
    """

    name: str
    pieces: tuple[bytes, ...]
    special: frozenset[int] = frozenset()
    decoding: Decoding | None = None

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """One printable string a token; bytes that are no complete character stay visible as \\xNN."""
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
        if self.decoding is not None:
            digest.update(repr((self.decoding.decoder, self.decoding.clean, self.decoding.suffix)).encode())
        return digest.hexdigest()[:16]

    def join(self, tokens: np.ndarray) -> str:
        """The text of a run of tokens; characters cut at the border become the replacement character."""
        if self.decoding is not None:
            return self.decoding.text(np.asarray(tokens).tolist())
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

    kind = "tokens"

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def groups(self) -> np.ndarray:
        return self.documents

    @property
    def weight(self) -> int:
        return self.width

    @property
    def complete(self) -> np.ndarray:
        return np.asarray(self.lengths == self.width)

    @property
    def grid(self) -> Grid:
        """One place for each token."""
        return Grid("tokens", (self.width,))

    def regrouped(self, groups: np.ndarray) -> TokenWindows:
        return replace(self, documents=groups)

    def valid_at(self, grid: Grid) -> np.ndarray:
        if grid == WHOLE:
            return np.asarray(self.valid.any(axis=1, keepdims=True))
        if grid != self.grid:
            raise no_such_grid(self, grid)
        return self.valid

    def show(self, row: int, grid: Grid = WHOLE, marks: np.ndarray | None = None) -> Shown:
        """The text; runs of marked tokens stand between `OPEN` and `CLOSE`."""
        if marks is None or grid == WHOLE or not marks.any():
            return Shown(self.text(row))
        return Shown(self.marked(row, marks))

    def marked(self, row: int, marks: np.ndarray) -> str:
        """The text of a window with `OPEN` and `CLOSE` around each run of marked tokens."""
        pieces = self.vocabulary.pieces
        found, inside = b"", False
        for token, marked in zip(self.tokens[row, : self.lengths[row]].tolist(), marks.tolist(), strict=False):
            if marked != inside:
                found += (OPEN if marked else CLOSE).encode()
                inside = marked
            found += pieces[token]
        return (found + (CLOSE.encode() if inside else b"")).decode("utf-8", "replace")

    def content(self) -> bytes:
        parts = (self.tokens, self.lengths, self.valid, self.documents)
        return self.vocabulary.fingerprint.encode() + b"".join(part.tobytes() for part in parts)

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

    def cut(self, width: int) -> TokenWindows:
        """The first `width` tokens of each window, all of which are at most so long."""
        return replace(self, tokens=self.tokens[:, :width], valid=self.valid[:, :width])

    def text(self, row: int) -> str:
        return self.vocabulary.join(self.tokens[row, : self.lengths[row]])

    def word_at(self, row: int, place: int) -> tuple[int, int]:
        """The first token of the written word that a token belongs to, and the one after its last; a token without
        letters is a word of its own."""
        tokens, pieces = self.tokens[row, : self.lengths[row]].tolist(), self.vocabulary.pieces
        first, end = place, place + 1
        if pieces[tokens[place]].strip().isalpha():
            while first > 0 and pieces[tokens[first]][:1].isalpha() and pieces[tokens[first - 1]][-1:].isalpha():
                first -= 1
            while end < len(tokens) and pieces[tokens[end]].isalpha():
                end += 1
        return first, end


def token_windows(inputs: Inputs, grid: Grid | None = None) -> TokenWindows:
    """These inputs as windows of tokens; raises `MissingPower` where they are of another kind, or where the grid is not
    that of their tokens."""
    if not isinstance(inputs, TokenWindows):
        raise MissingPower("this needs tokens", value=inputs.kind, allowed="windows of tokens")
    if grid is not None and grid != inputs.grid:
        raise MissingPower("this needs tokens", value=str(grid), allowed="one value per token")
    return inputs


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
