"""Windows that were simulated: an explanation and its baselines are scored on these alone, and the rest counted.

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
from glossator.inputs import Grid, Inputs, token_windows
from glossator.simulators import Simulation, Simulator
from glossator.study.reading import Reader

LEAST_READ = 0.5


@dataclass(eq=False)
class Readings(Simulator):
    """A simulator for one unit: what the study's reader said, asked once for each explanation and set of windows."""

    reader: Reader
    unread: dict[str, Any] = field(default_factory=dict)
    _kept: dict[tuple[int, int, Grid | None], tuple[Simulation, Any]] = field(default_factory=dict, repr=False)

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Raises `MissingPower` when nobody can read this explanation, or a token of these windows got no value."""
        found = self._asked(explanation, inputs, grid)
        read = _read_rows(found, inputs.valid_at(grid or token_windows(inputs).grid))
        if not read.all():
            raise MissingPower(_why(int(read.sum()), len(read), found.missing))
        return found

    def executes(self, explanation: Explanation) -> bool:
        """Whether the language model reads this explanation."""
        return self.reader.executes(explanation)

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
        explanations = [e for e in explanations if not self.executes(e)]
        for split in splits if explanations else ():
            exemplars = evidence.split(split)
            if needed is not None and len(rows := needed(evidence, split)) < len(exemplars):
                exemplars = exemplars.take(rows)
                fewer: dict[str, Any] = {split: exemplars}
                evidence = replace(evidence, **fewer)
            told = [(e, self._asked(e, exemplars.inputs, exemplars.grid)) for e in explanations]
            masks = [(e, found, _read_rows(found, exemplars.valid)) for e, found in told]
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
                self._keep(explanation, kept.inputs, kept.grid, shown)
            changed: dict[str, Any] = {split: kept}
            evidence = replace(evidence, **changed)
        return evidence

    def _asked(self, explanation: Explanation, inputs: Inputs, grid: Grid | None) -> Simulation:
        key = id(explanation), id(inputs), grid
        if key not in self._kept:
            try:
                found = self.reader.simulate(explanation, inputs, grid)
            except MissingPower as error:
                valid = inputs.valid_at(grid or token_windows(inputs).grid)
                nothing = np.full(valid.shape, np.nan)
                found = Simulation(nothing, "nothing", missing={str(error): int(valid.sum())})
            self._keep(explanation, inputs, grid, found)
        return self._kept[key][0]

    def _keep(self, explanation: Explanation, inputs: Inputs, grid: Grid | None, found: Simulation) -> None:
        # what the numbers stand for is held, so that none is used again
        self._kept[id(explanation), id(inputs), grid] = found, (explanation, inputs)


def _read_rows(found: Simulation, valid: np.ndarray) -> np.ndarray:
    """(n,) bool: inputs all of whose valid places have a value."""
    return np.asarray((np.isfinite(found.expected) | ~valid).all(axis=1))


def _why(read: int, windows: int, missing: Any) -> str:
    reasons = "; ".join(f"{reason} ({count} tokens)" for reason, count in sorted(missing.items()))
    return f"the simulator read {read} of {windows} windows: {reasons or 'some tokens have no value'}"
