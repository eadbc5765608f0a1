"""One unit of a module that SASC is to explain, and the module's answers to texts, for each of which it is run once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from glossator.recording.responses import UnitResponses
from glossator.subjects.modules import as_numbers
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

    @cached_property
    def loudest(self) -> np.ndarray:
        """Of these, n-grams that respond more than half of all do; where half respond the most, more than the mean."""
        values = self.values[self.order]
        if not len(values):
            return self.order
        middle = np.median(values)
        return self.order[values > (middle if middle < values[0] else values.mean())]


class Kept:
    """Rows of numbers by text, each text run once while this lives: units of one module share its answers."""

    def __init__(self, run: Callable[[list[str]], np.ndarray]):
        self._run = run
        self._rows: dict[str, np.ndarray] = {}

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if new:
            self._rows.update(zip(new, self._run(new), strict=True))
        return np.stack([self._rows[text] for text in texts]) if len(texts) else np.empty((0, 1))


def answers_of(module: Any) -> Kept:
    """A module's answers (n, units), each text run once."""
    return Kept(lambda texts: as_numbers(module(texts), len(texts), module.name))
