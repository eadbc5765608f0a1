"""Images and masks in files, decoded when they are read: the shorter side scaled, the centre cut out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from glossator.errors import UserError
from glossator.inputs.images import DrawnPixels

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class FilePixels(DrawnPixels):
    """The pixels of image files, side x side; `UserError` that names a file which cannot be decoded."""

    def __init__(self, paths: Sequence[Path], side: int):
        super().__init__(side)
        self.paths = tuple(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def image(self, row: int) -> np.ndarray:
        return np.asarray(squared(self.paths[row], self.side, "RGB", Image.Resampling.BICUBIC))

    def at(self, rows: np.ndarray) -> FilePixels:
        return FilePixels([self.paths[row] for row in rows.tolist()], self.side)

    def content(self) -> bytes:
        return str(self.side).encode() + self._digests

    @cached_property
    def _digests(self) -> bytes:
        return b"".join(hashlib.sha256(path.read_bytes()).digest() for path in self.paths)


def squared(path: Path, side: int, mode: str, resampling: Image.Resampling) -> Image.Image:
    """An image file, upright, scaled so that its shorter side has `side` pixels, cut to the square in its centre."""
    try:
        with Image.open(path) as opened:
            image: Image.Image = ImageOps.exif_transpose(opened)
            if mode == "RGB" and (image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info):
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
            return ImageOps.fit(image.convert(mode), (side, side), resampling)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError("an image cannot be read", value=str(path), fix=str(error)) from error


def size_of(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """Width and height of an image file; raises `UserError` for a file that is no image. upright: as it is to be looked
    at, for which a whole PNG file has to be decoded."""
    try:
        with Image.open(path) as opened:
            turned = upright and opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (opened.height, opened.width) if turned else opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError("an image cannot be read", value=str(path), fix=str(error)) from error


def mask_of_file(path: Path, side: int) -> np.ndarray:
    """A mask file as its image is cut: True where it is not black."""
    return np.asarray(squared(path, side, "L", Image.Resampling.NEAREST)) > 0
