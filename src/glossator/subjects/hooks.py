"""Reading and editing activations with plain forward hooks that are always removed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from glossator.subjects.sites import Layout, SiteInfo, resolve_site

if TYPE_CHECKING:
    import torch
    from torch import nn


class StopForward(Exception):
    """No error: ends a forward pass once the last wanted value has been seen; `stopping` catches it."""


def _resolve(model: nn.Module, site: SiteInfo | str) -> SiteInfo:
    return resolve_site(model, site) if isinstance(site, str) else site


def first_tensor(value: Any) -> torch.Tensor:
    """The tensor a module hands on: itself, or the first member of a tuple or list."""
    return value[0] if isinstance(value, tuple | list) and value else value


def with_first(output: Any, new: torch.Tensor) -> Any:
    """What a module hands on with another tensor in the first place."""
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(new, *output[1:])
    return type(output)([new, *output[1:]]) if isinstance(output, tuple | list) else new


class _Pass(threading.local):
    """(rows, positions) of the pass that this thread runs through a model; None outside one."""

    shape: tuple[int, int] | None = None

    def note(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = kwargs.get("input_ids")
        given = kwargs.get("inputs_embeds") if given is None else given
        given = args[0] if given is None and args else given
        self.shape = None if given is None else (int(given.shape[0]), int(given.shape[1]))


def by_window(values: Any, layout: Layout | None, shape: tuple[int, int] | None) -> Any:
    """A module's tensor as (batch, positions, width), a view of it; as it is where the pass's shape is not known.

    Some models run a feed-forward on all tokens of a batch in one row, some put positions before rows, some channels
    before positions. Without a layout the tensor's own shape tells, as far as it can.
    """
    if shape is None or not hasattr(values, "ndim"):
        return values
    if layout is None:
        layout = "flat" if values.ndim == 2 and len(values) == shape[0] * shape[1] else "batch"
    if layout == "flat":
        return values.unflatten(0, (shape[0], -1))
    return values.transpose(*_SWAPPED[layout]) if layout in _SWAPPED else values


_SWAPPED = {"positions": (0, 1), "channels": (1, 2)}


def _as_it_was(new: torch.Tensor, old: torch.Tensor, layout: Layout | None) -> torch.Tensor:
    """Values (batch, positions, width) in the order of dimensions of `old`."""
    if layout in _SWAPPED:
        return new.transpose(*_SWAPPED[layout])
    return new.flatten(0, 1) if new.ndim == old.ndim + 1 else new


def _listen(model: nn.Module, site: SiteInfo, see: Callable[[torch.Tensor], Any]) -> contextlib.ExitStack:
    """Call `see` with the site's tensor at each pass; what it returns, if not None, replaces the tensor.

    Closing what comes back ends it.
    """
    module, of_pass, stack = model.get_submodule(site.module), _Pass(), contextlib.ExitStack()
    factor = None if site.side == "input" or site.scale == 1.0 else site.scale

    def changed(value: Any) -> Any:
        seen = by_window(value, site.layout, of_pass.shape)
        new = see(seen if factor is None else seen * seen.new_tensor(factor))
        if new is None:
            return None
        return _as_it_was(new if factor is None else new / new.new_tensor(factor), value, site.layout)

    def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        new = changed(args[0])
        return None if new is None else (new, *args[1:])

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        new = changed(first_tensor(output))
        return None if new is None else with_first(output, new)

    if site.layout != "batch":
        stack.callback(model.register_forward_pre_hook(of_pass.note, with_kwargs=True).remove)
    handle = module.register_forward_pre_hook(before) if site.side == "input" else module.register_forward_hook(after)
    stack.callback(handle.remove)
    return stack


@contextlib.contextmanager
def watch(
    model: nn.Module, sites: Sequence[SiteInfo | str], see: Callable[[str, torch.Tensor], Any], *, stop: bool = False
) -> Iterator[None]:
    """Call `see(site name, tensor)` as soon as each of these sites has its tensor, in every pass run inside.

    Tensors are the model's own, neither copied nor detached. With `stop` the pass is ended once every site has been
    seen; run it inside `stopping()`. Passes that other threads run through the model meanwhile are not watched.
    """
    wanted = {site.name: site for site in (_resolve(model, s) for s in sites)}
    seen: set[str] = set()
    mine = threading.get_ident()

    def seeing(name: str) -> Callable[[torch.Tensor], None]:
        def look(tensor: torch.Tensor) -> None:
            if threading.get_ident() != mine:
                return
            see(name, tensor)
            seen.add(name)
            if stop and len(seen) == len(wanted):
                raise StopForward

        return look

    with contextlib.ExitStack() as stack:
        for name, site in wanted.items():
            stack.enter_context(_listen(model, site, seeing(name)))
        yield


def keeping(values: dict[str, Any]) -> Callable[[str, torch.Tensor], None]:
    """A `see` that puts copies into `values`: some models go on computing in what a module gave (Falcon)."""

    def see(name: str, value: torch.Tensor) -> None:
        values[name] = value.clone()

    return see


@contextlib.contextmanager
def capture(model: nn.Module, sites: Sequence[SiteInfo | str], *, stop: bool = False) -> Iterator[dict[str, Any]]:
    """Collect the tensors at these sites in the passes run inside: a dict from site name to the last pass's tensor.

    As `watch`, whose `see` keeps them; what a model then computes in their place shows (see `keeping`).
    """
    values: dict[str, torch.Tensor] = {}
    with watch(model, sites, values.__setitem__, stop=stop):
        yield values


@contextlib.contextmanager
def edit(model: nn.Module, site: SiteInfo | str, fn: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Replace the site's tensor (batch, positions, width) by `fn` of it in every pass run inside.

    Positions include the prefix and suffix that a subject puts around windows. Raises ValueError when `fn` changes the
    shape.
    """

    def see(tensor: torch.Tensor) -> torch.Tensor:
        new = fn(tensor)
        if new.shape != tensor.shape:
            raise ValueError(f"edit changed the shape from {tuple(tensor.shape)} to {tuple(new.shape)}")
        return new

    with _listen(model, _resolve(model, site), see):
        yield


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Run a forward pass that a hook may end early."""
    with contextlib.suppress(StopForward):
        yield
