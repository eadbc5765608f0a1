"""Calibration: mapping the simulator's scale to the unit's, fitted on the calibrate split, never on scored text.

Two maps of Bills et al. 2023 (section "Calibration"): a least-squares line, which leaves the size of a correlation as
it is, and percentile matching, which gives predictions the distribution of the true activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.simulators import ACTIVATION, Distribution, Simulation


class Calibration(Protocol):
    """A fitted map of simulated values, of any shape, to activations."""

    @property
    def name(self) -> str: ...

    def apply(self, values: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Uncalibrated:
    """Leaves every value as it is."""

    name: str = "uncalibrated"

    def apply(self, values: np.ndarray) -> np.ndarray:
        return values


@dataclass(frozen=True)
class Linear:
    """value * slope + intercept."""

    slope: float
    intercept: float
    name: str = "linear"

    def apply(self, values: np.ndarray) -> np.ndarray:
        return values * self.slope + self.intercept


@dataclass(frozen=True, eq=False)
class PercentileMatching:
    """The true activation at the same rank: interpolated between sorted pairs, flat outside their range.

    simulated, true: both (n,), sorted. Where simulated values are equal, the last of the equal block is taken.
    """

    simulated: np.ndarray
    true: np.ndarray
    name: str = "percentile-matching"

    def apply(self, values: np.ndarray) -> np.ndarray:
        return np.interp(values, self.simulated, self.true)


CALIBRATIONS = ("uncalibrated", "linear", "percentile-matching")


def fit_calibration(name: str, simulated: np.ndarray, true: np.ndarray) -> Calibration:
    """Fit the named map on pairs of values (n,), all tokens of all calibrate windows together.

    `linear` maps a constant simulation to the mean truth. Raises `UserError` on an unknown name and on no pairs.
    """
    if name not in CALIBRATIONS:
        raise UserError("unknown calibration", value=name, allowed=near_matches(name, CALIBRATIONS))
    if name == "uncalibrated":
        return Uncalibrated()
    if not len(simulated):
        raise UserError("no tokens to fit a calibration on", fix="Draw windows for the calibrate split")
    simulated, true = np.asarray(simulated, np.float64), np.asarray(true, np.float64)
    if name == "percentile-matching":
        return PercentileMatching(np.sort(simulated), np.sort(true))
    centred = simulated - simulated.mean()
    spread = centred @ centred
    slope = float(centred @ (true - true.mean()) / spread) if simulated.min() < simulated.max() else 0.0
    return Linear(slope, float(true.mean() - slope * simulated.mean()))


def calibrate(simulation: Simulation, calibration: Calibration) -> Simulation:
    """The simulation in activation units; values of its distribution are mapped too, the original is kept inside."""
    if isinstance(calibration, Uncalibrated):
        return simulation
    distribution = simulation.distribution
    if distribution is not None:
        distribution = Distribution(calibration.apply(distribution.values), distribution.probabilities)
    expected = calibration.apply(simulation.expected.astype(np.float64))
    return Simulation(expected, ACTIVATION, distribution, uncalibrated=simulation, missing=simulation.missing)
