"""The readout protocol: units made from the values of a site, such as directions or the latents of a dictionary.

`NAME@SITE` is then a site like any other: its units are recorded, explained and scored like neurons, and intervened on
as the readout defines. To add one, write a class like `readouts.directions.DirectionSet` on `BaseReadout` and register
its loader under `readouts`, by which `KIND:PATH@SITE` is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from glossator import registry
from glossator.errors import MissingPower, UserError

if TYPE_CHECKING:
    import torch

    from glossator.readouts.parts import Part

    Dense: TypeAlias = torch.Tensor
    Sparse: TypeAlias = tuple[torch.Tensor, torch.Tensor]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Readout(Protocol):
    """Units that are functions of the values at one site.

    name; reads_at: the site that it reads; writes_at: the site at which its units are intervened on, None if they
    cannot be; width: how many units; sparse: whether most values are zero, and only the others are given; fingerprint:
    changes with its numbers, name and sites; subject: its name, empty if it may be any; made: how it was made, in
    plain values, of which `subject_fingerprint` and `text` (how the text was cut that it was fitted on) are checked
    before it is used on another subject or text; notes: what was guessed when it was loaded, in sentences.
    """

    @property
    def name(self) -> str: ...

    @property
    def reads_at(self) -> str: ...

    @property
    def writes_at(self) -> str | None: ...

    @property
    def width(self) -> int: ...

    @property
    def sparse(self) -> bool: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def made(self) -> Mapping[str, Any]: ...

    @property
    def notes(self) -> Sequence[str]: ...

    @property
    def site_name(self) -> str:
        """`NAME@SITE`, the site of these units in ids and recordings."""
        ...

    def read(self, values: torch.Tensor) -> Dense | Sparse:
        """(..., site width) -> (..., width), the value of every unit; of a sparse readout the values of some units and
        their numbers, both (..., k), where zeros are not recorded."""
        ...

    def part(self, index: int) -> Part:
        """How one unit is intervened on at `writes_at`; raises `MissingPower` where it cannot be."""
        ...

    def random(self, n: int, seed: int) -> Readout | None:
        """n random units of the same kind, to stand beside a unit that has no others; None if there are none."""
        ...

    def refused(self, index: int) -> str | None:
        """Why a unit is not explained, such as a voxel that is not predicted; None where nothing speaks against it."""
        ...

    def check_fits(self, site: str, width: int | None, subject: str = "") -> None:
        """Raise `UserError` unless it reads this site, of this width, of this subject."""
        ...

    def save(self, folder: Path) -> object:
        """Write the readout into an empty folder in the format of its loader, so that a study holds its own copy."""
        ...


class BaseReadout:
    """A dense readout that cannot be intervened on, to derive others from.

    To make one, name `name`, `reads_at`, `width`, `fingerprint`, `read` and `save`.
    """

    name: str
    reads_at: str
    width: int
    fingerprint: str
    writes_at: str | None = None
    sparse: bool = False
    subject: str = ""
    made: Mapping[str, Any] = {}
    notes: Sequence[str] = ()

    @property
    def site_name(self) -> str:
        return f"{self.name}@{self.reads_at}"

    def read(self, values: torch.Tensor) -> Dense | Sparse:
        raise NotImplementedError

    def latents(self, values: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
        """(..., site width) -> (..., len(indices)), the values of some units."""
        import torch

        found = self.read(values)
        if not isinstance(found, tuple):
            return found[..., list(indices)]
        activations, numbers = found
        return torch.stack([torch.where(numbers == i, activations, 0).sum(-1) for i in indices], dim=-1)

    def write_scale(self, values: torch.Tensor) -> torch.Tensor | float:
        """What a change of a unit is multiplied by where it is written: see `readouts.parts.Decoder`."""
        return 1.0

    def part(self, index: int) -> Part:
        raise MissingPower("the units of this readout cannot be intervened on", value=self.site_name)

    def random(self, n: int, seed: int) -> Readout | None:
        return None

    def refused(self, index: int) -> str | None:
        return None

    def check_fits(self, site: str, width: int | None, subject: str = "") -> None:
        if site != self.reads_at:
            raise UserError("this readout belongs to another site", value=self.reads_at, allowed=site)

    def save(self, folder: Path) -> object:
        raise MissingPower("this readout cannot be kept in a study", value=self.site_name)


class Loader(Protocol):
    """What is registered under `readouts`: reads a readout from a path; `UserError` if there is none of its kind.

    site: the site that it must be of, None if the files say it.
    """

    def __call__(self, path: Path, *, site: str | None = None) -> Readout: ...


class ReadoutSpec(NamedTuple):
    """kind: a registered name; site: None if it is left to the files."""

    kind: str
    path: Path
    site: str | None


def parse_readout(text: str) -> ReadoutSpec:
    """`KIND:PATH@SITE`, or `KIND:PATH` where the files name their site; raises `UserError` for anything else."""
    kind, colon, rest = text.partition(":")
    if not colon or not kind or not rest:
        raise UserError(
            "a readout is not understood",
            value=text,
            allowed="KIND:PATH@SITE",
            fix="Example: directions:joy@mlp.12",
        )
    if kind not in registry.table("readouts"):
        registry.load("readouts", kind)  # which says what there is
    path, at, site = rest.rpartition("@")
    if not at or "/" in site or Path(rest).exists():  # a path may have an @ of its own
        return ReadoutSpec(kind, Path(rest), None)
    return ReadoutSpec(kind, Path(path), site)


def load_readout(text: str) -> Readout:
    """The readout that `KIND:PATH@SITE` names; raises `UserError` where it cannot be read or is of another site."""
    kind, path, site = parse_readout(text)
    return load_kind(kind, path, site)


def load_kind(kind: str, path: Path, site: str | None = None) -> Readout:
    """The readout of a registered kind at a path, of this site."""
    loader: Loader = registry.load("readouts", kind)
    return loader(path, site=site)


def check_name(name: str, what: str) -> None:
    """Raise `UserError` for a name that cannot stand before the @ of a site, or in the name of a folder."""
    if not _NAME.fullmatch(name):
        raise UserError(f"bad name of {what}", value=name, allowed="letters, digits, '_', '.', '-'")
