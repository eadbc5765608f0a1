"""How far two next-token distributions are apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

_SMALL = 0.25
_SERIES = (1 / 2, -1 / 4, 1 / 9, -17 / 360, 31 / 1575)  # of x tanh x - ln cosh x in powers of x^2
_BLOCK = 1 << 17


def jensen_shannon(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence in nats, (..., V) log-probabilities each -> (...); symmetric, 0 to ln 2.

    With x = (log q - log p) / 2 it is the sum of (p + q) / 2 * (x tanh x - ln cosh x), whose terms are all positive, so
    that distributions that hardly differ lose no digits to cancellation.
    """
    mean = (log_p.exp() + log_q.exp()) / 2
    both = torch.isfinite(log_p) & torch.isfinite(log_q)
    share = _share(torch.where(both, (log_q - log_p) / 2, 0.0))
    # A token that only one of the two can give counts in full, ln 2.
    return (mean * torch.where(both, share, math.log(2))).sum(dim=-1).clamp(max=math.log(2))


def _share(x: torch.Tensor) -> torch.Tensor:
    """x tanh x - ln cosh x, from 0 at 0 to ln 2."""
    square = x * x
    series = torch.full_like(square, _SERIES[-1])
    for coefficient in reversed(_SERIES[:-1]):
        series.mul_(square).add_(coefficient)
    series.mul_(square)
    size = x.abs()
    if float(size.max()) < _SMALL:
        return series
    # ln cosh x = |x| + ln(1 + exp(-2|x|)) - ln 2 does not overflow.
    closed = size * torch.tanh(size) - size - torch.log1p(torch.exp(-2 * size)) + math.log(2)
    return torch.where(size < _SMALL, series, closed)


class Reference:
    """Clean outputs that many edited ones are compared with: logits (b, w, V), of which the first lengths (b,) of each
    row count.

    Blocks of positions that fit a processor's cache go through all steps together.
    """

    def __init__(self, logits: torch.Tensor, lengths: Sequence[int]):
        self.lengths = [int(length) for length in lengths]
        self.logits = as_float(logits)
        self.probabilities = torch.softmax(self.logits, dim=-1)

    def divergence(self, logits: torch.Tensor) -> torch.Tensor:
        """Jensen-Shannon divergence (b, w) from the distributions of these logits (b, w, V), in nats; 0 on padding."""
        found = torch.zeros(logits.shape[:2], dtype=self.logits.dtype, device=logits.device)
        step = max(1, _BLOCK // logits.shape[-1])
        for row, length in enumerate(self.lengths):
            for first in range(0, length, step):
                block = slice(first, min(first + step, length))
                found[row, block] = self._block(
                    self.logits[row, block], self.probabilities[row, block], as_float(logits[row, block])
                )
        return found

    @staticmethod
    def _block(clean: torch.Tensor, p: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        moved = logits - clean
        low, high = torch.aminmax(moved)
        if not float(high - low) < 2 * _SMALL:  # not small, or not finite
            return jensen_shannon(torch.log_softmax(clean, -1), torch.log_softmax(logits, -1))
        # The difference of the normalisers lies between low and high too, so |x| is below the series' border.
        ratio = torch.exp(moved)
        # Rounding leaves the sum of p a little off 1, and the sum of q off by as much.
        scale = (p * ratio).sum(dim=-1, keepdim=True) / p.sum(dim=-1, keepdim=True)
        square = moved.sub_(scale.log()).square_().mul_(0.25)
        mean = ratio.div_(scale).add_(1.0).mul_(p)
        series = torch.full_like(square, _SERIES[-1])
        for coefficient in reversed(_SERIES[:-1]):
            series.mul_(square).add_(coefficient)
        return (series.mul_(square).mul_(mean)).sum(dim=-1) / 2


def as_float(logits: torch.Tensor) -> torch.Tensor:
    """float32, or float64 where the model computes in it."""
    return logits if logits.dtype == torch.float64 else logits.float()
