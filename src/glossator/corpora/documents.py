"""What a corpus is: a name and documents that can be read again and again in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from glossator.errors import UserError


@dataclass(frozen=True)
class Document:
    """One text with its border: no window of tokens ever crosses it.

    id: name within its corpus; source: where it was taken from, in a word; meta: further fields of the input.
    """

    id: str
    text: str
    source: str = ""
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Corpus:
    """Documents that are read anew at each call, so that a corpus need not fit in memory.

    name: shown to the user; read: gives a fresh iterator over the documents.
    """

    name: str
    read: Callable[[], Iterator[Document]]

    def documents(self) -> Iterator[Document]:
        """All documents that have any text, in the order of the input.

        Raises `UserError` when there is none, or when a text cannot be written as UTF-8 (half of a surrogate pair).
        """
        empty = True
        for document in self.read():
            if document.text.strip():
                _require_utf8(document, self.name)
                empty = False
                yield document
        if empty:
            raise UserError(
                "the corpus has no text", value=self.name, fix="Give at least one document that is not blank"
            )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of all ids and texts in order; reads the corpus once."""
        digest = hashlib.sha256()
        for document in self.documents():
            for part in (document.id, document.text):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8, "little") + data)
        return digest.hexdigest()[:16]


def _require_utf8(document: Document, corpus: str) -> None:
    try:
        document.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"document {document.id!r} of corpus {corpus!r} has half of a surrogate pair at character {error.start}",
            value=document.text[error.start],
            fix="Repair the text where it was written; such characters stand for nothing",
        ) from error
