"""Attention to a prefix shared by all rows, stored once instead of copied for each.

A query attends to the prefix and to its own row's tokens in two softmaxes; with the logarithm of each one's sum they
combine into the softmax over both (as in FlashAttention, Dao et al. 2022, section 3.1). The first is one product of all
rows' queries with the prefix's keys.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface
from transformers.cache_utils import DynamicCache, DynamicLayer

NAME = "glossator_shared_beginning"
_current = threading.local()


class Beginning(DynamicLayer):
    """Keys and values of one row that stay as they are; new tokens are handed on alone and not kept."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor):
        super().__init__()
        self.keys, self.values, self.is_initialized = keys, values, True
        self.dtype, self.device = keys.dtype, keys.device

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return key_states, value_states


@contextlib.contextmanager
def beginning(model: nn.Module, cache: DynamicCache) -> Iterator[DynamicCache]:
    """A cache to run rows with that continue from the one row of `cache`; only inside, and in this thread.

    A mask given to the model inside is (rows or 1, 1, tokens, tokens), what is added to the scores among a row's own
    tokens; without one a token sees those before it.
    """
    config, before = model.config, model.config._attn_implementation
    shared = DynamicCache()
    shared.layers = [Beginning(layer.keys, layer.values) for layer in cache.layers]
    _current.layers = shared.layers
    config._attn_implementation = NAME
    try:
        yield shared
    finally:
        config._attn_implementation = before
        _current.layers = None


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of `transformers`, for layers inside `beginning`: (rows, tokens, heads, d).

    query (rows, heads, tokens, d); key, value (rows, key heads, tokens, d). Raises ValueError for kinds of attention
    that are more than this.
    """
    more = [name for name in ("softcap", "position_bias", "sliding_window", "s_aux") if kwargs.get(name) is not None]
    if more:
        raise ValueError(f"attention with {', '.join(more)}")
    layer = _current.layers[module.layer_idx]
    rows, heads, _, width = query.shape
    few = key.shape[1]
    scale = width**-0.5 if scaling is None else scaling
    # All rows' queries of one key head in a row: (1, few, rows * heads / few * tokens, d).
    together = query.reshape(rows, few, -1, width).transpose(0, 1).reshape(1, few, -1, width)
    there, there_log = _attention(together, layer.keys, layer.values, None, False, scale)
    there = there.reshape(few, rows, -1, width).transpose(0, 1).reshape(query.shape)
    there_log = there_log.reshape(few, rows, -1).transpose(0, 1).reshape(query.shape[:3])
    groups = heads // few
    key, value = (x if groups == 1 else x.repeat_interleave(groups, dim=1) for x in (key, value))
    here, here_log = _attention(query, key, value, attention_mask, attention_mask is None, scale)
    share = torch.sigmoid(there_log - here_log)[..., None].to(here.dtype)
    return torch.lerp(here, there, share).transpose(1, 2).contiguous(), None


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    causal: bool,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Softmax attention and the logarithm of the sum of its exponentials (rows, heads, tokens)."""
    if query.device.type == "cpu" and hasattr(torch.ops.aten, _ON_CPU):
        mask = None if mask is None else mask.expand(len(query), 1, -1, -1)
        return getattr(torch.ops.aten, _ON_CPU)(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores.masked_fill_(hidden, float("-inf"))
    elif mask is not None:
        scores += mask
    log = scores.logsumexp(-1)
    return torch.exp(scores - log[..., None]).to(value.dtype) @ value, log


_ON_CPU = "_scaled_dot_product_flash_attention_for_cpu"
"""The one kernel of torch for processors that also returns the logarithms; without it they are computed plainly."""

AttentionInterface.register(NAME, attend)
