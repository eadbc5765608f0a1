"""From results to the rows of the database, column by column: all that needs no database, so that another process can
make rows while this one writes those before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from glossator.store.results import COLUMNS_OF_SCORES, HEADLINE, NUMBERS, numbers_of
from glossator.units import parse_unit

Columns = Sequence[Sequence[Any]]
"""The values of each of the first columns of a table."""
UNITS_AT_ONCE = 256
HOW = 1 + COLUMNS_OF_SCORES.index("how")
"""Which column of `Rows.scores` has places in `Rows.hows`."""
NAME = COLUMNS_OF_SCORES.index("name")
COMPARISON = np.dtype(
    [("score", np.int64), ("baseline", np.int32), ("family", np.int32), *((name, np.float64) for name in NUMBERS)]
)
"""A comparison with a baseline: of which score, the numbers of the baseline and of the family, which is tested
together, and `NUMBERS`."""


@dataclass(frozen=True)
class Rows:
    """Some units with all that belongs to them. hows: distinct texts; comparisons: of `COMPARISON`; baselines: names
    of those that are new here, in the order of their numbers."""

    units: Columns
    explanations: Columns
    scores: Columns
    hows: list[str]
    comparisons: np.ndarray
    baselines: list[str]


def rows_of(results: Iterable[Mapping[str, Any]], spec: str) -> Iterator[Rows]:
    """The rows of results, as `packed` makes them, in their order. spec: the fingerprint that explanations name."""
    numbering, remaining = _Numbering(spec), iter(results)
    while some := list(islice(remaining, UNITS_AT_ONCE)):
        yield numbering.rows(some)


@dataclass
class _Numbering:
    """How far the numbers of rows have come. families: of a method and a score, times their baseline."""

    spec: str
    units: int = 0
    explanations: int = 0
    scores: int = 0
    families: dict[tuple[str, str], int] = field(default_factory=dict)
    baselines: dict[str, int] = field(default_factory=dict)

    def rows(self, results: Sequence[Mapping[str, Any]]) -> Rows:
        units: list[tuple[Any, ...]] = []
        explanations: list[tuple[Any, ...]] = []
        scores: list[list[Any]] = [[] for _ in COLUMNS_OF_SCORES]
        first_score, known = self.scores + 1, len(self.baselines)
        hows: dict[str, int] = {}
        methods: list[str] = []
        beside: dict[str, list[Any]] = {name: [] for name in ("score", "baseline", "first", "count", "numbers")}
        for result in results:
            self.units += 1
            first, own = self.explanations + 1, result["explanations"]
            units.append(self._unit(result, own, first))
            explanations += ((number, self.units, *row, self.spec) for number, row in enumerate(own, first))
            columns, places = result["scores"], result["scores"]["explanation"]
            numbers = [hows.setdefault(how, len(hows)) for how in result["hows"]]
            given = columns | {
                "explanation": [first + place for place in places],
                "how": [numbers[how] for how in columns["how"]],
            }
            for column, name in zip(scores, COLUMNS_OF_SCORES, strict=True):
                column += given[name]
            methods += [own[place][0] for place in places]
            compared = result["comparisons"]
            beside["score"] += compared["score"]
            beside["baseline"] += compared["baseline"]
            beside["first"].append(self.scores + 1)
            beside["count"].append(len(compared["score"]))
            beside["numbers"].append(numbers_of(compared))
            self.explanations += len(own)
            self.scores += len(places)
        families = _numbered([*zip(methods, scores[NAME], strict=True)], self.families)
        return Rows(
            list(zip(*units, strict=True)),
            list(zip(*explanations, strict=True)),
            [range(first_score, self.scores + 1), *scores],
            [*hows],
            self._comparisons(beside, np.array(families, np.int32), first_score),
            [*islice(self.baselines, known, None)],
        )

    def _comparisons(self, beside: Mapping[str, list[Any]], families: np.ndarray, first_score: int) -> np.ndarray:
        """Of all units: score, baseline and numbers of each, and each unit's first score and how many are its own.
        families: of the scores from the first on."""
        rows = np.empty(len(beside["score"]), COMPARISON)
        rows["score"] = beside["score"]
        rows["score"] += np.repeat(beside["first"], beside["count"])
        rows["baseline"] = _numbered(beside["baseline"], self.baselines)
        rows["family"] = (families[rows["score"] - first_score] << 12) + rows["baseline"]
        for name, column in zip(NUMBERS, np.concatenate(beside["numbers"], axis=1), strict=True):
            rows[name] = column
        return rows

    def _unit(self, result: Mapping[str, Any], explanations: list[list[Any]], first: int) -> tuple[Any, ...]:
        """The row of a unit with its best explanation, chosen as `UnitResult.best` does."""
        unit = parse_unit(result["unit"])
        best = max(
            (place for place, e in enumerate(explanations) if e[1] == 0),
            key=lambda place: float("-inf") if explanations[place][5] is None else explanations[place][5],
            default=None,
        )
        said: tuple[Any, ...] = (None,) * 4
        if best is not None:
            method, _, text, *_ = explanations[best]
            said = (first + best, method, text, explanations[best][HEADLINE])
        known = (result["status"], result["reason"], result["statistics"])
        return (self.units, str(unit), unit.site, unit.index, unit.polarity, *known, *said)


def _numbered(keys: list[Any], known: dict[Any, int]) -> list[int]:
    """The number of each, where new ones get the next numbers."""
    for key in dict.fromkeys(keys):
        known.setdefault(key, len(known))
    return [*map(known.__getitem__, keys)]
