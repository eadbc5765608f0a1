"""Model families that the invariants of `test_families.py` are checked on: tiny random models, weights large enough
that every part matters. README names them; `test_families.py` keeps that list true."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from glossator.subjects import FastTextTokenizer, TransformerSubject
from tiny_models import byte_level_tokenizer

LAYERS = 2
VOCABULARY = 320
_PLAIN = {"hidden_size": 32, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "max_position_embeddings": 48}
_MLP = {**_PLAIN, "intermediate_size": 64}
_GROUPED = {**_MLP, "num_key_value_heads": 2}
_HEAD = {**_GROUPED, "head_dim": 8}
_MOE = {**_HEAD, "moe_intermediate_size": 16, "num_experts_per_tok": 2}
_MLA = {
    **_MLP,
    "num_key_value_heads": 4,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
_N = {"n_positions": 48, "n_embd": 32, "n_layer": LAYERS, "n_head": 4}
_MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2}
_MAMBA2 = {**_MAMBA, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1}

CAUSAL: dict[str, dict[str, Any]] = {
    "afmoe": {**_MOE, "num_experts": 4, "num_dense_layers": 1, "num_shared_experts": 1, "sliding_window": 16},
    "apertus": _GROUPED,
    "arcee": _GROUPED,
    "bamba": {**_GROUPED, **_MAMBA2, "attn_layer_indices": [1]},
    "biogpt": _MLP,
    "bitnet": _GROUPED,
    "bloom": {"hidden_size": 32, "n_layer": LAYERS, "n_head": 4},
    "codegen": {**_N, "rotary_dim": 4},
    "cohere": _GROUPED,
    "cohere2": {**_HEAD, "sliding_window": 8},
    "ctrl": {"n_positions": 48, "n_embd": 32, "n_layer": LAYERS, "n_head": 4, "dff": 64},
    "deepseek_v2": {
        **_MLA,
        "n_routed_experts": 4,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
    },
    "deepseek_v3": {
        **_MLA,
        "n_routed_experts": 4,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
    },
    "diffllama": _GROUPED,
    "doge": _GROUPED,
    "ernie4_5": _HEAD,
    "exaone4": {**_HEAD, "sliding_window": 8, "sliding_window_pattern": 2},
    "falcon": {**_PLAIN, "ffn_hidden_size": 64, "alibi": False},
    "falcon_h1": {
        **_HEAD,
        **_MAMBA2,
        "mamba_d_ssm": 64,
        "attention_out_multiplier": 0.5,
        "ssm_out_multiplier": 0.3,
        "mlp_multipliers": [0.7, 0.4],
        "key_multiplier": 0.6,
        "embedding_multiplier": 2.0,
        "lm_head_multiplier": 0.5,
    },
    "falcon_mamba": {"hidden_size": 32, "num_hidden_layers": LAYERS, "state_size": 8, "intermediate_size": 64},
    "flex_olmo": {**_GROUPED, "num_experts": 4, "num_experts_per_tok": 2},
    "gemma": _HEAD,
    "gemma2": {**_HEAD, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {
        **_HEAD,
        "sliding_window": 8,
        "query_pre_attn_scalar": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gemma3n_text": {
        **_HEAD,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_kv_shared_layers": 0,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": VOCABULARY,
        "laurel_rank": 8,
        "activation_sparsity_pattern": [0.0, 0.0],
        "intermediate_size": [64, 64],
    },
    "gemma4_text": {
        **_HEAD,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "global_head_dim": 8,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": VOCABULARY,
        "num_kv_shared_layers": 0,
    },
    "glm": _HEAD,
    "glm4": _HEAD,
    "glm4_moe": {
        **_MOE,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
    "gpt2": _N,
    "gpt_bigcode": _N,
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": LAYERS,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "window_size": 8,
        "intermediate_size": 64,
        "max_position_embeddings": 48,
    },
    "gpt_neox": _MLP,
    "gpt_neox_japanese": {**_PLAIN, "intermediate_multiple_size": 2},
    "gpt_oss": {
        **_HEAD,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gptj": {**_N, "rotary_dim": 4},
    "granite": {
        **_GROUPED,
        "residual_multiplier": 0.22,
        "attention_multiplier": 0.3,
        "embedding_multiplier": 3.0,
        "logits_scaling": 2.0,
    },
    "granitemoe": {**_GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2, "residual_multiplier": 0.22},
    "granitemoehybrid": {
        **_GROUPED,
        **_MAMBA2,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "residual_multiplier": 0.22,
        "shared_intermediate_size": 64,
        "layer_types": ["mamba", "attention"],
    },
    "granitemoeshared": {
        **_GROUPED,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 64,
        "residual_multiplier": 0.22,
    },
    "helium": _HEAD,
    "hunyuan_v1_dense": _HEAD,
    "jamba": {
        **_GROUPED,
        **_MAMBA,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "num_experts": 4,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "use_mamba_kernels": False,
    },
    "jetmoe": {
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": 2,
        "kv_channels": 8,
        "intermediate_size": 64,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "max_position_embeddings": 48,
    },
    "lfm2": {**_GROUPED, "layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    "llama": _GROUPED,
    "mamba": {"hidden_size": 32, "num_hidden_layers": LAYERS, "state_size": 8, "intermediate_size": 64},
    "mamba2": {
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "state_size": 8,
        "num_heads": 8,
        "head_dim": 8,
        "expand": 2,
        "n_groups": 1,
    },
    "minimax": {
        **_HEAD,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["linear_attention", "full_attention"],
        "block_size": 16,
    },
    "ministral": {**_HEAD, "sliding_window": 8},
    "mistral": {**_HEAD, "sliding_window": 8},
    "mixtral": {**_HEAD, "num_local_experts": 4, "num_experts_per_tok": 2},
    "modernbert-decoder": {**_MLP, "local_attention": 8},
    "mpt": {"d_model": 32, "n_layers": LAYERS, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 48},
    "nanochat": _HEAD,
    "nemotron": _GROUPED,
    "nemotron_h": {
        **_HEAD,
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 1,
        "layers_block_type": ["mamba", "attention"],
    },
    "olmo": _GROUPED,
    "olmo2": _GROUPED,
    "olmo3": {**_GROUPED, "sliding_window": 8},
    "olmoe": {**_GROUPED, "num_experts": 4, "num_experts_per_tok": 2},
    "openai-gpt": _N,
    "opt": {**_PLAIN, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "persimmon": _MLP,
    "phi": _GROUPED,
    "phi3": _GROUPED,
    "phimoe": {**_GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen2": _GROUPED,
    "qwen2_moe": {**_MOE, "num_experts": 4, "shared_expert_intermediate_size": 64},
    "qwen3": _HEAD,
    "qwen3_moe": {**_MOE, "num_experts": 4},
    "qwen3_next": {
        **_MOE,
        "num_experts": 4,
        "shared_expert_intermediate_size": 64,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 8,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "layer_types": ["linear_attention", "full_attention"],
    },
    "recurrent_gemma": {
        **_GROUPED,
        "intermediate_size": 128,
        "lru_width": 32,
        "attention_window_size": 8,
        "block_types": ["recurrent", "attention"],
    },
    "rwkv": {
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "attention_hidden_size": 32,
        "intermediate_size": 64,
        "context_length": 48,
    },
    "seed_oss": _HEAD,
    "smollm3": _GROUPED,
    "stablelm": _GROUPED,
    "starcoder2": {**_GROUPED, "sliding_window": 8},
    "vaultgemma": {**_HEAD, "sliding_window": 8, "query_pre_attn_scalar": 8},
    "xglm": {"d_model": 32, "num_layers": LAYERS, "attention_heads": 4, "ffn_dim": 64, "max_position_embeddings": 48},
    "zamba2": {
        **_GROUPED,
        "mamba_d_state": 8,
        "mamba_expand": 2,
        "n_mamba_heads": 8,
        "mamba_ngroups": 1,
        "layers_block_type": ["mamba", "hybrid"],
        "num_mem_blocks": 1,
        "adapter_rank": 8,
        "use_mem_rope": True,
        "chunk_size": 16,
    },
}

ENCODERS: dict[str, dict[str, Any]] = {
    "albert": {**_MLP, "embedding_size": 16},
    "bert": _MLP,
    "big_bird": _MLP,
    "camembert": _MLP,
    "convbert": {**_MLP, "embedding_size": 32, "head_ratio": 2, "conv_kernel_size": 3},
    "data2vec-text": _MLP,
    "deberta": {**_MLP, "relative_attention": True, "pos_att_type": "c2p|p2c", "position_biased_input": True},
    "deberta-v2": {
        **_MLP,
        "relative_attention": True,
        "pos_att_type": "c2p|p2c",
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    "distilbert": {"dim": 32, "n_layers": LAYERS, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 48},
    "electra": {**_MLP, "embedding_size": 16},
    "ernie": _MLP,
    "esm": {**_MLP, "position_embedding_type": "absolute", "mask_token_id": 5},
    "eurobert": _GROUPED,
    "flaubert": {"emb_dim": 32, "n_layers": LAYERS, "n_heads": 4, "max_position_embeddings": 48},
    "fnet": _MLP,
    "ibert": _MLP,
    "longformer": {**_MLP, "attention_window": 8},
    "megatron-bert": _MLP,
    "mobilebert": {**_MLP, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "modernbert": {**_MLP, "local_attention": 8},
    "mpnet": _MLP,
    "nomic_bert": _MLP,
    "nystromformer": {**_MLP, "segment_means_seq_len": 48, "num_landmarks": 48},
    "rembert": {**_MLP, "input_embedding_size": 16, "output_embedding_size": 16},
    "roberta": _MLP,
    "roberta-prelayernorm": _MLP,
    "roc_bert": {
        **_MLP,
        "pronunciation_vocab_size": 8,
        "shape_vocab_size": 8,
        "pronunciation_embed_dim": 8,
        "shape_embed_dim": 8,
    },
    "roformer": {**_MLP, "embedding_size": 32},
    "squeezebert": {**_MLP, "embedding_size": 32},
    "xlm": {"emb_dim": 32, "n_layers": LAYERS, "n_heads": 4, "max_position_embeddings": 48},
    "xlm-roberta": _MLP,
    "xlm-roberta-xl": _MLP,
    "xlnet": {"d_model": 32, "n_layer": LAYERS, "n_head": 4, "d_inner": 64},
    "yoso": _MLP,
}


@lru_cache(maxsize=1)
def _tokenizer() -> FastTextTokenizer:
    return FastTextTokenizer(byte_level_tokenizer(), "tiny")


def family_model(family: str, double: bool = False) -> Any:
    """A seeded random model of the family in evaluation mode, float64 where rounding must not matter."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    settings = (CAUSAL | ENCODERS)[family]
    ids = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "sep_token_id": 0}
    config = AutoConfig.for_model(family, vocab_size=VOCABULARY, **ids, **settings)
    torch.manual_seed(0)
    model = (AutoModelForCausalLM if family in CAUSAL else AutoModel).from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25)
            elif parameter.is_floating_point():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model = model.eval().requires_grad_(False)
    return model.double() if double else model


def family_subject(family: str, double: bool = False) -> TransformerSubject:
    causal = family in CAUSAL
    borders = ((0,), ()) if causal else ((0,), (2,))
    return TransformerSubject(f"tiny-{family}", family_model(family, double), _tokenizer(), family, causal, *borders)
