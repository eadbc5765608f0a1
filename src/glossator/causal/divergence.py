"""How far two next-token distributions are apart."""

from __future__ import annotations

import math

import torch


def jensen_shannon(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence in nats, (..., V) log-probabilities each -> (...); symmetric, 0 to ln 2.

    With d = log q - log p and m = (p + q) / 2 it is the sum of m (tanh(d/2) d/2 - ln cosh(d/2)), whose terms are all
    positive, so that distributions that hardly differ lose no digits to cancellation.
    """
    p, q = log_p.exp(), log_q.exp()
    both = torch.isfinite(log_p) & torch.isfinite(log_q)
    half = torch.where(both, (log_q - log_p) / 2, 0.0)
    # ln cosh x = |x| + ln(1 + exp(-2|x|)) - ln 2 does not overflow; below 1e-2 its series keeps all digits.
    size, square = half.abs(), half * half
    large = size * torch.tanh(size) - (size + torch.log1p(torch.exp(-2 * size)) - math.log(2))
    small = square * (0.5 - square * (0.25 - square / 9))
    share = torch.where(both, torch.where(size < 1e-2, small, large), math.log(2))
    # Where only one of the two is 0 the whole of the other counts, ln 2 / 2 of it: (p + q) / 2 with a share of ln 2.
    return ((p + q) / 2 * share).sum(dim=-1)
