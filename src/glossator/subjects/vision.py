"""Image models as subjects: images in, values of channels and of the tokens of patches out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from glossator.engines import keep_freed_memory
from glossator.errors import MissingPower, UserError
from glossator.inputs import Images, Inputs
from glossator.subjects import fingerprints
from glossator.subjects.base import BaseSubject, Power, Values, check_takes
from glossator.subjects.hooks import edit, stopping, watch
from glossator.subjects.image_sites import ImageSite, Measured, measure, numbers_of
from glossator.subjects.preparing import Preparation

if TYPE_CHECKING:
    import torch
    from torch import nn

SIDE = 224
BATCH = 32
CPU_PIXELS = 8 * SIDE**2
"""Pixels in one pass on a CPU: as many as leave layers of the usual models smaller than a heap of glibc's (64 MB), as
memory for more is asked of the system anew each time, which can take longer than the layer."""


@dataclass(eq=False)
class VisionSubject(BaseSubject):
    """A `torch` image model with the function that prepares images for it.

    prepare: pixels uint8 (n, height, width, 3) to what the model is called with; side: of the images that it is opened
    for, which decides the grids of its sites. A site is a module by its dotted name, with a value for each cell of its
    map or of its patches; `NAME:max` and `NAME:mean` are the same pooled over the image. classes: names of the numbers
    that the model gives, where it classifies. Its weights are not copied, and it stays in evaluation mode.
    """

    model: nn.Module
    prepare: Callable[[np.ndarray], Any]
    name: str
    fingerprint: str = ""
    side: int = SIDE
    classes: tuple[str, ...] = ()
    in_memory: bool = True
    takes: ClassVar[str] = "images"  # type: ignore[misc]

    def __post_init__(self) -> None:
        self.model = self.model.eval()
        if self.device.type == "cpu":
            keep_freed_memory()
        if missing := [name for name, p in self.model.named_parameters() if p.device.type == "meta"]:
            raise UserError("weights are missing (meta tensors)", value=", ".join(missing[:4]), fix="Load them first")
        self.fingerprint = self.fingerprint or self._current()
        count = self._measured.outputs
        if self.classes and len(self.classes) != count:
            raise UserError("the names of the classes do not fit", value=len(self.classes), allowed=str(count))

    def _current(self) -> str:
        return fingerprints.of_module(self.model, self.prepare, self.side)

    def check_unchanged(self) -> None:
        if self.in_memory and self._current() != self.fingerprint:
            raise UserError("the model has changed since it was opened", value=self.name, fix="Open it again")

    @property
    def powers(self) -> frozenset[Power]:  # type: ignore[override]
        inside = {Power.RUN, Power.INTERVENE, Power.GRADIENT, Power.WEIGHTS}
        return frozenset(inside | {Power.OUTPUTS} if self._measured.outputs else inside)

    @property
    def device(self) -> torch.device:
        import torch

        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        import torch

        return next((p.dtype for p in self.model.parameters() if p.is_floating_point()), torch.float32)

    @property
    def batch(self) -> int:  # type: ignore[override]
        """Images in one pass through the model; more are given to it in turn."""
        return max(1, CPU_PIXELS // self.side**2) if self.device.type == "cpu" else BATCH

    @property
    def concurrent(self) -> bool:  # type: ignore[override]
        return self.device.type == "cpu"

    @cached_property
    def _measured(self) -> Measured:
        noise = np.random.default_rng(0).integers(0, 256, (2, self.side, self.side, 3), np.uint8)
        return measure(self.model, self.prepared(noise))

    def sites(self) -> list[ImageSite]:
        """Every module that hands on a map, the tokens of patches, or a vector; in the order of the model's parts."""
        return list(self._measured.sites.values())

    def site(self, name: str) -> ImageSite:
        return self._measured.site(name)

    def prepared(self, pixels: np.ndarray) -> Any:
        """What the model is called with, on its device and in its dtype."""
        import torch

        found = self.prepare(pixels)
        if not isinstance(found, torch.Tensor) or len(found) != len(pixels):
            shown = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise UserError(
                "the preparing function must return a tensor with a row for each image", value=shown,
                allowed=f"({len(pixels)}, ...)",
            )  # fmt: skip
        return found.to(device=self.device, dtype=self.dtype if found.is_floating_point() else None)

    def visit(self, inputs: Inputs, sites: Sequence[str], see: Callable[[str, Values], Any]) -> None:
        import torch

        check_takes(self, inputs)
        wanted = {site.name: site for site in map(self.site, sites)}
        modules = {site.module: site for site in wanted.values()}
        readers = {module: [s for s in wanted.values() if s.module == module] for module in modules}
        listened = [next(iter(readers[module])) for module in readers]

        pixels, found = _pixels(inputs), dict[str, torch.Tensor]()

        def seen(name: str, values: torch.Tensor) -> None:
            for site in readers[wanted[name].module]:
                part = site.read(values)
                if len(part) != min(self.batch, len(pixels) - first):
                    raise UserError(f"what {site.module} outputs does not have a row for each image", value=len(part))
                if len(part) == len(pixels):
                    see(site.name, part)
                    continue
                whole = found.setdefault(site.name, part.new_empty((len(pixels), *part.shape[1:])))
                whole[first : first + len(part)] = part
                if first + len(part) == len(pixels):
                    see(site.name, found.pop(site.name))

        for first in range(0, len(pixels), self.batch):
            with torch.inference_mode(), watch(self.model, listened, seen, stop=bool(listened)), stopping():
                self.model(self.prepared(pixels[first : first + self.batch]))

    def outputs(self, inputs: Inputs) -> np.ndarray:
        """The numbers that the model gives, logits of a classifier: float32 (n, classes); `MissingPower` for none."""
        import torch

        if Power.OUTPUTS not in self.powers:
            raise MissingPower("this model gives no numbers for an image as a whole", value=self.name)
        check_takes(self, inputs)
        found = []
        for first in range(0, len(inputs), self.batch):
            rows = np.arange(first, min(first + self.batch, len(inputs)))
            with torch.inference_mode():
                given = self.prepared(_pixels(inputs.take(rows)))
                found.append(numbers_of(self.model(given)).float().cpu().numpy())
        return np.concatenate(found) if found else np.empty((0, self._measured.outputs or 0), np.float32)

    def class_name(self, index: int) -> str:
        return self.classes[index] if self.classes else f"class {index}"

    @contextlib.contextmanager
    def edited(self, site: ImageSite, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
        """Replace the values (n, places, width) at a site in this thread's passes, of `batch` images or fewer each.

        Raises `MissingPower` for a pooled site, which the model itself does not have.
        """
        if site.pool is not None:
            raise MissingPower(
                "a pooled site cannot be intervened on", value=site.name, fix=f"Intervene on {site.module}"
            )
        mine = threading.get_ident()

        def changed(handed_on: torch.Tensor) -> torch.Tensor:
            if threading.get_ident() != mine:
                return handed_on
            return site.written(change(site.read(handed_on)), handed_on)

        with edit(self.model, site, changed):
            yield


def image_subject(
    model: nn.Module,
    prepare: Callable[[np.ndarray], Any] | None = None,
    *,
    name: str | None = None,
    side: int = SIDE,
    classes: Sequence[str] = (),
) -> VisionSubject:
    """A subject from an image model in memory.

    prepare: pixels uint8 (n, height, width, 3) to the tensor that the model is called with, by default resized to
    `side` and scaled to -1..1; a model of `transformers` brings its class names.
    """
    labels = getattr(getattr(model, "config", None), "id2label", None)
    if not classes and isinstance(labels, dict) and hasattr(model, "num_labels"):
        classes = [str(labels[i]) for i in sorted(labels)]
    return VisionSubject(
        model, prepare or Preparation(side), name or type(model).__name__, side=side, classes=tuple(classes)
    )


def _pixels(inputs: Inputs) -> np.ndarray:
    assert isinstance(inputs, Images)
    return np.asarray(inputs.pixels)
