"""What an experiment may use, and what it has used: every limit is hard."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields

from glossator.errors import UserError

UNITS = {"calls": "calls of tools", "money": "dollars"}


class Spent(Exception):
    """A limit is reached: nothing more is asked of the unit, and the answer is what the ledger holds."""


@dataclass(frozen=True)
class Budget:
    """Limits. inputs: texts or images on which the unit is run, exemplars and reference included; rounds: of a policy
    that writes code; calls: of tools; seconds: of wall time; tokens, money: of language models; memory: bytes of the
    sandbox."""

    inputs: int = 300
    rounds: int = 12
    calls: int = 400
    seconds: float = 600.0
    tokens: int = 400_000
    money: float = 2.0
    memory: int = 64 << 20

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
                raise UserError(f"not a limit on {limit.name}", value=value, allowed="a number above 0")


@dataclass
class Meter:
    """Counts against a budget. Time is not written into transcripts, so that they replay byte for byte."""

    budget: Budget
    inputs: int = 0
    rounds: int = 0
    calls: int = 0
    tokens: int = 0
    money: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int:
        """How many more inputs the unit can be run on."""
        return max(0, self.budget.inputs - self.inputs)

    def spend(self, **amounts: float) -> None:
        """Count before use; raises `Spent` where a limit would be passed."""
        for name, amount in amounts.items():
            if getattr(self, name) + amount > getattr(self.budget, name):
                raise Spent(f"the limit of {getattr(self.budget, name):g} {UNITS.get(name, name)} is reached")
        if time.monotonic() - self.started > self.budget.seconds:
            raise Spent(f"the limit of {self.budget.seconds:g} seconds is reached")
        for name, amount in amounts.items():
            setattr(self, name, getattr(self, name) + amount)

    def as_dict(self) -> dict[str, float]:
        return {name: value for name, value in asdict(self).items() if name not in ("budget", "started")}
