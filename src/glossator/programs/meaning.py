"""From a model's token embeddings to directions whose cosines measure similarity in meaning."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

DIMENSIONS = 768
"""At most this many leading principal directions are kept, to bound time and memory for wide embeddings."""
COVARIANCE_ROWS = 12288
"""Rows, spread evenly over the vocabulary, from which the principal directions are estimated."""


def meaning_directions(embedding: np.ndarray, special: Iterable[int] = ()) -> np.ndarray:
    """Embeddings (V, d) -> (V, min(d, DIMENSIONS)) float32 rows of length 1: centred, half whitened, normalised.

    Embeddings of language models are anisotropic: a mean and a few directions (mostly how frequent a token is) are
    shared by all, so that without correction every common token is near every other. Subtracting the mean is half the
    cure; dividing each principal direction by the square root of its standard deviation is the rest (between the
    mean-only correction and full whitening; see Mu and Viswanath 2018 for the problem). Special tokens, rows with
    values that are not finite and rows equal to the mean become 0, near nothing.
    """
    values = np.array(embedding, dtype=np.float32)
    ordinary = np.asarray(np.isfinite(values).all(axis=1))
    ordinary[[i for i in special if 0 <= i < len(values)]] = False
    values[~ordinary] = 0.0
    if not ordinary.any():
        return values
    values -= values[ordinary].mean(axis=0)
    values[~ordinary] = 0.0
    rows = np.flatnonzero(ordinary)
    sample = values[rows[:: max(1, -(-len(rows) // COVARIANCE_ROWS))]]
    variances, axes = np.linalg.eigh((sample.T @ sample) / np.float32(len(sample)))
    variances, axes = variances[-DIMENSIONS:], axes[:, -DIMENSIONS:]
    if variances[-1] <= 0:
        return np.zeros((len(values), axes.shape[1]), dtype=np.float32)
    values = values @ (axes * np.maximum(variances, variances[-1] * 1e-6) ** -0.25).astype(np.float32)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
