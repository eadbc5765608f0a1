"""Starting a forward pass in the middle: an intervention at layer L leaves everything below it unchanged.

The clean pass stores the residual stream at the layers where edited passes start; in those, the blocks below pass the
stored stream on. The model's own forward pass does the rest (masks, positions, final norm, output head), so nothing
here is specific to an architecture. Whether a model allows this is tested once: its blocks are found from its
structure, and a probe of a few tokens, started at several layers, must give the same outputs as a full pass. If it does
not (blocks that share more than the stream, or run twice), every pass is a full one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from glossator.subjects.hooks import keeping, watch
from glossator.subjects.sites import SiteInfo, find_blocks
from glossator.subjects.trial import TRYING, tried_once

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

TOLERANCE = 1e-5
"""Largest difference of the probe's outputs, relative to their size, at which a restart counts as the same."""


@dataclass(frozen=True, eq=False)
class Restart:
    """Starts passes at a block instead of at the embedding. path: the name of the list of blocks in the model; members:
    how many values each block returns, None if it returns the residual stream alone."""

    path: str
    blocks: tuple[nn.Module, ...]
    members: tuple[int | None, ...]

    def layer(self, site: SiteInfo) -> int | None:
        """The first block that a change at this site can reach, None for sites outside the blocks."""
        if not site.module.startswith(f"{self.path}."):
            return None
        number, _, inside = site.module[len(self.path) + 1 :].partition(".")
        return int(number) + (0 if inside or site.side == "input" else 1)

    def stream(self, layer: int) -> SiteInfo:
        """The site of the residual stream that enters block `layer`, 1 to the number of blocks."""
        return SiteInfo(f"stream before {layer}", None, "dense", f"{self.path}.{layer - 1}", "output", layout="batch")

    @contextlib.contextmanager
    def start(self, layer: int, stream: torch.Tensor) -> Iterator[None]:
        """A context in which this thread's passes begin at block `layer`, with `stream` as its input."""
        with TRYING, contextlib.ExitStack() as stack:
            for number in range(layer):
                given = stream.clone() if number == layer - 1 else None
                stack.enter_context(_handing_on(self.blocks[number], given, self.members[number]))
            yield


@contextlib.contextmanager
def _handing_on(block: nn.Module, stream: torch.Tensor | None, members: int | None) -> Iterator[None]:
    """The block computes nothing: it gives the stream, or its own input where that is None. Its hooks still see it."""
    own = block.__dict__.get("forward")
    computing, mine = block.forward, threading.get_ident()

    def forward(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != mine:
            return computing(*args, **kwargs)
        value = stream if stream is not None else args[0] if args else kwargs["hidden_states"]
        return value if members is None else (value, *[None] * (members - 1))

    block.forward = forward
    try:
        yield
    finally:
        if own is None:
            del block.forward
        else:
            block.forward = own


def restart_of(subject: TransformerSubject) -> Restart | None:
    """How passes of this subject can be started in the middle, None if they cannot; probed once for each model."""
    return tried_once(subject.model, "restarts", lambda: _probed(subject), None)


def _probed(subject: TransformerSubject) -> Restart | None:
    found = find_blocks(subject.model, subject.model.config)
    if found is None:
        return None
    path, blocks = found
    width = 6 if subject.max_width is None else min(6, subject.max_width)
    if width < 1:
        return None
    tokens = (np.arange(2 * width, dtype=np.int32) * 7 + 11).reshape(2, width) % len(subject.tokenizer.vocabulary)
    lengths = np.array([width, width if subject.runs_by_length else max(1, width - 2)], np.int32)
    inputs = subject.pass_inputs(tokens, lengths)
    members = _members(subject.model, inputs, list(blocks))
    if members is None:
        return None
    restart = Restart(path, tuple(blocks), members)
    layers = sorted({1, (len(blocks) + 1) // 2, len(blocks)})
    return restart if _same(subject.model, inputs, restart, layers) else None


def _members(model: nn.Module, inputs: dict[str, Any], blocks: Sequence[nn.Module]) -> tuple[int | None, ...] | None:
    """What each block hands on in one pass; None unless each runs once, in order."""
    seen: list[tuple[int, int | None]] = []
    with contextlib.ExitStack() as stack, torch.inference_mode():
        for number, block in enumerate(blocks):

            def look(_: nn.Module, __: Any, output: Any, number: int = number) -> None:
                seen.append((number, len(output) if isinstance(output, tuple | list) else None))

            stack.callback(block.register_forward_hook(look).remove)
        model(**inputs)
    return tuple(size for _, size in seen) if [n for n, _ in seen] == list(range(len(blocks))) else None


def _same(model: nn.Module, inputs: dict[str, Any], restart: Restart, layers: Sequence[int]) -> bool:
    streams: dict[str, torch.Tensor] = {}
    sites = [restart.stream(layer) for layer in layers]
    with torch.inference_mode():
        with watch(model, sites, keeping(streams)):
            whole = model(**inputs)[0]
        for layer, site in zip(layers, sites, strict=True):
            with restart.start(layer, streams[site.name]):
                again = model(**inputs)[0]
            if not torch.allclose(whole, again, rtol=TOLERANCE, atol=TOLERANCE * float(whole.abs().max())):
                return False
    return True
