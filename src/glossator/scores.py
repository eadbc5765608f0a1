"""A score: a value with its interval, or a missing value with its reason; a number never stands for an error."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Column = Literal["observational", "causal"]

RANGES = {
    **dict.fromkeys(("Pearson r", "mean Pearson r", "fraction of activation"), (-1.0, 1.0)),
    **dict.fromkeys(("AUROC", "AUPRC", "F1", "f1", "IoU", "precision", "recall"), (0.0, 1.0)),
    **dict.fromkeys(("balanced accuracy", "balanced-accuracy", "accuracy", "fraction of windows"), (0.0, 1.0)),
    "share of other units that fit less well": (0.0, 1.0),
    "fraction": (-math.inf, 1.0),  # of what there is to explain or to preserve; an explanation may make it worse
}
"""The least and greatest value that a measure can have."""


def range_of(measure: str) -> tuple[float, float]:
    """The least and greatest value that a score of this measure can have; infinite where there is none."""
    return RANGES.get(measure, (-math.inf, math.inf))


def quoted(text: str, most: int = 80) -> str:
    """The text on one line in quotes, of at most so many characters."""
    line = " ".join(text.split())
    return f"“{line if len(line) <= most else line[: most - 1] + '…'}”"


@dataclass(frozen=True)
class Margin:
    """A score minus one of its baselines. low, high: interval of the difference on the same documents; p: two-sided, of
    there being no difference (see `glossator.statistics.comparing`); q: the false-discovery rate at which it is called
    above, over all units of a study (see `glossator.store.ranking`), None outside one."""

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None


@dataclass(frozen=True)
class Score:
    """One measurement of one explanation.

    name: e.g. `correlation.top-and-random`; column: observational (does it predict?) or causal (does acting do what
    it says?); value with low and high (two-sided 95 % over documents unless `how` says otherwise; None
    where there is no interval, with the reason in `how`), None
    with a `reason` when undefined; n: number of independent items behind it (documents unless `how` says otherwise);
    measure: the unit of measure ("Pearson r", "AUROC", "fraction"); baselines: the same score for the baselines
    (`lookup`, `mismatched`, ...); margins: the value minus each baseline, for those baselines that could be resampled
    with it; how: settings that make the number reproducible, and under `shown` some of the texts behind it and what
    became of each.
    """

    name: str
    value: float | None
    measure: str
    low: float | None = None
    high: float | None = None
    n: int = 0
    column: Column = "observational"
    baselines: dict[str, float | None] = field(default_factory=dict)
    reason: str | None = None
    how: dict[str, Any] = field(default_factory=dict)
    margins: dict[str, Margin] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"score {self.name}: a missing value needs a reason, a present one must have none")
