"""The ledger of hypotheses: registered with their predictions before data, tested on pairs, judged at the end.

A pair is an input that has what the hypothesis names and a matched one that has not. It goes as predicted if the first
exceeds both the unit's level (`levels`, by its own responses to ordinary inputs) and the second; for a suppressing
hypothesis, if the first is below and the second above the level; for a weakening one, if the second is above the level
and the first has less than `WEAKENED` of its height above silence. The null hypothesis is that at most half of the
pairs do. E-values stay valid however the policy decides to go on or to stop (`statistics.sequential`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glossator.agents.answers import Direction, Finding, Verdict
from glossator.statistics.sequential import rate_above, rate_below, rejected

ALPHA = 0.05
SILENT, RARE, STRONGEST = 0.05, 0.99, 0.999
WEAKENED, ACTIVE = 0.75, 1 / 3


@dataclass
class Entry:
    id: str
    statement: str
    direction: Direction
    program: str | None
    control: bool
    values: list[tuple[float, float]]

    @property
    def says(self) -> tuple[str, Direction, str | None, bool]:
        """What makes it another hypothesis; capitals and blanks do not."""
        return " ".join(self.statement.casefold().split()), self.direction, self.program, self.control

    def evidence(self, level: float, silent: float) -> tuple[int, int, float, float]:
        """Successes, trials, and the e-values for and against."""
        good, count = sum(success(pair, level, silent, self.direction) for pair in self.values), len(self.values)
        return good, count, rate_above(good, count), rate_below(good, count)

    @property
    def effect(self) -> float | None:
        return float(np.mean([a - b for a, b in self.values])) if self.values else None


def success(pair: Sequence[float], level: float, silent: float, direction: Direction) -> bool:
    """Whether a pair (with, without) went as predicted."""
    with_it, without = pair
    if direction == "weakens":
        return without >= level and with_it - silent < WEAKENED * (without - silent)
    if direction == "suppresses":
        return with_it < level <= without
    return with_it >= level and with_it > without


def levels(reference: np.ndarray) -> tuple[float, float]:
    """From responses to ordinary inputs: what the unit does where it is silent, and from where on it counts as active.

    That is what one in a hundred ordinary inputs reaches, or `ACTIVE` of the way from silence to the strongest for a
    unit that is active more often; it is above silence in any case.
    """
    silent, rare, strongest = np.quantile(reference, (SILENT, RARE, STRONGEST))
    level = float(min(rare, silent + ACTIVE * (strongest - silent)))
    return float(silent), level if level > reference.min() else float(np.nextafter(level, np.inf))


class Ledger:
    """All hypotheses of one experiment. silent, level: what the unit does where it is silent, and from where on it
    counts as active."""

    def __init__(self, reference: np.ndarray):
        self.silent, self.level = levels(reference)
        self.entries: dict[str, Entry] = {}

    def known(self, statement: str, direction: Direction, program: str | None, control: bool) -> str | None:
        """The hypothesis that says the same: whoever registers it again goes on with its evidence."""
        same = Entry("", statement, direction, program, control, []).says
        return next((name for name, one in self.entries.items() if one.says == same), None)

    def add(self, statement: str, direction: Direction, program: str | None, control: bool) -> str:
        name = f"h{len(self.entries) + 1}"
        self.entries[name] = Entry(name, statement, direction, program, control, [])
        return name

    def evidence(self, name: str) -> tuple[int, int, float, float]:
        return self.entries[name].evidence(self.level, self.silent)

    def settled(self, name: str) -> bool:
        """Whether the evidence suffices, whatever comes of the other hypotheses so far."""
        _, _, above, below = self.evidence(name)
        return above >= len(self._claims()) / ALPHA or below >= 1 / ALPHA

    def _claims(self) -> list[str]:
        return [name for name, entry in self.entries.items() if not entry.control]

    def findings(self) -> tuple[Finding, ...]:
        """Verdicts on all hypotheses together, at a false-discovery rate of `ALPHA` for confirmed ones."""
        tests = {name: self.evidence(name) for name in self.entries}
        claims = self._claims()
        passed = rejected([tests[name][2] for name in claims], ALPHA)
        confirmed = {name for name, is_so in zip(claims, passed, strict=True) if is_so}
        # A control is no claim: that it does not fail counts against the experiment, without a correction.
        confirmed |= {name for name, entry in self.entries.items() if entry.control and tests[name][2] >= 1 / ALPHA}
        found = []
        for name, (good, count, above, below) in tests.items():
            verdict: Verdict = "inconclusive" if count else "untested"
            if name in confirmed:
                verdict = "confirmed"
            elif below >= 1 / ALPHA:
                verdict = "refuted"
            entry = self.entries[name]
            effect = None if entry.effect is None else float(f"{entry.effect:.6g}")
            found.append(
                Finding(name, entry.statement, entry.direction, verdict, entry.program, entry.control, effect, good,
                        count, float(f"{above:.6g}"), float(f"{below:.6g}"))
            )  # fmt: skip
        return tuple(found)
