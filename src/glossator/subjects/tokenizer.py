"""Text in, token ids out, and what each id adds to the text as bytes.

Three families of tokenizer write their pieces in three ways: byte-level BPE maps every byte to a printable
character, sentencepiece writes the space as U+2581 and rare bytes as <0xNN>, WordPiece marks continued words with ##.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.windows import Vocabulary

_CHUNK = 512
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_of_character() -> dict[str, int]:
    """GPT-2's map from printable characters to the 256 bytes they stand for (Radford et al. 2019, section 2.2)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(b): b for b in printable}
    table.update({chr(256 + n): b for n, b in enumerate(b for b in range(256) if b not in printable)})
    return table


def _mentions(spec: Any, kind: str) -> bool:
    """Whether a tokenizers component, or one inside its sequence, is of this type."""
    if isinstance(spec, dict):
        return spec.get("type") == kind or any(_mentions(v, kind) for v in spec.values())
    return isinstance(spec, list) and any(_mentions(v, kind) for v in spec)


def piece_style(spec: dict[str, Any]) -> str:
    """'byte-level', 'wordpiece' or 'sentencepiece', read from the parts of a tokenizer.json."""
    if _mentions(spec.get("pre_tokenizer"), "ByteLevel") or _mentions(spec.get("decoder"), "ByteLevel"):
        return "byte-level"
    if spec["model"].get("type") == "WordPiece" or _mentions(spec.get("decoder"), "WordPiece"):
        return "wordpiece"
    return "sentencepiece"


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(c)[0] in "PS" for c in text)


def piece_bytes(token: str, style: str, table: dict[str, int]) -> bytes:
    """The bytes one vocabulary entry adds to the text.

    WordPiece loses the spaces of the text: a piece that opens a word gets a leading space, punctuation none.
    """
    if style == "byte-level" and all(c in table for c in token):
        return bytes(table[c] for c in token)
    if style == "wordpiece":
        continues = token.startswith("##") and len(token) > 2
        text = token[2:] if continues else token
        return (text if continues or _is_punctuation(text) else " " + text).encode()
    if style == "sentencepiece":
        if found := _BYTE_PIECE.fullmatch(token):
            return bytes([int(found[1], 16)])
        return token.replace("▁", " ").encode()
    return token.encode()


def vocabulary_of(backend: Any, name: str) -> Vocabulary:
    """The vocabulary of a `tokenizers.Tokenizer`; ids that no token has stand for no bytes."""
    spec = json.loads(backend.to_str())
    style, table = piece_style(spec), byte_of_character()
    added = {entry["id"]: entry for entry in spec.get("added_tokens", [])}
    known = backend.get_vocab(with_added_tokens=True)
    pieces = [b""] * (max(known.values(), default=-1) + 1)
    for token, i in known.items():
        pieces[i] = token.encode() if i in added else piece_bytes(token, style, table)
    special = frozenset(i for i, entry in added.items() if entry["special"])
    return Vocabulary(name, tuple(pieces), special)


class FastTextTokenizer:
    """A `transformers` fast tokenizer as the corpora see it: plain text in, ids without special tokens out.

    Special tokens spelled out in the text are taken as text. Raises `UserError` for a tokenizer without a fast
    backend.
    """

    def __init__(self, tokenizer: Any, name: str):
        if not getattr(tokenizer, "is_fast", False):
            raise UserError(
                "this tokenizer has no fast version",
                value=type(tokenizer).__name__,
                fix="Save it with a tokenizer.json beside the model",
            )
        self.hub_tokenizer = tokenizer
        self.backend = tokenizer.backend_tokenizer
        # Some tokenizer.json files carry the truncation and padding of the day they were saved.
        self.backend.no_truncation()
        self.backend.no_padding()
        self.backend.encode_special_tokens = True
        self.vocabulary = vocabulary_of(self.backend, name)

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text as int32 arrays; no special tokens are added and nothing is cut off."""
        found: list[np.ndarray] = []
        for start in range(0, len(texts), _CHUNK):
            batch = self.backend.encode_batch_fast(texts[start : start + _CHUNK], add_special_tokens=False)
            found.extend(np.asarray(encoding.ids, dtype=np.int32) for encoding in batch)
        return found

    def decode(self, tokens: np.ndarray) -> str:
        return self.vocabulary.join(tokens)
