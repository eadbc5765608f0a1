"""Subjects: anything that computes numbers from inputs and has sites with units.

One protocol covers language models, encoders, image models, functions and imported measurements. Whatever a subject can
do beyond being run is declared as its powers, so a method either has the power it needs or says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from glossator.errors import MissingPower, UserError, near_matches
from glossator.formats.base import Said
from glossator.inputs import WHOLE, Grid, Inputs

Values: TypeAlias = Any
"""A torch tensor (n, places, width): named so that importing this file imports no torch."""


class Power(StrEnum):
    """What a subject can do."""

    RUN = "run"
    OUTPUTS = "outputs"
    INTERVENE = "intervene"
    GRADIENT = "gradient"
    WEIGHTS = "weights"

    @property
    def meaning(self) -> str:
        return _MEANING[self]


_MEANING = {
    Power.RUN: "be run on new inputs",
    Power.OUTPUTS: "tell the outputs that follow, such as the next token",
    Power.INTERVENE: "have the values at its sites changed while it runs",
    Power.GRADIENT: "be differentiated",
    Power.WEIGHTS: "have its weights read",
}


class Site(Protocol):
    """A named place in a subject at which it has units.

    width: how many units, None until the site has been run once; kind: 'sparse' where most values are exactly zero;
    grid: where within an input they have values, None for the tokens of windows.
    """

    @property
    def name(self) -> str: ...

    @property
    def width(self) -> int | None: ...

    @property
    def kind(self) -> Literal["dense", "sparse"]: ...

    @property
    def grid(self) -> Grid | None: ...


@dataclass(frozen=True)
class OutputSite:
    """A site that is the output of a black box."""

    name: str
    width: int | None
    grid: Grid | None = WHOLE
    kind: Literal["dense", "sparse"] = "dense"


class Subject(Protocol):
    """Inputs in, values at named sites out.

    name, fingerprint: which changes with what it computes; takes: the kind of inputs; powers; dtype: of its values, as
    recordings name it; leaves_out: which places of an input do not count, in words; concurrent: whether passes may run
    in several threads at once; in_memory: whether it was given as an object, and no name leads to it; batch: how many
    inputs it runs at once, however many it is given, if that follows from its fingerprint and its device; else None.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def takes(self) -> str: ...

    @property
    def powers(self) -> frozenset[Power]: ...

    @property
    def dtype(self) -> Any: ...

    @property
    def leaves_out(self) -> str: ...

    @property
    def concurrent(self) -> bool: ...

    @property
    def in_memory(self) -> bool: ...

    @property
    def batch(self) -> int | None: ...

    def check_unchanged(self) -> None:
        """Raise `UserError` if it has changed since its fingerprint was taken."""
        ...

    def sites(self) -> Sequence[Site]: ...

    def site(self, name: str) -> Site:
        """The site called `name`; raises `UserError` with near matches."""
        ...

    def counted(self, inputs: Inputs) -> Inputs:
        """The inputs with the places left out that do not count in this subject."""
        ...

    def embedding(self) -> np.ndarray | None:
        """The static embedding of each token, float32 (V, d), None in a subject that has none."""
        ...

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        """Run the inputs and call `see(site name, values (n, places, width))` once for each site; at a sparse one
        values and numbers of the units that have some, both (n, places, k), may come instead.

        The values are the subject's own, not to be changed or kept, and may be anything at places that do not count.
        Raises `MissingPower` for a subject that cannot be run, or for inputs of another kind than it takes.
        """
        ...


class BaseSubject:
    """A subject that can be run and nothing else, and whose every place counts, to derive others from.

    To make one, name `name`, `fingerprint`, `takes`, the sites and `visit`.
    """

    name: str
    fingerprint: str
    takes: str
    powers: frozenset[Power] = frozenset({Power.RUN})
    dtype: Any = "float32"
    leaves_out: str = "nothing"
    concurrent: bool = False
    in_memory: bool = True
    batch: int | None = None

    def check_unchanged(self) -> None:
        """Does nothing: nothing is known that could change."""

    def sites(self) -> Sequence[Site]:
        raise NotImplementedError

    def site(self, name: str) -> Site:
        known = {site.name: site for site in self.sites()}
        if name not in known:
            raise UserError("no such site", value=name, allowed=near_matches(name, known))
        return known[name]

    def counted(self, inputs: Inputs) -> Inputs:
        return inputs

    def embedding(self) -> np.ndarray | None:
        return None

    def said(self, site: str, index: int) -> Sequence[Said]:
        """What others have said of a unit, as files of other tools hold it."""
        return ()

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        raise NotImplementedError


def check_power(subject: Subject, power: Power, asked_by: str) -> None:
    """Raise `MissingPower` if the subject lacks a power; the message says what is missing and what it has."""
    if power not in subject.powers:
        has = ", ".join(sorted(subject.powers)) or "none"
        raise MissingPower(
            f"{asked_by} needs a subject that can {power.meaning}", value=subject.name, allowed=f"its powers are {has}"
        )


def check_takes(subject: Subject, inputs: Inputs) -> None:
    """Raise `MissingPower` if the subject does not take this kind of inputs."""
    if inputs.kind != subject.takes and (inputs.kind, subject.takes) != ("stimuli", "texts"):
        fix = (
            "Give it images, such as --inputs renders:2000" if subject.takes == "images" else "Give it a corpus of text"
        )
        raise MissingPower(f"{subject.name} takes {subject.takes}", value=inputs.kind, fix=fix)


def grid_of(site: Site, inputs: Inputs) -> Grid:
    """The grid of a site's units in these inputs."""
    from glossator.inputs import token_windows

    return site.grid if site.grid is not None else token_windows(inputs).grid


def only_site(subject: Subject) -> str:
    """The name of the site of a subject that has one; raises `UserError` where it has several."""
    sites = [site.name for site in subject.sites()]
    if len(sites) != 1:
        raise UserError("this works on a subject with one site", value=", ".join(sites)[:100], fix="Use glossator run")
    return sites[0]


def width_of(subject: Subject, name: str, inputs: Inputs) -> int:
    """How many units a site has; one that does not know it yet is run on one input."""
    if subject.site(name).width is None:
        subject.visit(inputs.take(np.array([0])), [name], lambda *_: None)
    return known_width(subject.site(name))


def known_width(site: Site) -> int:
    """How many units a site has; raises `UserError` where that shows only in a run."""
    if site.width is None:
        raise UserError("the site's number of units is unknown", value=site.name)
    return site.width
