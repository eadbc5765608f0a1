"""What a block adds to the residual stream, and by which factor: found by perturbation, not by module names.

Blocks differ in what stands between a projection and the stream: nothing, a multiplier (Granite), a gain for each
dimension, a norm (Gemma 2, OLMo 2), or the norm of the whole sum (BERT). So a block is run again on what a short pass
gave it, with noise added to what one module gives and all the smallest modules held at what they gave: if the block's
output moves by the noise times one factor a dimension, whatever the token, the module is added to the stream with it.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import nn

from glossator.subjects.hooks import first_tensor, with_first
from glossator.subjects.sites import projection_shape

Scale = float | tuple[float, ...]
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}  # of the size of what is compared
COARSE = 0.05  # in half precision
_MOST_SETS = 64
_HEAD_WIDTHS = ("v_head_dim", "head_v_dim", "head_dim", "attention_head_size", "head_size", "dim_per_head")

_OF_KIND: dict[Any, list[str]] = {}
"""By what a block is made of, which of its modules are added to the stream in the first block of the kind."""


class BlockRun:
    """One block and its activations in a pass. path: its name in the model; given, gave: the stream before and behind
    it."""

    def __init__(self, path: str, block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], gave: torch.Tensor):
        self.path, self.block, self.args, self.kwargs, self.gave = path, block, args, kwargs, gave
        given = args[0] if args else kwargs.get("hidden_states")
        self.given: torch.Tensor | None = given if isinstance(given, torch.Tensor) else None
        self.tolerance = TOLERANCE.get(gave.dtype, COARSE)

    @cached_property
    def _clean(self) -> dict[str, list[Any]]:
        """What each module inside gave at each of its calls, in the order in which they came to an end."""
        found: dict[str, list[Any]] = {}
        self._again(lambda name, _, output: found.setdefault(name, []).append(copy_of(output)))
        return found

    @cached_property
    def factors(self) -> dict[str, Scale]:
        """The factors of all modules that are added to the stream, by their paths within the block."""
        kind = (type(self.block), tuple(self._clean))
        names = _OF_KIND.get(kind) or list(self._clean)
        found = {name: factor for name in names if (factor := self.factor(name)) is not None}
        _OF_KIND.setdefault(kind, list(found))
        return found

    @cached_property
    def _smallest(self) -> set[str]:
        return {name for name, module in self.block.named_modules() if name and not list(module.children())}

    @cached_property
    def _passing(self) -> set[str]:
        """Modules that hand on what they are given (dropout in evaluation): they stand between nothing."""
        found: set[str] = set()

        def look(name: str, args: tuple[Any, ...], output: Any) -> None:
            if args and isinstance(output, torch.Tensor) and isinstance(args[0], torch.Tensor):
                same = args[0].shape == output.shape and torch.equal(args[0], output)
                found.update([name] if same else [])

        self._again(look)
        return found

    @cached_property
    def is_repeatable(self) -> bool:
        """Whether the block run alone gives the same as within the model."""
        return self._near(self._again(lambda *_: None), self.gave, self.gave)

    def factor(self, name: str) -> Scale | None:
        """The factor with which what this module (its path within the block) gives is added to the stream; None if
        it is not: where it does not reach the stream but through others, or as the token will have it."""
        outputs = self._clean.get(name, [])
        if len(outputs) != 1 or name in self._passing or not self.is_repeatable:
            return None
        own = outputs[0]
        if not self._like_stream(own):
            return None
        generator = torch.Generator().manual_seed(0)
        # Large beside a few massive activations, whose rounding in half precision would drown it.
        size = float(self.gave.float().square().mean().sqrt() + own.float().square().mean().sqrt())
        size += float(self.gave.float().abs().max()) / 8
        noise = (torch.randn(own.shape, generator=generator) * size).to(own)
        moved = self._again(self._holding(name, own + noise)).double() - self.gave.double()
        noise = ((own + noise).double() - own.double()).reshape(self.gave.shape)
        axes = tuple(range(self.gave.ndim - 1))
        factors = (moved * noise).sum(axes) / noise.square().sum(axes)
        largest = float(factors.abs().max())
        if not largest > self.tolerance or float(factors.abs().min()) < 1e-6 * largest:
            return None
        if not self._near(factors * noise, moved, moved):
            return None
        mean = float(factors.mean())
        if float((factors - mean).abs().max()) <= self.tolerance * largest:
            return 1.0 if abs(mean - 1) <= self.tolerance else mean
        return tuple(factors.tolist())

    def written_after(self, name: str) -> str | None:
        """The first module behind this one that carries what this one gives, and nothing else, into the stream; None
        if there is none or the block does not add up."""
        order, moved, own = list(self._clean), self._moved_by(name), self._clean[name][0]
        others: set[str] = set()

        def look(other: str, _: Any, output: Any) -> Any:
            if other == name:
                return with_first(output, own.clone())
            if not _same(first_tensor(output), self._clean[other][0]):
                others.add(other)
            return None

        assert self.given is not None
        self._again(look, self.given + float(self.given.float().abs().max()) * torch.randn_like(self.given))
        later = [n for n in order[order.index(name) + 1 :] if n in self.factors and n in moved and n not in others]
        return later[0] if later and self.adds_up(later[0]) else None

    def _moved_by(self, name: str) -> set[str]:
        """Modules that give something else when this one gives something else."""
        own, found = self._clean[name][0], set()
        value = own + float(own.float().abs().max())

        def look(other: str, _: Any, output: Any) -> Any:
            if other == name:
                return with_first(output, value.clone())
            if not _same(first_tensor(output), self._clean[other][0]):
                found.add(other)
            return None

        self._again(look)
        return found

    @cached_property
    def reading_other_tokens(self) -> list[str]:
        """Modules whose input at a token holds what the block was given at another, in the order in which they end."""
        assert self.given is not None
        other, rows = self.given.clone(), self.given.shape[0]
        other[:, 0] += float(other.float().abs().max())
        inputs: list[dict[str, torch.Tensor]] = [{}, {}]
        for stream, seen in zip((self.given, other), inputs, strict=True):

            def look(name: str, args: tuple[Any, ...], _: Any, seen: dict[str, torch.Tensor] = seen) -> None:
                if args and isinstance(args[0], torch.Tensor):
                    seen[name] = args[0].clone()

            self._again(look, stream)
        before, after = inputs
        return [
            name
            for name, value in before.items()
            if value.ndim >= 2
            and value.shape == after[name].shape
            and value.numel() % (rows * value.shape[-1]) == 0
            and not torch.equal(*(x.reshape(rows, -1, x.shape[-1])[:, 1:] for x in (value, after[name])))
        ]

    def projections(self, wide: int | None = None) -> list[str]:
        """Projections to the width of the stream, from this width if one is given, in the order in which they end."""
        shapes = {name: projection_shape(self.block.get_submodule(name)) for name in self._clean}
        width = self.gave.shape[-1]
        return [n for n, shape in shapes.items() if shape and shape[1] == width and wide in (None, shape[0])]

    def heads(self, name: str, counted: int | None) -> int | None:
        """How many heads this projection reads: by the width of one, where a module of its attention names that (mixed
        layers have other heads than the config counts), else as counted; None if they do not divide its input."""
        shape = projection_shape(self.block.get_submodule(name))
        assert shape is not None
        for module in self.block.get_submodule(attention_around(name)).modules():
            widths = (getattr(module, attribute, None) for attribute in _HEAD_WIDTHS)
            if width := next((w for w in widths if isinstance(w, int) and w > 0 and shape[0] % w == 0), None):
                return shape[0] // width
        return counted if counted and shape[0] % counted == 0 else None

    def adds_up(self, wanted: str) -> bool:
        """Whether the stream moves by the sum of modules of which this is one, no two of them one inside the other."""
        factors = self.factors
        tops = [a for a in factors if not any(is_inside(a, b) for b in factors)]
        choices = [_antichains(top, list(factors)) for top in tops]
        for sets in itertools.islice(itertools.product(*choices), _MOST_SETS):
            names = [name for one in sets for name in one]
            if wanted in names and self.given is not None and self.given.shape == self.gave.shape:
                total = self.given.double()
                for name in names:
                    scale = torch.tensor(factors[name], dtype=torch.float64, device=total.device)
                    total = total + scale * self._clean[name][0].double().reshape(total.shape)
                if self._near(total, self.gave, self.gave):
                    return True
        return False

    def goes_on_to(self, following: BlockRun) -> bool:
        """Whether the input of the next block is this one's output, possibly times a number (RWKV halves its
        stream)."""
        given = following.given
        if given is None or given.shape != self.gave.shape:
            return False
        a, b = given.double(), self.gave.double()
        return self._near(a, b * ((a * b).sum() / (b * b).sum()), a)

    def _like_stream(self, value: Any) -> bool:
        return (
            isinstance(value, torch.Tensor)
            and value.is_floating_point()
            and value.numel() == self.gave.numel()
            and value.shape[-1] == self.gave.shape[-1]
            and (value.shape == self.gave.shape or value.ndim == 2)
        )

    def _near(self, one: torch.Tensor, other: torch.Tensor, scale: torch.Tensor) -> bool:
        """Whether both are the same at each token, up to rounding of values of this scale."""
        difference = (one.double() - other.double()).abs().amax(-1)
        return bool((difference <= self.tolerance * scale.double().abs().amax(-1)).all())

    def _holding(self, name: str, value: torch.Tensor) -> Callable[..., Any]:
        """This module gives `value`; those with none inside give what they gave, each at each of its calls."""
        calls: dict[str, int] = {}

        def change(other: str, _: Any, output: Any) -> Any:
            call = calls[other] = calls.get(other, -1) + 1
            if other == name:
                return with_first(output, value.clone())
            clean = self._clean[other][call] if call < len(self._clean[other]) else None
            if other not in self._smallest or other in self._passing or not isinstance(clean, torch.Tensor):
                return None
            return with_first(output, clean.clone())

        return change

    def _again(
        self, change: Callable[[str, tuple[Any, ...], Any], Any], stream: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The block's output when `change(name, inputs, output)` may replace what each module inside gives; stream: in
        place of the one that the block was given."""
        mine = threading.get_ident()

        def hook(name: str) -> Callable[..., Any]:
            return lambda _, args, output: change(name, args, output) if threading.get_ident() == mine else None

        with torch.inference_mode(), contextlib.ExitStack() as stack:
            for name, module in self.block.named_modules():
                if name:
                    stack.callback(module.register_forward_hook(hook(name)).remove)
            args = [arg.clone() if isinstance(arg, torch.Tensor) else arg for arg in self.args]
            kwargs = dict(self.kwargs)
            if stream is not None and args:
                args[0] = stream.clone()
            elif stream is not None or isinstance(kwargs.get("hidden_states"), torch.Tensor):
                kwargs["hidden_states"] = (kwargs["hidden_states"] if stream is None else stream).clone()
            return first_tensor(self.block(*args, **kwargs))


def attention_around(name: str) -> str:
    """The outermost part of a path that is an attention's."""
    parts = name.split(".")
    place = next((i for i, part in enumerate(parts) if "att" in part.lower()), len(parts) - 2)
    return ".".join(parts[: max(place, 0) + 1])


def copy_of(output: Any) -> Any:
    value = first_tensor(output)
    return value.clone() if isinstance(value, torch.Tensor) else None


def _same(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return one is other
    return one.shape == other.shape and torch.equal(one, other)


def is_inside(name: str, other: str) -> bool:
    return name.startswith(f"{other}.")


def _antichains(top: str, names: list[str]) -> list[list[str]]:
    """Ways to take a module: itself, or in its place those inside it."""
    below = [name for name in names if is_inside(name, top)]
    firsts = [name for name in below if not any(is_inside(name, other) for other in below)]
    if not firsts:
        return [[top]]
    parts: Iterator[Any] = itertools.product(*(_antichains(name, below) for name in firsts))
    return [[top], *([name for one in part for name in one] for part in itertools.islice(parts, _MOST_SETS))]
