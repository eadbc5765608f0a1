"""The ablation score: exact at truth, mean and worse than mean; its control; what it refuses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from causal_cases import (
    CAUSAL,
    DECOY,
    DORMANT,
    SILENT,
    PlantedWorld,
    Said,
    World,
    planted_subject,
    planted_unit,
    saying,
    subject_of,
)
from glossator.causal.acting import part_of
from glossator.causal.restart import restart_of
from glossator.errors import MissingPower, UserError
from glossator.readouts import direction_set
from glossator.scorers.ablation import AblationScorer, per_token, pooled
from glossator.scorers.ablation_trial import RANDOM_UNIT, Moved, first_tokens
from glossator.scorers.correlation import CorrelationScorer
from glossator.scorers.lab import score_explanation
from glossator.scorers.other_units import GivenOthers
from glossator.statistics import estimate
from glossator.subjects import edit
from glossator.subjects.base import BaseSubject
from glossator.units import Unit

UNIT = Unit("tiny-llama", "mlp.0", 5)


@pytest.fixture(scope="module")
def world():
    return World(subject_of("llama", double=True))


def ablation(world, said, unit=UNIT, scorer=None, **options):
    """Both scores of an explanation that predicts `said` of the true activations, by name."""

    def predicted(windows):
        split = next(s for s, w in world.splits.items() if w.ids[0] == windows.ids[0])
        return said(world.values(unit, split).astype(np.float64), split)

    explanation = saying(unit, "said")
    lab = world.lab(Said(said=predicted), **options)
    scores = score_explanation(unit, explanation, world.evidence(unit), lab, [scorer or AblationScorer()])
    return {score.name: score for score in scores}


def test_the_truth_scores_one_also_on_another_scale(world):
    """Truth as float32 evidence has it; the calibration undoes any line."""
    for said in (lambda truth, _: truth, lambda truth, _: 3 - 2 * truth):
        scores = ablation(world, said)
        assert scores["ablation"].value == pytest.approx(1, abs=1e-6)
        assert scores["ablation.per-token"].value == pytest.approx(1, abs=1e-4)
    assert scores["ablation"].column == "causal"
    assert scores["ablation"].n == 12


def test_a_constant_scores_zero(world):
    scores = ablation(world, lambda truth, _: np.full_like(truth, 7.0))
    assert scores["ablation"].value == pytest.approx(0, abs=1e-9)
    assert scores["ablation.per-token"].value == pytest.approx(0, abs=1e-9)
    assert scores["ablation"].low == pytest.approx(0, abs=1e-9)


def test_worse_than_the_mean_is_below_zero(world):
    """Right on the split that calibrates, the wrong way round on the one that is scored."""
    score = ablation(world, lambda truth, split: -truth if split == "test" else truth)["ablation"]
    assert score.value < -1
    assert score.high < 0


def test_noise_lies_between_and_near_its_share_of_variance(world):
    """For a unit of small effect the divergence is nearly quadratic, so the score is nearly the variance explained."""
    rng = np.random.default_rng(0)

    def said(truth, _):
        return truth + rng.normal(0, truth.std(), truth.shape)

    assert 0.3 < ablation(world, said)["ablation"].value < 0.7


def test_it_is_what_one_gets_by_hand(world):
    """Hooks of the subject, softmax and divergence written out."""
    truth = world.values(UNIT, "test").astype(np.float64)
    score = ablation(world, lambda values, _: np.maximum(values, 0))["ablation"]
    evidence = world.evidence(UNIT)
    fit = evidence.calibrate
    y = fit.activations[fit.windows.valid].astype(np.float64)
    slope, intercept = np.polyfit(np.maximum(y, 0), y, 1)
    windows = world.splits["test"]

    def outputs(values=None):
        def put(tensor):
            changed = tensor.clone()
            inside = changed[:, 1:, UNIT.index]
            inside[torch.from_numpy(windows.valid)] = torch.as_tensor(values[windows.valid], dtype=tensor.dtype)
            return changed

        ids = torch.from_numpy(np.pad(windows.tokens, ((0, 0), (1, 0))).astype(np.int64))
        with torch.inference_mode():
            if values is None:
                return world.subject.model(ids).logits[:, 1:].softmax(-1)
            with edit(world.subject.model, UNIT.site, put):
                return world.subject.model(ids).logits[:, 1:].softmax(-1)

    def divergence(p, q):
        m = (p + q) / 2
        return ((p * (p / m).log() + q * (q / m).log()).sum(-1) / 2)[torch.from_numpy(windows.valid)].mean().item()

    clean = outputs()
    simulated = divergence(clean, outputs(slope * np.maximum(truth, 0) + intercept))
    ablated = divergence(clean, outputs(np.full(truth.shape, y.mean())))
    assert score.value == pytest.approx(1 - simulated / ablated, abs=1e-7)
    assert score.how["nats_of_mean_ablation"] == pytest.approx(ablated, rel=1e-5)
    assert score.how["mean"] == pytest.approx(y.mean())


def test_the_other_side_of_a_unit_has_the_same_score(world):
    negative = dataclasses.replace(UNIT, polarity="-")
    plus = ablation(world, lambda truth, _: np.round(truth, 1))["ablation"]
    minus = ablation(world, lambda truth, _: -np.round(-truth, 1), unit=negative)["ablation"]
    assert minus.value == pytest.approx(plus.value, abs=1e-6)
    assert 0.5 < plus.value < 1


def test_baselines_and_the_random_unit(world):
    truth, split_of = world.values, {w.ids[0]: s for s, w in world.splits.items()}
    other = Unit(UNIT.subject, UNIT.site, 20)
    lab = world.lab(
        Said(
            own=lambda w: truth(UNIT, split_of[w.ids[0]]),
            constant=lambda w: np.ones(w.tokens.shape),
        ),
        others=(UNIT, other),
        baselines={"constant": saying(UNIT, "constant")},
    )
    score = score_explanation(UNIT, saying(UNIT, "own"), world.evidence(UNIT), lab, [AblationScorer()])[0]
    assert score.baselines["constant"] == pytest.approx(0, abs=1e-9)
    assert score.how[RANDOM_UNIT] == str(other)
    assert abs(score.baselines[RANDOM_UNIT]) < 0.5
    assert score.margins["constant"].value == pytest.approx(1, abs=1e-5)
    assert score.margins["constant"].low > 0.99


def test_the_random_unit_without_a_recording_is_run(world):
    score = ablation(world, lambda truth, _: truth)["ablation"]
    name = score.how[RANDOM_UNIT]
    assert name.startswith("tiny-llama/mlp.0/")
    assert name != str(UNIT)
    assert abs(score.baselines[RANDOM_UNIT]) < 0.5


def test_what_units_and_explanations_share_is_run_once_and_changes_no_score(world, monkeypatch):
    """A unit's mean ablation serves all its explanations, and the units that it is the random unit of."""
    from glossator.causal import acting

    units = [dataclasses.replace(UNIT, index=i) for i in (5, 20)]
    splits = {w.ids[0]: s for s, w in world.splits.items()}
    says = {"first": lambda w: world.values(units[0], splits[w.ids[0]]) > 0, "second": lambda w: w.tokens % 3}
    lab = world.lab(Said(**says), others=tuple(units))
    runs, really = [], acting.divergences_in_place

    def counting(subject, windows, planned, *more):
        runs.extend(planned)
        return really(subject, windows, planned, *more)

    monkeypatch.setattr(acting, "divergences_in_place", counting)

    def scored(scorer, unit, text):
        return score_explanation(unit, saying(unit, text), world.evidence(unit), lab, [scorer])

    restart_of(world.subject)  # asks the model by passes of its own, once
    shared, passes = AblationScorer(), []
    head = world.subject.model.lm_head.register_forward_hook(lambda *_: passes.append(1))
    together = [scored(shared, unit, text) for unit in units for text in says]
    head.remove()
    assert len(passes) == len(runs) + 1, "and one clean pass"
    # The two means, and of each explanation one simulation in either unit's place.
    assert len(runs) == 2 + 2 * len(says)
    assert together == [scored(AblationScorer(), unit, text) for unit in units for text in says]
    assert len({scores[0].value for scores in together}) == 4
    other_side = dataclasses.replace(units[0], polarity="-")
    means = [acting.InPlace(units[0], 0.5), acting.InPlace(other_side, -0.5), acting.InPlace(units[0], -0.5)]
    same, flipped, not_flipped = (one.digest(world.splits["test"]) for one in means)
    assert same == flipped != not_flipped


