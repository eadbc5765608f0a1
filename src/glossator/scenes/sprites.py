"""The sprites that things are drawn from: their pixels, their own colour, and how they are tinted."""

from __future__ import annotations

import io
import lzma
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from PIL import Image

from glossator.errors import UserError
from glossator.scenes.words import COLOURS

STYLES = ("noto", "twemoji")
"""Sets of sprites; the second draws the same nouns in another hand, to test what holds beyond the first."""
MOSTLY = 0.5
"""The share of a sprite that has one colour where that is called its own."""


@cache
def _stored(style: str) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    if style not in STYLES:
        raise UserError("no such style of scenes", value=style, allowed=", ".join(STYLES))
    packed = files("glossator.scenes").joinpath(f"sprites-{style}.npz.xz").read_bytes()
    with np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False) as found:
        names = {str(name): i for i, name in enumerate(found["names"])}
        return names, found["indices"], found["palettes"]


@lru_cache(maxsize=1024)
def pixels_of(noun: str, style: str) -> np.ndarray:
    """(height, width, 4) uint8, red, green, blue and opacity, cut to what is seen."""
    names, indices, palettes = _stored(style)
    whole = palettes[names[noun]][indices[names[noun]]]
    seen = whole[..., 3] >= 16
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return whole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@lru_cache(maxsize=2048)
def sprite(noun: str, colour: str | None, style: str) -> Image.Image:
    """A noun as RGBa (premultiplied opacity), tinted in a colour or in its own (None)."""
    found = pixels_of(noun, style).astype(np.float32)
    rgb, opacity = found[..., :3], found[..., 3:]
    if colour is not None:
        rgb = tinted(rgb, opacity[..., 0] >= 128, colour)
    premultiplied = np.concatenate([rgb * opacity / 255, opacity], axis=2).round().astype(np.uint8)
    return Image.frombytes("RGBa", (found.shape[1], found.shape[0]), premultiplied.tobytes())


def tinted(rgb: np.ndarray, seen: np.ndarray, colour: str) -> np.ndarray:
    """Pixels (height, width, 3) in one colour, with their light and shade."""
    light = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    shade = np.clip(light / max(float(light[seen].mean()), 1.0), 0.35, 1.6)[..., None]
    target = np.array(COLOURS[colour], np.float32)
    return np.where(shade <= 1, target * (0.25 + 0.75 * shade), target + (255 - target) * (shade - 1) * 0.75)


@cache
def own_colour(noun: str, style: str) -> str | None:
    """The colour that most of a sprite has, None where there is none such."""
    found = pixels_of(noun, style)
    names = named_colours(found[found[..., 3] >= 128][:, :3])
    counts = np.bincount(names, minlength=len(COLOURS))
    best = int(counts.argmax())
    return tuple(COLOURS)[best] if counts[best] >= MOSTLY * counts.sum() else None


HUES = ((18, "red"), (38, "orange"), (68, "yellow"), (165, "green"), (252, "blue"), (300, "purple"), (345, "pink"))
"""Up to which hue, in degrees, a colour reaches; beyond the last it is red again."""


def named_colours(rgb: np.ndarray) -> np.ndarray:
    """(...,) int64, of pixels (..., 3) uint8: the number in `COLOURS` of each one's name, by hue, saturation, value."""
    of = {name: i for i, name in enumerate(COLOURS)}
    values = rgb.astype(np.float32) / 255
    high, low = values.max(axis=-1), values.min(axis=-1)
    span = np.maximum(high - low, 1e-6)
    red, green, blue = (values[..., i] for i in range(3))
    hue = np.where(
        high == red,
        (green - blue) / span % 6,
        np.where(high == green, (blue - red) / span + 2, (red - green) / span + 4),
    )
    saturation = (high - low) / np.maximum(high, 1e-6)
    bounds = np.array([bound for bound, _ in HUES], np.float32)
    names = np.array([*(of[name] for _, name in HUES), of["red"]])[np.digitize(hue * 60, bounds)]
    reddish = (hue * 60 < 18) | (hue * 60 >= 345)
    names = np.where(reddish & (saturation < 0.55) & (high > 0.7), of["pink"], names)
    names = np.where((hue * 60 < 45) & (high < 0.72) & (saturation < 0.85), of["brown"], names)
    grey = saturation < 0.16
    names = np.where(grey, np.where(high > 0.85, of["white"], of["grey"]), names)
    return np.where((high < 0.2) | (grey & (high < 0.3)), of["black"], names)
