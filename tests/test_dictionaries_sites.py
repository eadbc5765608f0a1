"""The sites that dictionaries read and write: what the feed-forward is given, and what it adds to the stream."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from causal_cases import subject_of
from glossator.errors import UserError
from glossator.readouts.hook_names import site_of_hook, site_of_layer, site_of_module
from glossator.subjects.hooks import capture


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma2", "gpt2", "opt"])
def test_the_stream_moves_by_attention_and_feed_forward(family: str) -> None:
    subject = subject_of(family)
    names = ["resid.0", "attn.1", "mlp-in.1", "mlp-out.1", "resid.1"]
    tokens = np.arange(5, 17, dtype=np.int32).reshape(2, 6)
    found = subject.activations(tokens, np.array([6, 6]), names)
    torch.testing.assert_close(
        found["resid.0"] + found["attn.1"] + found["mlp-out.1"], found["resid.1"], rtol=1e-4, atol=1e-4
    )
    site = subject.site("mlp-in.1")
    assert site.side == "input" and site.width == 32
    module = subject.model.get_submodule(site.module)
    neurons = subject.activations(tokens, np.array([6, 6]), [site.module])[site.module]
    torch.testing.assert_close(module(found["mlp-in.1"]), neurons, rtol=1e-4, atol=1e-4)


def test_the_input_of_any_module_is_a_site() -> None:
    subject = subject_of("llama")
    norm = "model.layers.1.post_attention_layernorm"
    tokens, lengths = np.arange(5, 11, dtype=np.int32)[None], np.array([6])
    found = subject.activations(tokens, lengths, [f"{norm}.input", norm, "mlp-in.1", "resid.0", "attn.1"])
    torch.testing.assert_close(found["resid.0"] + found["attn.1"], found[f"{norm}.input"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[norm], found["mlp-in.1"])
    with capture(subject.model, [subject.site("mlp-in.1")]) as values, torch.inference_mode():
        subject.model(**subject.pass_inputs(tokens, lengths))
    torch.testing.assert_close(values["mlp-in.1"][:, len(subject.prefix) :], found["mlp-in.1"])
    for wrong in ("mlp-in.7", "mlp-out.2", f"{norm}.inputs", "model.layers.9.mlp.input"):
        with pytest.raises(UserError, match="no such site"):
            subject.site(wrong)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("blocks.5.hook_resid_post", "resid.5"), ("blocks.5.hook_resid_pre", "resid.4"),
        ("blocks.0.hook_resid_pre", None), ("blocks.5.hook_mlp_out", "mlp-out.5"),
        ("blocks.5.hook_attn_out", "attn.5"), ("blocks.5.attn.hook_z", "head.5"),
        ("blocks.5.mlp.hook_post", "mlp.5"), ("blocks.11.mlp.hook_in", "mlp-in.11"),
        ("blocks.5.ln2.hook_normalized", None), ("blocks.5.hook_resid_mid", None), ("hook_embed", None),
    ],
)  # fmt: skip
def test_hook_points(name: str, site: str | None) -> None:
    assert site_of_hook(name) == site


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("layers.5", "resid.5"), ("h.11", "resid.11"), ("layers.5.mlp", "mlp-out.5"),
        ("layers.5.mlp.input", "mlp-in.5"),
        ("model.layers.3.output", "resid.3"), ("model.layers.3.input", "resid.2"), ("gpt_neox.layers.2", "resid.2"),
        ("model.layers.3.pre_feedforward_layernorm.output", "mlp-in.3"), ("layers.5.self_attn", "attn.5"),
        ("model.layers.3.self_attn.o_proj.input", "head.3"), ("layers.5.norm", None), ("embed_tokens", None),
    ],
)  # fmt: skip
def test_modules(name: str, site: str | None) -> None:
    assert site_of_module(name) == site


def test_layers_in_words() -> None:
    assert site_of_layer(3, "") == site_of_layer(3, "resid_post_layer_3") == "resid.3"
    assert site_of_layer(3, "mlp_out") == "mlp-out.3" and site_of_layer(3, "attention_out") == "attn.3"
    assert site_of_layer(3, "resid_pre") is None and site_of_layer(3, "something") is None
