"""Training a JumpReLU sparse autoencoder or transcoder (Rajamanoharan et al. 2024, "Jumping ahead").

A latent is active where its pre-activation is above its own threshold. Thresholds are learned through straight-through
estimators: the derivative of a step is taken as that of a ramp of width `BANDWIDTH`. The number of active latents is
held at a target by the paper's quadratic penalty, (L0 / k - 1)².
"""

from __future__ import annotations

from typing import Any

import torch

from glossator.fitting.coder import Autoencoder, Batch
from glossator.readouts.dictionary import Dictionary

BANDWIDTH = 0.05
"""In values of mean square 1, as SAELens takes it."""


class JumpRelu(Autoencoder):
    """penalty: weight of the loss of L0, beside the fraction of variance unexplained."""

    def __init__(self, width: int, latents: int, k: int, *, penalty: float = 1.0, **settings: Any):
        self.log_threshold = torch.zeros(latents, device=settings.get("device", "cpu"))
        self.penalty = penalty
        super().__init__(width, latents, k, **settings)

    def parameters(self) -> dict[str, torch.Tensor]:
        return {**super().parameters(), "log_threshold": self.log_threshold}

    def start(self, batch: Batch) -> None:
        """Thresholds begin where about k latents of the batch are active."""
        self.scale_by(batch)
        super().start(batch)
        before = self._before(self.scaled(batch)[0], self.parameters())
        share = max(1, round(before.numel() * (1 - self.k / before.shape[1])))
        level = before.flatten().kthvalue(min(share, before.numel())).values
        self.log_threshold.fill_(float(level.clamp(min=BANDWIDTH).log()))

    def step(self, batch: Batch, rate: float) -> float:
        values, targets = self.scaled(batch)
        with torch.enable_grad():
            own = {name: tensor.detach().requires_grad_() for name, tensor in self.parameters().items()}
            before = self._before(values, own)
            threshold = own["log_threshold"].exp()
            active = _jump(before, threshold)
            error = active @ own["decoder"] + own["decoder_bias"] - targets
            if self.skip is not None:
                error = error + values @ own["skip"].T
            variance = (targets - targets.mean(0)).square().sum().clamp(min=1e-12)
            fvu = error.square().sum() / variance
            l0 = _step(before, threshold).sum() / len(values)
            loss = fvu + self.penalty * (l0 / self.k - 1).square()
            if self.auxiliary and len(self.dead):
                loss = loss + self.auxiliary * self._of_dead(before, own, error.detach()) / variance
            found = torch.autograd.grad(loss, list(own.values()))
        self.count(active.detach() != 0)
        self.adam(dict(zip(own, found, strict=True)), rate)
        return float(fvu.detach())

    def _before(self, values: torch.Tensor, own: dict[str, torch.Tensor]) -> torch.Tensor:
        inputs = values if self.transcodes else values - own["decoder_bias"]
        return torch.addmm(own["encoder_bias"], inputs, own["encoder"].T)

    def _of_dead(self, before: torch.Tensor, own: dict[str, torch.Tensor], error: torch.Tensor) -> torch.Tensor:
        """The squared error that is left when the largest dead latents reconstruct the error, as for top-k ones."""
        dead = self.dead
        half = max(1, error.shape[1] // 2)
        top, numbers = before[:, dead].topk(min(half, len(dead)), dim=-1, sorted=False)
        top = top + (torch.relu(top) - top).detach()
        every = top.new_zeros((len(top), len(dead))).scatter(1, numbers, top)
        return min(1.0, len(dead) / half) * (every @ own["decoder"][dead] + error).square().sum()

    def made(self, given: dict[str, torch.Tensor], **about: Any) -> Dictionary:
        threshold = self.log_threshold.exp().cpu() * float(self.scale[1])
        return Dictionary(**given, threshold=threshold, activation="jumprelu", **about)


def _near(before: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    return ((before - threshold).abs() < BANDWIDTH / 2).to(before.dtype) / BANDWIDTH


class _Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, before: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(before, threshold)
        return before * (before > threshold)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        before, threshold = ctx.saved_tensors
        (grad,) = grads
        return grad * (before > threshold), -(grad * _near(before, threshold)).sum(0) * threshold


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, before: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(before, threshold)
        return (before > threshold).to(before.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, torch.Tensor]:
        before, threshold = ctx.saved_tensors
        (grad,) = grads
        return None, -(grad * _near(before, threshold)).sum(0)


def _jump(before: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = _Jump.apply(before, threshold)
    return found


def _step(before: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = _Step.apply(before, threshold)
    return found
