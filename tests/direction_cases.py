"""A subject without a model whose site holds planted directions, for the tests of the search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from glossator.fitting import SiteValues
from glossator.recording import record, recording_spec
from glossator.subjects.sites import SiteInfo
from recording_fakes import TOKENS, TokenFake, fake_windows

D = 16
CONCEPTS = ((3, 7, 11, 20), (5, 8, 30, 41))
"""Tokens at which the first and the second planted direction fire."""


def planted_vectors() -> np.ndarray:
    """(2, D) of norm 1, orthogonal."""
    return np.linalg.qr(np.random.default_rng(5).normal(size=(D, 2)))[0].T


@dataclass
class PlantedSubject(TokenFake):
    """Site `mlp.0`: noise that depends on all of the context, strong and uneven in the complement of the planted
    directions and weak along them, plus 3 times each planted direction at its tokens, all about a mean of 1.

    concepts: how many of the two are planted; spread: of the noise in the complement, 0 for a site that never varies.
    """

    concepts: int = 2
    spread: float = 1.0
    leaves_out_first: bool = False
    dtype: torch.dtype = torch.float32
    name: str = "planted"
    fingerprint: str = "d" * 16

    def site(self, name: str) -> SiteInfo:
        return SiteInfo(name, D, "dense", name, "output")

    def embedding(self) -> np.ndarray:
        return np.random.default_rng(7).normal(size=(TOKENS, 6)).astype(np.float32)

    def activations(self, tokens: np.ndarray, lengths: np.ndarray, sites: Sequence[str]) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng(1)
        planted = planted_vectors()
        rest = np.eye(D) - planted.T @ planted
        uneven = rng.normal(size=(7919, D)) * np.geomspace(1, 0.1, D)
        noise = self.spread * uneven @ rest + 0.2 * bool(self.spread) * rng.normal(size=(7919, 2)) @ planted
        ids = tokens.astype(np.int64)
        context = ids.copy()
        for back in (1, 2, 3):
            context[:, back:] += ids[:, :-back] * (53**back)
        values = 1.0 + noise[context % len(noise)]
        for vector, concept in list(zip(planted, CONCEPTS, strict=True))[: self.concepts if self.spread else 0]:
            values = values + 3.0 * np.isin(ids, concept)[..., None] * vector
        return {name: torch.from_numpy(values.astype(np.float32)).to(self.dtype) for name in sites}


def planted_values(folder: Path, subject: PlantedSubject | None = None, n: int = 300, top_k: int = 300) -> SiteValues:
    """All values of the planted site on n random windows of 16 tokens."""
    subject, windowed = subject or PlantedSubject(), fake_windows(n)
    spec = recording_spec(subject, windowed, ["mlp.0"], top_k=top_k)
    return SiteValues(record(spec, subject, windowed, folder, progress=False), "mlp.0")
