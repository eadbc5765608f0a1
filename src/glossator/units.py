"""Unit ids: `subject/site/index` and a polarity; Neuronpedia calls the triple model/source/index."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from glossator.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Polarity = Literal["+", "-", "±"]
POLARITIES: tuple[Polarity, ...] = ("+", "-", "±")


@dataclass(frozen=True, order=True)
class Unit:
    """One polarity of a unit: `smollm2-135m/mlp.12/345` is the positive one, `smollm2-135m/mlp.12/345-` the negative
    one, `smollm2-135m/voxels@resid.12/3±` one whose signed value is the truth.

    The negative polarity is explained separately: its activations are the recorded ones times -1.
    """

    subject: str
    site: str
    index: int
    polarity: Polarity = "+"

    @property
    def sign(self) -> int:
        return -1 if self.polarity == "-" else 1

    @property
    def short(self) -> str:
        """`mlp.12/345`, `mlp.12/345-`: the unit within its subject."""
        return f"{self.site}/{self.index}{self.polarity.removeprefix('+')}"

    def __str__(self) -> str:
        return f"{self.subject}/{self.short}"


def marked(polarity: str) -> str:
    """What stands behind the name of a site in a table: nothing for the positive polarity."""
    return {"+": "", "-": " (−)"}.get(polarity, f" ({polarity})")


def unit_rng(seed: int, unit: Unit, *purpose: int) -> np.random.Generator:
    """A generator that depends only on the seed, the unit's place in its subject and the purpose, not on the subject's
    name, so that copies under two names are studied alike."""
    import numpy as np  # here, so that `glossator --help` need not wait for it

    from glossator.files import fingerprint

    return np.random.default_rng([seed, int(fingerprint([unit.site, unit.index, unit.polarity]), 16), *purpose])


_INDEX = re.compile("[0-9]{1,18}")


def parse_unit(text: str) -> Unit:
    """Read `subject/site/index` with an optional closing `+`, `-` or `±`; the subject may itself contain slashes."""
    body, polarity = (text[:-1], text[-1]) if text[-1:] in POLARITIES else (text, "+")
    parts = body.rsplit("/", 2)
    if (
        len(parts) != 3
        or not (parts[2].isascii() and parts[2].isdigit())
        or len(parts[2]) > 18
        or not parts[0]
        or not parts[1]
    ):
        raise UserError(
            "not a unit id",
            value=text,
            allowed="subject/site/index with an optional +, - or ±",
            fix="Example: smollm2-135m/mlp.12/345",
        )
    return Unit(parts[0], parts[1], int(parts[2]), next(p for p in POLARITIES if p == polarity))
