"""A score: a value with its interval, or a missing value with its reason; never a number that stands for an error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Score:
    """One measurement of one explanation.

    name: e.g. `correlation.top-and-random`; column: observational (does it predict?) or causal (does acting do what
    it says?); value with low and high (two-sided 95 % bootstrap over documents unless `how` says otherwise), None
    with a `reason` when undefined; n: number of independent items behind it (documents unless `how` says otherwise);
    measure: the unit of measure ("Pearson r", "AUROC", "fraction"); nulls: the same score for the null explanations
    (`lookup`, `other-unit`, ...); how: settings that make the number reproducible.
    """

    name: str
    value: float | None
    measure: str
    low: float | None = None
    high: float | None = None
    n: int = 0
    column: Literal["observational", "causal"] = "observational"
    nulls: dict[str, float | None] = field(default_factory=dict)
    reason: str | None = None
    how: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"score {self.name}: a missing value needs a reason, a present one must have none")
