"""Changes to a part's values: set, add, scale, clamp, or splice in a matrix of values.

Mean ablation is `Set(mean)`, zero ablation `Set(0.0)`; resample ablation is `Splice` of values drawn from other tokens
(`resampled`); patching is `Splice` of another run's values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from glossator.errors import UserError

if TYPE_CHECKING:
    import torch


class Change(Protocol):
    """Maps the old values of a part to new ones."""

    def apply(self, old: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """old (b, w, k), rows (b,) row numbers in the windows of the run -> (b, w, k)."""
        ...


@dataclass(frozen=True, eq=False)
class Set:
    """Sets every value to v, a number or (k,) one for each member of the part."""

    v: float | np.ndarray

    def apply(self, old: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return _numbers(self.v, old).expand_as(old)


@dataclass(frozen=True, eq=False)
class Add:
    """Adds v, a number or (k,)."""

    v: float | np.ndarray

    def apply(self, old: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return old + _numbers(self.v, old)


@dataclass(frozen=True, eq=False)
class Scale:
    """Multiplies every value by f, a number or (k,)."""

    f: float | np.ndarray

    def apply(self, old: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return old * _numbers(self.f, old)


@dataclass(frozen=True, eq=False)
class Clamp:
    """Limits values to between `low` and `high`; None leaves an end open."""

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise UserError("clamp bounds are in the wrong order", value=f"{self.low:g} to {self.high:g}")

    def apply(self, old: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return old if self.low is None and self.high is None else old.clamp(self.low, self.high)


@dataclass(frozen=True, eq=False)
class Splice:
    """Replaces the part by given values, one for each window, token and member: values (n, w, k), or (n, w) where k is
    1.

    n counts all windows of the run, not those of one batch.
    """

    values: np.ndarray

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        object.__setattr__(self, "values", values[..., None] if values.ndim == 2 else values)

    def apply(self, old: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        import torch

        return torch.as_tensor(self.values[rows], dtype=old.dtype, device=old.device)


def resampled(values: np.ndarray, valid: np.ndarray, rng: np.random.Generator) -> Splice:
    """Resample ablation: at each valid token the values (n, w, k) of another one, drawn with replacement."""
    values = np.asarray(values)
    drawn = values.copy()
    pool = values[valid]
    if len(pool):
        drawn[valid] = pool[rng.integers(len(pool), size=len(pool))]
    return Splice(drawn)


def _numbers(value: float | np.ndarray, old: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.as_tensor(np.asarray(value, np.float64), dtype=old.dtype, device=old.device)
