"""The sites of an image model: what its modules hand on, as units at the cells of an image or at the image as a whole.

A model is run on two images and on one of them; the shapes of what its modules hand on tell where channels, tokens and
cells are, and whether an image's values are its own.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from glossator.errors import MODEL_FAILS, UserError, near_matches
from glossator.inputs import WHOLE, Grid
from glossator.subjects.hooks import first_tensor
from glossator.subjects.sites import SiteInfo

if TYPE_CHECKING:
    import torch
    from torch import nn

Order = Literal["channels first", "channels last", "tokens", "vector"]
POOLS = ("max", "mean")
MOST_PREFIX = 16
"""Class and register tokens that may stand before those of the patches."""


@dataclass(frozen=True)
class ImageSite(SiteInfo):
    """What one module hands on: channels (n, width, rows, columns) or (n, rows, columns, width), the tokens of patches
    (n, tokens, width), or one vector an image (n, width).

    prefix: tokens that stand before those of the patches and belong to no cell; pool: how the cells become one value an
    image, None where they stay apart.
    """

    order: Order = "vector"
    cells: Grid = WHOLE
    prefix: int = 0
    pool: str | None = None

    @property
    def grid(self) -> Grid:  # type: ignore[override]
        return WHOLE if self.pool else self.cells

    def read(self, handed_on: torch.Tensor) -> torch.Tensor:
        """(n, places, width) of what the module hands on, a view of it unless it is pooled."""
        places = self._places(handed_on)
        if self.pool == "max":
            return places.amax(dim=1, keepdim=True)
        return places.mean(dim=1, keepdim=True) if self.pool == "mean" else places

    def _places(self, values: torch.Tensor) -> torch.Tensor:
        if self._shape_of(values) != (self.width, self.cells.shape):
            raise UserError(
                f"what {self.module} hands on does not fit its grid",
                value=tuple(values.shape), allowed=str(self.cells),
                fix="Give images of the size that the subject was opened for",
            )  # fmt: skip
        if self.order == "channels first":
            return values.flatten(2).transpose(1, 2)
        if self.order == "channels last":
            return values.flatten(1, 2)
        return values[:, self.prefix :] if self.order == "tokens" else values[:, None]

    def _shape_of(self, values: torch.Tensor) -> tuple[int, tuple[int, ...]]:
        """(width, shape of the grid) of these values if they are in the site's order."""
        shape = tuple(values.shape)
        if self.order == "channels first" and len(shape) == 4:
            return shape[1], shape[2:]
        if self.order == "channels last" and len(shape) == 4:
            return shape[3], shape[1:3]
        if self.order == "tokens" and len(shape) == 3:
            return shape[2], self.cells.shape if shape[1] == self.prefix + self.cells.places else shape[1:2]
        return (shape[1], ()) if self.order == "vector" and len(shape) == 2 else (0, ())

    def written(self, places: torch.Tensor, handed_on: torch.Tensor) -> torch.Tensor:
        """What the module shall hand on, so that it holds these values (n, places, width); of a site without pool."""
        import torch

        if self.order == "channels first":
            return places.transpose(1, 2).unflatten(2, self.cells.shape)
        if self.order == "channels last":
            return places.unflatten(1, self.cells.shape)
        return torch.cat([handed_on[:, : self.prefix], places], dim=1) if self.order == "tokens" else places[:, 0]


@dataclass(frozen=True, eq=False)
class Measured:
    """The sites of a model by name, and how many numbers it gives for an image: None for anything but a vector."""

    sites: dict[str, ImageSite]
    outputs: int | None

    def site(self, name: str) -> ImageSite:
        """A site, or `NAME:max` and `NAME:mean`, the same pooled over the cells; raises `UserError` for none."""
        inner, _, pool = name.rpartition(":")
        if inner in self.sites and pool in POOLS and self.sites[inner].cells != WHOLE:
            return replace(self.sites[inner], name=name, pool=pool)
        if name not in self.sites:
            raise UserError("no such site", value=name, allowed=near_matches(name, self.sites))
        return self.sites[name]


def measure(model: nn.Module, images: torch.Tensor) -> Measured:
    """What the modules of a model hand on in one pass over these two images (2, ...).

    A module that is run more than once, or hands on what fits no grid, is no site, and neither is one that only passes
    on what a module inside it gives. Raises `UserError` for a model that cannot be run on them, and for one that gives
    something else for an image by itself than for the same image beside another.
    """
    import torch

    try:
        both, output = _passed(model, images)
        alone, by_itself = _passed(model, images[1:])
    except MODEL_FAILS as error:
        raise UserError(
            "this model cannot be run on images as they are prepared for it",
            value=tuple(images.shape), fix=f"{type(error).__name__}: {error}".splitlines()[0],
        ) from error  # fmt: skip
    parts = dict(model.named_modules())
    pairs = {name: (both[name], alone.get(name)) for name in parts if name in both}
    pairs["what it gives"] = [(output, output)], [(by_itself, by_itself)]
    rounding = 1e-5 * max((_size(one) for of in alone.values() for _, one in of), default=0.0)
    for name, (beside, lonely) in pairs.items():
        if lonely is not None and not all(_agree(a[1], b[1], rounding) for a, b in zip(beside, lonely, strict=False)):
            raise UserError(
                "what this model gives for an image depends on the images beside it, or on chance", value=name,
                fix="Put it into evaluation mode; batch normalization needs running statistics",
            )  # fmt: skip
    once = {name: both[name][0] for name in parts if len(both.get(name, [])) == 1}
    tensors = {name: pair for name, pair in once.items() if isinstance(pair[1], torch.Tensor) and pair[1].ndim}
    tensors = {name: pair for name, pair in tensors.items() if len(pair[1]) == len(images)}
    grids = [shape for name, (_, found) in tensors.items() if (shape := _spatial(parts[name], found)) is not None]
    sites: dict[str, ImageSite] = {}
    kept: list[tuple[Any, Any]] = []
    for name, (given, found) in tensors.items():  # outer modules stand before the ones inside them
        if any(given is other and torch.equal(found, then) for other, then in kept):
            continue
        if (site := _site(name, parts[name], found, grids)) is not None:
            sites[name] = site
            kept.append((given, found))
    width = output.shape[1] if isinstance(output, torch.Tensor) and output.ndim == 2 else None
    return Measured(sites, width)


