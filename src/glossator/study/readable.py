"""Windows that the simulator could read: an explanation and its nulls are scored on these alone, and the rest counted.

A language model may fail on a window (a refusal, a list of the wrong length). That window is missing, not zero; where
fewer than half of the windows of a split were read, the explanation has no score but a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.simulators import Simulation
from glossator.study.reading import Reader
from glossator.windows import TokenWindows

LEAST_READ = 0.5


@dataclass(eq=False)
class Readings:
    """A simulator for one unit: what the study's reader said, asked once for each explanation and set of windows."""

    reader: Reader
    unread: dict[str, Any] = field(default_factory=dict)
    _kept: dict[tuple[int, int], tuple[Simulation, Any]] = field(default_factory=dict, repr=False)

    def simulate(self, explanation: Explanation, windows: TokenWindows) -> Simulation:
        """Raises `MissingPower` when nobody can read this explanation, or a token of these windows got no value."""
        found = self._asked(explanation, windows)
        read = _read_rows(found, windows)
        if not read.all():
            raise MissingPower(_why(int(read.sum()), len(read), found.missing))
        return found

    def reads(self, explanation: Explanation) -> bool:
        """Whether the language model reads this explanation."""
        return self.reader.reads(explanation)

    def how(self, explanation: Explanation) -> dict[str, Any]:
        how = self.reader.how(explanation)
        return {**how, "unread": self.unread} if how and self.unread else how

    def readable(
        self,
        explanations: Sequence[Explanation],
        evidence: Evidence,
        splits: Sequence[Split],
        needed: Callable[[Evidence, Split], np.ndarray] | None = None,
    ) -> Evidence:
        """The evidence with those windows of these splits that were read for every explanation.

        needed: row numbers of the windows that are wanted at all, such as `Lab.rows_scored`; the others are not read.
        One that is read in fewer than half of a split's windows takes no part in this, and has no score later on.
        """
        explanations = [e for e in explanations if self.reads(e)]
        for split in splits if explanations else ():
            exemplars = evidence.split(split)
            if needed is not None and len(rows := needed(evidence, split)) < len(exemplars):
                exemplars = exemplars.take(rows)
                fewer: dict[str, Any] = {split: exemplars}
                evidence = replace(evidence, **fewer)
            told = [(e, self._asked(e, exemplars.windows)) for e in explanations]
            masks = [(e, found, _read_rows(found, exemplars.windows)) for e, found in told]
            enough = [entry for entry in masks if entry[2].mean() >= LEAST_READ] if len(exemplars) else []
            keep = np.all([rows for *_, rows in enough], axis=0) if enough else np.ones(len(exemplars), bool)
            if keep.all():
                continue
            kept = exemplars.take(np.flatnonzero(keep))
            self.unread[split] = {
                "windows": int((~keep).sum()),
                "of": len(keep),
                "tokens": dict(sum((Counter(found.missing) for _, found, _ in enough), Counter())),
            }
            for explanation, found, _ in masks:
                shown = Simulation(found.expected[keep], found.scale, missing=found.missing)
                self._keep(explanation, kept.windows, shown)
            changed: dict[str, Any] = {split: kept}
            evidence = replace(evidence, **changed)
        return evidence

    def _asked(self, explanation: Explanation, windows: TokenWindows) -> Simulation:
        key = id(explanation), id(windows)
        if key not in self._kept:
            try:
                found = self.reader.simulate(explanation, windows)
            except MissingPower as error:
                nothing = np.full(windows.tokens.shape, np.nan)
                found = Simulation(nothing, "nothing", missing={str(error): int(windows.valid.sum())})
            self._keep(explanation, windows, found)
        return self._kept[key][0]

    def _keep(self, explanation: Explanation, windows: TokenWindows, found: Simulation) -> None:
        self._kept[id(explanation), id(windows)] = found, (explanation, windows)  # held, so that no id is used again


def _read_rows(found: Simulation, windows: TokenWindows) -> np.ndarray:
    """(n,) bool: windows all of whose valid tokens have a value."""
    return np.asarray((np.isfinite(found.expected) | ~windows.valid).all(axis=1))


def _why(read: int, windows: int, missing: Any) -> str:
    reasons = "; ".join(f"{reason} ({count} tokens)" for reason, count in sorted(missing.items()))
    return f"the simulator read {read} of {windows} windows: {reasons or 'some tokens have no value'}"
