"""Sparse codes: which few of many entries are active, and non-negative codes of values in a dictionary of atoms, by
FISTA (Beck and Teboulle 2009).
"""

from __future__ import annotations

import numpy as np
import torch

STEPS, CLOSE = 100, 1e-5
"""Most steps, and the change, as a share of the largest activation, at which fewer are enough."""


def sparse_code(
    values: torch.Tensor, atoms: torch.Tensor, bias: torch.Tensor, *, largest: float | None = None, steps: int = STEPS
) -> torch.Tensor:
    """The codes a (tokens, n) >= 0 that minimise |x - a D|² / 2 - a . bias for each row x of values (tokens, d).

    atoms D (n, d); bias (n,): minus what an activation costs; largest: the largest singular value of D, if it is known.
    Momentum starts again where it points uphill (O'Donoghue and Candès 2015), for each token by itself.
    """
    n, width = atoms.shape
    size = largest_singular_value(atoms) if largest is None else largest
    rate = 1.0 / max(size**2, 1e-30)
    wanted = torch.addmm(bias, values, atoms.T)
    gram = atoms @ atoms.T if n < 2 * width else None
    code = wanted.new_zeros(wanted.shape)
    ahead, momentum = code, wanted.new_ones((len(wanted), 1))
    for step in range(steps):
        slope = ((ahead @ atoms) @ atoms.T if gram is None else ahead @ gram) - wanted
        new = torch.relu(ahead - rate * slope)
        moved = new - code
        uphill = ((ahead - new) * moved).sum(1, keepdim=True) > 0
        momentum = torch.where(uphill, 1.0, momentum)
        following = (1 + torch.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + torch.where(uphill, 0.0, (momentum - 1) / following) * moved
        code, momentum = new, following
        if step % 10 == 9 and len(new) and float(moved.abs().max()) <= CLOSE * float(new.max()):
            break
    return code


def largest_singular_value(atoms: torch.Tensor) -> float:
    return float(torch.linalg.matrix_norm(atoms, 2))


def active_entries(every: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens, n) -> the values that are not 0 and their columns, (tokens, as many as the token with most)."""
    tokens, n = every.shape
    if every.device.type == "cpu":  # several times as fast as torch's
        flat = torch.from_numpy(np.flatnonzero((every != 0).numpy()))
    else:
        flat = torch.nonzero(every.flatten()).flatten()
    row = flat // n
    counts = torch.bincount(row, minlength=tokens)
    most = max(1, int(counts.max())) if tokens else 1
    rank = torch.arange(len(flat), device=every.device) - (counts.cumsum(0) - counts)[row]
    values, columns = every.new_zeros((tokens, most)), flat.new_zeros((tokens, most))
    values[row, rank], columns[row, rank] = every.flatten()[flat], flat % n
    return values, columns


def padded(tensor: torch.Tensor, k: int) -> torch.Tensor:
    return tensor if tensor.shape[1] == k else torch.nn.functional.pad(tensor, (0, k - tensor.shape[1]))
