"""From images as they are kept, uint8 pixels, to the tensor that an image model is given, with torch alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import UserError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Preparation:
    """Square images resized to `side`, then (x / 255 - mean) / deviation for red, green and blue.

    Only square images are taken, and nothing is cropped, so that the cells of the model's maps lie where they are shown
    on the image.
    """

    side: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    deviation: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __call__(self, pixels: np.ndarray) -> torch.Tensor:
        """uint8 (n, height, width, 3) -> float32 (n, 3, side, side); raises `UserError` for images that are not
        square."""
        import torch
        from torch.nn.functional import interpolate

        if pixels.shape[1] != pixels.shape[2]:
            raise UserError(
                "this subject takes square images", value=f"{pixels.shape[1]} x {pixels.shape[2]}",
                fix="Crop them (glossator.subjects.preparing.square)",
            )  # fmt: skip
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        if pixels.shape[1] != self.side:
            size = (self.side, self.side)
            images = interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        mean = torch.tensor(self.mean).mul(255).view(3, 1, 1)
        deviation = torch.tensor(self.deviation).mul(255).view(3, 1, 1)
        return (images - mean) / deviation


def square(image: np.ndarray, side: int) -> np.ndarray:
    """The centre of one image (height, width, 3) uint8, as large as fits, resized to (side, side, 3)."""
    import torch
    from torch.nn.functional import interpolate

    height, width = image.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    cut = torch.from_numpy(np.ascontiguousarray(image[top : top + edge, left : left + edge, :3]))
    resized = interpolate(
        cut.permute(2, 0, 1)[None].float(), (side, side), mode="bicubic", antialias=True, align_corners=False
    )
    found: np.ndarray = resized[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()
    return found


def preparation_of(stored: dict[str, Any], side: int | None) -> Preparation:
    """The preparation that a `preprocessor_config.json` describes; side: the model's own, which wins over the file's.

    Raises `UserError` for a file that leaves the size open.
    """
    size = stored.get("crop_size") or stored.get("size") or {}
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    side = side or size
    if not isinstance(side, int):
        raise UserError("the model does not say how large its images are", value=stored.get("size"), fix="Give `side`")
    if not stored.get("do_normalize", True):
        return Preparation(side, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    mean, deviation = (stored.get(key, [0.5, 0.5, 0.5]) for key in ("image_mean", "image_std"))
    return Preparation(side, tuple(mean), tuple(deviation))
