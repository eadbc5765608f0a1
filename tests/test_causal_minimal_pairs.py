"""Minimal pairs, interchange on a model whose mechanism is planted, and the score that controls it."""

from __future__ import annotations

import numpy as np
import pytest

from causal_output_cases import CAUSAL, DECOY, DORMANT, RANDOM, SITE, evidence, lab, planted, unit
from glossator.causal import Units, Whole
from glossator.causal.interchange import Interchanged, interchange
from glossator.causal.minimal_pairs import CONCEPTS, Concept, minimal_pairs
from glossator.causal.steering import random_units
from glossator.errors import UserError
from glossator.explanations import Explanation, Provenance
from glossator.programs import parse_program
from glossator.scorers.interchange import InterchangeScorer
from glossator.scorers.lab import Lab, score_explanation
from glossator.scorers.output_side import OutputSideScorer
from glossator.statistics import estimate
from recording_fakes import NoModel

PAIRS = minimal_pairs(planted(), "number")
SCORER = InterchangeScorer(pairs=40, controls=4)


@pytest.mark.parametrize("name", sorted(CONCEPTS))
def test_pairs_differ_in_the_concept_alone(name):
    pairs, texts = minimal_pairs(planted(), name), planted().tokenizer.vocabulary.texts
    assert len(pairs) > 20
    answers = {answer for group in CONCEPTS[name].groups for answer in group.values()}
    words = {word for group in CONCEPTS[name].groups for both in group for word in both.split()}
    for row in range(len(pairs)):
        length = pairs.base.lengths[row]
        assert length == pairs.source.lengths[row]
        one, other = pairs.base.tokens[row, :length], pairs.source.tokens[row, :length]
        changed = np.flatnonzero(one != other)
        assert 0 < len(changed) <= 2
        assert {texts[t].strip() for t in [*one[changed], *other[changed]]} <= words
        assert pairs.where[row].tolist() == [changed[0] <= i < length for i in range(pairs.base.width)]
        both = texts[pairs.base_answers[row]], texts[pairs.source_answers[row]]
        assert set(both) <= answers and both[0] != both[1]


def test_every_pair_stands_both_ways_round_and_templates_share_a_document():
    sentences = {(PAIRS.base.text(i), PAIRS.source.text(i)) for i in range(len(PAIRS))}
    assert len(sentences) == len(PAIRS) and {(b, a) for a, b in sentences} == sentences
    assert len(np.unique(PAIRS.base.documents)) == len(CONCEPTS["number"].groups)


@pytest.mark.parametrize("name", ["capital", "colour"])
def test_word_pairs_of_a_group_share_no_word(name):
    """Else the bootstrap over word pairs would take answers to the same word for independent ones."""
    pairs, (group,) = minimal_pairs(planted(), name), CONCEPTS[name].groups
    word_pairs = []
    for document in np.unique(pairs.base.documents):
        text = pairs.base.text(int(np.flatnonzero(pairs.base.documents == document)[0]))
        other = pairs.source.text(int(np.flatnonzero(pairs.base.documents == document)[0]))
        word_pairs.append([word for word in group if word in text.split() or word in other.split()])
    words = [word for pair in word_pairs for word in pair]
    assert len(word_pairs) >= 3 and len(words) == 2 * len(word_pairs) == len(set(words))


def test_a_draw_is_seeded_and_keeps_the_order():
    some, again, other = (minimal_pairs(planted(), "number", 8, seed) for seed in (1, 1, 2))
    assert len(some) == 8 and (some.base.tokens == again.base.tokens).all()
    assert (some.base.tokens != other.base.tokens).any()


@pytest.mark.parametrize(
    ("concept", "says"),
    [
        ("numbers", "did you mean number"),
        (Concept("empty", ("No place",), ({"a": " b", "c": " d"},)), "no placeholder for the word"),
        (Concept("long", ("The {} is",), ({"dog": " a very long answer", "cat": " no"},)), "fits the tokenizer"),
    ],
)
def test_bad_concepts_say_what_is_wrong(concept, says):
    with pytest.raises(UserError, match=says):
        minimal_pairs(planted(), concept)