def test_the_random_unit_is_never_the_unit_itself(world, monkeypatch):
    from glossator.scorers import ablation_trial

    monkeypatch.setattr(ablation_trial, "TRIED", 64)
    trial = AblationScorer().trial(UNIT, world.evidence(UNIT), world.lab(Said()))
    candidates = trial._others_run(world.splits["calibrate"])
    assert {unit.index for unit, _ in candidates} == set(range(64)) - {UNIT.index}
    for unit, activations in candidates[:3]:
        np.testing.assert_allclose(activations, world.values(unit, "calibrate"), rtol=1e-6)


def test_fewer_windows_and_tokens(world):
    score = ablation(world, lambda truth, _: truth, scorer=AblationScorer(windows=4, tokens=6))["ablation"]
    assert (score.n, score.how["windows"], score.how["tokens"]) == (4, {"random": 4}, 24)
    short = first_tokens(world.splits["test"], 6)
    assert short.tokens.shape == (12, 6)
    assert short.lengths.max() == 6
    with pytest.raises(UserError, match="nothing to run"):
        AblationScorer(windows=0)


def test_a_direction_as_a_unit(world):
    readouts = {
        "mine@resid.0": direction_set("mine", "resid.0", np.random.default_rng(0).normal(size=(3, 32)), np.ones(32))
    }
    unit = Unit("tiny-llama", "mine@resid.0", 1, "-")
    truth = {split: world.values(unit, split, readouts) for split in world.splits}
    split_of = {w.ids[0]: s for s, w in world.splits.items()}
    lab = world.lab(Said(own=lambda w: truth[split_of[w.ids[0]]], none=lambda w: np.zeros(w.tokens.shape)))
    evidence, scorer = world.evidence(unit, readouts), AblationScorer(readouts=readouts)
    assert score_explanation(unit, saying(unit, "own"), evidence, lab, [scorer])[0].value == pytest.approx(1, abs=1e-6)
    assert score_explanation(unit, saying(unit, "none"), evidence, lab, [scorer])[0].value == pytest.approx(0, abs=1e-9)
    missing = score_explanation(unit, saying(unit, "own"), evidence, lab, [AblationScorer()])
    assert "needs the readout" in missing[0].reason