def _passed(model: nn.Module, images: torch.Tensor) -> tuple[dict[str, list[tuple[Any, Any]]], Any]:
    """What each module handed on each time it was run, itself and as it was then (others go on computing in it), and
    what the model gave."""
    import torch

    seen: dict[str, list[tuple[Any, Any]]] = {}
    mine = threading.get_ident()

    def note(name: str) -> Callable[..., None]:
        def after(_: Any, __: Any, output: Any) -> None:
            if threading.get_ident() == mine:
                given = first_tensor(output)
                seen.setdefault(name, []).append((given, given.clone() if isinstance(given, torch.Tensor) else given))

        return after

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            return seen, numbers_of(model(images))
    finally:
        for handle in handles:
            handle.remove()


def _size(values: Any) -> float:
    """The largest finite number of a tensor, without its sign; 0 of anything else."""
    import torch

    if not isinstance(values, torch.Tensor) or not values.is_floating_point() or not values.numel():
        return 0.0
    return float(values.float().nan_to_num(0.0, 0.0, 0.0).abs().max())


def _agree(beside: Any, alone: Any, rounding: float) -> bool:
    """Whether the last row of a tensor is, but for rounding, what stands alone; True for what has no rows."""
    import torch

    if not isinstance(beside, torch.Tensor) or not isinstance(alone, torch.Tensor) or not beside.ndim:
        return True
    if len(alone) != 1 or len(beside) != 2 or beside.shape[1:] != alone.shape[1:] or not beside.is_floating_point():
        return True
    one, other = (x.float().nan_to_num(0.0, 0.0, 0.0) for x in (beside[1], alone[0]))
    allowed = 0.01 if beside.dtype in (torch.float32, torch.float64) else 0.06
    return torch.allclose(one, other, rtol=0, atol=allowed * _size(other) + rounding)


def numbers_of(output: Any) -> Any:
    """What a model gives for images: its logits where it names them, else the first tensor."""
    for name in ("logits", "image_embeds", "pooler_output", "last_hidden_state"):
        found = output.get(name) if isinstance(output, dict) else getattr(output, name, None)
        if found is not None:
            return found
    return first_tensor(output)


def _spatial(module: nn.Module, values: torch.Tensor) -> tuple[int, ...] | None:
    """(rows, columns) of what a module hands on, None where it has none."""
    if values.ndim != 4:
        return None
    return tuple(values.shape[1:3] if _channels_last(module, values) else values.shape[2:])


def _channels_last(module: nn.Module, values: torch.Tensor) -> bool:
    from torch import nn

    if isinstance(module, nn.Linear | nn.LayerNorm):
        return True
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm):
        return False
    first, second, third = values.shape[1:]
    return first == second != third


def _site(name: str, module: nn.Module, values: torch.Tensor, grids: list[tuple[int, ...]]) -> ImageSite | None:
    order: Order = "vector"
    grid, prefix, width = WHOLE, 0, values.shape[-1]
    if values.ndim == 4:
        order = "channels last" if _channels_last(module, values) else "channels first"
        width = values.shape[3] if order == "channels last" else values.shape[1]
        shape = _spatial(module, values)
        assert shape is not None
        if min(shape) < 1:
            return None
        grid = Grid("cells", shape)
    elif values.ndim == 3:
        found = _patches(values.shape[1], grids)
        if found is None:
            return None
        order, grid, prefix = "tokens", Grid("cells", found), values.shape[1] - math.prod(found)
    elif values.ndim != 2 or not values.is_floating_point():
        return None
    return ImageSite(name, int(width), "dense", name, "output", None, "batch", 1.0, order, grid, prefix)


def _patches(tokens: int, grids: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    """The grid of patches behind so many tokens: one that a convolution had, else a square; None for neither."""
    fitting = [shape for shape in grids if 1 < math.prod(shape) <= tokens <= math.prod(shape) + MOST_PREFIX]
    if fitting:
        return max(fitting, key=math.prod)
    side = math.isqrt(tokens)
    return (side, side) if side > 1 and tokens - side * side <= MOST_PREFIX else None
