"""Headlines scored as themselves: by hand, beside the same numbers of baselines, and without a named class."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from glossator.explanations import UNNAMEABLE, Headline, Mode, Peaks
from glossator.programs import Clause, Program, Token, bits
from glossator.scorers.lab import Lab, score_explanation
from scorer_cases import LEXICON, UNIT, TokenWorld, evidence_of, exemplars_of, explanation_of, windows_of

LAB = Lab(LEXICON)


def of_tokens(*ids):
    return Headline("some words", Program(0.0, (Clause(1.0, Token(tuple(f" w{i}" for i in ids))),)))


def scored(explanation, evidence, lab=LAB):
    return {s.name: s for s in score_explanation(UNIT, explanation, evidence, lab, ["headline", "firing", "peak"])}


def test_headline_and_modes_by_hand():
    tokens = np.array([[1, 2, 3, 4], [2, 5, 6, 7]])
    test = exemplars_of(windows_of(tokens), [[3, 1, 0, 0], [2, 0, 2, 0]], "random")
    one, two = of_tokens(2), of_tokens(1, 4)
    modes = (Mode(one, 0.4, 2.0), Mode(two, 0.3, 3.0))
    explanation = dataclasses.replace(explanation_of(), headline=one, modes=modes)
    found = scored(explanation, evidence_of(test, test, test))
    expected = {  # four tokens fire; the first names two of them, both rightly; all modes name four, three rightly
        "headline.f1": 2 * 2 / (2 + 4), "headline.iou": 2 / 4, "headline.share": 3 / 8 - 2 / 8,
        "headline.auprc": 2 / 4 * 1 + 2 / 4 * 4 / 8,
        "modes.f1": 2 * 3 / (4 + 4), "modes.iou": 3 / 5, "modes.share": 6 / 8 - 4 / 8,
        # tokens 1 and 4 come first, with strength 3, then token 2 twice, then the rest
        "modes.auprc": (1 / 2 + 2 * 3 / 4 + 4 / 8) / 4,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[f"{name}.random-only"].value == pytest.approx(value), name
    assert found["headline.f1.random-only"].n == 2


def test_one_mode_is_the_headline_and_baselines_have_the_numbers_of_their_own_scores():
    world = TokenWorld()
    named = of_tokens(*np.flatnonzero(world.strengths).tolist())
    lab = LAB.for_unit({"rule": world.truth()})
    found = scored(dataclasses.replace(world.truth(), headline=named), world.evidence(), lab)
    assert found["headline.f1.random-only"].value > 0.9 and found["headline.share.random-only"].value > 0.7
    for measure in ("auprc", "f1", "iou"):
        for setting in ("random-only", "top-and-random"):
            ours = found[f"headline.{measure}.{setting}"]
            assert ours.value == found[f"modes.{measure}.{setting}"].value
            assert ours.baselines["rule"] == found[f"firing.{measure}.{setting}"].value
            assert ours.low <= ours.value <= ours.high and ours.margins["rule"].value <= 0.0
    assert found["headline.peak-hit"].baselines["rule"] == found["peak.hit"].value > found["headline.peak-hit"].value


def test_without_a_name_there_is_a_reason_and_without_a_headline_nothing():
    world = TokenWorld()
    nameless = dataclasses.replace(world.truth(), headline=Headline(UNNAMEABLE, Program(0.0)))
    found = {
        name: s for name, s in scored(nameless, world.evidence()).items() if name.startswith(("headline", "modes"))
    }
    assert found and all(score.value is None and score.reason == UNNAMEABLE for score in found.values())
    assert not any(name.startswith("headline") for name in scored(world.truth(), world.evidence()))


def test_the_explanation_is_never_asked_for_its_headline_s_numbers():
    """What a language model would read in the explanation plays no part: the class is executed."""
    world = TokenWorld()
    named = of_tokens(*np.flatnonzero(world.strengths).tolist())
    explanation = dataclasses.replace(explanation_of(), text="unreadable", program=None, headline=named)
    scores = score_explanation(UNIT, explanation, world.evidence(), LAB, ["headline"])
    assert {s.name: s.value for s in scores}["headline.f1.random-only"] > 0.9


def test_peaks_are_graded_and_priced():
    """Of several tokens of the class in a window the class cannot tell which is strongest; the grades can."""
    world = TokenWorld()
    best = np.argsort(-world.strengths)[:8].tolist()
    named, graded = of_tokens(*best), world.truth().program
    explanation = dataclasses.replace(world.truth(), headline=named, peaks=Peaks(("w1",), graded))
    found = scored(explanation, world.evidence())
    assert found["peaks.hit"].value == found["peak.hit"].value > found["modes.peak-hit"].value
    assert found["peaks.share"].value == found["peak.share"].value
    assert found["peaks.hit"].how["bits"] == pytest.approx(bits(graded, LEXICON), abs=0.1)
    assert "peaks.hit" not in scored(dataclasses.replace(explanation, peaks=None), world.evidence())
