"""From `KIND:PATH@SITE` to a readout: its loader, path and site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from glossator import registry
from glossator.errors import UserError

if TYPE_CHECKING:
    from glossator.readouts.base import Readout


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
