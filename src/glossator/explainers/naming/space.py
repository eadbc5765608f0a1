"""The space in which names are looked for: texts and a general vocabulary of names by the vectors of an embedder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from glossator.corpora.wordnet import WordNet, general_names
from glossator.subjects.embedders import EMBEDDERS, Embedder, TokenVectors, load_embedder
from glossator.subjects.texts_cache import CachedEmbedder


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """names (n,) in lower case; vectors (n, width) float32 of the embedder; embedder: its name."""

    names: tuple[str, ...]
    vectors: np.ndarray
    embedder: str

    @cached_property
    def row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


def open_vocabulary(embedder: Embedder, wordnet: WordNet) -> Vocabulary:
    """The general names in an embedder's space; give a `CachedEmbedder` so that they are embedded once."""
    names = general_names(wordnet)
    return Vocabulary(names, embedder.embed(names), embedder.name)


@dataclass(frozen=True, eq=False)
class Space:
    """N-grams (n, width) and vocabulary in an embedder's space, centred on the n-grams; what units share.

    gram: the n-grams' sums of products (width, width).
    """

    ngrams: np.ndarray
    vocabulary: Vocabulary
    names: np.ndarray
    gram: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, vocabulary: Vocabulary) -> Space:
        centre = vectors.mean(0)
        ngrams = _scaled(vectors - centre)
        return cls(ngrams, vocabulary, _scaled(vocabulary.vectors - centre), ngrams.T @ ngrams)

    def only(self, rows: np.ndarray) -> Space:
        """With these n-grams alone; the centre stays."""
        kept = self.ngrams[rows]
        if 2 * len(rows) < len(self.ngrams):
            return Space(kept, self.vocabulary, self.names, kept.T @ kept)
        left_out = np.delete(self.ngrams, rows, axis=0)
        return Space(kept, self.vocabulary, self.names, self.gram - left_out.T @ left_out)

    def along(self, z: np.ndarray, ridge: float) -> np.ndarray:
        """For each name, the prediction of a ridge regression of z (mean 0) on the n-grams."""
        strength = ridge * np.trace(self.gram) / len(self.gram)
        products = self.ngrams.T @ z.astype(np.float32)
        return self.names @ np.linalg.solve(self.gram + strength * np.eye(len(self.gram), dtype=np.float32), products)

    def near(self, rows: np.ndarray) -> np.ndarray:
        """For each name, how near it is to the centre of these n-grams."""
        return self.names @ self.ngrams[rows].mean(0)


def _scaled(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0).astype(np.float32)


def open_space(name: str, cache: str | Path | None = None) -> Embedder:
    """A text embedder that runs its model (`minilm`), or the token vectors of a causal model (`smollm2-135m`).

    The former is some hundred times slower; its vectors are kept in the cache folder, or in `cache`.
    """
    from glossator.subjects import load_subject
    from glossator.subjects.weights import cache_folder

    if name in EMBEDDERS:
        return CachedEmbedder(load_embedder(name), cache or cache_folder() / "vectors")
    subject = load_subject(name)
    if not subject.causal:
        return CachedEmbedder(load_embedder(name), cache or cache_folder() / "vectors")
    return TokenVectors(subject)