@pytest.mark.parametrize("polarity", ["+", "-"])
def test_a_direction_alone_has_random_ones_for_its_control(world, polarity):
    vector = np.random.default_rng(2).normal(size=(1, 32))
    readouts = {"alone@resid.0": direction_set("alone", "resid.0", vector, np.ones(32))}
    unit = Unit("tiny-llama", "alone@resid.0", 0, polarity)
    truth = {split: world.values(unit, split, readouts) for split in world.splits}
    split_of = {w.ids[0]: s for s, w in world.splits.items()}
    lab = world.lab(Said(own=lambda w: truth[split_of[w.ids[0]]]))
    found = score_explanation(
        unit, saying(unit, "own"), world.evidence(unit, readouts), lab, [AblationScorer(readouts=readouts)]
    )[0]
    assert found.value == pytest.approx(1, abs=1e-6)
    assert found.how[RANDOM_UNIT].startswith("tiny-llama/random-beside-alone@resid.0/")
    assert found.how[RANDOM_UNIT].endswith("-") == (polarity == "-")
    assert abs(found.baselines[RANDOM_UNIT]) < 0.5
    assert found.margins[RANDOM_UNIT].value == pytest.approx(found.value - found.baselines[RANDOM_UNIT])


def test_units_of_one_draw_are_acted_upon_in_the_same_windows(world):
    """Whatever order their evidence has the windows in."""
    evidence = world.evidence(UNIT)
    shuffled = dataclasses.replace(evidence, test=evidence.test.take(np.random.default_rng(0).permutation(12)))
    scorer, lab = AblationScorer(windows=5), world.lab(Said())
    one, two = (scorer.trial(UNIT, e, lab) for e in (evidence, shuffled))
    np.testing.assert_array_equal(one.windows.ids, two.windows.ids)
    np.testing.assert_array_equal(one.windows.tokens, two.windows.tokens)
    assert len(one.windows) == 5


