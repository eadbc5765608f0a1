"""Learning atoms whose non-negative sums are the activations: transformer factors and semi-NMF, one batch at a time.

Transformer factors (Yun et al. 2021, "Transformer visualization via dictionary learning"): codes are non-negative and
sparse, found by FISTA; atoms have norm 1 and are shared by the layers they are learned from; a token counts as the
inverse root of how often it occurs, so that frequent ones do not take most atoms. Without a cost of activity the same
is semi-NMF (Ding et al. 2010), and NMF where values, and then atoms, are never negative.

Atoms are updated as in online dictionary learning (Mairal et al. 2010), block by block from running sums, which needs
no step size.
"""

from __future__ import annotations

from typing import Any

import torch

from glossator.fitting.coder import Batch, Coder
from glossator.readouts.dictionary import Dictionary
from glossator.readouts.sparse_code import sparse_code

MEMORY = 0.95
"""What a batch's sums still count at the next one."""


class SparseCoding(Coder):
    """atoms (n, d) of norm 1, which begin as values of random tokens; penalty: what one unit of activation costs, in
    root mean square norms of the values; signed: 1 unless no value of the first batch is negative."""

    def __init__(
        self,
        width: int,
        latents: int,
        *,
        penalty: float,
        dead_after: int = 1 << 62,
        seed: int = 0,
        device: Any = "cpu",
    ):
        super().__init__(latents, dead_after=dead_after, device=device)
        self.penalty, self.seed = penalty, seed
        self.atoms = torch.zeros((latents, width), device=device)
        self.of_codes = self.atoms.new_zeros((latents, latents))
        self.of_values = torch.zeros_like(self.atoms)
        self.cost, self.signed = self.atoms.new_zeros(1), self.atoms.new_ones(1)

    def tensors(self) -> dict[str, torch.Tensor]:
        names = ("atoms", "of_codes", "of_values", "cost", "signed")
        return {name: getattr(self, name) for name in names}

    def start(self, batch: Batch) -> None:
        values = batch.values
        self.signed.fill_(float((values < 0).any()))
        self.cost.fill_(self.penalty * float(values.square().sum(1).mean().sqrt()))
        generator = torch.Generator().manual_seed(self.seed)
        rows = torch.randn(self.atoms.shape, generator=generator).to(values)
        drawn = torch.multinomial(batch.weights.cpu(), min(len(rows), len(values)), generator=generator)
        size = values.square().mean().sqrt()
        rows[: len(drawn)] = values[drawn] + 0.1 * size * rows[: len(drawn)]
        self.atoms.copy_(self._normed(rows))

    def step(self, batch: Batch, rate: float) -> float:
        values, weights = batch.values, batch.weights[:, None]
        codes = sparse_code(values, self.atoms, self._bias())
        self.count(codes > 0)
        error = values - codes @ self.atoms
        fvu = float(error.square().sum() / (values - values.mean(0)).square().sum().clamp(min=1e-12))
        self.of_codes.mul_(MEMORY).add_(codes.T @ (codes * weights))
        self.of_values.mul_(MEMORY).add_(codes.T @ (values * weights))
        self._update()
        self._revive(error, batch.weights)
        self.steps += 1
        return fvu

    def _update(self) -> None:
        """One round over all atoms, each set to what is best for it as the others stand."""
        used = self.of_codes.diagonal() > 1e-12 * self.of_codes.diagonal().max().clamp(min=1e-30)
        for j in torch.nonzero(used).flatten().tolist():
            moved = self.atoms[j] + (self.of_values[j] - self.of_codes[j] @ self.atoms) / self.of_codes[j, j]
            self.atoms[j] = self._normed(moved[None], beside=self.atoms[j : j + 1])[0]

    def _revive(self, error: torch.Tensor, weights: torch.Tensor) -> None:
        """Dead atoms become what is left of the tokens that are explained worst."""
        dead = self.dead[: len(error)]
        if not len(dead):
            return
        worst = (error.square().sum(1) * weights).topk(len(dead)).indices
        self.atoms[dead] = self._normed(error[worst], beside=self.atoms[dead])
        self.of_codes[dead], self.of_codes[:, dead], self.of_values[dead] = 0.0, 0.0, 0.0
        self.silent[dead] = 0

    def _normed(self, rows: torch.Tensor, beside: torch.Tensor | None = None) -> torch.Tensor:
        """Of norm 1, and not negative where the values never are; beside: what stands in for rows of zeros."""
        if not float(self.signed):
            rows = torch.relu(rows)
        norms = rows.norm(dim=1, keepdim=True)
        found = rows / norms.clamp(min=1e-12)
        return found if beside is None else torch.where(norms > 1e-12, found, beside)

    def _bias(self) -> torch.Tensor:
        return (-self.cost).expand(len(self.atoms))

    def dictionary(self, **about: Any) -> Dictionary:
        atoms = self.atoms.cpu()
        return Dictionary(
            encoder=atoms, encoder_bias=self._bias().cpu(), decoder=atoms, decoder_bias=torch.zeros(atoms.shape[1]),
            activation="sparse-code", **about,
        )  # fmt: skip
