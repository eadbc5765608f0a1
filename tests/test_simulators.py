"""The program simulator, and calibration against the numbers of the reference implementation of Bills et al."""

from __future__ import annotations

import numpy as np
import pytest

from glossator.errors import MissingPower, UserError
from glossator.explanations import Explanation, Provenance
from glossator.scorers.explained_variance import absolute_of, uncentred_of
from glossator.simulators import ACTIVATION, ZERO_TO_TEN, Distribution, Simulation
from glossator.simulators.calibration import CALIBRATIONS, Uncalibrated, calibrate, fit_calibration
from glossator.simulators.program import ProgramSimulator
from glossator.statistics import pearson
from scorer_cases import LEXICON, UNIT, TokenWorld, table_of, windows_of

TRUE = np.array([0, 1, 3, 0.5, 0.1])
SIMULATED = np.array([0.0, 2, 8, 3, 0])


def test_the_program_simulator_executes_the_program():
    windows = windows_of(np.array([[1, 2, 3], [3, 3, 9]]), lengths=np.array([3, 2]))
    simulation = ProgramSimulator(LEXICON).simulate(table_of({2: 1.5, 3: 4.0}, default=0.25), windows)
    assert simulation.expected.tolist() == [[0.25, 1.5, 4.0], [4.0, 4.0, 0.0]]
    assert simulation.scale == ACTIVATION and simulation.uncalibrated is None


def test_the_rule_behind_a_unit_is_simulated_exactly():
    world = TokenWorld(noise=0.0)
    drawn = world.draw(5, 20)
    simulation = ProgramSimulator(LEXICON).simulate(world.truth(), drawn.windows)
    np.testing.assert_allclose(simulation.expected, drawn.activations, rtol=1e-6)


def test_an_explanation_without_a_program_cannot_be_executed():
    with pytest.raises(MissingPower, match="no program"):
        ProgramSimulator(LEXICON).simulate(
            Explanation(UNIT, "words", Provenance("by-hand")), windows_of(np.ones((1, 3)))
        )


@pytest.mark.parametrize(
    ("name", "mapped", "scores"),
    [
        ("uncalibrated", [0, 1, 5, 10], (0.9629916451602939, -2.14424951, -0.86956522)),
        ("linear", [-0.015278, 0.344444, 1.783333, 3.581944], (0.96299165, 0.95731806, 0.75483092)),
        ("percentile-matching", [0.1, 0.3, 1.8, 3.0], (0.95734412, 0.95029240, 0.76086957)),
    ],
)
def test_calibrations_give_the_reference_numbers(name, mapped, scores):
    fitted = fit_calibration(name, SIMULATED, TRUE)
    np.testing.assert_allclose(fitted.apply(np.array([0.0, 1, 5, 10])), mapped, atol=5e-7)
    predicted, one_document = fitted.apply(SIMULATED), (np.zeros(5, int), 1)
    found = [f(TRUE, predicted, *one_document).value for f in (pearson, uncentred_of, absolute_of)]
    np.testing.assert_allclose(found, scores, atol=6e-9)


def test_linear_calibration_is_least_squares():
    rng = np.random.default_rng(0)
    simulated, true = rng.normal(size=100), rng.normal(size=100)
    fitted = fit_calibration("linear", simulated, true)
    slope, intercept = np.polyfit(simulated, true, 1)
    assert (fitted.slope, fitted.intercept) == pytest.approx((slope, intercept), abs=1e-12)


def test_a_constant_simulation_is_mapped_to_the_mean():
    fitted = fit_calibration("linear", np.full(5, 0.1), TRUE)
    assert fitted.apply(np.array([0.1, 7.0])) == pytest.approx([TRUE.mean()] * 2)


def test_percentile_matching_is_monotone_and_flat_outside():
    fitted = fit_calibration("percentile-matching", SIMULATED, TRUE)
    mapped = fitted.apply(np.linspace(-5, 20, 100))
    assert (np.diff(mapped) >= 0).all() and mapped[0] == 0 and mapped[-1] == 3


def test_calibration_maps_the_distribution_and_keeps_the_original():
    values = np.array([[[0.0, 10.0]]])
    simulation = Simulation(
        np.array([[2.5]], np.float32), ZERO_TO_TEN, Distribution(values, np.array([[[0.75, 0.25]]]))
    )
    fitted = fit_calibration("linear", SIMULATED, TRUE)
    calibrated = calibrate(simulation, fitted)
    assert calibrated.scale == ACTIVATION and calibrated.uncalibrated is simulation
    np.testing.assert_allclose(calibrated.distribution.values, fitted.apply(values))
    np.testing.assert_allclose(calibrated.distribution.probabilities, simulation.distribution.probabilities)
    mean = (calibrated.distribution.values * calibrated.distribution.probabilities).sum()
    assert calibrated.expected[0, 0] == pytest.approx(mean)  # a line maps the mean to the mean
    assert simulation.distribution.values is values and values.tolist() == [[[0.0, 10.0]]]
    assert calibrate(simulation, Uncalibrated()) is simulation


def test_bad_calibrations_are_refused():
    with pytest.raises(UserError, match="linear"):
        fit_calibration("liner", SIMULATED, TRUE)
    for name in CALIBRATIONS[1:]:
        with pytest.raises(UserError, match="no tokens"):
            fit_calibration(name, np.zeros(0), np.zeros(0))
