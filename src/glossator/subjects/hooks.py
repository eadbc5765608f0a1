"""Reading and changing what flows through a model, by plain forward hooks that are always taken off again."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from glossator.subjects.sites import SiteInfo, resolve_site

if TYPE_CHECKING:
    import torch
    from torch import nn


class StopForward(Exception):
    """No error: ends a forward pass once the last wanted value has been seen; `stopping` catches it."""


def _resolve(model: nn.Module, site: SiteInfo | str) -> SiteInfo:
    return resolve_site(model, site) if isinstance(site, str) else site


def _first(value: Any) -> torch.Tensor:
    """The tensor a module hands on: itself, or the first member of a tuple."""
    return value[0] if isinstance(value, tuple) else value


def _listen(model: nn.Module, site: SiteInfo, see: Callable[[torch.Tensor], Any]) -> Any:
    """Call `see` with the site's tensor at each pass; what it returns, if not None, replaces the tensor."""
    module = model.get_submodule(site.module)
    if site.side == "input":

        def before(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
            new = see(args[0])
            return None if new is None else (new, *args[1:])

        return module.register_forward_pre_hook(before)

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        new = see(_first(output))
        if new is None:
            return None
        return (new, *output[1:]) if isinstance(output, tuple) else new

    return module.register_forward_hook(after)


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
            stack.callback(_listen(model, site, seeing(name)).remove)
        yield


@contextlib.contextmanager
def capture(model: nn.Module, sites: Sequence[SiteInfo | str], *, stop: bool = False) -> Iterator[dict[str, Any]]:
    """Collect the tensors at these sites in the passes run inside: a dict from site name to the last pass's tensor.

    As `watch`, whose `see` keeps them.
    """
    values: dict[str, torch.Tensor] = {}
    with watch(model, sites, values.__setitem__, stop=stop):
        yield values


@contextlib.contextmanager
def edit(model: nn.Module, site: SiteInfo | str, fn: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Replace the site's tensor (batch, positions, width) by `fn` of it in every pass run inside.

    Positions include the prefix and suffix that a `Subject` puts around windows. Raises ValueError when `fn` changes
    the shape.
    """

    def see(tensor: torch.Tensor) -> torch.Tensor:
        new = fn(tensor)
        if new.shape != tensor.shape:
            raise ValueError(f"edit changed the shape from {tuple(tensor.shape)} to {tuple(new.shape)}")
        return new

    handle = _listen(model, _resolve(model, site), see)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Run a forward pass that a hook may end early."""
    with contextlib.suppress(StopForward):
        yield
