"""Pushes matched in divergence, what they do to every token, and the score that sets them beside random ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causal_output_cases import CAUSAL, DECOY, RANDOM, SITE, evidence, lab, planted, unit, windows_of
from glossator.causal import Add, Direction, Edit, Units, run
from glossator.causal.running import CleanRun
from glossator.causal.steering import (
    Push,
    first_windows,
    match_divergence,
    random_directions,
    random_units,
    shift,
    unit_push,
)
from glossator.errors import MissingPower, UserError
from glossator.explainers import explain_one
from glossator.explanations import Explanation, Provenance
from glossator.programs import parse_program
from glossator.scorers.lab import Lab, score_explanation
from glossator.scorers.output_side import OutputSideScorer
from glossator.units import Unit
from recording_fakes import NoModel

WINDOWS = windows_of(6, 9)
CLEAN = CleanRun(planted(), WINDOWS, [SITE, "resid.1"])
SCORER = OutputSideScorer(controls=4, like=20)


def log_probs_under(edits):
    found = [batch.log_probs for batch in run(planted(), WINDOWS, edits)]
    return np.concatenate([x.numpy() for x in found])


def by_hand(push: Push, strength: float) -> float:
    """Mean KL(steered || clean) over the valid tokens, written out."""
    clean, steered = log_probs_under(()), log_probs_under([push.edit(strength, WINDOWS.valid)])
    return float((np.exp(steered) * (steered - clean)).sum(-1)[WINDOWS.valid].mean())


@pytest.mark.parametrize("target", [0.01, 0.1])
def test_pushes_of_every_kind_are_matched_in_divergence(target):
    pushes = [unit_push(unit(CAUSAL)), unit_push(unit(CAUSAL, "-")), unit_push(unit(RANDOM))]
    pushes += random_directions(planted(), SITE, 2, seed=3)
    found = match_divergence(CLEAN, pushes, target, tolerance=0.02)
    for push, matched in zip(pushes, found, strict=True):
        assert matched.why_not is None and matched.tries <= 10
        assert by_hand(push, matched.strength) == pytest.approx(target, rel=0.02)
        assert by_hand(push, matched.strength) == pytest.approx(matched.kl, rel=1e-3)
    assert found[0].strength == pytest.approx(found[1].strength, rel=0.5), "both ways move the same two tokens"


def test_a_start_far_off_changes_nothing_but_the_number_of_tries():
    push = unit_push(unit(CAUSAL))
    strengths = [match_divergence(CLEAN, [push], 0.05, start=s, tolerance=0.01)[0].strength for s in (1e-3, 1, 1e4)]
    assert np.ptp(strengths) / strengths[0] < 0.02


def test_a_kept_clean_run_gives_what_whole_passes_give():
    edits = [Edit("mlp.0", Units((3, 4)), Add(2.0), WINDOWS.valid), Edit(SITE, Units(RANDOM), Add(-1.0))]
    for number in (1, 2):
        some = CleanRun(planted(), WINDOWS, [edit.site for edit in edits[-number:]], batch_tokens=20)
        found = np.concatenate([log_probs.numpy() for _, _, log_probs in some.under(edits[-number:])])
        assert found == pytest.approx(log_probs_under(edits[-number:]), abs=1e-5)
    elsewhere = np.concatenate([x.numpy() for _, _, x in CLEAN.under(edits[:1])])
    assert elsewhere == pytest.approx(log_probs_under(edits[:1]), abs=1e-5), "a site that it was not made for"
    assert np.concatenate([x.numpy() for _, x in CLEAN.clean()]) == pytest.approx(log_probs_under(()), abs=1e-5)


def test_what_moves_nothing_and_what_cannot_be_reached_say_so():
    nothing, beyond = (
        match_divergence(CLEAN, [unit_push(unit(index))], target)[0]
        for index, target in ((DECOY, 0.1), (CAUSAL, 1000.0))
    )
    assert nothing.moves_nothing and "changes the outputs" in (nothing.why_not or "")
    assert not beyond.moves_nothing and "1000 nats" in (beyond.why_not or "")
    with pytest.raises(UserError, match="above 0"):
        match_divergence(CLEAN, [unit_push(unit(CAUSAL))], 0.0)


def test_shifts_are_differences_of_log_probabilities_by_document():
    push = unit_push(unit(CAUSAL))
    edits = [[push.edit(2.0, WINDOWS.valid)], [push.reversed.edit(2.0, WINDOWS.valid)]]
    found = shift(CLEAN, edits)
    clean = log_probs_under(())
    for number, sign in enumerate((1, -1)):
        change = log_probs_under([Edit(SITE, Units(CAUSAL), Add(2.0 * sign), WINDOWS.valid)]) - clean
        for place, document in enumerate(np.unique(WINDOWS.documents)):
            of_document = (WINDOWS.documents == document)[:, None] & WINDOWS.valid
            assert found.sums[number, place] == pytest.approx(change[of_document].sum(0), abs=1e-4)
            assert found.counts[place] == of_document.sum()
    assert found.clean == pytest.approx(clean[WINDOWS.valid].mean(0), abs=1e-5)
    pooled = shift(CLEAN, edits, by_document=False)
    assert pooled.sums[:, 0] == pytest.approx(found.sums.sum(1), abs=1e-3)
    assert pooled.kl == pytest.approx(found.kl)


def test_tokens_that_only_the_tokenizer_knows_have_no_say():
    """A tokenizer may have more tokens than the model has outputs, such as an added one for padding."""
    from causal_cases import as_subject, tiny_windows
    from glossator.causal.output_effects import by_clamping, standardised
    from glossator.explainers.output_side import OutputWeightsExplainer
    from tiny_models import tiny_model

    whole, short = (as_subject(tiny_model("llama", size), "tiny") for size in (320, 310))
    for table in (short.model.model.embed_tokens, short.model.lm_head):
        assert len(table.weight) == 310 < len(short.tokenizer.vocabulary)
    assert short.embedding().shape == whole.embedding().shape and not short.embedding()[310:].any()
    windows, of = tiny_windows(short), Unit("tiny", "mlp.0", 3)
    moved = shift(CleanRun(short, windows, ["mlp.0"]), [[unit_push(of).edit(5.0, windows.valid)]])
    assert np.isnan(moved.clean[310:]).all() and np.isfinite(moved.clean[:310]).all()
    assert not moved.sums[..., 310:].any() and moved.sums[..., :310].any()
    found = standardised(by_clamping(short, of, windows, 5.0, 0.0)[:, None], short.tokenizer.vocabulary)
    assert np.isnan(found[310:]).all() and np.nanstd(found) == pytest.approx(1)
    (standing,) = OutputWeightsExplainer(short).standings([replace(evidence(unit(0)).explain, unit=of)])
    assert len(standing.strengths) == 320


def test_controls_are_the_same_for_all_units_of_a_site():
    units = random_units(planted(), SITE, 5, seed=1)
    assert list(units) == list(random_units(planted(), SITE, 5, seed=1)) and len(set(units)) == 5
    directions = random_directions(planted(), SITE, 3, seed=1)
    assert {push.site for push in directions} == {"resid.1"}
    assert all(isinstance(push.part, Direction) for push in directions)
    assert {push.site for push in random_directions(planted(), "resid.0", 2, seed=1)} == {"resid.0"}


def test_windows_are_cut_and_taken_by_their_number():
    shuffled = WINDOWS.take(np.array([4, 0, 5, 2]))
    some = first_windows(shuffled, 3, 4)
    assert some.ids.tolist() == WINDOWS.ids[[0, 2, 4]].tolist() and some.tokens.shape == (3, 4)
    assert (some.lengths == 4).all() and some.valid.all()


def test_bad_input_says_what_is_wrong(tiny_subject):
    with pytest.raises(UserError, match="no valid tokens"):
        CleanRun(planted(), replace(WINDOWS, valid=np.zeros_like(WINDOWS.valid)), [])
    with pytest.raises(MissingPower, match="needs the readout"):
        unit_push(replace(unit(0), site=f"mine@{SITE}"))
    with pytest.raises(MissingPower, match="not a model with sites"):
        CleanRun(NoModel(), WINDOWS, [])


# The score.


def says(program: str, of: int = CAUSAL, polarity: str = "+") -> Explanation:
    return Explanation(unit(of, polarity), "by hand", Provenance("by-hand"), parse_program(program))


TRUE, SWAPPED = '0; raises token(" are"); lowers token(" is")', '0; raises token(" is"); lowers token(" are")'
OTHER = (
    '0; raises token(" more", " yes", " France", " Italy", " queen", " garden"); '
    'lowers token(" only", " king", " Japan", " bread", " train", " village")'
)


def scores(explanation: Explanation, **baselines):
    return {
        s.name: s
        for s in score_explanation(
            explanation.unit, explanation, evidence(explanation.unit), lab(**baselines), [SCORER]
        )
    }


def test_a_true_output_side_beats_random_units_and_directions():
    found = scores(says(TRUE), other=says(OTHER), lookup=says('0 + token(" are")'))
    auroc, gain = found["output-side.auroc"], found["output-side.gain"]
    assert auroc.column == "causal" and auroc.value == 1.0 and auroc.n == 6
    assert gain.value is not None and gain.low is not None and gain.low > 0.3
    assert gain.how["nats_reached"]["up"] == pytest.approx(0.1, rel=0.05)
    assert gain.how["nats_reached"]["down"] == pytest.approx(0.1, rel=0.05)
    assert gain.how["controls_below"] == "8 of 8" and gain.how["greatest_control"] < gain.low
    assert auroc.baselines["random-unit"] < 0.9 and auroc.baselines["random-direction"] < 0.9
    assert abs(auroc.baselines["other"] - 0.5) < 0.3, "tokens that the unit does not write"
    assert auroc.baselines["lookup"] is None, "an explanation that says nothing of the output"
    assert gain.margins["random-unit"].p is not None and gain.margins["random-unit"].p < 0.05


def test_the_strengths_reported_reach_the_divergence_up_and_down():
    how = scores(says(TRUE))["output-side.auroc"].how
    windows = first_windows(evidence(unit(CAUSAL)).test.windows, SCORER.windows, SCORER.width)
    clean, push = CleanRun(planted(), windows, [SITE]), unit_push(unit(CAUSAL))
    ways = {"up": push, "down": push.reversed}
    found = shift(clean, [[way.edit(how["strength"][name], windows.valid)] for name, way in ways.items()])
    assert found.kl == pytest.approx([how["nats_reached"][name] for name in ways], rel=1e-3)
    assert how["nats_reached"]["up"] != how["nats_reached"]["down"]


def test_a_control_is_never_the_unit_itself():
    """All sixteen neurons are drawn: causal (AUROC 1) is a control of the decoy (0.5), and the other way round."""
    every = OutputSideScorer(controls=15, like=20)
    found = [
        score_explanation(unit(of), says(TRUE, of), evidence(unit(of)), lab(), [every])[0] for of in (CAUSAL, DECOY)
    ]
    assert [score.value for score in found] == [1.0, 0.5]
    assert {score.how["controls_not_matched"] for score in found} == {0}
    of_causal, of_decoy = (score.baselines["random-unit"] for score in found)
    assert of_decoy - of_causal == pytest.approx(0.5 / 15)


def test_the_wrong_way_round_scores_the_opposite():
    true, swapped = scores(says(TRUE)), scores(says(SWAPPED))
    assert swapped["output-side.auroc"].value == 0.0
    assert swapped["output-side.gain"].value == pytest.approx(-true["output-side.gain"].value)
    other_side = scores(says(SWAPPED, polarity="-"))
    assert other_side["output-side.auroc"].value == 1.0


def test_a_decoy_that_writes_nothing_is_at_chance():
    found = scores(says(TRUE, DECOY))
    assert found["output-side.auroc"].value == 0.5 and found["output-side.gain"].value == 0.0


def test_missing_values_have_a_reason():
    reasons = {s.reason for s in scores(says('0 + token(" are")')).values()}
    assert reasons == {"the explanation does not say what the unit raises or lowers"}
    unknown = scores(says('0; raises token("never seen")'))
    assert "in the vocabulary" in (unknown["output-side.auroc"].reason or "")
    given = replace(evidence(unit(CAUSAL)), status="insufficient", reason="few")
    assert [s.reason for s in score_explanation(unit(CAUSAL), says(TRUE), given, lab(), [SCORER])] == [
        "insufficient evidence: few"
    ] * 2
    bare = Lab(lab().lexicon)
    (missing,) = score_explanation(unit(CAUSAL), says(TRUE), evidence(unit(CAUSAL)), bare, [SCORER])
    assert missing.value is None and "subject" in (missing.reason or "")


def test_a_score_does_not_depend_on_what_was_scored_before():
    fresh, used = OutputSideScorer(controls=2), OutputSideScorer(controls=2)
    score_explanation(unit(RANDOM), says(TRUE, RANDOM), evidence(unit(RANDOM)), lab(), [used])
    given = says(TRUE), evidence(unit(CAUSAL)), lab()
    one, other = (score_explanation(unit(CAUSAL), *given, [scorer]) for scorer in (fresh, used))
    assert one == other


def test_real_neurons_move_what_their_weights_say_and_random_ones_do_not(smollm2):
    """Neuron 58 of the feed-forward of layer 27 writes towards " to", as its output weights say."""
    from glossator.explainers.output_side import OutputWeightsExplainer
    from glossator.recording.texts import text_windows

    of = Unit("smollm2-135m", "mlp.27", 58)
    (found,) = explain_one(OutputWeightsExplainer(smollm2, tokens=4), replace(evidence(unit(CAUSAL)).explain, unit=of))
    assert found.program is not None and " to" in found.program.raises.texts
    windows = text_windows(smollm2, ["The old dog slept under the table.", "In June we went back home again."])
    clean = CleanRun(smollm2, windows, ["mlp.27"])
    pushes = [unit_push(of), *random_units(smollm2, "mlp.27", 3, seed=0).values()]
    matched = match_divergence(clean, pushes, 0.1)
    moved = shift(clean, [[p.edit(m.strength, windows.valid)] for p, m in zip(pushes, matched, strict=True)])
    assert moved.kl == pytest.approx(np.full(4, 0.1), rel=0.06)
    ids = smollm2.tokenizer.vocabulary.ids
    change = moved.sums[:, :, [ids[text] for text in found.program.raises.texts]].sum(1) / moved.counts.sum()
    assert change[0].min() > 1.0 > np.abs(change[1:]).max(), "nats a token"
