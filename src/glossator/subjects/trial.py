"""What a short forward pass reveals about a model and its config may not: that it takes tokens, and its context."""

from __future__ import annotations

import inspect
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from glossator.errors import MODEL_FAILS, UserError

if TYPE_CHECKING:
    import torch
    from torch import nn

_ROUNDING = 64
"""In units of the dtype's own precision: two rows of one batch differ by less when they mean the same."""

Found = TypeVar("Found")
TRYING = threading.RLock()
"""Held by what changes a model for as long as a pass lasts, one thread at a time."""
_TRIED: weakref.WeakKeyDictionary[nn.Module, dict[str, Any]] = weakref.WeakKeyDictionary()


def tried_once(model: nn.Module, what: str, trial: Callable[[], Found], otherwise: Found) -> Found:
    """What a trial of a model gives, made once for each model; `otherwise` where the model does not bear it."""
    import torch

    known = _TRIED.setdefault(model, {})
    if what not in known:
        with TRYING, torch.inference_mode():
            try:
                known[what] = trial()
            except MODEL_FAILS:
                known[what] = otherwise
    found: Found = known[what]
    return found


def agrees(found: torch.Tensor, whole: torch.Tensor) -> bool:
    """Whether a pass in parts gave what a whole pass gives, but for rounding."""
    import torch

    allowed = 1e-3 if whole.dtype in (torch.float32, torch.float64) else 0.06
    return torch.allclose(found, whole, rtol=0, atol=allowed * float(whole.abs().max()))


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
