"""How many positions a model has, from its config and its position embeddings.

Configs name the limit in several ways, and some count table rows that positions use only in part (RoBERTa's begin after
the padding id). So lookups are watched in two short passes: in a position table, the highest requested row moves with
the number of positions, and its last row is the last position.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from glossator.subjects.trial import no_cache

NAMES = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "max_sequence_length",
    "max_target_positions",
    "n_ctx",
)
_LONG = 5  # tokens of the longer of the two passes


def limit_of(model: nn.Module) -> int | None:
    """The most positions that a model takes, None if neither its config nor a table of positions ends."""
    named = named_limit(model.config)
    long = _LONG if named is None else min(_LONG, named)
    tables = [] if long < 3 else _tables(model, long)
    return min([*tables, *([] if named is None else [named])], default=None)


def named_limit(config: Any) -> int | None:
    """The number of positions by the config, under any of the names it goes by; None if it says none."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    for name in NAMES:
        value = getattr(text, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


def _tables(model: nn.Module, long: int) -> list[int]:
    """For each table of positions, how many positions it has room for."""
    short_rows, long_rows = (_lookups(model, width) for width in (long - 2, long))
    if len(short_rows) != len(long_rows):
        return []
    return [
        rows - (highest - (long - 1))
        for (_, lower), (rows, highest) in zip(short_rows, long_rows, strict=True)
        if highest - lower == 2
    ]


def _lookups(model: nn.Module, width: int) -> list[tuple[int, int]]:
    """(rows of the table, highest row asked for) of every lookup of one row a position, in a pass of one window."""
    padding = getattr(model.config, "pad_token_id", None)
    token = next(i for i in range(3) if i != padding)
    embedding = model.get_input_embeddings().weight
    ids = torch.full((1, width), token, dtype=torch.long, device=embedding.device)
    watching = _Lookups(width, {p.data_ptr() for p in (*model.parameters(), *model.buffers())})
    with torch.inference_mode(), watching:
        model(input_ids=ids, **no_cache(model))
    return watching.found


class _Lookups(TorchDispatchMode):
    """Notes lookups in the model's own tensors while it runs."""

    def __init__(self, width: int, own: set[int]):
        super().__init__()
        self.width, self.own = width, own
        self.found: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rows: Any = None
        if func is torch.ops.aten.embedding.default:
            rows = args[1]
        elif func is torch.ops.aten.index_select.default and args[1] == 0:
            rows = args[2]
        elif func is torch.ops.aten.index.Tensor and len(args[1]) == 1:
            rows = args[1][0]
        # One row a position: (positions,) or (1, positions). Distances between positions are (positions, positions).
        one_each = isinstance(rows, torch.Tensor) and rows.dtype != torch.bool and rows.numel() == rows.shape[-1]
        if one_each and rows.numel() >= self.width and args[0].data_ptr() in self.own:
            self.found.append((len(args[0]), int(rows.max())))
        return func(*args, **(kwargs or {}))
