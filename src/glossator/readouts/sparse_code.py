"""Non-negative sparse codes of values in a dictionary of atoms, by FISTA (Beck and Teboulle 2009)."""

from __future__ import annotations

import torch

STEPS = 100


def sparse_code(
    values: torch.Tensor, atoms: torch.Tensor, bias: torch.Tensor, *, largest: float | None = None, steps: int = STEPS
) -> torch.Tensor:
    """The codes a (tokens, n) >= 0 that minimise |x - a D|² / 2 - a . bias for each row x of values (tokens, d).

    atoms D (n, d); bias (n,): minus what an activation costs; largest: the largest singular value of D, if it is known.
    Momentum starts again where it points uphill (O'Donoghue and Candès 2015), for each token by itself.
    """
    size = float(torch.linalg.matrix_norm(atoms, 2)) if largest is None else largest
    rate = 1.0 / max(size**2, 1e-30)
    wanted = torch.addmm(bias, values, atoms.T)
    code = wanted.new_zeros(wanted.shape)
    ahead, momentum = code, wanted.new_ones((len(wanted), 1))
    for _ in range(steps):
        slope = (ahead @ atoms) @ atoms.T - wanted
        new = torch.relu(ahead - rate * slope)
        uphill = ((ahead - new) * (new - code)).sum(1, keepdim=True) > 0
        momentum = torch.where(uphill, 1.0, momentum)
        following = (1 + torch.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + torch.where(uphill, 0.0, (momentum - 1) / following) * (new - code)
        code, momentum = new, following
    return code


def largest_singular_value(atoms: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(atoms, 2))