@pytest.fixture(scope="module")
def planted():
    return PlantedWorld(planted_subject(), windows=20)


def card(planted, neuron):
    unit = planted_unit(neuron)
    scorers = [CorrelationScorer(), AblationScorer()]
    lab = planted.lab(others=tuple(planted_unit(n) for n in (CAUSAL, DECOY, DORMANT, SILENT)))
    scores = score_explanation(unit, planted.marked_tokens(unit), planted.evidence(unit), lab, scorers)
    return {score.name: score for score in scores}


def test_the_card_tells_causal_decoy_and_dormant_apart(planted):
    """All three have the same explanation. The observational column cannot tell the first two apart, the causal one
    can: only one of them moves the outputs."""
    causal, decoy, dormant = (card(planted, neuron) for neuron in (CAUSAL, DECOY, DORMANT))
    for one in (causal, decoy):
        assert one["correlation.random-only"].value == pytest.approx(1, abs=1e-6)
    assert dormant["correlation.random-only"].reason == "the true activations are constant"

    assert causal["ablation"].value == pytest.approx(1, abs=1e-6)
    assert causal["ablation"].how["nats_of_mean_ablation"] > 0.01
    assert decoy["ablation"].value is None
    assert decoy["ablation"].reason.endswith("nats a token: nothing to compare with")
    assert dormant["ablation"].reason == "the unit is constant: its mean in its place changes nothing"
    assert decoy["ablation"].baselines[RANDOM_UNIT] == pytest.approx(1, abs=1e-6), (
        "in the causal neuron's place it is true"
    )


AXES = {"causal": [CAUSAL], "decoy": [DECOY], "dormant": [DECOY, DORMANT], "silent": [SILENT, 5]}
"""Directions of the feed-forward: the dormant pathway varies with the decoy, and wakes the dormant neuron when set."""


def direction_card(planted, name, polarity="+"):
    vectors = np.zeros((len(AXES), 8))
    for row, neurons in zip(vectors, AXES.values(), strict=True):
        row[neurons] = 1.0
    readouts = {"mine@mlp.0": direction_set("mine", "mlp.0", vectors)}
    units = [Unit("planted", "mine@mlp.0", i, polarity) for i in range(len(AXES))]
    unit = units[list(AXES).index(name)]
    values = {split: {u: planted.values(u, split, readouts) for u in units} for split in planted.splits}
    split_of = {w.ids[0]: s for s, w in planted.splits.items()}
    lab = planted.lab(Said(true=lambda w: values[split_of[w.ids[0]]][unit]))
    lab = dataclasses.replace(lab, others=GivenOthers(values["calibrate"], planted.splits["calibrate"].ids))
    scorers = [CorrelationScorer(), AblationScorer(readouts=readouts)]
    scores = score_explanation(unit, saying(unit, "true"), planted.evidence(unit, readouts), lab, scorers)
    return {score.name: score for score in scores}


def test_the_card_shows_a_dormant_pathway(planted):
    """A direction along decoy and dormant neuron varies with the decoy, and ablating it wakes the dormant one: both
    columns take it for a causal unit. What the model reads of it never varies, and ablating that part does nothing."""
    causal, decoy, dormant = (direction_card(planted, name) for name in ("causal", "decoy", "dormant"))
    for one in (causal, decoy, dormant):
        assert one["correlation.random-only"].value == pytest.approx(1, abs=1e-6)
    assert causal["ablation"].value == pytest.approx(1, abs=1e-6)
    assert dormant["ablation"].value == pytest.approx(1, abs=1e-6), "an illusion"
    assert dormant["ablation"].how["nats_of_mean_ablation"] > 1e-3
    assert causal["ablation.read-part"].value == pytest.approx(1, abs=1e-6)
    assert dormant["ablation.read-part"].value == pytest.approx(0, abs=1e-9)
    assert dormant["ablation.read-part"].high < 1e-6
    assert causal["ablation"].how[RANDOM_UNIT].endswith("/2"), "the dormant one"
    assert causal["ablation.read-part"].baselines == {RANDOM_UNIT: pytest.approx(0, abs=1e-9)}
    for name in ("ablation", "ablation.read-part"):
        assert decoy[name].value is None
        assert decoy[name].reason.endswith("nothing to compare with")
    assert direction_card(planted, "causal", "-")["ablation.read-part"].value == pytest.approx(1, abs=1e-6)


