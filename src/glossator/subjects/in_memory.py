"""An in-memory model as a subject: one from `transformers`, or any module that takes token ids."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import nn

from glossator.errors import UserError
from glossator.subjects.tokenizer import FastTextTokenizer


def own_tokenizer(tokenizer: Any, name: str) -> FastTextTokenizer:
    """A copy of a tokenizer of `transformers` or `tokenizers`, so that the original does not change; `UserError` for
    anything else."""
    from tokenizers import Tokenizer

    if tokenizer is None:
        raise UserError("an in-memory model needs its tokenizer", fix="load_subject(model, tokenizer)")
    if isinstance(tokenizer, FastTextTokenizer):
        tokenizer = tokenizer.hub_tokenizer
    if isinstance(tokenizer, Tokenizer):
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    return FastTextTokenizer(copy.deepcopy(tokenizer), name)


def opened(model: nn.Module, tokenizer: FastTextTokenizer) -> nn.Module:
    """The model in evaluation mode, as subjects call it; raises `UserError` for one that cannot be studied.

    Its weights are not copied, and it stays in evaluation mode.
    """
    if missing := [name for name, p in model.named_parameters() if p.device.type == "meta"]:
        raise UserError(
            "weights are missing (meta tensors)",
            value=", ".join(missing[:4]),
            fix="Load the weights first",
        )
    model = model.eval()
    if not (hasattr(model, "config") and hasattr(model, "get_input_embeddings")):
        model = PlainModule(model, len(tokenizer.vocabulary))
    elif getattr(model.config, "is_encoder_decoder", False) and any(
        name.rpartition(".")[2] == "decoder" for name, _ in model.named_modules()
    ):
        raise UserError(
            "this model is an encoder-decoder",
            value=type(model).__name__,
            allowed="a causal language model, or an encoder",
            fix="Pass its encoder: load_subject(model.get_encoder(), tokenizer)",
        )
    return model


class PlainModule(nn.Module):
    """A module that maps token ids (rows, positions) to numbers a position, as models of `transformers` are called.

    Its parts keep their names. size: tokens in the vocabulary. `attention_mask` is handed on where the module's
    `forward` has it. Raises `UserError` for a module without an embedding of tokens.
    """

    def __init__(self, module: nn.Module, size: int):
        super().__init__()
        for name, child in module.named_children():
            self.add_module(name, child)
        for name, parameter in module.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in module.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        object.__setattr__(self, "whole", module)  # Registered, each of its parts would have two names.
        tables = [m for m in module.modules() if isinstance(m, nn.Embedding)]
        if not tables:
            raise UserError(
                "this module has no token embedding",
                value=type(module).__name__,
                allowed="a module with an nn.Embedding that takes token ids (rows, positions)",
            )
        self._embedding = [next((t for t in tables if t.num_embeddings >= size), tables[0])]
        parameters = inspect.signature(module.forward).parameters
        self._takes_mask = "attention_mask" in parameters
        self.config = _config_of(module, self._embedding[0])
        self.eval()

    @property
    def dtype(self) -> torch.dtype:
        return self._embedding[0].weight.dtype

    def get_input_embeddings(self) -> nn.Embedding:
        return self._embedding[0]

    def get_output_embeddings(self) -> nn.Linear | None:
        """The last linear layer that is as wide as the vocabulary, None without one."""
        size = self._embedding[0].num_embeddings
        found = [m for m in self.modules() if isinstance(m, nn.Linear) and m.out_features == size]
        return found[-1] if found else None

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

        given = {"attention_mask": attention_mask} if self._takes_mask and attention_mask is not None else {}
        out: Any = self.whole(input_ids, **given)
        if hasattr(out, "logits") or hasattr(out, "last_hidden_state"):
            return out
        out = out[0] if isinstance(out, tuple) else out
        if not isinstance(out, torch.Tensor) or out.ndim != 3:
            shown = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
            raise ValueError(f"it gives {shown} and not (rows, positions, numbers)")
        is_logits = out.shape[-1] == self._embedding[0].num_embeddings
        return CausalLMOutput(logits=out) if is_logits else BaseModelOutput(last_hidden_state=out)


def _config_of(module: nn.Module, embedding: nn.Embedding) -> Any:
    """What a config says of a model, as far as the module tree shows it."""
    from transformers import PretrainedConfig

    lists = [m for m in module.modules() if isinstance(m, nn.ModuleList) and any(True for _ in m.parameters())]
    blocks = max(lists, key=lambda m: sum(p.numel() for p in m.parameters()), default=None)
    facts: dict[str, Any] = {"vocab_size": embedding.num_embeddings, "hidden_size": embedding.embedding_dim}
    if blocks is not None:
        facts["num_hidden_layers"] = len(blocks)
        named = [getattr(m, name, None) for m in blocks.modules() for name in _HEADS]
        if heads := next((n for n in named if isinstance(n, int) and n > 0), None):
            facts["num_attention_heads"] = heads
    return PretrainedConfig(**facts, pad_token_id=embedding.padding_idx, tie_word_embeddings=False)


_HEADS = ("num_attention_heads", "num_heads", "n_heads", "n_head", "nhead", "heads")