def test_the_causal_neuron_carries_the_number_and_no_other_does():
    found = dict(
        zip(
            ["causal", "decoy", "dormant", "random", "site"],
            interchange(planted(), PAIRS, SITE, [*map(Units, (CAUSAL, DECOY, DORMANT, RANDOM)), Whole()]),
            strict=True,
        )
    )
    assert found["causal"].known.all()
    for name, effect, accuracy in (("causal", 1, 1), ("decoy", 0, 0), ("dormant", 0, 0), ("random", 0, 0)):
        assert found[name].effect().value == pytest.approx(effect, abs=0.1)
        assert found[name].accuracy().value == accuracy
    assert found["site"].effect().value == pytest.approx(1.0, abs=1e-2), "nothing after it reads the sentence again"
    (whole,) = interchange(planted(), PAIRS, "resid.1", [Whole()])
    assert whole.patched == pytest.approx(whole.source, abs=1e-4), "all of the stream carries all of it"
    value = estimate(found["causal"].effect())
    assert value.n == len(CONCEPTS["number"].groups) and value.low is not None and value.low > 0.9


def test_only_pairs_that_the_model_knows_count():
    unknown = minimal_pairs(planted(), "colour")
    (found,) = interchange(planted(), unknown, SITE, [Units(CAUSAL)])
    assert not found.known.all()
    # Known on both sides; wrong on the base; wrong on the source; known, with an answer that changes sides.
    base, source, patched = (np.array(x) for x in ([-2.0, 1.0, -2.0, -1.0], [2.0, 3.0, -1.0, 3.0], [-1.0, 3, -1, 1.0]))
    by_hand = Interchanged(PAIRS.take(np.arange(4)), base, source, patched)
    assert by_hand.known.tolist() == [True, False, False, True]
    assert by_hand.effect().value == pytest.approx((1 + 2) / (4 + 4))
    assert by_hand.accuracy().value == 0.5
    none = Interchanged(PAIRS.take(np.arange(4)), -source, -np.abs(base), patched)
    assert none.effect().value is None and "rightly" in (none.effect().reason or "")


# The score.


def says(program: str | None, of: int = CAUSAL, text: str = "by hand") -> Explanation:
    return Explanation(unit(of), text, Provenance("by-hand"), None if program is None else parse_program(program))


PLURALS = "0 + 2*token({})".format(
    ", ".join(f'" {word}"' for group in CONCEPTS["number"].groups for word in group if group[word] == " are")
)


def scores(explanation: Explanation, scorer: InterchangeScorer = SCORER):
    found = score_explanation(explanation.unit, explanation, evidence(explanation.unit), lab(), [scorer])
    return {score.name: score for score in found}


def test_the_score_finds_the_concept_and_beats_its_controls():
    effect, accuracy = (scores(says(PLURALS))[f"interchange.{m}"] for m in ("effect", "accuracy"))
    assert effect.how["concept"] == "number" and effect.how["told_apart"]["number"] == 1.0
    shown = effect.how["shown"]
    assert len(shown) == 6 and all(one.startswith("“") and "” given “" in one for one in shown)
    assert all(one.endswith(": changed") for one in shown if not one.endswith("rightly"))
    assert effect.column == "causal" and effect.value == pytest.approx(1.0, abs=0.1) and accuracy.value == 1.0
    assert abs(effect.baselines["random-unit"]) < 0.05 and abs(effect.baselines["random-direction"]) < 0.5
    assert effect.how["controls_below"] == "8 of 8" and effect.how["whole_site"] == pytest.approx(1.0, abs=1e-2)
    assert effect.margins["random-unit"].low > 0.5
    assert scores(says(PLURALS, DECOY))["interchange.effect"].value == 0.0


@pytest.mark.parametrize(
    ("scorer", "settings", "says_what"),
    [
        (InterchangeScorer, {"pairs": 0}, "bad pairs of interchange: 0"),
        (InterchangeScorer, {"controls": 0}, "bad controls of interchange: 0"),
        (OutputSideScorer, {"controls": 0}, "bad controls of output-side: 0"),
        (OutputSideScorer, {"like": 0}, "bad like of output-side: 0"),
        (OutputSideScorer, {"nats": -0.1}, "steering divergence must be above 0: -0.1"),
    ],
)
def test_bad_settings_are_refused_at_once(scorer, settings, says_what):
    """Without controls there would be a value and nothing beside it."""
    with pytest.raises(UserError, match=says_what):
        scorer(**settings)


