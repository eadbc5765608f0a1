"""Pictures by diffusion models: the protocols of `glossator.scenes.pictures` over pipelines of `diffusers`.

`diffusers` is an extra. What a generated picture really shows is not known; `pictures.checked` asks a describer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from glossator.errors import UserError
from glossator.scenes.pictures import Picture, check_pairs, seed_of
from glossator.scenes.render import SIDE

Pipeline = Callable[..., Any]


class DiffusionTextToImage:
    """Draws with a text-to-image pipeline, one picture at a time, each from its own seed.

    pipeline: one of `diffusers` in memory, or the name or folder of one, which is loaded when first needed; side: of
    the pictures, in pixels; options: handed on at each call, such as `num_inference_steps`.
    """

    def __init__(self, pipeline: str | Pipeline, *, side: int = SIDE, device: str = "cpu", **options: Any):
        self.loaded = _Loaded(pipeline, "AutoPipelineForText2Image", device)
        self.backend, self.side, self.options = f"diffusers:{self.loaded.name}", side, options

    def draw(self, prompts: Sequence[str], seed: int = 0) -> list[Picture]:
        found = []
        for i, prompt in enumerate(prompts):
            own = seed_of(seed, i)
            pixels = self.loaded.pixels(self.side, own, prompt=prompt, **self.options)
            found.append(Picture(pixels, None, prompt, own, self.backend))
        return found


class DiffusionEditor:
    """Edits with an image-to-image pipeline that follows instructions, such as InstructPix2Pix or FLUX Kontext; the
    arguments are those of `DiffusionTextToImage`."""

    def __init__(self, pipeline: str | Pipeline, *, side: int = SIDE, device: str = "cpu", **options: Any):
        self.loaded = _Loaded(pipeline, "DiffusionPipeline", device)
        self.backend, self.side, self.options = f"diffusers:{self.loaded.name}", side, options

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int = 0) -> list[Picture]:
        check_pairs(pictures, instructions)
        found = []
        for i, (picture, instruction) in enumerate(zip(pictures, instructions, strict=True)):
            own, image = seed_of(seed, i), Image.fromarray(picture.pixels)
            pixels = self.loaded.pixels(self.side, own, prompt=instruction, image=image, **self.options)
            found.append(Picture(pixels, None, instruction, own, self.backend))
        return found


class _Loaded:
    """A pipeline, loaded at its first call."""

    def __init__(self, pipeline: str | Pipeline, opener: str, device: str):
        self.name = pipeline if isinstance(pipeline, str) else type(pipeline).__name__
        self.opener, self.device = opener, device
        self._pipeline = None if isinstance(pipeline, str) else pipeline

    def pixels(self, side: int, seed: int, **arguments: Any) -> np.ndarray:
        """(side, side, 3) uint8: the pipeline's first image, scaled and cut to a square."""
        import torch

        if self._pipeline is None:
            self._pipeline = self._opened()
        output = self._pipeline(generator=torch.Generator("cpu").manual_seed(seed), **arguments)
        image = output.images[0]
        if not isinstance(image, Image.Image):
            raise UserError("the pipeline gave no image", value=type(image).__name__, allowed="output_type='pil'")
        return np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC))

    def _opened(self) -> Pipeline:
        try:
            import diffusers
        except ImportError as error:
            fix = "Install it: pip install 'glossator[diffusion]', or draw with the renderer"
            raise UserError("the package diffusers is not installed", value=self.name, fix=fix) from error
        try:
            pipeline: Any = getattr(diffusers, self.opener).from_pretrained(self.name)
        except (OSError, ValueError) as error:
            raise UserError("the diffusion model cannot be opened", value=self.name, fix=str(error)) from error
        opened: Pipeline = pipeline.to(self.device)
        return opened
