"""Sites are found by structure in families that name their layers differently, and are the values they claim to be."""

from __future__ import annotations

import pytest
import torch

from glossator.errors import UserError
from glossator.subjects import describe_sites, find_sites
from glossator.subjects.sites import resolve_site
from tiny_models import tiny_model

# The parts of layer 1 as their authors named them: block, down projection, attention output projection in it.
EXPECTED = {
    "llama": ("model.layers.1", "mlp.down_proj", "self_attn.o_proj", 64, 32),
    "qwen3": ("model.layers.1", "mlp.down_proj", "self_attn.o_proj", 64, 48),
    "gemma2": ("model.layers.1", "mlp.down_proj", "self_attn.o_proj", 64, 32),
    "gpt2": ("transformer.h.1", "mlp.c_proj", "attn.c_proj", 128, 32),
    "gpt_neox": ("gpt_neox.layers.1", "mlp.dense_4h_to_h", "attention.dense", 64, 32),
    "opt": ("model.decoder.layers.1", "fc2", "self_attn.out_proj", 64, 32),
    "bert": ("encoder.layer.1", "output.dense", "attention.output.dense", 64, 32),
    "roberta": ("encoder.layer.1", "output.dense", "attention.output.dense", 64, 32),
    "distilbert": ("transformer.layer.1", "ffn.lin2", "attention.out_lin", 64, 32),
}


@pytest.mark.parametrize("family", EXPECTED)
def test_sites_of_many_families(family):
    block, down, projection, neurons, width = EXPECTED[family]
    down, projection = f"{block}.{down}", f"{block}.{projection}"
    sites = {site.name: site for site in find_sites(tiny_model(family))}
    assert list(sites) == [f"{kind}.{layer}" for kind in ("mlp", "attn", "head", "resid") for layer in (0, 1)]
    assert (sites["mlp.1"].module, sites["mlp.1"].side, sites["mlp.1"].width) == (down, "input", neurons)
    assert (sites["head.1"].module, sites["head.1"].side) == (projection, "input")
    assert (sites["head.1"].width, sites["head.1"].heads) == (width, 4)
    assert (sites["attn.1"].module, sites["attn.1"].side, sites["attn.1"].width) == (projection, "output", 32)
    assert (sites["resid.1"].module, sites["resid.1"].side, sites["resid.1"].width) == (block, "output", 32)


def test_relu_neurons_are_sparse_and_gelu_neurons_dense():
    assert {s.kind for s in find_sites(tiny_model("opt")) if s.name.startswith("mlp")} == {"sparse"}
    assert {s.kind for s in find_sites(tiny_model("gpt2"))} == {"dense"}


def test_sites_when_hidden_and_intermediate_widths_are_equal():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4
    )
    sites = {site.name: site for site in find_sites(LlamaForCausalLM(config))}
    assert sites["mlp.0"].module == "model.layers.0.mlp.down_proj"
    assert sites["head.0"].module == "model.layers.0.self_attn.o_proj"


def test_shared_layers_have_no_aliases_but_dotted_paths():
    model = tiny_model("albert")
    assert find_sites(model) == []
    site = resolve_site(model, "encoder.albert_layer_groups.0.albert_layers.0.ffn_output")
    assert (site.width, site.side) == (32, "output")


@pytest.mark.parametrize("alias", ["smollm2-135m", "minilm"])
def test_alias_is_described_without_weights(alias, tmp_path, monkeypatch):
    monkeypatch.setenv("GLOSSATOR_CACHE", str(tmp_path))
    sites = describe_sites(alias)
    layers, neurons = (30, 1536) if alias.startswith("smollm2") else (6, 1536)
    assert len(sites) == 4 * layers
    assert {s.width for s in sites if s.name.startswith("mlp.")} == {neurons}
    assert list(tmp_path.iterdir()) == []


def test_folder_is_described_like_the_loaded_model(tiny_folder, tiny_subject):
    assert describe_sites(str(tiny_folder)) == tiny_subject.sites()


