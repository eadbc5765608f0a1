"""Training a top-k sparse autoencoder: its parameters, and one step of Adam on a batch of activations.

The k largest latents of each token reconstruct it (Gao et al. 2024, "Scaling and evaluating sparse autoencoders").
Latents that have not been active for long reconstruct what is left (their AuxK loss), so that they come back. Gradients
are written out: all but the encoder's product are products with sparse matrices of k entries a token.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch

NAMES = ("encoder", "encoder_bias", "decoder", "decoder_bias")
BETAS, EPSILON = (0.9, 0.999), 1e-8


class TopK:
    """encoder (n, d), encoder_bias (n,), decoder (n, d) with rows of norm 1, decoder_bias (d,); silent int64 (n,):
    tokens since a latent was active; steps: how many were done. `start` sets the bias from a first batch."""

    def __init__(self, width: int, latents: int, k: int, *, seed: int = 0, device: Any = "cpu"):
        rows = torch.randn((latents, width), generator=torch.Generator().manual_seed(seed)).to(device)
        self.k, self.steps = k, 0
        self.decoder = rows / rows.norm(dim=1, keepdim=True)
        self.encoder = self.decoder.clone()
        self.encoder_bias, self.decoder_bias = rows.new_zeros(latents), rows.new_zeros(width)
        self.silent = torch.zeros(latents, dtype=torch.int64, device=device)
        self._moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self._parameters().items()}

    def start(self, values: torch.Tensor) -> None:
        """The decoder's bias is the mean of these values (tokens, d)."""
        self.decoder_bias.copy_(values.mean(0))

    def step(self, values: torch.Tensor, rate: float, *, dead_after: int, auxiliary: float) -> float:
        """One step on values (tokens, d); returns the fraction of their variance left unexplained.

        rate: of Adam; dead_after: tokens after which a silent latent is dead; auxiliary: weight of the AuxK loss.
        """
        centred = values - self.decoder_bias
        before = torch.addmm(self.encoder_bias, centred, self.encoder.T)
        top, numbers = _sorted(*before.topk(self.k, dim=-1, sorted=False))
        active = torch.relu(top)
        error = _csr(active, numbers, len(self.encoder)) @ self.decoder + self.decoder_bias - values
        variance = (values - values.mean(0)).square().sum().clamp(min=1e-12)
        pull = 2 * error / variance
        through = _entries(pull, self.decoder, numbers) * (top > 0)
        grads = self._gradients(active, through, numbers, pull, centred)
        grads["decoder_bias"] += pull.sum(0)
        dead = torch.nonzero(self.silent >= dead_after).flatten()
        if auxiliary and len(dead):
            self._revive(grads, dead, before, centred, error, auxiliary / variance)
        self._adam(grads, rate)
        self._count(active, numbers)
        return float(error.square().sum() / variance)

    def _gradients(
        self,
        active: torch.Tensor,
        through: torch.Tensor,
        numbers: torch.Tensor,
        pull: torch.Tensor,
        centred: torch.Tensor,
        encoder: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Of the encoder, its bias, the decoder, and of the decoder's bias what comes through the encoder; encoder: its
        rows that `numbers` count, all of them by default."""
        encoder = self.encoder if encoder is None else encoder
        n = len(encoder)
        of_bias = through.new_zeros(n).scatter_add_(0, numbers.flatten(), through.flatten())
        return {
            "encoder": _turned(through, numbers, n) @ centred,
            "encoder_bias": of_bias,
            "decoder": _turned(active, numbers, n) @ pull,
            "decoder_bias": -of_bias @ encoder,
        }

    def _revive(
        self,
        grads: dict[str, torch.Tensor],
        dead: torch.Tensor,
        before: torch.Tensor,
        centred: torch.Tensor,
        error: torch.Tensor,
        weight: torch.Tensor,
    ) -> None:
        """Add the gradients of the loss of dead latents, of which the largest reconstruct the error that is left; they
        pass the rectifier as if it were not there, so that latents that are negative everywhere come back as well."""
        half = max(1, error.shape[1] // 2)  # as many as in Gao et al.
        k, scale = min(half, len(dead)), min(1.0, len(dead) / half)
        encoder, decoder = self.encoder[dead], self.decoder[dead]
        top, numbers = _sorted(*before[:, dead].topk(k, dim=-1, sorted=False))
        active = torch.relu(top)
        left = _csr(active, numbers, len(dead)) @ decoder + error
        pull = 2 * scale * weight * left
        through = _entries(pull, decoder, numbers)
        of_dead = self._gradients(active, through, numbers, pull, centred, encoder)
        for name in ("encoder", "encoder_bias", "decoder"):
            grads[name].index_add_(0, dead, of_dead[name])
        grads["decoder_bias"] += of_dead["decoder_bias"]

    def _adam(self, grads: dict[str, torch.Tensor], rate: float) -> None:
        """A step that leaves the norms of decoder rows at 1."""
        along = (grads["decoder"] * self.decoder).sum(1, keepdim=True)
        grads["decoder"] -= along * self.decoder
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in BETAS)
        for name, parameter in self._parameters().items():
            mean, square = self._moments[name]
            mean.lerp_(grads[name], 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(grads[name], grads[name], value=1 - BETAS[1])
            size = square.div(second).sqrt_().add_(EPSILON)
            parameter.addcdiv_(mean, size, value=-rate / first)
        self.decoder /= self.decoder.norm(dim=1, keepdim=True)

    def _count(self, active: torch.Tensor, numbers: torch.Tensor) -> None:
        self.silent += len(active)
        self.silent[numbers[active > 0]] = 0

    def _parameters(self) -> dict[str, torch.Tensor]:
        return {name: getattr(self, name) for name in NAMES}

    def state(self) -> dict[str, torch.Tensor]:
        """All that another run needs to go on."""
        found = {**self._parameters(), "silent": self.silent, "steps": torch.tensor(self.steps)}
        for name, (mean, square) in self._moments.items():
            found |= {f"{name}.mean": mean, f"{name}.square": square}
        return found

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        for name, tensor in self.state().items():
            if name != "steps":
                tensor.copy_(state[name])
        self.steps = int(state["steps"])


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
