"""Principal and independent components of activations: what dictionaries without sparsity find, as controls.

Principal components come from the covariance of all tokens; independent ones by FastICA (Hyvärinen 1999, symmetric,
log cosh) on a sample of whitened tokens. Both are linear: every component has a value at every token, of either sign.
"""

from __future__ import annotations

from typing import Any

import torch

from glossator.errors import UserError
from glossator.fitting.coder import Batch, Coder
from glossator.readouts.dictionary import Dictionary

MOST_TOKENS = 32_768
"""Of the sample that independent components are found on."""
ROUNDS, CLOSE = 200, 1e-4


class Components(Coder):
    """The largest principal components; sums are kept in float64."""

    one_pass = True

    def __init__(self, width: int, latents: int, *, seed: int = 0, device: Any = "cpu"):
        if latents > width:
            raise UserError("more components than the site is wide", value=latents, allowed=f"1 to {width}")
        super().__init__(latents, dead_after=1 << 62, device=device)
        self.seed = seed
        double = {"dtype": torch.float64, "device": "cpu"}
        self.sum, self.products = torch.zeros(width, **double), torch.zeros((width, width), **double)
        self.tokens = torch.zeros(1, dtype=torch.int64)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"sum": self.sum, "products": self.products, "tokens": self.tokens}

    def start(self, batch: Batch) -> None:
        """Nothing is set."""

    def step(self, batch: Batch, rate: float) -> None:
        values = batch.values.double().cpu()
        self.sum += values.sum(0)
        self.products += values.T @ values
        self.tokens += len(values)
        self.steps += 1

    def dictionary(self, **about: Any) -> Dictionary:
        centre, rows = self.principal()[:2]
        rows = rows * torch.sign(rows.gather(1, rows.abs().argmax(1, keepdim=True)))  # the sign means nothing
        return linear(rows, rows, centre, **about)

    def principal(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The mean (d,), the components (n, d) and their variances (n,), largest first."""
        tokens = int(self.tokens)
        centre = self.sum / tokens
        variances, vectors = torch.linalg.eigh(self.products / tokens - torch.outer(centre, centre))
        n = len(self.silent)
        return centre, vectors.T.flip(0)[:n].contiguous(), variances.flip(0)[:n].clamp(min=0.0)


class IndependentComponents(Components):
    """FastICA in the space of the n largest principal components; the sign of each makes its skewness positive."""

    def __init__(self, width: int, latents: int, *, seed: int = 0, device: Any = "cpu"):
        super().__init__(width, latents, seed=seed, device=device)
        self.sample = torch.zeros((MOST_TOKENS, width))
        self.held = torch.zeros(1, dtype=torch.int64)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {**super().tensors(), "sample": self.sample, "held": self.held}

    def step(self, batch: Batch, rate: float) -> None:
        super().step(batch, rate)
        held = int(self.held)
        taken = batch.values[: MOST_TOKENS - held].float().cpu()
        self.sample[held : held + len(taken)] = taken
        self.held += len(taken)

    def dictionary(self, **about: Any) -> Dictionary:
        centre, rows, variances = self.principal()
        least = variances[0] * 1e-10
        if int((variances > least).sum()) < len(rows):
            allowed = f"1 to {int((variances > least).sum())}"
            raise UserError("the values vary in fewer directions than components", value=len(rows), allowed=allowed)
        whitening = rows / variances.sqrt()[:, None]
        white = (self.sample[: int(self.held)].double() - centre) @ whitening.T
        turned = fast_ica(white, seed=self.seed)
        sources = white @ turned.T
        turned = turned * torch.where((sources**3).mean(0) < 0, -1.0, 1.0)[:, None]
        decoder = (turned * variances.sqrt()) @ rows  # white = rotation^T s, x - centre = white sqrt(variances) rows
        norms = decoder.norm(dim=1, keepdim=True)
        return linear(turned @ whitening * norms, decoder / norms, centre, **about)


def fast_ica(white: torch.Tensor, *, seed: int = 0) -> torch.Tensor:
    """The rotation (n, n) whose rows make whitened values (tokens, n) as far from normal as can be."""
    tokens, n = white.shape
    turned = _decorrelated(torch.randn((n, n), generator=torch.Generator().manual_seed(seed), dtype=white.dtype))
    for _ in range(ROUNDS):
        bent = torch.tanh(white @ turned.T)
        new = _decorrelated(bent.T @ white / tokens - (1 - bent**2).mean(0)[:, None] * turned)
        close = float(((new * turned).sum(1).abs() - 1).abs().max())
        turned = new
        if close < CLOSE:
            break
    return turned


def _decorrelated(rows: torch.Tensor) -> torch.Tensor:
    """(W Wᵀ)^-1/2 W."""
    left, _, right = torch.linalg.svd(rows, full_matrices=False)
    return left @ right


def linear(encoder: torch.Tensor, decoder: torch.Tensor, centre: torch.Tensor, **about: Any) -> Dictionary:
    return Dictionary(
        encoder=encoder, encoder_bias=torch.zeros(len(encoder)), decoder=decoder, decoder_bias=centre, centre=centre,
        activation="linear", **about,
    )  # fmt: skip
