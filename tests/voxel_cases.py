"""Simulated responses and features that tests of voxels share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from glossator.corpora.documents import Document
from glossator.planted.voxels import Simulated, SimulationSpec, simulate_voxels
from glossator.subjects.functions import FunctionSubject

WIDTH = 12
NOUNS = ("river", "bread", "horse", "king", "ship", "garden", "letter", "stone", "winter", "doctor", "music", "road")
FRAME = "the {} was in the {} and the {} that we saw near the old {} of the {} ."


def documents(count: int = 260, seed: int = 0) -> list[Document]:
    rng = np.random.default_rng(seed)
    return [
        Document(str(n), " ".join(FRAME.format(*rng.choice(NOUNS, 5)) for _ in range(8))) for n in range(count)
    ]  # fmt: skip


def vector(word: str) -> np.ndarray:
    """A random vector of length 1 of each word, always the same."""
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little")
    drawn = np.random.default_rng(seed).normal(size=WIDTH)
    return drawn / np.linalg.norm(drawn)


def features(texts: Sequence[str]) -> np.ndarray:
    return np.stack([np.mean([vector(word) for word in text.split()], axis=0) for text in texts]).astype(np.float32)


def words_subject() -> FunctionSubject:
    return FunctionSubject(features, "words")


def likes(nouns: Sequence[str]):
    """A tuning: each planted voxel responds to one noun."""
    return lambda words: np.array([[float(word == noun) for noun in nouns] for word in words])


def simulated(planted: Sequence[str] = NOUNS[:6], **settings: object) -> Simulated:
    values = {"runs": 5, "seconds": 300.0, "held_out": 1, "null": 6, "ceilings": (0.5, 0.9)} | settings
    return simulate_voxels(documents(), planted, likes(planted), SimulationSpec(**values))  # type: ignore[arg-type]