def test_a_concept_can_be_named_and_an_explanation_of_none_has_no_score():
    named = InterchangeScorer(concept="number", pairs=20, controls=2)
    assert scores(says('0 + token(" snow")'), named)["interchange.accuracy"].value == 1.0
    nothing = scores(says('0 + token(",")'))["interchange.effect"]
    assert nothing.value is None and "hardly any minimal pair" in (nothing.reason or "")
    words = score_explanation(unit(0), says(None, text="plurals"), evidence(unit(0)), lab(), [SCORER])
    assert [s.value for s in words] == [None, None] and "Name a simulator, or the concept" in (words[0].reason or "")
    with pytest.raises(UserError, match="unknown concept"):
        InterchangeScorer(concept="weather")


@pytest.mark.parametrize(("of", "carries", "pushes"), [(CAUSAL, 1.0, 1.0), (DECOY, 0.0, 0.5), (DORMANT, 0.0, 1.0)])
def test_the_card_tells_causal_decoy_and_dormant_apart(of, carries, pushes):
    """One explanation of both sides for all three: the decoy does nothing, the dormant neuron would but does not."""
    both = says(PLURALS + '; raises token(" are"); lowers token(" is")', of)
    card = score_explanation(unit(of), both, evidence(unit(of)), lab(), [SCORER, OutputSideScorer(controls=2, like=20)])
    found = {score.name: score for score in card}
    assert found["interchange.effect"].value == pytest.approx(carries, abs=0.1)
    assert found["interchange.accuracy"].value == carries
    assert found["output-side.auroc"].value == pushes
    assert {score.column for score in card} == {"causal"} and all(score.baselines for score in card)


def test_controls_are_run_once_for_a_site_and_change_no_score(monkeypatch):
    from glossator.causal import interchange as module

    runs, really = [], module.interchange
    monkeypatch.setattr(module, "interchange", lambda *given: runs.append(len(given[3])) or really(*given))
    shared = InterchangeScorer(concept="number", pairs=20, controls=2)
    together = [scores(says(PLURALS, of), shared) for of in (CAUSAL, RANDOM, CAUSAL)]
    assert runs == [1 + 3 + 2, 1, 1], "the whole site, random units and directions; then one unit at a time"
    assert together[1] == scores(says(PLURALS, RANDOM), InterchangeScorer(concept="number", pairs=20, controls=2))
    assert together[0] == together[2]
    for of, found in zip((CAUSAL, RANDOM), together, strict=False):
        drawn = [i for i in random_units(planted(), SITE, 3, seed=0) if i != of][:2]
        alone = [one.effect().value for one in really(planted(), minimal_pairs(planted(), "number", 20, 0), SITE,
                                                      [Units(i) for i in drawn])]  # fmt: skip
        assert found["interchange.effect"].baselines["random-unit"] == pytest.approx(np.mean(alone))


def test_a_control_is_never_the_unit_itself():
    """Whichever unit is asked for, of a site whose units are all drawn."""
    scorer = InterchangeScorer(concept="number", pairs=8, controls=15)
    effect = scores(says(PLURALS, CAUSAL), scorer)["interchange.effect"]
    assert effect.value == pytest.approx(1.0, abs=0.1)
    assert abs(effect.baselines["random-unit"]) < 0.05, "none of the others carries the number"
    assert scores(says(PLURALS, DECOY), scorer)["interchange.effect"].baselines["random-unit"] > 0.06


@pytest.mark.parametrize("scorer", [SCORER, OutputSideScorer()], ids=lambda s: s.name)
def test_a_black_box_has_every_score_with_the_same_reason(scorer):
    black_box = Lab(lab().lexicon, open_subject=NoModel)
    given = says('0 + token(" dogs"); raises token(" are")'), evidence(unit(CAUSAL)), black_box
    found = scorer.score(unit(CAUSAL), *given)
    assert {s.name for s in found} == {s.name for s in scorer.score(unit(CAUSAL), *given[:2], lab())}
    assert all(s.value is None and "not a model with sites" in (s.reason or "") for s in found)
