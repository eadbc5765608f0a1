"""A text embedder that runs no model: the mean of a causal model's token embeddings, adapted for cosines.

It is fast, and independent of any encoder whose readouts are explained: names found in its space owe nothing to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import UserError
from glossator.files import fingerprint
from glossator.programs.meaning import meaning_directions

if TYPE_CHECKING:
    from glossator.subjects import TransformerSubject


class TokenVectors:
    """An `Embedder`: tokens of a text (with a blank before it, as inside a sentence) to the mean of their directions
    of meaning, scaled to length 1."""

    def __init__(self, subject: TransformerSubject):
        embedding = subject.model.get_input_embeddings()
        if embedding is None:
            raise UserError("this subject has no token embeddings", value=subject.name)
        self._tokenizer = subject.tokenizer
        self._directions = meaning_directions(embedding.weight.detach().float().cpu().numpy())
        self.name = f"{subject.name} tokens"
        self.width = int(self._directions.shape[1])
        self.fingerprint = fingerprint({"subject": subject.fingerprint, "vectors": "token directions, mean"})

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32, rows of length 1, in the order of the texts; an empty text is a zero row."""
        vectors = np.zeros((len(texts), self.width), np.float32)
        for row, ids in enumerate(self._tokenizer.encode([" " + text if text else "" for text in texts])):
            if len(ids):
                vectors[row] = self._directions[ids].mean(0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=vectors, where=lengths > 0)
