"""The cells of a grid: which studies it takes, each one once, the baselines of each subject first."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glossator import registry
from glossator.grid.spec import DEFAULT, GridSpec
from glossator.resources import taken_by
from glossator.store.spec import DEFAULT_SCORERS, StudySpec
from glossator.study.simulator import WRITE_PROGRAMS

BASELINES = ("program", "lookup")
"""What stands in every grid: the embedded explainer, and the token lookup table."""
FIRST = "baselines"


@dataclass(frozen=True)
class Cell:
    """One study of a grid. explainer: `baselines` for the cell of `BASELINES`; simulator: None for the default; lm: the
    model that simulates, explainer_lm: the one that explains, None if none does."""

    subject: str
    explainer: str
    simulator: str | None
    lm: str | None
    explainer_lm: str | None
    study: StudySpec

    @property
    def name(self) -> str:
        """A folder name that describes the cell; equal for equal studies."""
        parts = [self.subject, self.explainer, self.simulator, *self.models, self.study.fingerprint[:8]]
        return "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", part).strip("-")[-40:] for part in parts if part)

    @property
    def models(self) -> list[str]:
        return [lm for lm in dict.fromkeys((self.explainer_lm, self.lm)) if lm]

    @property
    def setting(self) -> str:
        """What distinguishes it from other cells of its subject and explainer: the simulator and the language
        models."""
        return ", ".join([*([self.simulator] if self.simulator else []), *self.models])


def cells_of(grid: GridSpec) -> list[Cell]:
    """All cells, by subject; the first of each subject is its baselines, and no study stands twice."""
    found: dict[str, Cell] = {}
    for own in grid.subjects:
        for cell in _of_subject(grid, own):
            found.setdefault(cell.study.fingerprint, cell)
    return list(found.values())


def _of_subject(grid: GridSpec, own: Mapping[str, Any]) -> Iterator[Cell]:
    subject = Path(str(own.get("subject", ""))).name
    judges = any(takes_lm("scorers", name) for name in grid.shared.get("scorers", DEFAULT_SCORERS))
    judge = grid.lms[0] if judges and grid.lms else None
    yield Cell(subject, FIRST, None, None, None, _study(grid, own, BASELINES, lm=judge))
    for explainer, simulator, explaining, lm in _combinations(grid):
        asks = takes_lm("explainers", explainer)
        named = None if simulator == DEFAULT else simulator
        # By default what has a program is executed.
        reads = takes_lm("simulators", named) if named else explainer not in WRITE_PROGRAMS
        if explainer in BASELINES and not reads:
            continue
        reading, explaining = (lm if reads else None), ((explaining or lm) if asks else None)
        own_lm = explaining if reading and explaining != reading else None
        study = _study(grid, own, (explainer,), own_lm, simulator=named, lm=reading or explaining or judge)
        yield Cell(subject, explainer, named, reading, explaining, study)


def _combinations(grid: GridSpec) -> Iterator[tuple[str, str, str | None, str | None]]:
    axes: list[tuple[Any, ...]] = [grid.explainers, grid.simulators, grid.explainer_lms or (None,), grid.lms or (None,)]
    for places in itertools.product(*(range(len(axis)) for axis in axes)):
        if not grid.one_factor or sum(place > 0 for place in places) <= 1:
            explainer, simulator, explaining, lm = (axis[place] for axis, place in zip(axes, places, strict=True))
            yield explainer, simulator, explaining, lm


def _study(
    grid: GridSpec, own: Mapping[str, Any], explainers: tuple[str, ...], own_lm: str | None = None, **cell: Any
) -> StudySpec:
    """own_lm: a language model for the explainer alone. Of the grid's options the study gets those of its methods."""
    used = {*explainers, *grid.shared.get("scorers", DEFAULT_SCORERS), cell.get("simulator")}
    options = {name: dict(values) for name, values in grid.shared.get("options", {}).items() if name in used}
    if own_lm:
        options.setdefault(explainers[0], {})["lm"] = own_lm
    return grid.study(own, explainers=list(explainers), options=options, **cell)


def takes_lm(kind: str, name: str) -> bool:
    """Whether a registered explainer, simulator or scorer uses a language model."""
    target = registry.load(kind, name)
    return "lm" in taken_by(target) or (kind == "scorers" and "lm" in target.needs)
