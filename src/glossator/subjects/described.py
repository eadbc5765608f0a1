"""Verified sites: each short name, checked on the blocks, at the module that computes what the name says."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from glossator.errors import UserError
from glossator.subjects.additions import BlockRun, attention_around, copy_of, is_inside
from glossator.subjects.sites import MLP_OUT, SiteInfo, find_blocks


def block_runs(model: Any, inputs: dict[str, Any]) -> dict[int, BlockRun]:
    """Each block, by its layer, with what it was given in one pass over these inputs; blocks that do not run once with
    a tensor are left out."""
    blocks = find_blocks(model, model.config)
    if blocks is None:
        return {}
    given: dict[int, list[tuple[Any, Any]]] = {}
    gave: dict[int, Any] = {}
    mine = threading.get_ident()

    def before(layer: int) -> Callable[..., None]:
        def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if threading.get_ident() == mine:
                kept = tuple(arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in args)
                if isinstance(hidden := kwargs.get("hidden_states"), torch.Tensor):
                    kwargs = {**kwargs, "hidden_states": hidden.clone()}
                given.setdefault(layer, []).append((kept, dict(kwargs)))

        return note

    def after(layer: int) -> Callable[..., None]:
        def note(_: nn.Module, __: Any, output: Any) -> None:
            if threading.get_ident() == mine:
                gave[layer] = copy_of(output)

        return note

    with torch.inference_mode(), contextlib.ExitStack() as stack:
        for layer, block in enumerate(blocks[1]):
            stack.callback(block.register_forward_pre_hook(before(layer), with_kwargs=True).remove)
            stack.callback(block.register_forward_hook(after(layer)).remove)
        model(**inputs)
    return {
        layer: BlockRun(f"{blocks[0]}.{layer}", blocks[1][layer], *calls[0], gave[layer])
        for layer, calls in given.items()
        if len(calls) == 1 and isinstance(gave.get(layer), torch.Tensor)
    }


def described(site: SiteInfo, runs: dict[int, BlockRun]) -> SiteInfo | UserError:
    """The site at the module that does what its name says, and the factor by which that is added to the stream."""
    kind, _, number = site.name.partition(".")
    layer = int(number)
    run = runs.get(layer)
    pairs = [(runs.get(i), runs.get(i + 1)) for i in (layer - 1, layer)]
    is_stream = all(one is None or other is None or one.goes_on_to(other) for one, other in pairs)
    if kind == "resid":
        return site if is_stream else UserError(
            "the output of this block is not the residual stream that the next one receives", value=site.name,
            fix="Use a module's dotted path",
        )  # fmt: skip
    if run is None or not is_stream or run.given is None or run.given.ndim != 3 or not run.is_repeatable:
        return site
    name = site.module.removeprefix(f"{run.path}.")
    if kind == MLP_OUT:
        return _written(site, run, name)
    if kind == "mlp":
        name = ([other for other in run.projections(site.width) if _near_in_kind(other, name)] or [name])[-1]
        return replace(site, module=f"{run.path}.{name}", scale=run.factor(name))
    attention = attention_around(name)
    back = [other for other in run.projections() if is_inside(other, attention)]
    back = [other for other in back if other in run.reading_other_tokens]
    if kind == "head":
        if not back:
            return UserError(
                "no projection reads the outputs of the heads", value=site.name, fix="Use a module's dotted path"
            )
        return replace(
            site, module=f"{run.path}.{back[-1]}", scale=run.factor(back[-1]), heads=run.heads(back[-1], site.heads)
        )
    name = back[-1] if back else attention
    factor = run.factor(name) if back or run.adds_up(name) else None
    if factor is None and (after := run.written_after(name)) is not None:
        name, factor = after, run.factors[after]
    return replace(site, module=f"{run.path}.{name}", scale=factor)


def _written(site: SiteInfo, run: BlockRun, name: str) -> SiteInfo:
    """The site at what this module adds to the stream, or at the first one behind it that does for it."""
    factor = run.factor(name)
    if factor is None and (after := run.written_after(name)) is not None:
        name, factor = after, run.factors[after]
    return replace(site, module=f"{run.path}.{name}", scale=factor)


def _near_in_kind(name: str, other: str) -> bool:
    """Whether both are of an attention or neither is."""
    return ("att" in name.lower()) == ("att" in other.lower())
