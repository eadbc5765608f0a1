"""Checkpoints that do not fit their model are refused, and what they lack is named; nothing in a folder is executed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from glossator.errors import UserError
from glossator.language_models.in_process import open_in_process
from glossator.subjects import describe_sites, load_subject
from glossator.subjects.embedders import load_embedder
from tiny_models import byte_level_tokenizer, save_tiny, tiny_model

ENCODER_DECODER = {
    "bart": "BartForConditionalGeneration",
    "mbart": "MBartForConditionalGeneration",
    "pegasus": "PegasusForConditionalGeneration",
    "marian": "MarianMTModel",
    "led": "LEDForConditionalGeneration",
    "blenderbot": "BlenderbotForConditionalGeneration",
    "m2m_100": "M2M100Model",
    "prophetnet": "ProphetNetForConditionalGeneration",
    "t5": "T5ForConditionalGeneration",
    "umt5": "UMT5Model",
    "longt5": "LongT5Model",
    "switch_transformers": "SwitchTransformersForConditionalGeneration",
    "whisper": "WhisperForConditionalGeneration",
    "fsmt": "FSMTForConditionalGeneration",
}


def changed(folder: Path, target: Path, change) -> Path:
    """A copy of a saved model whose tensors went through `change`."""
    shutil.copytree(folder, target)
    save_file(change(load_file(folder / "model.safetensors")), target / "model.safetensors", {"format": "pt"})
    return target


def rewritten(folder: Path, **keys) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | keys))
    return folder


@pytest.fixture(scope="module")
def mixtral(tmp_path_factory):
    """A saved mixture of two experts."""
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = AutoConfig.for_model("mixtral", vocab_size=330, num_key_value_heads=2, num_local_experts=2, **sizes)
    folder = tmp_path_factory.mktemp("experts") / "mixtral"
    transformers.MixtralForCausalLM(config).save_pretrained(folder)
    byte_level_tokenizer().save_pretrained(folder)
    return folder


def test_renamed_keys_are_named(tiny_folder, tmp_path):
    folder = changed(tiny_folder, tmp_path / "m", lambda w: {f"_orig_mod.{k}": v for k, v in w.items()})
    with pytest.raises(UserError, match=r"lacks weights.*lm_head\.weight.*in all.*instead _orig_mod\.lm_head"):
        load_subject(str(folder))


@pytest.mark.parametrize("open_it", [load_subject, open_in_process])
def test_each_tensor_that_is_missing_is_named(tiny_folder, tmp_path, open_it):
    for number, key in enumerate(load_file(tiny_folder / "model.safetensors")):
        folder = changed(tiny_folder, tmp_path / str(number), lambda w, key=key: {k: w[k] for k in w if k != key})
        with pytest.raises(UserError, match=f"lacks weights.*{key}"):
            open_it(str(folder))


def test_each_tensor_of_an_encoder_that_counts_is_named(tmp_path):
    whole = save_tiny(tmp_path / "bert", "bert", byte_level_tokenizer())
    expected = load_subject(str(whole))
    tokens, lengths = np.arange(5, 11, dtype=np.int32)[None], np.array([6], np.int32)
    for number, key in enumerate(load_file(whole / "model.safetensors")):
        folder = changed(whole, tmp_path / str(number), lambda w, key=key: {k: w[k] for k in w if k != key})
        if key.startswith("pooler"):  # nothing that is read goes through it
            found = load_subject(str(folder)).activations(tokens, lengths, ["resid.1"])["resid.1"]
            assert torch.equal(found, expected.activations(tokens, lengths, ["resid.1"])["resid.1"])
            continue
        for open_it in (load_subject, load_embedder):
            with pytest.raises(UserError, match=f"lacks weights.*{key}"):
                open_it(str(folder))


def test_missing_experts_and_routers(mixtral, tmp_path):
    assert load_subject(str(mixtral)).causal
    keys = list(load_file(mixtral / "model.safetensors"))
    for number, key in enumerate(k for k in keys if "experts.1" in k or "gate.weight" in k):
        folder = changed(mixtral, tmp_path / str(number), lambda w, key=key: {k: w[k] for k in w if k != key})
        with pytest.raises(UserError, match=r"layers\.\d"):
            load_subject(str(folder))


def test_a_base_model_has_no_head(tiny_folder, tmp_path):
    transformers.LlamaModel.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"lacks weights.*'lm_head\.weight'"):
        load_subject(str(tmp_path))


def test_a_tied_head_is_no_missing_one(tmp_path):
    folder = save_tiny(tmp_path / "gpt2", "gpt2", byte_level_tokenizer())
    assert not any("lm_head" in key for key in load_file(folder / "model.safetensors"))
    model = load_subject(str(folder)).model
    assert model.lm_head.weight is model.transformer.wte.weight
    both = changed(folder, tmp_path / "both", lambda w: {k: v for k, v in w.items() if "wte" not in k})
    with pytest.raises(UserError, match=r"lacks weights.*wte\.weight"):
        load_subject(str(both))


def test_other_shapes_are_named(tiny_folder, tmp_path):
    key = "model.layers.1.mlp.up_proj.weight"
    folder = changed(tiny_folder, tmp_path / "m", lambda w: w | {key: w[key][:60].clone()})
    with pytest.raises(UserError, match=rf"{key} \(60, 32\) instead of \(64, 32\)"):
        load_subject(str(folder))


def test_weights_without_a_place_are_named(tiny_folder, tmp_path):
    bias = "model.layers.0.self_attn.q_proj.bias"
    folder = changed(tiny_folder, tmp_path / "m", lambda w: w | {bias: torch.ones(32)})
    with pytest.raises(UserError, match=f"would leave out.*{bias}"):
        load_subject(str(folder))
    low = "model.layers.1.mlp.up_proj.lora_A.weight"
    folder = changed(tiny_folder, tmp_path / "lora", lambda w: w | {low: torch.ones(4, 32)})
    with pytest.raises(UserError, match=f"would leave out.*{low}"):
        load_subject(str(folder))
    fewer = rewritten(shutil.copytree(tiny_folder, tmp_path / "fewer"), num_hidden_layers=1)
    with pytest.raises(UserError, match=r"would leave out.*layers\.1"):
        load_subject(str(fewer))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_in_the_file_spoil_what_they_reach(tiny_folder, tmp_path, value):
    key = "model.layers.1.mlp.up_proj.weight"
    folder = changed(tiny_folder, tmp_path / "m", lambda w: w | {key: torch.full_like(w[key], value)})
    subject = load_subject(str(folder))
    assert not subject.runs_by_length
    tokens, lengths = np.arange(5, 17, dtype=np.int32).reshape(2, 6), np.array([6, 3], np.int32)
    values = subject.activations(tokens, lengths, ["mlp.0", "mlp.1"])
    before = load_subject(str(tiny_folder)).activations(tokens, lengths, ["mlp.0"])
    assert torch.equal(values["mlp.0"], before["mlp.0"])
    assert not torch.isfinite(values["mlp.1"][0]).any()


def test_weights_beyond_half_precision(tiny_folder, tmp_path):
    key = "model.layers.1.mlp.up_proj.weight"
    folder = changed(tiny_folder, tmp_path / "m", lambda w: w | {key: w[key] * 1e6})
    assert load_subject(str(folder)).dtype == torch.float32
    with pytest.raises(UserError, match=f"beyond the range of float16: '{key}'.*float16 ends at 65,504"):
        load_subject(str(folder), dtype="float16")


def test_a_classifier_of_a_causal_family_has_all_its_sites(tmp_path):
    """It is run as an encoder; a cache would make its blocks give something else when they are run again."""
    config = tiny_model("llama").config
    transformers.LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    subject = load_subject(str(tmp_path))
    assert not subject.causal
    found = {site.name: site.scale for site in subject.sites()}
    assert found == {
        f"{kind}.{i}": None if kind == "resid" else 1.0 for kind in ("mlp", "attn", "head", "resid") for i in (0, 1)
    }


def test_missing_shards(tiny_folder, tmp_path):
    tiny_model("llama").save_pretrained(tmp_path, max_shard_size="20KB")
    byte_level_tokenizer().save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    tokens, lengths = np.arange(5, 11, dtype=np.int32)[None], np.array([6], np.int32)
    one, two = (load_subject(str(f)).activations(tokens, lengths, ["mlp.1"]) for f in (tmp_path, tiny_folder))
    assert torch.equal(one["mlp.1"], two["mlp.1"])
    shards[1].unlink()
    with pytest.raises(UserError, match="cannot load this model"):
        load_subject(str(tmp_path))
    save_file({}, shards[1], {"format": "pt"})
    with pytest.raises(UserError, match="lacks weights"):
        load_subject(str(tmp_path))


def test_a_file_that_is_overwritten_later_changes_nothing(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    subject = load_subject(str(folder))
    before = {name: value.clone() for name, value in subject.model.named_parameters()}
    path = folder / "model.safetensors"
    with open(path, "r+b") as handle:
        handle.seek(path.stat().st_size // 3)
        handle.write(bytes(path.stat().st_size // 2))
    assert all(torch.equal(value, before[name]) for name, value in subject.model.named_parameters())


@pytest.mark.parametrize("kind", ENCODER_DECODER)
@pytest.mark.parametrize("named", [True, False])
def test_encoder_decoders_are_refused_by_their_config(tmp_path, kind, named):
    config = AutoConfig.for_model(kind)
    config.architectures = [ENCODER_DECODER[kind]] if named else None
    config.save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    for use in (load_subject, describe_sites):
        with pytest.raises(UserError, match="this model is an encoder-decoder"):
            use(str(tmp_path))
    if not named:
        with pytest.raises(UserError, match="this model is an encoder-decoder"):
            load_subject(str(rewritten(tmp_path, is_encoder_decoder=False)))


def test_an_encoder_saved_alone_is_an_encoder(tmp_path):
    sizes = {"d_model": 32, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 4, "d_kv": 8, "d_ff": 64}
    model = transformers.T5EncoderModel(AutoConfig.for_model("t5", vocab_size=330, **sizes))
    model.save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    subject = load_subject(str(tmp_path))
    assert not subject.causal
    assert subject.site("resid.1").module.startswith("encoder.block.1")
    assert [site.name for site in describe_sites(str(tmp_path))] == [site.name for site in subject.sites()]
    assert all(torch.equal(v, dict(model.named_parameters())[k]) for k, v in subject.model.named_parameters())


def test_a_decoder_of_an_encoder_is_refused(tmp_path):
    config = AutoConfig.for_model("gpt2", n_embd=32, n_layer=2, n_head=4, vocab_size=330, add_cross_attention=True)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="encoder-decoder"):
        load_subject(str(tmp_path))


@pytest.mark.parametrize("is_decoder", [True, False])
def test_a_causal_head_does_not_make_a_model_causal(tmp_path, is_decoder):
    """`BertLMHeadModel` attends to both sides unless its config says that it is a decoder."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    config = AutoConfig.for_model("bert", vocab_size=330, is_decoder=is_decoder, **sizes)
    transformers.BertLMHeadModel(config).save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    subject = load_subject(str(tmp_path))
    assert subject.causal is is_decoder
    if not is_decoder:
        assert load_embedder(str(tmp_path)).embed(["the fox", "a dog"]).shape == (2, 32)
    tokens = np.arange(5, 13, dtype=np.int32).reshape(2, 4)
    together = subject.activations(tokens, np.array([4, 2], np.int32), ["resid.1"])["resid.1"][1, :2]
    alone = subject.activations(tokens[1:, :2], np.array([2], np.int32), ["resid.1"])["resid.1"][0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


class Malicious:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


def test_a_malicious_pickle_is_not_run(tiny_folder, tmp_path):
    folder, marker = shutil.copytree(tiny_folder, tmp_path / "m"), tmp_path / "ran"
    (folder / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Malicious(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot load this model"):
        load_subject(str(folder))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(marker)))
    with pytest.raises(UserError, match="cannot load this model"):
        load_subject(str(folder))
    assert not marker.exists()


def test_safetensors_go_before_pickles(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Malicious(tmp_path / "ran")))
    assert load_subject(str(folder)).causal
    assert not (tmp_path / "ran").exists()
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    model = load_subject(str(folder)).model
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())


