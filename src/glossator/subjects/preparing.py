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
    """Square images resized to `side`, then (x / 255 - mean) / deviation for red, green and blue; reverse: blue comes
    first, its mean and deviation too.

    Only square images are taken, and nothing is cropped, so that the cells of the model's maps lie where they are shown
    on the image.
    """

    side: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    deviation: tuple[float, float, float] = (0.5, 0.5, 0.5)
    reverse: bool = False

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
        images = images.flip(1) if self.reverse else images
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


def preparation_of(stored: Any, side: int | None) -> Preparation:
    """The preparation that a `preprocessor_config.json` describes; side: the model's own, which wins over the file's.

    Images are scaled by `rescale_factor` (1 / 255), if at all, and then normalized, if at all. Raises `UserError` for a
    file that leaves the size open, and for what is not done here.
    """
    if not isinstance(stored, dict):
        raise UserError(
            "this says nothing of how images are prepared", value=type(stored).__name__, allowed="an object"
        )
    size = stored.get("crop_size") or stored.get("size") or {}
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    side = side or size
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise UserError("the model does not say how large its images are", value=stored.get("size"), fix="Give `side`")
    mean, deviation = np.zeros(3), np.ones(3)
    if stored.get("do_normalize", True):
        mean, deviation = (_by_channel(stored, key) for key in ("image_mean", "image_std"))
        if not (deviation > 0).all():
            raise UserError("images cannot be divided by this", value=stored["image_std"], allowed="numbers above 0")
    # ((x * factor - offset) - mean) / deviation, as (x / 255 - mean) / deviation
    factor = stored.get("rescale_factor", 1 / 255) if stored.get("do_rescale", True) else 1.0
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < np.inf:
        raise UserError("images cannot be scaled by this", value=factor, allowed="a number above 0")
    offset = 1.0 if stored.get("rescale_offset") and stored.get("do_rescale", True) else 0.0
    scale = 1.0 if abs(255 * factor - 1) < 1e-6 else 255 * factor  # as files round 1 / 255
    mean, deviation = (mean + offset) / scale, deviation / scale
    return Preparation(side, _three(mean), _three(deviation), bool(stored.get("do_flip_channel_order")))


def _by_channel(stored: dict[str, Any], key: str) -> np.ndarray:
    """(3,) numbers of red, green and blue, or one for all of them."""
    given = stored.get(key, 0.5)
    try:
        found = np.asarray(given, np.float64)
        found = np.full(3, found) if found.size == 1 else found
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (3,) or not np.isfinite(found).all():
        raise UserError(f"{key} does not say how images are normalized", value=given, allowed="three numbers, or one")
    return found


def _three(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue
