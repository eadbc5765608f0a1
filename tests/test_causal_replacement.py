"""Many units replaced at once: the share of the loss that predictions keep."""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
import pytest
import torch

from causal_cases import Said, World, saying, subject_of
from glossator.causal.acting import InPlace
from glossator.errors import UserError
from glossator.scorers.replacement import replacement, scored_tokens, share_explained, token_losses
from glossator.units import Unit

UNITS = [Unit("tiny-llama", "mlp.1", i) for i in range(12)]


class ToldByTheModel(World):
    """Texts that the model itself finds likeliest, so that disturbing it raises the loss."""

    @cached_property
    def splits(self):
        return {name: self._told(windows) for name, windows in super().splits.items()}

    def _told(self, windows):
        tokens = windows.tokens.copy()
        for place in range(1, windows.width):
            lengths = np.full(len(tokens), place, np.int32)
            with torch.inference_mode():
                logits = self.subject.model(**self.subject.model_inputs(tokens[:, :place], lengths)).logits
            tokens[:, place] = logits[:, -1, :300].argmax(-1).numpy()
        return dataclasses.replace(windows, tokens=tokens * windows.valid)


@pytest.fixture(scope="module")
def world():
    subject = subject_of("llama", double=True)
    with torch.no_grad():  # the neurons matter
        subject.model.model.layers[1].mlp.down_proj.weight *= 20
    return ToldByTheModel(subject, windows=24)


def replaced(world, said, units=UNITS):
    split_of = {w.ids[0]: s for s, w in world.splits.items()}
    truth = {(str(u), s): world.values(u, s).astype(np.float64) for u in units for s in world.splits}
    by_text = {str(u): lambda w, u=u: said(truth[str(u), split_of[w.ids[0]]]) for u in units}
    simulator = Said(**by_text)
    explained = [(u, saying(u, str(u)), world.evidence(u)) for u in units]
    return {score.name: score for score in replacement(explained, world.lab(simulator))}


def test_truth_keeps_all_and_the_mean_nothing(world):
    scores = replaced(world, lambda truth: truth)
    losses = scores["replacement.mean-ablated"].how["loss"]
    assert losses["predicted"] == pytest.approx(losses["true"], abs=1e-6)
    for baseline in ("mean-ablated", "zero-ablated"):
        score = scores[f"replacement.{baseline}"]
        assert losses[baseline] > losses["true"] + 1e-3
        assert score.value == pytest.approx(1, abs=1e-3)
        assert score.baselines["mismatched"] < 0.6
        by_hand = (losses[baseline] - losses["mismatched"]) / (losses[baseline] - losses["true"])
        assert score.baselines["mismatched"] == pytest.approx(by_hand)
    windows = world.splits["test"]
    zeros = token_losses(world.subject, windows, {"zeros": [InPlace(unit, 0.0) for unit in UNITS]})["zeros"].mean()
    assert losses["zero-ablated"] == pytest.approx(zeros) and losses["mean-ablated"] != pytest.approx(zeros)
    constant = replaced(world, np.ones_like)["replacement.mean-ablated"]
    assert constant.how["loss"]["predicted"] == pytest.approx(constant.how["loss"]["mean-ablated"])
    assert constant.value == pytest.approx(0, abs=1e-9)
    assert (score.column, score.how["units"], score.n) == ("causal", 12, 24)


def test_losses_are_the_models_own(world):
    windows, unit = world.splits["test"], UNITS[0]
    found = token_losses(world.subject, windows, {"true again": [InPlace(unit, world.values(unit, "test"))]})
    np.testing.assert_allclose(found["true again"], found["true"], atol=1e-6)
    ids = torch.from_numpy(np.pad(windows.tokens, ((0, 0), (1, 0))).astype(np.int64))
    with torch.inference_mode():
        log_probs = world.subject.model(ids).logits[:, 1:].log_softmax(-1).numpy()
    rows, columns = np.nonzero(scored_tokens(windows))
    np.testing.assert_allclose(found["true"], -log_probs[rows, columns, windows.tokens[rows, columns + 1]])
    assert scored_tokens(windows).sum() == (windows.lengths - 1).sum()


def test_the_share_by_hand():
    true, predicted, ablated = np.array([1.0, 1.0]), np.array([1.5, 1.0]), np.array([3.0, 2.0])
    assert share_explained(true, predicted, ablated, np.array([0, 1]), 2).value == pytest.approx(2.5 / 3)
    some = share_explained(true, predicted, np.array([3.0, 0.5]), np.array([0, 1]), 2)
    assert some.value == pytest.approx((1.5 - 0.5) / (2 - 0.5))
    assert np.isnan(some.under(np.array([[0.0, 2.0]]))).all(), "documents in which ablation helps have no share"
    useless = share_explained(true, predicted, true - 1, np.array([0, 1]), 2)
    assert useless.reason == "ablating these units does not raise the loss"


def test_units_that_cannot_be_replaced_together(world):
    evidence, lab = world.evidence(UNITS[0]), world.lab(Said(x=lambda w: np.ones(w.tokens.shape)))

    def refuse(*units):
        with pytest.raises(UserError) as error:
            replacement([(u, saying(u, "x"), e) for u, e in units], lab)
        return str(error.value)

    assert "no units" in refuse()
    assert "several sites" in refuse((UNITS[0], evidence), (Unit("tiny-llama", "mlp.0", 1), evidence))
    assert "listed twice" in refuse((UNITS[0], evidence), (dataclasses.replace(UNITS[0], polarity="-"), evidence))
    other = dataclasses.replace(evidence, test=evidence.test.take(np.arange(3)))
    assert "share no random windows" in refuse((UNITS[0], evidence), (UNITS[1], other))
    poor = dataclasses.replace(evidence, status="insufficient", reason="too few")
    assert "cannot be replaced: insufficient evidence: too few" in refuse((UNITS[0], poor))
