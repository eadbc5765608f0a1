"""A general vocabulary of names with their vectors: the common words and phrases of WordNet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from glossator.corpora.wordnet import WordNet
from glossator.subjects.embedders import Embedder


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """names (n,) in lower case; vectors (n, width) float32 of the embedder; embedder: its name."""

    names: tuple[str, ...]
    vectors: np.ndarray
    embedder: str

    @cached_property
    def row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


@lru_cache(maxsize=4)
def general_names(wordnet: WordNet, word_uses: int = 4, phrase_uses: int = 1) -> tuple[str, ...]:
    """Words and phrases of WordNet that its own texts use so often, sorted."""
    return tuple(
        sorted(
            word
            for word in wordnet.words
            if len(word) > 2
            and any(c.isalpha() for c in word)
            and wordnet.frequency(word) >= (phrase_uses if " " in word else word_uses)
        )
    )


def open_vocabulary(embedder: Embedder, wordnet: WordNet) -> Vocabulary:
    """The general names in an embedder's space; give a `CachedEmbedder` so that they are embedded once."""
    names = general_names(wordnet)
    return Vocabulary(names, embedder.embed(names), embedder.name)
