"""Downloaded weights to safetensors, once: quantised blocks of GGUF become the float32 numbers that they encode,
without rounding, and tensors of a checkpoint get the names that its modules have here.

A 4-bit block is q * scale + offset with 16-bit scale and offset; only float32 holds all of those values.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

from glossator.errors import UserError


def _digits_apart(backend: Any) -> None:
    """Split digits one by one before the byte-level pattern runs: the pre-tokenizer that GGUF calls `smollm`."""
    from tokenizers import pre_tokenizers

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level])


# GGUF names its pre-tokenizer; the byte-level pattern alone, which `transformers` rebuilds, is what "gpt-2" means.
_PRE_TOKENIZERS: dict[str, Any] = {"gpt-2": lambda backend: None, "smollm": _digits_apart}


def pre_tokenizer_name(gguf: Path) -> str:
    """The value of `tokenizer.ggml.pre`."""
    from gguf import GGUFReader

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    return "" if field is None else str(field.contents())


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write model.safetensors (float32, tied weights once) and the tokenizer's files of a GGUF model into `folder`.

    Raises `UserError` when the file is damaged or names a pre-tokenizer that is not known here.
    """
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from glossator.subjects.checkpoints import quiet_transformers

    try:
        name = pre_tokenizer_name(gguf)
        # The progress bar of the GGUF reader goes straight to standard error and has no switch.
        with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):
            where = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
            tokenizer = AutoTokenizer.from_pretrained(**where)
            model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    except (ValueError, KeyError, IndexError) as error:
        raise UserError("damaged GGUF file", value=gguf.name, fix=str(error).splitlines()[0]) from error
    if name not in _PRE_TOKENIZERS:
        raise UserError("unknown pre-tokenizer in the GGUF file", value=name, allowed=", ".join(_PRE_TOKENIZERS))
    _PRE_TOKENIZERS[name](tokenizer.backend_tokenizer)
    tokenizer.save_pretrained(folder)
    tensors: dict[str, Any] = {}
    seen: set[int] = set()
    for key, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[key] = tensor.contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def convert_checkpoint(path: Path, folder: Path) -> None:
    """Write model.safetensors from a checkpoint of EfficientNet-Lite0, by the names that its modules have here.

    Only tensors are read from the pickle, no code. Raises `UserError` for a damaged file.
    """
    import pickle

    import torch
    from safetensors.torch import save_file

    from glossator.subjects.efficientnet import renamed

    try:
        tensors = renamed(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, KeyError, EOFError, AttributeError) as error:
        raise UserError("damaged checkpoint", value=path.name, fix=str(error).splitlines()[0]) from error
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
