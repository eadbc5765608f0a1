"""Quantised GGUF weights become the float32 numbers they stand for, in the order the model wants them."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

from glossator.errors import UserError
from glossator.subjects.convert import convert_gguf
from tiny_models import tiny_model

HEADS, KV_HEADS, HIDDEN = 4, 2, 32
MERGES = ["Ġ t", "Ġt h", "Ġth e"]


def for_gguf(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rotary halves interleaved, as llama.cpp stores query and key projections."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(path: Path, model: LlamaForCausalLM, pre: str) -> dict[str, np.ndarray]:
    """Write the model with Q4_1 projections; returns the dequantised numbers under the model's own names."""
    alphabet = sorted(gguf_alphabet())
    tokens = ["<|endoftext|>", *alphabet, *(m.replace(" ", "") for m in MERGES)]
    tokens += [f"<unused{i}>" for i in range(model.config.vocab_size - len(tokens))]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(model.config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, *([1] * (len(tokens) - 1))])
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    names = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v"}
    names |= {"self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up"}
    names |= {"mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    plain = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    plain |= {"lm_head.weight": "output.weight"}
    for layer in range(2):
        plain |= {f"model.layers.{layer}.{a}.weight": f"blk.{layer}.{b}.weight" for a, b in names.items()}
    expected = {}
    for name, tensor in model.state_dict().items():
        value = tensor.numpy().astype(np.float32)
        heads = HEADS if "q_proj" in name else KV_HEADS if "k_proj" in name else None
        stored = value if heads is None else for_gguf(value, heads)
        if value.ndim == 1:
            writer.add_tensor(plain[name], stored)
            expected[name] = value
            continue
        packed = gguf.quants.quantize(stored, gguf.GGMLQuantizationType.Q4_1)
        writer.add_tensor(plain[name], packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
        back = gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q4_1)
        if heads is not None:
            back = back.reshape(heads, -1, 2, back.shape[1]).swapaxes(1, 2).reshape(back.shape)
        expected[name] = back
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


def gguf_alphabet() -> list[str]:
    from glossator.subjects.tokenizer import byte_of_character

    return list(byte_of_character())


def test_every_number_survives_and_digits_stand_apart(tmp_path):
    model = tiny_model("llama")
    expected = write_gguf(tmp_path / "model.gguf", model, "smollm")
    out = tmp_path / "out"
    out.mkdir()
    convert_gguf(tmp_path / "model.gguf", out)
    found = load_file(out / "model.safetensors")
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == torch.float32
        np.testing.assert_array_equal(found[name].numpy(), value, err_msg=name)
    assert not (out / "config.json").exists()

    tokenizer = AutoTokenizer.from_pretrained(out)
    assert tokenizer.tokenize("the  12", add_special_tokens=False) == ["t", "h", "e", "Ġ", "Ġ", "1", "2"]
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("in  2024 the")
    assert [piece for piece, _ in pieces] == ["in", "ĠĠ", "2", "0", "2", "4", "Ġthe"]
    config = AutoConfig.for_model(**model.config.to_dict())
    assert LlamaForCausalLM(config).load_state_dict(found)


def test_unknown_pre_tokenizer_is_refused(tmp_path):
    write_gguf(tmp_path / "model.gguf", tiny_model("llama"), "exotic")
    with pytest.raises(UserError, match=r"unknown pre-tokenizer.*exotic"):
        convert_gguf(tmp_path / "model.gguf", tmp_path)


def test_truncated_file_is_refused(tmp_path):
    path = tmp_path / "model.gguf"
    write_gguf(path, tiny_model("llama"), "smollm")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match="damaged GGUF file"):
        convert_gguf(path, tmp_path)
