"""What a grid is made of: the axes that vary, and what is the same in every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from glossator import registry
from glossator.errors import UserError
from glossator.language_models.specs import parse_spec
from glossator.specs import Names, Takes, as_tuple, check_fields, check_known, check_once, read_table
from glossator.store.spec import READ_EVIDENCE, StudySpec, make_spec

DEFAULT = "default"
"""On the axis of simulators: programs are executed, words read by the best simulator of the language model."""
AXES = ("explainers", "simulators", "lms", "explainer_lms")
OF_SUBJECT = ("subject", "sites", "dtype", "device", "units", "width")
"""Keys that a subject of the grid may set for itself."""
EXAMPLE = 'A grid needs explainers = ["..."] and one [[subjects]] with subject and sites'


@dataclass(frozen=True)
class GridSpec:
    """A grid of studies.

    subjects: for each, the keys of a study that are its own (subject, sites, ...); explainers, simulators: registered
    names, `default` for the simulator that a study chooses; lms: language models that simulate, and explain where
    explainer_lms is empty; explainer_lms: language models that explain; one_factor: instead of all combinations, only
    those that differ from the first of each axis in at most one of them; shared: all other keys of a study, the same
    in every cell.
    """

    subjects: Annotated[tuple[Mapping[str, Any], ...], Takes(EXAMPLE, given=as_tuple)] = ()
    explainers: Names = ()
    simulators: Names = (DEFAULT,)
    lms: Names = ()
    explainer_lms: Names = ()
    one_factor: bool = False
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_fields(self, " of the grid")
        if not self.subjects or not self.explainers or not self.simulators:
            raise UserError("the grid has an empty axis", fix=EXAMPLE)
        check_known("explainer", self.explainers, registry.table("explainers"))
        check_known("simulator", self.simulators, (*registry.table("simulators"), DEFAULT))
        for name in (*self.lms, *self.explainer_lms):
            parse_spec(name)  # a misspelt one is told before anything is run
        for axis in AXES:
            check_once(f"{axis} of the grid", getattr(self, axis))
        for own in self.subjects:
            check_known("key of a subject", own, OF_SUBJECT)
        check_once("subjects of the grid", [Path(str(own.get("subject", ""))).name for own in self.subjects])

    def study(self, own: Mapping[str, Any], **cell: Any) -> StudySpec:
        """The study of one cell: the shared settings, the subject's own, and the cell's place on the axes.

        The evidence is the same in all cells, whether or not a language model reads there.
        """
        evidence = {f.name: getattr(READ_EVIDENCE, f.name) for f in fields(READ_EVIDENCE)}
        if not (self.lms or self.explainer_lms):
            evidence = {}
        evidence |= self.shared.get("evidence", {})
        return make_spec({**self.shared, **own, **cell, "evidence": _as_given(evidence)})


def _as_given(evidence: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "all" if value is None else value for name, value in evidence.items()}


def load_grid(path: str | Path) -> GridSpec:
    """Read a grid from a TOML file; `UserError` for what is missing, unknown or ill-typed."""
    return make_grid(read_table(path))


def make_grid(values: Mapping[str, Any]) -> GridSpec:
    """A grid from plain values, as TOML gives them."""
    own = ("subjects", "one_factor", *AXES)
    study = {f.name for f in fields(StudySpec)} - {"subject", "lm", "simulator"}
    check_known("key in the grid", values, {*own, *study})
    shared = {name: value for name, value in values.items() if name not in own}
    return GridSpec(**{name: value for name, value in values.items() if name in own}, shared=shared)
