"""Which units of a study are above their nulls, with false discoveries held down over all units that were tested.

A family is what is tested together: one score of one method against one null, over all units of the study. Its q-values
are made anew from the stored p-values wherever they are shown, as they belong to the study and not to a unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from glossator.scores import Margin
from glossator.statistics import q_values
from glossator.study.results import UnitResult

RATE = 0.05
"""Units with q at most this are called above a null."""
LEAST = 2
"""Tested units below which there is nothing to correct for, and no q."""
Family = tuple[str, str, str]
"""Method, score, null."""
Tested = tuple[str, str, str, Mapping[str, Margin]]
"""Unit, method, name of the score, its margins."""


@dataclass(frozen=True)
class Discoveries:
    """q: (method, score, null) -> unit -> q-value, of the units that have a p-value, where there are at least two."""

    q: Mapping[Family, Mapping[str, float]]

    @classmethod
    def of(cls, tested: Iterable[Tested]) -> Discoveries:
        p: dict[Family, dict[str, float]] = {}
        for unit, method, score, margins in tested:
            for null, margin in margins.items():
                if margin.p is not None:  # two-sided: what is below its null must not count as above it
                    p.setdefault((method, score, null), {})[unit] = margin.p if margin.value > 0 else 1.0
        families = {family: of_unit for family, of_unit in p.items() if len(of_unit) >= LEAST}
        return cls({family: _corrected(of_unit) for family, of_unit in families.items()})

    def of_score(self, unit: str, method: str, score: str) -> dict[str, float]:
        """q-values of one score of one unit by null."""
        return {n: units[unit] for (m, s, n), units in self.q.items() if (m, s) == (method, score) and unit in units}

    def above(self, method: str, score: str, null: str, among: Iterable[str] | None = None) -> tuple[int, int] | None:
        """(units called above this null, units tested), of these units or of all; None where none was tested."""
        family = self.q.get((method, score, null), {})
        units = family if among is None else [unit for unit in among if unit in family]
        found = [family[unit] <= RATE for unit in units]
        return (sum(found), len(found)) if found else None


def _corrected(p: Mapping[str, float]) -> dict[str, float]:
    q = q_values(list(p.values()))
    return {unit: value for unit, value in zip(p, q, strict=True) if value is not None}


def margins_in(results: Iterable[UnitResult]) -> Iterator[Tested]:
    """What `Discoveries.of` takes, from results."""
    for result in results:
        for chosen in result.explanations:
            for score in chosen.scores:
                yield str(result.unit), chosen.method, score.name, score.margins
