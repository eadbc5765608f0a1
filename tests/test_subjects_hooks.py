"""Capture and edit: what they see, what they change, and that nothing is left behind."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from glossator.errors import UserError
from glossator.subjects import SiteInfo, capture, edit
from glossator.subjects.hooks import StopForward, stopping
from tiny_models import tiny_model

IDS = torch.arange(1, 13).reshape(2, 6)


def hooks_left(model: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.fixture(params=["llama", "gpt2", "gpt_neox", "bert"])
def model(request):
    return tiny_model(request.param)


def run(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS)[0]


def test_capture_changes_nothing_and_leaves_nothing(model):
    plain = run(model)
    with capture(model, ["mlp.0", "resid.1", "attn.0"]) as values:
        same = run(model)
    torch.testing.assert_close(plain, same, rtol=0, atol=0)
    assert set(values) == {"mlp.0", "resid.1", "attn.0"}
    assert values["resid.1"].shape == (2, 6, 32)
    assert hooks_left(model) == 0


@pytest.mark.parametrize("site", ["mlp.0", "head.1", "attn.0", "resid.0"])
def test_edit_of_each_kind_of_site(model, site):
    plain = run(model)
    with edit(model, site, lambda values: values):
        torch.testing.assert_close(run(model), plain, rtol=0, atol=0)
    with edit(model, site, torch.zeros_like), capture(model, [site]):
        assert not torch.allclose(run(model), plain)
    torch.testing.assert_close(run(model), plain, rtol=0, atol=0)
    assert hooks_left(model) == 0


def test_edit_moves_the_output_by_the_columns_of_the_projection():
    """Adding one to neuron 3 adds column 3 of the down projection to what the feed-forward gives."""
    model = tiny_model("llama")
    projection = model.get_submodule("model.layers.0.mlp.down_proj")

    def add(values: torch.Tensor) -> torch.Tensor:
        return values + torch.nn.functional.one_hot(torch.tensor(3), 64)

    with capture(model, ["model.layers.0.mlp"]) as plain:
        run(model)
    with edit(model, "mlp.0", add), capture(model, ["model.layers.0.mlp"]) as moved:
        run(model)
    difference = moved["model.layers.0.mlp"] - plain["model.layers.0.mlp"]
    expected = projection.weight[:, 3].expand_as(difference)
    torch.testing.assert_close(difference, expected, rtol=1e-4, atol=1e-5)


def test_an_edit_that_changes_the_shape_is_refused_and_removed(model):
    with pytest.raises(ValueError, match="changed the shape"), edit(model, "resid.0", lambda values: values[:, 1:]):
        run(model)
    assert hooks_left(model) == 0


def test_hooks_are_removed_after_an_error(model):
    with pytest.raises(ZeroDivisionError), edit(model, "mlp.1", lambda values: values / (1 // 0)):
        run(model)
    with pytest.raises(KeyError), capture(model, ["mlp.0"]):
        raise KeyError
    assert hooks_left(model) == 0


def test_unknown_site_registers_nothing(model):
    with pytest.raises(UserError), capture(model, ["mlp.0", "mlp.99"]):
        pass
    assert hooks_left(model) == 0


def test_gradients_flow_through_captured_values():
    model = tiny_model("llama")
    with capture(model, ["mlp.0"]) as values:
        loss = model(IDS).logits.logsumexp(-1).sum()
    (gradient,) = torch.autograd.grad(loss, values["mlp.0"])
    assert gradient.shape == values["mlp.0"].shape
    assert np.isfinite(gradient.numpy()).all()
    assert gradient.abs().max() > 0


def test_stop_ends_the_pass_only_inside_stopping():
    model = tiny_model("llama")
    with capture(model, ["mlp.0"], stop=True) as values, stopping():
        model(IDS)
        raise AssertionError("the pass went on")
    assert set(values) == {"mlp.0"}
    with pytest.raises(StopForward), capture(model, ["mlp.0"], stop=True):
        model(IDS)
    assert hooks_left(model) == 0


class Pair(NamedTuple):
    states: torch.Tensor
    other: int


class GivesPair(torch.nn.Linear):
    def forward(self, given: torch.Tensor) -> Pair:
        return Pair(super().forward(given), 7)


def test_an_edit_keeps_the_kind_of_tuple_that_a_module_gives():
    model = torch.nn.Sequential(GivesPair(4, 4))
    with edit(model, SiteInfo("0", 4, "dense", "0", "output"), torch.zeros_like):
        given = model(torch.ones(2, 3, 4))
    assert type(given) is Pair and given.other == 7 and not given.states.any()
