"""Keys and values kept between passes: a buffer that grows by doubling, and a prefix shared by many rows.

Whether a model can continue from cached keys and values is tested. Recurrent models keep a state under other names,
which would be lost, or run it over padding; they get the whole text each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from glossator.subjects.trial import agrees, tried_once

if TYPE_CHECKING:
    from glossator.language_models.in_process_head import Head


class RoomyLayer(DynamicLayer):
    """A layer that writes new tokens behind the old ones in place; the library's own copies all of them each time."""

    keys: Any
    values: Any
    _rooms: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if self.keys is None:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self.keys, self.values = key_states[..., :0, :], value_states[..., :0, :]
        done = self.keys.shape[-2]
        end = done + key_states.shape[-2]
        if self._rooms is None or self._rooms[0].data_ptr() != self.keys.data_ptr() or self._rooms[0].shape[-2] < end:
            self._rooms = tuple(
                _room(old, new, end) for old, new in ((self.keys, key_states), (self.values, value_states))
            )
        for room, new in zip(self._rooms, (key_states, value_states), strict=True):
            room[..., done:end, :] = new
        self.keys, self.values = (room[..., :end, :] for room in self._rooms)
        return self.keys, self.values


def _room(old: torch.Tensor, new: torch.Tensor, end: int) -> torch.Tensor:
    """Room for half as many tokens again as are there, which hold the old ones."""
    done = old.shape[-2]
    room = new.new_empty((*new.shape[:-2], end if not done else end + end // 2, new.shape[-1]))
    room[..., :done, :] = old
    return room


def new_cache(model: nn.Module) -> DynamicCache:
    """An empty cache of the model's kind of layers, those of full attention with room."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def goes_on(head: Head) -> bool:
    """Whether continuing the rows of a padded batch from a cache gives the results of whole passes."""
    return tried_once(head.model, "goes on in a batch", lambda: _try_going_on(head), False)


def _try_going_on(head: Head) -> bool:
    """Two prompts of different lengths, two tokens more of both, one more of the second."""
    device, some = head.model.get_input_embeddings().weight.device, max(1, min(head.size, 64) - 3)
    long, short = ([3 + k * 5 % some for k in range(start, start + n)] for start, n in ((1, 11), (7, 8)))
    padding = len(long) - len(short)
    ids = torch.tensor([long, [0] * padding + short], device=device)
    mask = torch.ones_like(ids)
    mask[1, :padding] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    cache, done, found = new_cache(head.model), 0, []
    for end in (len(long) - 3, len(long) - 2, len(long) - 1, len(long)):
        if end == len(long):
            cache.batch_select_indices(torch.tensor([1], device=device))
            ids, mask, positions = ids[1:], mask[1:], positions[1:]
        states = head.states(
            input_ids=ids[:, done:end],
            attention_mask=mask[:, :end],
            position_ids=positions[:, done:end],
            past_key_values=cache,
            use_cache=True,
        )
        found.append(states[-1, -1])
        done = end
    whole = head.states(input_ids=torch.tensor([short], device=device), use_cache=False)[0, -4:]
    return agrees(torch.stack(found), whole)


def can_share(cache: DynamicCache) -> bool:
    """Whether rows may continue from one common prefix: every layer keeps all tokens (no sliding window, no state)."""
    return bool(cache.layers) and all(isinstance(layer, RoomyLayer) for layer in cache.layers)


class KeptBeginning:
    """What the last prompts started with, so that the next ones that start so need not compute it again.

    It is always computed on its own, whether it is kept or not: an answer must not depend on what was asked before.
    """

    _ids: tuple[int, ...] = ()
    _cache: DynamicCache | None = None

    def cache(self, head: Head, ids: Sequence[int], device: torch.device) -> DynamicCache | None:
        """The cache of one row that read `ids`, to be given to `shared`; None for a model that cannot share one."""
        if self._cache is None or self._ids != tuple(ids):
            self._cache = None  # before its successor takes memory
            found = new_cache(head.model)
            if not can_share(found):
                return None
            head.states(input_ids=torch.tensor([list(ids)], device=device), past_key_values=found, use_cache=True)
            self._ids, self._cache = tuple(ids), found
        return self._cache


def shared(cache: DynamicCache, rows: int, model: nn.Module) -> DynamicCache:
    """A cache of `rows` rows that all start with the one row of `cache`, which itself stays as it is."""
    found = new_cache(model)
    for layer, source in zip(found.layers, cache.layers, strict=True):
        layer.dtype, layer.device, layer.is_initialized = source.dtype, source.device, True
        layer.keys = source.keys.expand(rows, -1, -1, -1)
        layer.values = source.values.expand(rows, -1, -1, -1)
    return found
