"""A corpus: a name and documents that can be read repeatedly in the same order."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from glossator.errors import UserError


@dataclass(frozen=True)
class Document:
    """One text with its border: no window of tokens ever crosses it.

    id: name within its corpus, half of a surrogate pair in it written as `\\udc80` is here; source: where it was taken
    from, in a word; meta: further fields of the input.
    """

    id: str
    text: str
    source: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "source"):
            value = getattr(self, name)
            if not value.isascii():
                object.__setattr__(self, name, value.encode("utf-8", "backslashreplace").decode("utf-8"))


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents that are read again at each call, so that a corpus need not fit in memory.

    name: shown to the user; read: gives a fresh iterator over the documents, with None for a row that has no text.
    """

    name: str
    read: Callable[[], Iterator[Document | None]]
    _left_out: Counter[str] = field(default_factory=Counter, repr=False)

    def documents(self) -> Iterator[Document]:
        """All documents that have any text, in the order of the input; the others are counted in `left_out`.

        Raises `UserError` when there is none, or when a text cannot be written as UTF-8 (half of a surrogate pair).
        """
        empty, left_out = True, Counter[str]()
        for document in self.read():
            if document is None:
                left_out["null"] += 1
            elif not document.text.strip():
                left_out["blank"] += 1
            else:
                _require_utf8(document, self.name)
                empty = False
                yield document
        if empty:
            of_these = ", ".join(f"{count} {what}" for what, count in sorted(left_out.items()))
            raise UserError(
                f"the corpus has no text{f' ({of_these})' if of_these else ''}",
                value=self.name,
                fix="Provide at least one non-blank document",
            )
        self._left_out.clear()
        self._left_out.update(left_out)

    @property
    def left_out(self) -> dict[str, int]:
        """How many rows the last whole reading left out, by why: `null` (no text) or `blank` (nothing but spaces)."""
        return dict(sorted(self._left_out.items()))

    @property
    def notes(self) -> list[str]:
        """The same in sentences for the user."""
        return left_out_in_words(self.left_out)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of all ids and texts in order; reads the corpus once."""
        digest = hashlib.sha256()
        for document in self.documents():
            for part in (document.id, document.text):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()[:16]


def left_out_in_words(left_out: Mapping[str, int]) -> list[str]:
    return [f"Rows of the corpus left out because their text is {why}: {n:,}." for why, n in sorted(left_out.items())]


def _require_utf8(document: Document, corpus: str) -> None:
    try:
        document.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"document {document.id!r} of corpus {corpus!r} has half of a surrogate pair at character {error.start}",
            value=document.text[error.start],
            fix="Repair the text at its source; such characters are meaningless",
        ) from error
