"""Scorers: one question about an explanation per file.

To add one, write a class with `needs` and `score` (see `correlation.py`, the shortest) and register it under `scorers`.
A scorer asks the `Lab` for a trial (`lab.trial`) and computes its number from true and predicted activations, as a
function of document weights; intervals, baselines and reasons are added for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.scores import Column, Score
from glossator.units import Unit

if TYPE_CHECKING:
    import numpy as np

    from glossator.scorers.lab import Lab, Trial

DEFAULT_SCORERS = ("correlation", "explained-variance", "detection", "firing", "peak", "headline")
"""Observational ones that cost nothing but a simulation: what a study and the library score with unless told."""
TOKEN_VALUES = "token-values"  # the power of a unit to give one value a token; all that recorded evidence needs
LANGUAGE_MODEL = "lm"  # these three are resources, which a scorer finds in its lab (`lab.lm`)
SUBJECT = "subject"
EMBEDDER = "embedder"


@dataclass(frozen=True, eq=False)
class WindowsRun:
    """trial, places: these of its test windows; how: what is done in them."""

    trial: Trial
    places: np.ndarray
    how: str


class Scorer(Protocol):
    """Scores one explanation of one unit. Derive from this class to inherit the defaults of its attributes.

    name: the registered name; needs: the powers that it asks of the unit, and the resources of the lab; column: of the
    card; simulated: whether it scores a simulation of the explanation, None if it does unless it needs more than
    recorded values; measures_outputs: whether it measures effects on next-token outputs, which not every subject has.
    """

    name: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES})
    column: ClassVar[Column] = "observational"
    simulated: ClassVar[bool | None] = None
    measures_outputs: ClassVar[bool] = False

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        """All scores of this scorer, each with interval, n and baselines, or None with a reason."""
        ...

    def windows_run(self, evidence: Evidence, lab: Lab) -> WindowsRun | None:
        """Of an intervention the recorded windows in which the model is intervened on; None where these are others."""
        return None


def simulates(scorer: Scorer) -> bool:
    """Whether it scores the simulation of an explanation: observational scorers that ask neither a language model nor
    the subject do, others where they say so."""
    return scorer.needs == {TOKEN_VALUES} if scorer.simulated is None else scorer.simulated
