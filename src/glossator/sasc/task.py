"""One unit of a module that SASC is to explain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glossator.sasc.responses import UnitResponses
from glossator.units import Unit


@dataclass(frozen=True, eq=False)
class Task:
    """One unit to explain. ask: texts to its responses, times the sign of its polarity, NaN where it has none;
    values (n,): responses to the reference's n-grams, signed alike; named (m,): those to the names of the general
    vocabulary, None where they were not asked for."""

    unit: Unit
    responses: UnitResponses
    ask: Callable[[Sequence[str]], np.ndarray]
    values: np.ndarray
    named: np.ndarray | None = None

    @cached_property
    def order(self) -> np.ndarray:
        """N-grams by response, largest first; those without one are left out."""
        rows = np.flatnonzero(np.isfinite(self.values))
        return rows[np.argsort(-self.values[rows], kind="stable")]
