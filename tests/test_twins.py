"""A unit times a power of two has the explanations and scores of its twin, however large its activations are.

Numbers of programs are rounded to three decimal digits, so that predictions of twins may differ in the fourth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from glossator.errors import MissingPower
from glossator.evidence import Evidence
from glossator.explainers import explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.explainers.token_list import TokenListExplainer
from glossator.explanations import Explanation, Provenance
from glossator.programs import Clause, Program, Token
from glossator.scorers.lab import Lab, score_explanation
from glossator.scores import Score
from glossator.simulators import ACTIVATION, Simulation, Simulator
from inducer_cases import LEXICON, UNIT, WORDS, evidence_of, is_in, windows_of

SCORERS = ("correlation", "explained-variance", "detection", "firing")
POWERS = (-40, -21, -7, 1, 16, 40)


def evidence(power: int) -> Evidence:
    """A unit that fires on words of several strengths, noisily and rarely, times two to this power."""
    parts = {}
    for seed, split in enumerate(("explain", "calibrate", "select", "test")):
        windows = windows_of(seed + 1, 300)
        rng = np.random.default_rng(seed)
        levels = sum(is_in(windows, *WORDS[i : i + 7]) * level for i, level in ((0, 3.0), (60, 1.1), (150, 0.4)))
        values = levels * rng.gamma(4.0, 0.3, windows.tokens.shape) + 0.1 * rng.normal(size=windows.tokens.shape)
        parts[split] = evidence_of((values * 2.0**power).astype(np.float32), windows)
    explain = parts["explain"]
    threshold = 0.5 * 2.0**power
    statistics = replace(explain.statistics, firing_threshold=threshold, input_threshold=threshold)
    rest = {split: parts[split].exemplars for split in ("calibrate", "select", "test")}
    return Evidence(
        UNIT, replace(explain, statistics=statistics), **rest, statistics=statistics, status="ok", reason=""
    )


def explained(power: int) -> tuple[list[Explanation], list[list[Score]]]:
    found = evidence(power)
    lookup = explain_one(LookupExplainer(), found.explain)
    lab = Lab(LEXICON, baselines={"lookup": lookup[0]})
    explanations = [
        *explain_one(ProgramExplainer(lexicon=LEXICON), found.explain),
        *explain_one(TokenListExplainer(n=8, lexicon=LEXICON), found.explain),
        *lookup,
    ]
    return explanations, [score_explanation(UNIT, e, found, lab, SCORERS) for e in explanations]


@pytest.fixture(scope="module")
def plain() -> tuple[list[Explanation], list[list[Score]]]:
    return explained(0)


@pytest.mark.parametrize("power", POWERS)
def test_twins_have_the_same_explanations_and_scores(plain, power):
    explanations, scores = explained(power)
    assert [e.text for e in explanations] == [e.text for e in plain[0]]
    tests = [re.sub(r"-?\d+(\.\d+)?(e-?\d+)?\*", "*", str(e.program)) for e in explanations[:-1]]
    assert len(tests) >= 2 and all("token" in test or "word" in test or "like" in test for test in tests)
    for e, twin in zip(explanations[:-1], plain[0][:-1], strict=True):
        assert [c.test for c in e.program.clauses] == [c.test for c in twin.program.clauses]
        strengths = [c.strength for c in e.program.clauses]
        assert strengths == pytest.approx([c.strength * 2.0**power for c in twin.program.clauses], rel=0.02)
    for mine, theirs in zip(scores, plain[1], strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert a.name == b.name and a.reason == b.reason
            assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high), abs=2e-3), a.name
            assert a.baselines == pytest.approx(b.baselines, abs=2e-3), a.name


@dataclass
class Infinite(Simulator):
    """Says that some tokens are infinitely active."""

    value: float

    def simulate(self, explanation, windows, grid=None):
        expected = np.zeros(windows.tokens.shape)
        expected[:, ::7] = self.value
        return Simulation(expected, ACTIVATION)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e200])
def test_infinite_predictions_are_a_missing_score(value):
    found = evidence(0)
    explanation = Explanation(UNIT, "x", Provenance("x"), Program(0.0, (Clause(1.0, Token((WORDS[0],))),)))
    scores = score_explanation(UNIT, explanation, found, Lab(LEXICON, Infinite(value)), SCORERS)
    assert scores
    assert {score.value for score in scores} == {None}
    assert all("no finite value" in score.reason for score in scores)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_activations_that_are_no_numbers_are_a_missing_score(value):
    found = evidence(0)
    activations = found.test.activations.copy()
    activations[3, 4] = value
    broken = replace(found, test=replace(found.test, activations=activations))
    explanation = explain_one(LookupExplainer(), found.explain)[0]
    for score in score_explanation(UNIT, explanation, broken, Lab(LEXICON), SCORERS):
        assert score.value is None and score.reason == "the unit's activations are not finite", score.name


def test_what_cannot_be_read_is_still_said():
    words = Explanation(UNIT, "x", Provenance("x"))
    with pytest.raises(MissingPower, match="no program"):
        Lab(LEXICON).simulate(words, evidence(0).test)
