"""Images and masks in files, decoded when they are read: the shorter side scaled, the centre cut out.

Pixels of 16 bits are scaled to 8; those of 32, whose range no file says, are refused. A mask is whatever is not 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
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
        return np.asarray(squared(self.paths[row], self.side, _in_colour, Image.Resampling.BICUBIC))

    def at(self, rows: np.ndarray) -> FilePixels:
        return FilePixels([self.paths[row] for row in rows.tolist()], self.side)

    def content(self) -> bytes:
        return str(self.side).encode() + self._digests

    @cached_property
    def _digests(self) -> bytes:
        return b"".join(hashlib.sha256(path.read_bytes()).digest() for path in self.paths)


def squared(
    path: Path, side: int, converted: Callable[[Image.Image], Image.Image], resampling: Image.Resampling
) -> Image.Image:
    """An image file, upright and converted, its shorter side scaled to `side` pixels, cut to the square in its
    centre; raises `UserError` for a file that cannot be decoded."""
    try:
        with Image.open(path) as opened:
            return ImageOps.fit(converted(ImageOps.exif_transpose(opened)), (side, side), resampling)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError("an image cannot be read", value=str(path), fix=str(error)) from error


def thumbnail(path: Path, side: int) -> np.ndarray:
    """An image file as `FilePixels` cuts it, side x side pixels, at less cost where the format allows that."""
    try:
        with Image.open(path) as opened:
            opened.draft("RGB", (8 * side, 8 * side))
            whole = _in_colour(ImageOps.exif_transpose(opened))
        return np.asarray(ImageOps.fit(whole, (side, side), Image.Resampling.BOX))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError("an image cannot be read", value=str(path), fix=str(error)) from error


def _in_colour(image: Image.Image) -> Image.Image:
    """Red, green and blue, transparency on white. PIL itself would cut off what is above 255."""
    if image.mode in ("I", "F"):
        raise ValueError(
            f"its pixels are {'whole' if image.mode == 'I' else 'real'} numbers of 32 bits; save it with 8"
        )
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint16)
        image = Image.fromarray((levels / 257).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def _not_black(image: Image.Image) -> Image.Image:
    if image.mode not in ("L", "I", "F") and not image.mode.startswith("I;16"):
        image = image.convert("L")
    return Image.fromarray((np.asarray(image) > 0).astype(np.uint8))


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
    return np.asarray(squared(path, side, _not_black, Image.Resampling.NEAREST)) > 0
