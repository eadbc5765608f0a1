"""Keys and values kept between passes: room that grows by doubling, and a prefix that many rows share."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.cache_utils import DynamicCache, DynamicLayer


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


def can_share(cache: DynamicCache) -> bool:
    """Whether rows may go on from one common prefix: every layer keeps all tokens (no sliding window, no state)."""
    return bool(cache.layers) and all(isinstance(layer, RoomyLayer) for layer in cache.layers)


def shared(cache: DynamicCache, rows: int, model: nn.Module) -> DynamicCache:
    """A cache of `rows` rows that all start with the one row of `cache`, which itself stays as it is."""
    found = new_cache(model)
    for layer, source in zip(found.layers, cache.layers, strict=True):
        layer.dtype, layer.device, layer.is_initialized = source.dtype, source.device, True
        layer.keys = source.keys.expand(rows, -1, -1, -1)
        layer.values = source.values.expand(rows, -1, -1, -1)
    return found