ODD = {
    "no JSON": ("{", "cannot read the config.*not JSON"),
    "no table": ("[]", "has no model_type"),
    "no type": ("{}", "has no model_type"),
    "unknown type": (
        '{"model_type": "perceptron", "auto_map": {"AutoConfig": "x.Y"}}',
        "unknown model_type.*never run",
    ),
    "odd sizes": ('{"model_type": "llama", "hidden_size": "wide"}', "cannot read the config"),
    "no heads": ('{"model_type": "llama", "num_attention_heads": 0}', "cannot"),
    "no text": ('{"model_type": "vit"}', "takes images"),
    "quantised": (
        '{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "quantization_config": '
        '{"quant_method": "bitsandbytes", "load_in_4bit": true}}',
        "cannot load this model.*bitsandbytes",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_configs_are_one_sentence(tiny_folder, tmp_path, case):
    text, message = ODD[case]
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=message) as found:
        load_subject(str(folder))
    assert "\n" not in str(found.value)


def test_no_tokenizer_is_said_before_weights_are_read(tmp_path):
    tiny_model("llama").save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="this folder has no tokenizer"):
        load_subject(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot read the tokenizer"):
        load_subject(str(tmp_path))


def test_adapters_are_refused(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x/y"}')
    with pytest.raises(UserError, match=r"adapter beside a model.*merge_and_unload"):
        load_subject(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"no config\.json.*adapter.*merge_and_unload"):
        load_subject(str(folder))


def test_a_model_without_keys_and_values_to_keep_is_tried_as_it_is_run(tmp_path):
    """Its cache cannot be asked for a length; nothing here runs with one."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "intermediate_size": 64}
    kinds = {"layer_types": ["linear_attention"] * 2, "head_dim": 8, "pad_token_id": 0}
    config = AutoConfig.for_model("qwen3_next", vocab_size=330, **sizes, **experts, **kinds)
    transformers.Qwen3NextForCausalLM(config).save_pretrained(tmp_path)
    byte_level_tokenizer().save_pretrained(tmp_path)
    assert load_subject(str(tmp_path)).causal
