"""What a grid is made of: the axes that vary, and what is the same in every cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.language_models.specs import parse_spec
from glossator.store.spec import READ_EVIDENCE, StudySpec, make_spec, read_table

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

    subjects: tuple[Mapping[str, Any], ...]
    explainers: tuple[str, ...]
    simulators: tuple[str, ...] = (DEFAULT,)
    lms: tuple[str, ...] = ()
    explainer_lms: tuple[str, ...] = ()
    one_factor: bool = False
    shared: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.subjects or not self.explainers or not self.simulators:
            raise UserError("the grid has an empty axis", fix=EXAMPLE)
        read = tuple(name for name in self.simulators if name != DEFAULT)
        for kind, names in (("explainers", self.explainers), ("simulators", read)):
            for name in names:
                if name not in (known := registry.table(kind)):
                    raise UserError(f"unknown {kind[:-1]}", value=name, allowed=near_matches(name, known))
        for name in (*self.lms, *self.explainer_lms):
            parse_spec(name)  # a misspelt one is told before anything is run
        for axis in AXES:
            values = getattr(self, axis)
            if len(set(values)) != len(values):
                raise UserError(f"{axis} of the grid are listed twice", value=", ".join(values))
        subjects = [Path(str(own.get("subject", ""))).name for own in self.subjects]
        if len(set(subjects)) != len(subjects):
            raise UserError("duplicate subjects in the grid", value=", ".join(subjects))

    def study(self, own: Mapping[str, Any], **cell: Any) -> StudySpec:
        """The study of one cell: what all share, what the subject sets for itself, and the cell's place on the axes.

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
    study = [f.name for f in fields(StudySpec)]
    for name in values:
        if name not in (known := {"subjects", *AXES, "one_factor", *study} - {"subject", "lm", "simulator"}):
            raise UserError("unknown key in the grid", value=name, allowed=near_matches(name, known))
    subjects = values.get("subjects")
    if not isinstance(subjects, list) or not all(isinstance(own, Mapping) for own in subjects):
        raise UserError("subjects of the grid must be tables", value=subjects, fix=EXAMPLE)
    for own in subjects:
        for name in own:
            if name not in OF_SUBJECT:
                raise UserError("unknown key of a subject", value=name, allowed=near_matches(name, OF_SUBJECT))
    axes = {axis: _names(axis, values[axis]) for axis in AXES if axis in values}
    if not isinstance(one_factor := values.get("one_factor", False), bool):
        raise UserError("bad one_factor", value=one_factor, allowed="true or false")
    shared = {name: value for name, value in values.items() if name not in ("subjects", "one_factor", *AXES)}
    return GridSpec(tuple(subjects), **{"explainers": (), **axes}, one_factor=one_factor, shared=shared)


def _names(axis: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise UserError(f"bad {axis}", value=value, allowed="a list of names")
    return tuple(value)