def test_a_unit_that_was_recorded_alone_has_its_control_all_the_same(world):
    score = ablation(world, lambda truth, _: truth, others=(UNIT,))["ablation"]
    assert score.how[RANDOM_UNIT] not in (None, str(UNIT))
    assert abs(score.baselines[RANDOM_UNIT]) < 0.5


def test_insufficient_evidence_and_empty_splits(world):
    explanation, lab = saying(UNIT, "own"), world.lab(Said(own=lambda w: np.ones(w.tokens.shape)))
    poor = world.evidence(UNIT, status="insufficient", reason="2 firing windows")
    score = score_explanation(UNIT, explanation, poor, lab, [AblationScorer()])[0]
    assert (score.value, score.reason) == (None, "insufficient evidence: 2 firing windows")
    assert score.baselines == {RANDOM_UNIT: None}
    evidence = world.evidence(UNIT)
    nothing = dataclasses.replace(evidence, test=evidence.test.take(np.array([], int)))
    assert "no random windows" in score_explanation(UNIT, explanation, nothing, lab, [AblationScorer()])[0].reason
    uncalibrated = dataclasses.replace(evidence, calibrate=evidence.calibrate.take(np.array([], int)))
    assert "to calibrate on" in score_explanation(UNIT, explanation, uncalibrated, lab, [AblationScorer()])[0].reason


class BlackBox(BaseSubject):
    """Values and nothing else."""

    name = "a function of text"


def test_what_cannot_be_acted_upon_is_said_once(world):
    explanation, simulator = saying(UNIT, "own"), Said(own=lambda w: np.ones(w.tokens.shape))

    def reason(subject):
        lab = world.lab(simulator)
        lab = dataclasses.replace(lab, open_subject=None if subject is None else lambda: subject)
        scores = score_explanation(UNIT, explanation, world.evidence(UNIT), lab, [AblationScorer()])
        assert len({score.reason for score in scores}) == 1
        return scores[0].reason

    assert "cannot be intervened on: it is not a model with sites" in reason(BlackBox())
    assert "has no next-token distribution" in reason(subject_of("bert"))
    assert "needs a missing resource" in reason(None)


def test_a_simulation_with_gaps_is_refused(world):
    def said(truth, split):
        return np.where(np.arange(truth.shape[1]) == 3, np.nan, truth)

    assert "has no finite value at" in ablation(world, said)["ablation"].reason


def test_ratios_by_hand():
    moved = Moved(np.array([1.0, 1.0, 0.0]), np.array([4.0, 1.0, 0.0]), np.array([0, 0, 1]), 2)
    assert pooled(moved).value == pytest.approx(1 - 2 / 5)
    assert per_token(moved).value == pytest.approx((1 - 1 / 4 + 0) / 2)
    # A token that mean ablation hardly moves has no say of its own, but counts among all.
    noisy = Moved(np.array([1.0, 5.0]), np.array([4.0, 1e-3]), np.array([0, 1]), 2)
    assert per_token(noisy).value == pytest.approx(1 - 1 / 4)
    assert pooled(noisy).value == pytest.approx(1 - 6 / 4.001)
    tiny = Moved(np.zeros(3), np.full(3, 1e-12), np.zeros(3, int), 1)
    assert pooled(tiny).reason.startswith("mean ablation moves the outputs by 1e-12 nats")
    assert math.isclose(pooled(dataclasses.replace(tiny, rounding=1e-13)).value, 1.0)


def test_a_part_without_its_set():
    with pytest.raises(MissingPower, match="NAME@SITE"):
        part_of(Unit("tiny", "sae@mlp.0", 1))


@pytest.mark.parametrize("statistic", [pooled, per_token])
def test_intervals_end_at_all_of_the_effect(statistic):
    document = np.repeat(np.arange(4), 6)
    moved = statistic(Moved(np.array([0.01, 0.01, 0.05, 2.0])[document], np.ones(24), document, 4))
    unbounded = estimate(dataclasses.replace(moved, bounds=(-math.inf, math.inf)))
    assert estimate(moved).high == 1.0 < unbounded.high