@pytest.mark.parametrize("name", ["smollm", "no such", "", "mini lm", "/nowhere/at/all", "x" * 300])
def test_unknown_subject(name):
    with pytest.raises(UserError, match="unknown subject"):
        describe_sites(name)


def test_unknown_site_names_the_near_ones(tiny_subject):
    with pytest.raises(UserError, match=r"mlp\.0 to mlp\.1"):
        tiny_subject.site("mlp.7")
    with pytest.raises(UserError, match=r"did you mean resid\.1"):
        tiny_subject.site("residd.1")
    with pytest.raises(UserError, match="no such site"):
        tiny_subject.site("")


def test_dotted_path_learns_its_width(tiny_subject):
    assert tiny_subject.site("model.layers.0.mlp.act_fn").width == 64
    assert tiny_subject.site("model.embed_tokens").width == 32
    assert "model.embed_tokens" not in [s.name for s in tiny_subject.sites()]


def test_module_without_numbers_per_token_is_refused(tiny_subject):
    with pytest.raises(UserError, match="no values per token"):
        tiny_subject.site("model.rotary_emb")


def test_head_index_is_head_times_width_plus_i(tiny_subject):
    """Each head's slice of `head.L` through its own columns of the projection adds up to what attention adds."""
    import numpy as np

    tokens, lengths = np.arange(5, dtype=np.int32)[None], np.array([5])
    site, values = tiny_subject.site("head.0"), tiny_subject.activations(tokens, lengths, ["head.0", "attn.0"])
    size = site.width // site.heads
    weight = tiny_subject.model.get_submodule(site.module).weight
    parts = [
        values["head.0"][..., h * size : (h + 1) * size] @ weight[:, h * size : (h + 1) * size].T
        for h in range(site.heads)
    ]
    torch.testing.assert_close(sum(parts), values["attn.0"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "module", "scale"),
    [
        ("llama", "self_attn.o_proj", 1.0),
        ("gemma2", "post_attention_layernorm", 1.0),
        ("granite", "self_attn.o_proj", 0.22),
        ("bloom", "self_attention.dense", 1.0),
        ("jetmoe", "self_attention", 1.0),
        ("bert", "attention.output.dense", None),
    ],
)
def test_attention_is_what_is_added_behind_norms_and_multipliers(family, module, scale):
    from families import family_subject
    from glossator.errors import MissingPower
    from glossator.subjects.token_weights import written

    subject = family_subject(family)
    site = subject.site("attn.1")
    assert site.module.endswith(f".1.{module}")
    assert site.scale == (None if scale is None else pytest.approx(scale, rel=1e-6))
    if scale is None:
        with pytest.raises(MissingPower, match="depends on the token"):
            written(subject, "attn.1", [3])
    else:
        assert written(subject, "attn.1", [3])[0, 3] == 1


def test_heads_are_read_by_the_projection_behind_the_mixing_of_tokens():
    """AFMoE has a gate as wide as its output projection, and listed after it; JetMoE's only projection makes keys."""
    from families import family_subject

    assert family_subject("afmoe").site("head.1").module.endswith("self_attn.o_proj")
    mixed = family_subject("qwen3_next")
    assert [(mixed.site(f"head.{i}").width, mixed.site(f"head.{i}").heads) for i in (0, 1)] == [(64, 8), (32, 4)]
    with pytest.raises(UserError, match="no projection reads the outputs of the heads"):
        family_subject("jetmoe").site("head.1")


def test_a_list_of_modules_that_is_no_stream_has_no_residual_sites():
    from families import family_subject

    with pytest.raises(UserError, match="not the residual stream"):
        family_subject("xlm").site("resid.1")


def test_a_model_that_shares_its_layers_says_so():
    with pytest.raises(UserError, match=r"no numbered layers.*dotted module path: embeddings"):
        resolve_site(tiny_model("albert"), "mlp.1")
