"""Which windows a costly simulator is put to: those that scores are computed from, and no others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glossator.errors import MissingPower
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


def test_what_a_lab_keeps_is_known_by_its_content() -> None:
    """An equal explanation on equal windows is not simulated again; other words, or other windows under the same ids,
    are."""
    world, costly = TokenWorld(), Costly()
    test = world.draw(3, 9)
    lab = Lab(LEXICON, costly)
    first = lab.simulate(world.truth(), test)
    again = replace(test, kinds=test.kinds.copy(), activations=test.activations.copy())
    assert lab.simulate(replace(world.truth()), again) is first
    assert len(costly.seen) == 1
    lab.simulate(replace(world.truth(), text="other words"), test)
    lab.simulate(world.truth(0.5), test)
    assert len(costly.seen) == 3
    tokens = test.windows.tokens[::-1].copy()
    other = replace(test, inputs=replace(test.windows, tokens=tokens))
    np.testing.assert_array_equal(other.inputs.ids, test.inputs.ids)
    np.testing.assert_array_equal(
        lab.simulate(world.truth(), other).expected,
        ProgramSimulator(LEXICON).simulate(world.truth(), other.windows).expected,
    )
    assert other.fingerprint != test.fingerprint
    assert evidence_of(test, test, test).fingerprint == evidence_of(again, again, again).fingerprint
    assert evidence_of(test, test, test).fingerprint != evidence_of(test, test, other).fingerprint


class Unreliable(Simulator):
    """Gives no value to the windows of these documents, and cannot read "unreadable" at all."""

    def __init__(self, unread: set[int]):
        self.unread, self.asked = unread, 0

    def simulate(self, explanation: Explanation, windows: TokenWindows, grid=None) -> Simulation:
        self.asked += 1
        if explanation.text == "unreadable":
            raise MissingPower("it cannot be read")
        expected = np.array(ProgramSimulator(LEXICON).simulate(explanation, windows).expected)
        lost = np.isin(windows.documents, [*self.unread])
        expected[lost] = np.nan
        return Simulation(expected, "activation", missing={"refused": int(windows.valid[lost].sum())})

    def how(self, explanation: Explanation) -> dict:
        return {"read_by": "nobody"}


def test_windows_that_were_not_read_are_left_out_for_all() -> None:
    world = TokenWorld()
    test = world.draw(8, 12)
    lost = set(test.windows.documents[:3].tolist())
    simulator = Unreliable(lost)
    lab = Lab(LEXICON, simulator)
    evidence = evidence_of(world.draw(4, 4), world.draw(4, 4), test)
    readable = lab.readable([world.truth(), world.truth(0.5)], evidence, ["test"])
    assert set(readable.test.windows.documents.tolist()) == set(test.windows.documents.tolist()) - lost
    asked = simulator.asked
    assert np.isfinite(lab.simulate(world.truth(), readable.test).expected).all()
    assert simulator.asked == asked  # what was read is not read again
    assert lab.how(world.truth())["unread"]["test"]["windows"] == len(test) - len(readable.test)


def test_an_explanation_that_is_hardly_read_takes_nothing_from_the_others() -> None:
    world = TokenWorld()
    test = world.draw(8, 12)
    lab = Lab(LEXICON, Unreliable(set(test.windows.documents[3:].tolist())))
    evidence = evidence_of(world.draw(4, 4), world.draw(4, 4), test)
    readable = lab.readable([world.truth()], evidence, ["test"])
    assert len(readable.test) == len(test)
    with pytest.raises(MissingPower, match=r"read \d of \d+ windows: refused"):
        lab.simulate(world.truth(), readable.test)
    unreadable = replace(world.truth(), text="unreadable")
    lab.readable([unreadable], evidence, ["test"])
    with pytest.raises(MissingPower, match="it cannot be read"):
        lab.simulate(unreadable, test)
