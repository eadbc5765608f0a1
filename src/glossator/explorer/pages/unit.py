"""The page of one unit: its explanations with all scores, its statistics, its neighbours in the study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from glossator.explorer.pages.experiments import ExperimentListed, experiment_list
from glossator.explorer.pages.parts import ExplanationShown
from glossator.store.card import COLUMNS, why_empty
from glossator.store.study import Study
from glossator.units import Unit


@dataclass(frozen=True)
class UnitPage:
    """place, of: which unit of how many; best: the explanation that stands for the unit, by its place in
    explanations; main: the score that stands for each column in all units; why_empty: why a column is empty where it
    is; opposite: the same unit of the other polarity, where the study has it; people: what annotators did."""

    unit: str
    subject: str
    site: str
    index: int
    polarity: str
    place: int
    of: int
    status: str
    reason: str
    previous: str | None
    next: str | None
    opposite: str | None
    statistics: dict[str, Any] | None
    best: int | None
    explanations: list[ExplanationShown]
    main: dict[str, str | None]
    why_empty: dict[str, str]
    experiments: list[ExperimentListed] = field(default_factory=list)
    people: dict[str, Any] = field(default_factory=dict)


def unit_page(study: Study, unit: Unit, people: Mapping[str, Any] | None = None) -> UnitPage:
    """Raises `UserError` with near matches where the study has no such unit."""
    with study.snapshot():
        result, row = study.result(unit), study.row(unit)
        other = unit if unit.polarity == "±" else replace(unit, polarity="-" if unit.polarity == "+" else "+")
        near = {found.place: found.unit.short for found in study.rows_at([row.place - 1, row.place + 1])}
        return UnitPage(
            unit=unit.short,
            subject=unit.subject,
            site=unit.site,
            index=unit.index,
            polarity=unit.polarity,
            place=row.place,
            of=study.size,
            status=result.status,
            reason=result.reason,
            previous=near.get(row.place - 1),
            next=near.get(row.place + 1),
            opposite=other.short if other != unit and other in study else None,
            statistics=result.statistics,
            best=next((i for i, one in enumerate(result.explanations) if one is result.best()), None),
            explanations=[ExplanationShown.of(chosen) for chosen in result.explanations],
            main={column: study.default_score(column) for column in COLUMNS},
            why_empty={column: why_empty(column, study.spec.card) for column in COLUMNS},
            experiments=experiment_list(study, unit).experiments,
            people=dict(people or {}),
        )
