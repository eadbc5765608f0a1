"""Text to token ids, and what each id adds to the text as bytes.

Byte-level tokenizers map every byte to a printable character, and their pieces join to the text as they are. All others
are asked: their own decoder says what a piece adds between two others, and what a run of them reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.inputs.tokens import Decoding, Vocabulary

_CHUNK = 512
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BYTE_LEVEL = '{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}'
_BEFORE, _AFTER = "\u25c6", "\u25c7"
"""Stand-ins for the pieces around one: no decoder knows these characters."""


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


def is_byte_level(spec: dict[str, Any]) -> bool:
    """Whether the parts of a tokenizer.json are those of a byte-level tokenizer."""
    return _mentions(spec.get("pre_tokenizer"), "ByteLevel") or _mentions(spec.get("decoder"), "ByteLevel")


def vocabulary_of(spec: dict[str, Any], known: Mapping[str, int], name: str, *, clean: bool = False) -> Vocabulary:
    """The vocabulary of a tokenizer.json; ids that no token has stand for no bytes.

    known: ids of all tokens, added ones included; clean: whether spaces before English punctuation are taken out.
    """
    added = {entry["id"]: entry for entry in spec.get("added_tokens", [])}
    special = frozenset(i for i, entry in added.items() if entry["special"])
    tokens: list[str | None] = [None] * (max(known.values(), default=-1) + 1)
    for token, i in known.items():
        tokens[i] = token
    suffix = spec["model"].get("end_of_word_suffix") or ""
    if is_byte_level(spec):
        table = byte_of_character()
        decoding = Decoding(_BYTE_LEVEL, tuple(tokens), suffix=suffix) if suffix else None
        pieces = [_byte_level_piece(token, table, "" if i in added else suffix) for i, token in enumerate(tokens)]
    else:
        decoding = Decoding(json.dumps(spec.get("decoder")), tuple(tokens), clean=clean)
        bytes_apart = _mentions(spec.get("decoder"), "ByteFallback")
        around = (decoding.joined([_BEFORE]), decoding.joined([_BEFORE, _AFTER]))
        pieces = [_piece(token, i in special, bytes_apart, decoding, around) for i, token in enumerate(tokens)]
    return Vocabulary(name, tuple(pieces), special, decoding)


def _byte_level_piece(token: str | None, table: Mapping[str, int], suffix: str) -> bytes:
    if token is None:
        return b""
    ends = bool(suffix) and token.endswith(suffix)
    body = token.removesuffix(suffix) if ends else token
    known = all(c in table for c in body)
    return (bytes(table[c] for c in body) if known else body.encode()) + (b" " if ends else b"")


def _piece(token: str | None, special: bool, bytes_apart: bool, decoding: Decoding, around: tuple[str, str]) -> bytes:
    """What a token adds between two others; special tokens are their names. around: the text without it."""
    if token is None:
        return b""
    if special:
        return token.encode()
    if bytes_apart and (found := _BYTE_PIECE.fullmatch(token)):
        return bytes([int(found[1], 16)])
    before, without = around
    after = without[len(before) :]
    text = decoding.joined([_BEFORE, token, _AFTER])
    if not (text.startswith(before) and text.endswith(after) and len(text) >= len(without)):
        return decoding.joined([token]).encode()
    return text[len(before) : len(text) - len(after)].encode()


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
        text = self.backend.to_str()
        spec = json.loads(text)
        # As `transformers` does, which leaves BPE alone.
        clean = bool(getattr(tokenizer, "clean_up_tokenization_spaces", False)) and spec["model"].get("type") != "BPE"
        self.vocabulary = vocabulary_of(spec, self.backend.get_vocab(with_added_tokens=True), name, clean=clean)
        named = {key: str(token) for key, token in sorted(tokenizer.special_tokens_map.items())}
        self.fingerprint = fingerprint([text, named, clean, getattr(tokenizer, "chat_template", None)])
        """Changes with whatever changes the tokens of a text, their text, or the prompts made with a template."""

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text as int32 arrays; no special tokens are added and nothing is cut off."""
        found: list[np.ndarray] = []
        for start in range(0, len(texts), _CHUNK):
            batch = self.backend.encode_batch_fast(texts[start : start + _CHUNK], add_special_tokens=False)
            found.extend(np.asarray(encoding.ids, dtype=np.int32) for encoding in batch)
        return found

    def decode(self, tokens: np.ndarray) -> str:
        return self.vocabulary.join(tokens)
