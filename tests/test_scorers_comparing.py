"""Specificity, other units on the same windows, and embedding: what compares without asking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glossator.explainers import explain_one
from glossator.explainers.lookup import LookupExplainer
from glossator.programs import Lexicon, Program, execute, parse_program
from glossator.recording import draw, record, recording_spec
from glossator.scorers.embedding import EmbeddingScorer
from glossator.scorers.lab import Lab, score_explanation
from glossator.scorers.other_units import RecordedOthers
from glossator.scorers.specificity import SpecificityScorer
from glossator.units import Unit
from recording_fakes import FakeSubject, fake_windows
from scorer_cases import LEXICON, TokenWorld, table_of
from scorer_reader_cases import explanation, lab_of, place_of, toy_world


def specificity(said, unit="make", **lab):
    world, place = toy_world(), place_of(unit)
    (score,) = score_explanation(
        world.unit(place), said, world.evidence(place), replace(lab_of(), **lab), [SpecificityScorer()]
    )
    return score


def by_hand(said, unit="make"):
    """Share of the other units whose plain correlation with the prediction is lower, ties half."""
    world, place = toy_world(), place_of(unit)
    test = world.evidence(place).test.of("random")
    rows = np.isin(world.windows["test"].ids, test.windows.ids)
    valid = world.windows["test"].valid[rows]
    predicted = execute(said.program, world.windows["test"].take(rows), world.lexicon)[valid]
    r = [np.corrcoef(values[rows][valid], predicted)[0, 1] for values in world.activations["test"]]
    rest = np.delete(r, place)
    return float((rest < r[place]).mean() + (rest == r[place]).mean() / 2)


@pytest.mark.parametrize("level", ["true", "partial", "vague", "wrong"])
@pytest.mark.parametrize("unit", ["make", "of-the", "past-graded"])
def test_specificity_is_the_rank_among_other_units(level, unit):
    said = explanation(level, unit)
    score = specificity(said, unit)
    assert score.value == pytest.approx(by_hand(said, unit))
    assert score.low <= score.value <= score.high
    assert score.how["others"] == len(toy_world().units) - 1


def test_the_truth_ranks_first_and_below_it_what_fits_many_units():
    values = {level: specificity(explanation(level)).value for level in ("true", "vague", "wrong")}
    assert values["true"] == 1.0 > values["vague"] > 0.2
    assert values["wrong"] < 0.8


def test_a_constant_prediction_ranks_at_chance_exactly():
    score = specificity(replace(explanation("true"), program=Program(2.0)))
    assert (score.value, score.low, score.high) == (0.5, 0.5, 0.5)


def test_a_statement_about_all_text_ranks_at_chance_on_average():
    """“Words” fits no unit in particular: over the library its rank is near the middle."""
    said = parse_program("0 + 1*shape(letters)")
    world = toy_world()
    ranks = [specificity(replace(explanation("true"), program=said), unit.name).value for unit in world.units]
    assert abs(float(np.mean(ranks)) - 0.5) < 0.15


def test_without_other_units_the_score_is_missing_and_says_why():
    score = specificity(explanation("true"), others=None)
    assert score.value is None and "other units" in score.reason
    world = TokenWorld()
    alone = Lab(LEXICON, others=toy_world().others)
    (score,) = score_explanation(Unit("x", "y", 1), world.truth(), world.evidence(), alone, [SpecificityScorer()])
    assert score.value is None and score.reason == "no other unit of this site and polarity was recorded"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    subject, windowed = FakeSubject(), fake_windows(600)
    spec = recording_spec(subject, windowed, ("mlp.0", "relu.0"), top_k=100, panel_windows=200)
    return record(spec, subject, windowed, tmp_path_factory.mktemp("others") / "r", progress=False)


@pytest.mark.parametrize("polarity", ["+", "-"])
@pytest.mark.parametrize("site", ["mlp.0", "relu.0"])
def test_recorded_others_are_read_on_the_very_windows(recording, site, polarity):
    unit = Unit("fake", site, 6, polarity)
    windows = draw(recording, unit).test.windows
    found = RecordedOthers(recording)(unit, windows, 10, 0)
    assert len(found.units) == 10 and unit not in found.units
    assert {(u.site, u.polarity) for u in found.units} == {(site, polarity)}
    rows = windows.ids[found.known] - 1000
    for other, values in zip(found.units, found.activations, strict=True):
        np.testing.assert_array_equal(values, recording.values(other, rows))
    again = RecordedOthers(recording)(unit, windows, 10, 0)
    assert again.units == found.units
    in_panel = np.isin(windows.ids - 1000, recording.panel)
    assert (found.known == (in_panel if site == "mlp.0" else True)).all()
    assert in_panel.any()


def test_specificity_on_a_recording(recording):
    """An explanation that copies the unit's own values is specific; that of another unit ranks as it must."""
    unit = Unit("fake", "mlp.0", 6)
    evidence = draw(recording, unit)
    own = explain_one(LookupExplainer(), evidence.explain)[0]
    other = explain_one(LookupExplainer(), draw(recording, Unit("fake", "mlp.0", 7)).explain)[0]
    lab = Lab(
        Lexicon(recording.vocabulary, None),
        baselines={"mismatched": other},
        others=RecordedOthers(recording),
    )
    (score,) = score_explanation(unit, own, evidence, lab, [SpecificityScorer()])
    assert score.value == 1.0 and score.how["others"] == 23
    assert score.baselines["mismatched"] < 1.0


class Bags:
    """Embeds a text as its counts of a few words."""

    name, fingerprint, width = "bags", "b" * 16, 4

    def __init__(self, *words):
        self.words = words
        self.embedded = []

    def embed(self, texts):
        self.embedded += texts
        counts = np.array([[text.count(word) for word in self.words] for text in texts], np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def embedding(said, embedder, **lab):
    world, place = toy_world(), place_of("make")
    found = score_explanation(
        world.unit(place), said, world.evidence(place), lab_of(embedder=embedder, **lab), [EmbeddingScorer(items=40)]
    )
    return found[0]


def test_embedding_ranks_windows_by_their_likeness_to_the_explanation():
    near, far = Bags("mak", "the"), Bags("xyz", "the")
    said = replace(explanation("true"), text="mak")
    score = embedding(said, near, baselines={"mismatched": explanation("wrong"), "lookup": replace(said, text="the")})
    assert score.value > 0.9 > score.baselines["lookup"] and score.n > 20
    assert score.baselines["mismatched"] == 0.5  # no word of it is known: all cosines are 0
    assert score.how["embedder"] == "bags"
    assert embedding(replace(said, text="xyz"), far).value == 0.5


def test_embedding_without_text_or_embedder_is_missing():
    assert embedding(replace(explanation("true"), text=" "), Bags("a")).reason == "the explanation has no text to read"
    assert "embedder" in embedding(explanation("true"), None).reason


def test_a_table_is_scored_by_the_same_lab():
    world = TokenWorld()
    (score,) = score_explanation(
        Unit("x", "y", 1), table_of({1: 2.0}), world.evidence(), Lab(LEXICON), [SpecificityScorer()]
    )
    assert score.value is None and "not at hand" in score.reason
