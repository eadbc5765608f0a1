"""What all trained dictionaries share: a batch, what a step gets, what a checkpoint holds; and Adam for those that
descend gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from glossator.readouts.dictionary import Dictionary

BETAS, EPSILON = (0.9, 0.999), 1e-8


@dataclass(frozen=True, eq=False)
class Batch:
    """Values at the site that is read (tokens, d_in), those that are to be written (tokens, d_out), the same tensor for
    one site, and how much each token counts, (tokens,) with a mean of about 1."""

    values: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def of(cls, values: torch.Tensor, targets: torch.Tensor | None = None) -> Batch:
        return cls(values, values if targets is None else targets, values.new_ones(len(values)))


class Coder:
    """A dictionary in training.

    silent int64 (n,): tokens since a latent was active; steps: how many were done; dead_after: tokens after which a
    silent latent is dead; l0: latents active at a token of the last batch, None where all always are.
    To make one, write `start`, `step`, `tensors` and `dictionary`.
    """

    one_pass = False
    """Whether a second reading of the same text would add nothing."""

    def __init__(self, latents: int, *, dead_after: int, device: Any = "cpu"):
        self.steps, self.dead_after = 0, dead_after
        self.silent = torch.zeros(latents, dtype=torch.int64, device=device)
        self.l0: float | None = None

    def start(self, batch: Batch) -> None:
        """What is set from the first batch."""
        raise NotImplementedError

    def step(self, batch: Batch, rate: float) -> float | None:
        """One step; returns the fraction of the batch's variance left unexplained, if it is known yet."""
        raise NotImplementedError

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step, changed in place."""
        raise NotImplementedError

    def dictionary(self, **about: Any) -> Dictionary:
        """As it is read afterwards; about: its name, sites and provenance."""
        raise NotImplementedError

    @property
    def dead(self) -> torch.Tensor:
        """Numbers of the dead latents."""
        return torch.nonzero(self.silent >= self.dead_after).flatten()

    def count(self, active: torch.Tensor) -> None:
        """active bool (tokens, n)."""
        self.silent += len(active)
        self.silent[active.any(0)] = 0
        self.l0 = float(active.sum()) / max(len(active), 1)

    def state(self) -> dict[str, torch.Tensor]:
        """All that another run needs to go on."""
        return {**self.tensors(), "silent": self.silent, "steps": torch.tensor(self.steps)}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        for name, tensor in self.state().items():
            if name != "steps":
                tensor.copy_(state[name])
        self.steps = int(state["steps"])


class Autoencoder(Coder):
    """Parameters in the layout of `Dictionary`: encoder (n, d_in), encoder_bias (n,), decoder (n, d_out), decoder_bias
    (d_out,), and skip (d_out, d_in) if wanted.

    Of an autoencoder the decoder's rows keep norm 1 and its bias is subtracted from what is read; a transcoder
    (written: d_out) begins by writing nothing but its bias. Values are divided by `scale` (2,), what is read and what
    is written, which `dictionary` takes back.
    """

    activation = ""

    def __init__(
        self,
        width: int,
        latents: int,
        k: int,
        *,
        written: int | None = None,
        skip: bool = False,
        dead_after: int = 1 << 62,
        auxiliary: float = 1 / 32,
        seed: int = 0,
        device: Any = "cpu",
    ):
        super().__init__(latents, dead_after=dead_after, device=device)
        rows = torch.randn((latents, width), generator=torch.Generator().manual_seed(seed)).to(device)
        self.k, self.auxiliary, self.transcodes = k, auxiliary, written is not None
        self.encoder = rows / rows.norm(dim=1, keepdim=True)
        out = width if written is None else written
        self.decoder = rows.new_zeros((latents, out)) if self.transcodes else self.encoder.clone()
        self.encoder_bias, self.decoder_bias = rows.new_zeros(latents), rows.new_zeros(out)
        self.skip = rows.new_zeros((out, width)) if skip else None
        self.scale = rows.new_ones(2)
        self.names = ["encoder", "encoder_bias", "decoder", "decoder_bias", *(["skip"] if skip else [])]
        self._moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters().items()}

    def start(self, batch: Batch) -> None:
        """The decoder's bias is the mean of the targets."""
        self.decoder_bias.copy_(self.scaled(batch)[1].mean(0))

    def scale_by(self, batch: Batch) -> None:
        """Scale values so that their mean square is 1."""
        for i, values in enumerate((batch.values, batch.targets)):
            self.scale[i] = values.square().mean().sqrt().clamp(min=1e-12)

    def scaled(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and targets as they are trained on."""
        read, written = self.scale
        if not self.transcodes:
            values = batch.values / read
            return values, values
        return batch.values / read, batch.targets / written

    def parameters(self) -> dict[str, torch.Tensor]:
        return {name: getattr(self, name) for name in self.names}

    def tensors(self) -> dict[str, torch.Tensor]:
        found = {**self.parameters(), "scale": self.scale}
        for name, (mean, square) in self._moments.items():
            found |= {f"{name}.mean": mean, f"{name}.square": square}
        return found

    def adam(self, grads: dict[str, torch.Tensor], rate: float) -> None:
        """A step of Adam, which leaves the norms of an autoencoder's decoder rows at 1."""
        if not self.transcodes:
            grads["decoder"] -= (grads["decoder"] * self.decoder).sum(1, keepdim=True) * self.decoder
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in BETAS)
        for name, parameter in self.parameters().items():
            mean, square = self._moments[name]
            mean.lerp_(grads[name], 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(grads[name], grads[name], value=1 - BETAS[1])
            size = square.div(second).sqrt_().add_(EPSILON)
            parameter.addcdiv_(mean, size, value=-rate / first)
        if not self.transcodes:
            self.decoder /= self.decoder.norm(dim=1, keepdim=True)

    def dictionary(self, **about: Any) -> Dictionary:
        read, written = (float(one) for one in self.scale)
        given = {
            "encoder": self.encoder * (written / read),
            "encoder_bias": self.encoder_bias * written,
            "decoder": self.decoder,
            "decoder_bias": self.decoder_bias * written,
        }
        if not self.transcodes:
            given["centre"] = given["decoder_bias"]
        if self.skip is not None:
            given["skip"] = self.skip * (written / read)
        return self.made({name: tensor.cpu() for name, tensor in given.items()}, **about)

    def made(self, given: dict[str, torch.Tensor], **about: Any) -> Dictionary:
        raise NotImplementedError
