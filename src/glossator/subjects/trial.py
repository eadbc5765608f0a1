"""What a short forward pass reveals about a model and its config may not: that it takes tokens, and its context."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

_ROUNDING = 64
"""In units of the dtype's own precision: two rows of one batch differ by less when they mean the same."""


def no_cache(model: nn.Module) -> dict[str, bool]:
    """The argument that keeps a model from filling a cache, if it has one, since a block that is run again would see
    it."""
    taken = inspect.signature(model.forward).parameters.values()
    handed_on = any(p.kind is p.VAR_KEYWORD for p in taken) and hasattr(getattr(model, "config", None), "use_cache")
    return {"use_cache": False} if handed_on or any(p.name == "use_cache" for p in taken) else {}


def output_of(model: nn.Module, ids: list[list[int]]) -> torch.Tensor:
    """A model's first output for rows of token ids of one length: (rows, tokens, width), logits or last states."""
    import torch

    tokens = torch.tensor(ids, device=model.get_input_embeddings().weight.device)
    with torch.inference_mode():
        out: Any = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), **no_cache(model))
    return out if isinstance(out, torch.Tensor) else out[0]


def sees_ahead(model: nn.Module) -> bool:
    """Whether the last token of a row changes the model's outputs at earlier tokens.

    Raises `UserError` for a model that cannot be run on token ids alone.
    """
    import torch

    padding = getattr(model.config, "pad_token_id", None)
    try:
        rows = len(model.get_input_embeddings().weight)
        a, b, c, d = [i for i in range(rows) if i != padding][:4]
        found = output_of(model, [[a, b, c], [a, b, d]]).detach().float().nan_to_num(0.0, 0.0, 0.0)
        one, two = found[0, :2], found[1, :2]
        if found.shape[:2] != (2, 3):
            raise ValueError(f"it gives a tensor of shape {tuple(found.shape)} for two rows of three tokens")
    except Exception as error:
        raise UserError(
            "cannot run this model on token ids",
            value=type(model).__name__,
            allowed="a causal language model, or an encoder of text",
            fix=f"{type(error).__name__}: {error}".strip().splitlines()[0],
        ) from error
    scale = float(one.abs().max())
    limit = _ROUNDING * torch.finfo(model.dtype).eps * scale
    return bool((one - two).abs().max() > limit)
