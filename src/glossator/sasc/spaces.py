"""The spaces in which names are looked for: by the alias of a subject, with vectors kept where they are costly."""

from __future__ import annotations

from pathlib import Path

from glossator.embedders import EMBEDDERS, Embedder, load_embedder
from glossator.sasc.texts_cache import CachedEmbedder
from glossator.sasc.token_vectors import TokenVectors


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
