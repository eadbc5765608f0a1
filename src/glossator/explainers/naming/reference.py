"""Texts as naming needs them: the words that they hold, the classes of those, and where they lie.

Made once and shared by any number of units; what one half of the procedure uses is kept from the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.corpora.ngrams.held_words import WordTable, word_table
from glossator.corpora.wordnet import WordNet, load_wordnet
from glossator.errors import UserError
from glossator.explainers.naming.classes import Classes, word_classes
from glossator.explainers.naming.space import Space, Vocabulary, open_vocabulary
from glossator.subjects.embedders import Embedder


@dataclass(frozen=True, eq=False)
class Reference:
    """Texts (n-grams, as a rule) that units are run on, with the space that names are looked for in, None for none."""

    texts: tuple[str, ...]
    wordnet: WordNet
    space: Space | None

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        embedder: Embedder | None = None,
        vocabulary: Vocabulary | None = None,
        wordnet: WordNet | None = None,
    ) -> Reference:
        """embedder: of the space for naming; without one names come from the texts and WordNet alone."""
        wordnet = wordnet or load_wordnet()
        space = None
        if embedder is not None:
            space = Space.of(embedder.embed(texts), vocabulary or open_vocabulary(embedder, wordnet))
        return cls(tuple(texts), wordnet, space)

    @cached_property
    def table(self) -> WordTable:
        return word_table(self.texts, self.wordnet)

    @cached_property
    def classes(self) -> Classes:
        return word_classes(self.table, self.wordnet)

    def only(self, rows: np.ndarray) -> Reference:
        """The same with these texts (bool or row numbers) alone; what is known of the others is dropped."""
        rows = np.arange(len(self.texts))[rows]
        if not len(rows):
            raise UserError("no text left for naming", fix="Leave out less, or give more text")
        space = None if self.space is None else self.space.only(rows)
        made = Reference(tuple(self.texts[row] for row in rows.tolist()), self.wordnet, space)
        made.__dict__.update(table=self.table.only(rows), classes=self.classes.only(rows))
        return made

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the texts in order: the evidence that names come from."""
        return hashlib.sha256("\0".join(self.texts).encode("utf-8", "replace")).hexdigest()[:16]


def stable_order(text: str, salt: object = "") -> int:
    """A number that depends on the text (and salt) alone: sorts, halves and draws that need no state."""
    return int.from_bytes(hashlib.blake2b(f"{salt}\0{text}".encode("utf-8", "replace"), digest_size=8).digest())
