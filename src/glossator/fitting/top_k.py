"""Training a top-k sparse autoencoder or transcoder: one step of Adam on a batch of activations.

The k largest latents of each token reconstruct it (Gao et al. 2024, "Scaling and evaluating sparse autoencoders").
Latents that have not been active for long reconstruct what is left (their AuxK loss), so that they come back. Gradients
are written out: all but the encoder's product are products with sparse matrices of k entries a token.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

from glossator.fitting.coder import Autoencoder, Batch
from glossator.readouts.dictionary import Dictionary

START = 0.3
"""The norm of an autoencoder's encoder rows in the beginning. Adam's steps have a size of their own, so rows of norm 1,
as the decoder's are, turn slowly: a million tokens are over before they have turned far enough."""


class TopK(Autoencoder):
    """k latents at a token. A transcoder's values are scaled; an autoencoder needs no scale, as all it has is of
    one."""

    def start(self, batch: Batch) -> None:
        if self.transcodes:
            self.scale_by(batch)
        else:
            self.encoder *= START
        super().start(batch)

    def step(self, batch: Batch, rate: float) -> float:
        values, targets = self.scaled(batch)
        inputs = values if self.transcodes else values - self.decoder_bias
        before = torch.addmm(self.encoder_bias, inputs, self.encoder.T)
        top, numbers = _sorted(*before.topk(self.k, dim=-1, sorted=False))
        active = torch.relu(top)
        error = _csr(active, numbers, len(self.encoder)) @ self.decoder + self.decoder_bias - targets
        if self.skip is not None:
            error = error + values @ self.skip.T
        variance = (targets - targets.mean(0)).square().sum().clamp(min=1e-12)
        pull = 2 * error / variance
        through = _entries(pull, self.decoder, numbers) * (top > 0)
        grads = self._gradients(active, through, numbers, pull, inputs)
        grads["decoder_bias"] += pull.sum(0)
        if self.skip is not None:
            grads["skip"] = pull.T @ values
        dead = self.dead
        if self.auxiliary and len(dead):
            self._revive(grads, dead, before, inputs, error, self.auxiliary / variance)
        self.adam(grads, rate)
        self.silent += len(active)
        self.silent[numbers[active > 0]] = 0
        self.l0 = float((active > 0).sum()) / max(len(active), 1)
        return float(error.square().sum() / variance)

    def made(self, given: dict[str, torch.Tensor], **about: Any) -> Dictionary:
        return Dictionary(**given, activation="top-k", k=self.k, **about)

    def _gradients(
        self,
        active: torch.Tensor,
        through: torch.Tensor,
        numbers: torch.Tensor,
        pull: torch.Tensor,
        inputs: torch.Tensor,
        encoder: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Of the encoder, its bias, the decoder, and of the decoder's bias what comes through the encoder; encoder: its
        rows that `numbers` count, all of them by default."""
        encoder = self.encoder if encoder is None else encoder
        n = len(encoder)
        of_bias = through.new_zeros(n).scatter_add_(0, numbers.flatten(), through.flatten())
        return {
            "encoder": _turned(through, numbers, n) @ inputs,
            "encoder_bias": of_bias,
            "decoder": _turned(active, numbers, n) @ pull,
            "decoder_bias": torch.zeros_like(self.decoder_bias) if self.transcodes else -of_bias @ encoder,
        }

    def _revive(
        self,
        grads: dict[str, torch.Tensor],
        dead: torch.Tensor,
        before: torch.Tensor,
        inputs: torch.Tensor,
        error: torch.Tensor,
        weight: torch.Tensor,
    ) -> None:
        """Add the gradients of the loss of dead latents, of which the largest reconstruct the error that is left; they
        pass the rectifier as if it were not there, so that latents that are negative everywhere come back as well."""
        half = max(1, inputs.shape[1] // 2)  # as many as in Gao et al.
        k, scale = min(half, len(dead)), min(1.0, len(dead) / half)
        encoder, decoder = self.encoder[dead], self.decoder[dead]
        top, numbers = _sorted(*before[:, dead].topk(k, dim=-1, sorted=False))
        active = torch.relu(top)
        left = _csr(active, numbers, len(dead)) @ decoder + error
        pull = 2 * scale * weight * left
        through = _entries(pull, decoder, numbers)
        of_dead = self._gradients(active, through, numbers, pull, inputs, encoder)
        for name in ("encoder", "encoder_bias", "decoder"):
            grads[name].index_add_(0, dead, of_dead[name])
        grads["decoder_bias"] += of_dead["decoder_bias"]


def _sorted(values: torch.Tensor, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each token's latents by their numbers, which products with sparse matrices are faster for."""
    numbers, order = numbers.sort(dim=-1)
    return values.gather(-1, order), numbers


def _csr(values: torch.Tensor, numbers: torch.Tensor, n: int) -> torch.Tensor:
    """(tokens, n) sparse, from values and numbers (tokens, k)."""
    tokens, k = values.shape
    starts = torch.arange(0, tokens * k + 1, k, device=values.device)
    return _sparse(starts, numbers.flatten(), values.flatten(), (tokens, n))


def _turned(values: torch.Tensor, numbers: torch.Tensor, n: int) -> torch.Tensor:
    """(n, tokens): the transpose."""
    flat = numbers.flatten()
    order = torch.argsort(flat, stable=True)
    starts = torch.cat([flat.new_zeros(1), torch.bincount(flat, minlength=n).cumsum(0)])
    return _sparse(starts, order // values.shape[1], values.flatten()[order], (n, len(values)))


def _entries(left: torch.Tensor, rows: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """(tokens, k): the products of each token (tokens, d) with the rows (n, d) that are numbered for it."""
    ones = _csr(left.new_ones(numbers.shape), numbers, len(rows))
    found: torch.Tensor = torch.sparse.sampled_addmm(ones, left, rows.T, beta=0.0)
    return found.values().view(numbers.shape)


def _sparse(starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)
