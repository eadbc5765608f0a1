"""A study of what files of other tools hold: the spec that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glossator.errors import UserError, near_matches
from glossator.explainers.imported import METHOD
from glossator.store.card import OF_THE_CARD
from glossator.store.spec import StudySpec, make_spec
from glossator.subjects.base import BaseSubject, known_width
from glossator.subjects.excerpts import ExcerptsSubject
from glossator.subjects.named import DELPHI, EXCERPTS, open_subject

LEAST_WINDOWS = 2
"""Excerpts in which a unit must fire, in the explain split as in the test split: files hold few."""


def spec_of(
    path: Path,
    *,
    sites: Sequence[str] | None = None,
    units: Sequence[int] | None = None,
    model: str | None = None,
    explainers: Sequence[str] | None = None,
    scorers: Sequence[str] | None = None,
    lm: str | None = None,
    seed: int = 0,
) -> StudySpec:
    """The study of all units in a file, or of some; what the file says is explained by `imported`.

    Raises `UserError` for files of no known format, and for sites whose units differ, of which one must be named.
    """
    cached = path.is_dir() and (path / "latents").is_dir()
    name = f"{DELPHI if cached else EXCERPTS}{path.resolve()}" + (f"#{model}" if model else "")
    subject = open_subject(name)
    assert isinstance(subject, BaseSubject)
    there = {site.name: known_width(site) for site in subject.sites()}
    chosen = tuple(sites or there)
    for site in chosen:
        if site not in there:
            raise UserError("no such site in the file", value=site, allowed=near_matches(site, there))
    known = {site: _units_of(subject, site, there[site]) for site in chosen}
    if units is not None:
        for site, own in known.items():
            if missing := sorted({*units} - {*own}):
                raise UserError(f"the file has no such unit of {site}", value=missing[0])
    elif len({*known.values()}) > 1:
        raise UserError(
            "the sites in the file have different units", value=", ".join(known), fix="Take one: --site NAME"
        )
    said = any(subject.said(site, index) for site, own in known.items() for index in own)
    methods = explainers if explainers else ("program",)
    return make_spec(
        {
            "subject": name,
            "sites": chosen,
            "units": tuple(units) if units is not None else known[chosen[0]],
            "explainers": (METHOD, *(m for m in methods if m != METHOD)) if said else tuple(methods),
            "scorers": tuple(scorers) if scorers else OF_THE_CARD,
            "lm": lm,
            "seed": seed,
            "evidence": {} if cached else {"min_firing_windows": LEAST_WINDOWS},
        }
    )


def _units_of(subject: BaseSubject, site: str, width: int) -> tuple[int, ...]:
    if isinstance(subject, ExcerptsSubject):
        return tuple(sorted(index for own, index in subject.units if own == site))
    return tuple(range(width))
