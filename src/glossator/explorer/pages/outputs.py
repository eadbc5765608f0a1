"""The tokens that units make likely to come next, read off the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from glossator.errors import MissingPower
from glossator.explorer.pages.parts import rounded
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.causal.output_effects import Standing
    from glossator.readouts.base import Readout

MOST = 12


@dataclass(frozen=True)
class OutputToken:
    token: str
    strength: float


@dataclass(frozen=True)
class OutputTokens:
    """Tokens whose logits the unit raises and lowers most by what it writes, in standard deviations over the
    vocabulary; only those beyond chance, which is what one random direction in twenty reaches with its first token."""

    unit: str
    raises: list[OutputToken] = field(default_factory=list)
    lowers: list[OutputToken] = field(default_factory=list)
    chance: float | None = None
    why: str = ""


class Outputs:
    """subject: a loaded model; what a random direction reaches is found out once."""

    def __init__(self, subject: Any, readouts: Mapping[str, Readout]):
        self.subject, self.readouts = subject, readouts

    def of(self, units: Sequence[Unit]) -> list[OutputTokens]:
        """Of each unit; those of a site that do not write into the residual stream get the reason."""
        if getattr(self.subject, "tokenizer", None) is None:
            return [OutputTokens(unit.short, why="the subject has no next-token distribution") for unit in units]
        found = dict[Unit, OutputTokens]()
        for site in dict.fromkeys(unit.site for unit in units):
            own = [unit for unit in units if unit.site == site]
            found.update(zip(own, self._of_site(own), strict=True))
        return [found[unit] for unit in units]

    def _of_site(self, units: Sequence[Unit]) -> list[OutputTokens]:
        from glossator.causal.output_effects import by_weights, standing

        try:
            each = standing(self.subject, by_weights(self.subject, units, self.readouts), self._chance)
        except MissingPower as error:
            return [OutputTokens(unit.short, why=str(error)) for unit in units]
        return [self._shown(unit, one) for unit, one in zip(units, each, strict=True)]

    def warm(self) -> None:
        """Make what all units share."""
        self._chance  # noqa: B018

    @cached_property
    def _chance(self) -> float:
        from glossator.causal.output_effects import chance_of_standing_out

        return chance_of_standing_out(self.subject)

    def _shown(self, unit: Unit, found: Standing) -> OutputTokens:
        texts = self.subject.tokenizer.vocabulary.texts

        def named(sign: int) -> list[OutputToken]:
            return [OutputToken(texts[t], rounded(float(found.strengths[t])) or 0.0) for t in found.named(sign, MOST)]

        raises, lowers = named(1), named(-1)
        why = "" if raises or lowers else "no token stands out more than for random directions"
        return OutputTokens(unit.short, raises, lowers, rounded(found.chance), why)
