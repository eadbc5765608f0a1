"""Which windows a costly simulator is put to: those that scores are computed from, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glossator.explanations import Explanation
from glossator.inputs.tokens import TokenWindows
from glossator.scorers.lab import DEFAULT_SCORERS, MOST_TO_FIT, Lab, score_explanation
from glossator.scorers.sample import SETTINGS
from glossator.simulators import Simulation, Simulator
from glossator.simulators.program import ProgramSimulator
from glossator.study.stages import rows_ranked_on
from scorer_cases import LEXICON, UNIT, TokenWorld, evidence_of


class Costly(Simulator):
    """Says what the executor says, and keeps the numbers of the windows that it was put to."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def simulate(self, explanation: Explanation, windows: TokenWindows, grid=None) -> Simulation:
        self.seen.append(windows.documents.tolist())
        return ProgramSimulator(LEXICON).simulate(explanation, windows)


def scored(world: TokenWorld, evidence, simulator):
    null = world.truth(0.5)
    lab = Lab(LEXICON, simulator).for_unit({"half": replace(null, text="half")})
    return [
        (s.name, s.value, s.low, s.high, dict(s.baselines), s.how)
        for s in score_explanation(UNIT, world.truth(), evidence, lab, DEFAULT_SCORERS)
    ]


@pytest.mark.parametrize(("top", "random"), [(30, 10), (10, 30), (12, 12)])
def test_only_windows_that_count_are_simulated(top: int, random: int) -> None:
    world = TokenWorld()
    evidence = evidence_of(world.draw(4, 30), world.draw(20, 900, 1000), world.draw(top, random, 3000))
    costly = Costly()
    assert scored(world, evidence, costly) == scored(world, evidence, None)
    test, calibrate = ([rows for rows in costly.seen if (rows[0] >= 3000) == of_test] for of_test in (True, False))
    assert [len(rows) for rows in test] == [min(top, random) + random] * 2  # the explanation, and the null
    assert len({len(rows) for rows in calibrate}) == 1 and len(calibrate) == 2
    assert MOST_TO_FIT < len(calibrate[0]) <= MOST_TO_FIT + 2 * 20 < len(evidence.calibrate)


def test_candidates_are_ranked_on_no_more_than_the_mixed_sample() -> None:
    world, lab = TokenWorld(), Lab(LEXICON)
    select = world.draw(5, 40, 1000)
    evidence = evidence_of(world.draw(4, 30), world.draw(5, 5), world.draw(5, 5), select=select)
    rows = rows_ranked_on(lab, evidence)
    np.testing.assert_array_equal(rows, np.sort(lab.trial(evidence, "top-and-random", "select").test.rows))
    assert len(rows) == 10 < len(lab.rows_scored(evidence, "select")) == 45
    no_top = replace(evidence, select=select.of("random"))
    assert len(rows_ranked_on(lab, no_top)) == len(lab.trial(no_top, SETTINGS[1], "select").test)
