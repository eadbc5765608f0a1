"""Units with a known answer, by kind, each with another unit's description as its wrong explanation.

Benchmarks and tests recover them; `glossator.planted.units` says what one is."""

from __future__ import annotations

from dataclasses import replace

from glossator.errors import UserError, near_matches
from glossator.planted import forms, words
from glossator.planted.units import KINDS, PlantedUnit

_UNITS = (
    *words.TOKEN,
    *words.CONTEXT,
    *words.CONJUNCTION,
    *words.DISJUNCTION,
    *words.RARE,
    *forms.NEGATED,
    *forms.POSITIONAL,
    *forms.REPETITION,
    *forms.CHARACTER,
)


def _with_wrong(units: tuple[PlantedUnit, ...]) -> tuple[PlantedUnit, ...]:
    """Each unit is wrongly explained by the description of the unit half the library away, one of another kind."""
    half = len(units) // 2
    return tuple(replace(u, wrong=units[(i + half) % len(units)].description) for i, u in enumerate(units))


LIBRARY: tuple[PlantedUnit, ...] = _with_wrong(_UNITS)


__all__ = ["KINDS", "LIBRARY", "PlantedUnit", "planted_units"]


def planted_units(*kinds: str) -> tuple[PlantedUnit, ...]:
    """The library, or the units of these kinds; an unknown kind is a `UserError`."""
    for kind in kinds:
        if kind not in KINDS:
            raise UserError("unknown kind of planted unit", value=kind, allowed=near_matches(kind, KINDS))
    return tuple(unit for unit in LIBRARY if not kinds or unit.kind in kinds)
