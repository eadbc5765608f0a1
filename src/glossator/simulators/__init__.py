"""Simulators: predict activations from an explanation, without seeing the true ones.

A new simulator is one class with `simulate`; register it under `simulators` (see `glossator.registry`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from glossator.explanations import Explanation
from glossator.inputs import Grid, Inputs

ACTIVATION = "activation"  # the unit's own units of measure
ZERO_TO_TEN = "0..10"  # the integers that language models are asked for (Bills et al. 2023)


@dataclass(frozen=True, eq=False)
class Distribution:
    """The simulator's belief about each place: values and probabilities, both (n, places, k), these summing to 1."""

    values: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Simulation:
    """Predicted activations of one explanation on some inputs.

    expected (n, places) float, only valid places mean anything; scale: `activation` or `0..10`; distribution where
    the simulator has one; uncalibrated: the simulation before calibration, None when this one is not calibrated;
    missing: reason -> how many valid places have no prediction (an answer that could not be read): they are NaN in
    expected and in the distribution, and never 0.
    """

    expected: np.ndarray
    scale: str
    distribution: Distribution | None = None
    uncalibrated: Simulation | None = None
    missing: Mapping[str, int] = field(default_factory=dict)


class Simulator(Protocol):
    """Predicts activations from an explanation and inputs. Derive from this class to inherit the other methods."""

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Predict every valid place of a grid, None for the tokens of windows; raises `MissingPower` when it cannot
        read this explanation, or inputs of this kind."""
        ...

    def executes(self, explanation: Explanation) -> bool:
        """Whether simulating this explanation costs next to nothing, so that whole splits may be simulated."""
        return False

    def how(self, explanation: Explanation) -> dict[str, Any]:
        """What a score should say of its simulation, besides the explanation."""
        return {}
