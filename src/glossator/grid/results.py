"""The table of a grid: mean scores of every cell by site, beside the lookup table and the program on the same units."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glossator.files import plain
from glossator.grid.cells import FIRST
from glossator.grid.runner import Done
from glossator.language_models import Usage
from glossator.language_models.costs import Cost, total
from glossator.statistics import Estimate, mean_over_units, paired_difference
from glossator.store.ranking import DEFAULT_SCORES
from glossator.store.summary import range_in
from glossator.study import Study, open_study
from glossator.units import Unit

Values = dict[Unit, float | None]


@dataclass(frozen=True)
class Row:
    """One method of one cell at one site, or at all sites together (site None), on one score.

    layer: the number in the site's name, None without one; units: of the site and polarity; value: mean over units that
    have the score, with an interval over units; lookup: the mean of the token lookup table on the same windows;
    over_lookup, over_program: mean differences over the units that have both, paired.
    """

    subject: str
    site: str | None
    layer: int | None
    polarity: str
    method: str
    simulator: str | None
    lm: str | None
    explainer_lm: str | None
    score: str
    units: int
    value: Estimate
    lookup: Estimate
    over_lookup: Estimate
    over_program: Estimate

    @property
    def series(self) -> str:
        """The series in which it is plotted: the method and its simulator."""
        models = dict.fromkeys(name for name in (self.explainer_lm, self.lm) if name)
        return ", ".join([self.method, *([self.simulator] if self.simulator else []), *models])


@dataclass(frozen=True)
class CellCost:
    """The cost of a cell. counts: units by status; costs: its language models by stage; usage: all of them together."""

    cell: str
    folder: str
    counts: dict[str, int]
    costs: list[Cost]
    usage: Usage


@dataclass(frozen=True)
class GridResults:
    """rows: in the order of the cells; costs: by cell; sizes: parameters of each subject, where its weights are on
    this machine; failures: (cell, reason)."""

    rows: list[Row]
    costs: list[CellCost]
    sizes: dict[str, int]
    failures: list[tuple[str, str]]


def grid_results(done: Sequence[Done]) -> GridResults:
    """Read the finished cells of a grid."""
    rows: list[Row] = []
    costs: list[CellCost] = []
    programs: dict[tuple[str, str], Values] = {}
    sizes: dict[str, int] = {}
    for one in done:
        if one.failure is not None:
            continue
        with open_study(one.folder) as study:
            found = _values(study)
            for (method, score), (values, _) in found.items():
                if one.cell.explainer == FIRST and method == "program":
                    programs[one.cell.subject, score] = values
            for (method, score), (values, lookup) in found.items():
                program = programs.get((one.cell.subject, score), {})
                rows += _rows(one, method, score, range_in(study, score), values, lookup, program)
            costs.append(CellCost(one.cell.name, str(one.folder), study.counts, study.costs, total(study.costs)))
            if one.cell.subject not in sizes and (size := parameters_of(study.spec.subject)) is not None:
                sizes[one.cell.subject] = size
    return GridResults(rows, costs, sizes, [(d.cell.name, d.failure) for d in done if d.failure is not None])


def as_json(results: GridResults) -> dict[str, Any]:
    """The results as JSON holds them."""
    return {
        "rows": plain(results.rows),
        "cells": plain(results.costs),
        "parameters": results.sizes,
        "failures": [{"cell": cell, "reason": reason} for cell, reason in results.failures],
    }


def _values(study: Study) -> dict[tuple[str, str], tuple[Values, Values]]:
    """(method, headline score) -> its value and the lookup table's, for every unit of the study; None if there is
    none."""
    results = list(study.results())
    methods = list(study.spec.explainers)
    found: dict[tuple[str, str], tuple[Values, Values]] = {}
    for method in methods:
        for name in DEFAULT_SCORES:
            values: Values = {}
            lookup: Values = {}
            for result in results:
                best = result.best(method)
                score = next((s for s in best.scores if s.name == name), None) if best else None
                values[result.unit] = score.value if score else None
                lookup[result.unit] = score.baselines.get("lookup") if score else None
            found[method, name] = (values, lookup)
    return found


def _rows(
    done: Done,
    method: str,
    score: str,
    bounds: tuple[float, float],
    values: Values,
    lookup: Values,
    program: Values,
) -> list[Row]:
    """A row for each site and polarity, and where there are several sites one for each side over all of them."""
    sites = list(dict.fromkeys(unit.site for unit in values))
    places: list[str | None] = [*sites, *([None] if len(sites) > 1 else [])]
    rows = []
    cell = done.cell
    for site in places:
        for polarity in dict.fromkeys(unit.polarity for unit in values):
            units = [u for u in values if u.polarity == polarity and site in (None, u.site)]
            mine, theirs = [values[u] for u in units], [lookup[u] for u in units]
            rows.append(
                Row(
                    subject=cell.subject,
                    site=site,
                    layer=layer_of(site) if site else None,
                    polarity=polarity,
                    method=method,
                    simulator=cell.simulator,
                    lm=cell.lm,
                    explainer_lm=cell.explainer_lm,
                    score=score,
                    units=len(units),
                    value=mean_over_units(mine, bounds=bounds),
                    lookup=mean_over_units(theirs, bounds=bounds),
                    over_lookup=paired_difference(mine, theirs, bounds=bounds),
                    over_program=paired_difference(mine, [program.get(u) for u in units], bounds=bounds),
                )
            )
    return rows


def layer_of(site: str) -> int | None:
    """The first whole number in a site's name: 12 of `mlp.12` and of `model.layers.12.mlp`."""
    found = re.search(r"(?:^|\.)(\d+)(?=\.|$|@)", site)
    return int(found[1]) if found else None


def parameters_of(subject: str) -> int | None:
    """How many parameters a subject has, from the headers of its safetensors files; None if there are none here.

    Tied weights count once, as they are stored once.
    """
    from glossator.errors import UserError
    from glossator.subjects.loading import resolve_folder

    try:
        files = sorted(resolve_folder(subject).glob("*.safetensors"))
        return sum(_tensors_in(path) for path in files) or None
    except (UserError, OSError, ValueError):
        return None


def _tensors_in(path: Path) -> int:
    with open(path, "rb") as handle:
        (length,) = struct.unpack("<Q", handle.read(8))
        header = json.loads(handle.read(length))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
