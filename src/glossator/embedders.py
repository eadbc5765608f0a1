"""Text embedders: strings in, one vector each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Embedder(Protocol):
    """name and fingerprint stand in provenance and in cache keys; width: of a vector."""

    name: str
    fingerprint: str
    width: int

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """(n, width) float32, rows of length 1, in the order of the texts; an empty text is a zero row."""
        ...
