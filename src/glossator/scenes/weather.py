"""Light and weather: what changes the colours of a finished picture, and what falls or hangs before it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from glossator.scenes.backgrounds import noise
from glossator.scenes.scene import Light, Weather

TONES: dict[Light, tuple[tuple[float, float, float], tuple[int, int, int]]] = {
    # factors of red, green and blue, and what is added
    "sunset": ((0.92, 0.7, 0.5), (26, 6, 8)),
    "night": ((0.32, 0.38, 0.58), (4, 7, 22)),
    "dim": ((0.5, 0.48, 0.44), (6, 5, 4)),
}


def lit(image: Image.Image, light: Light) -> Image.Image:
    """The picture (RGB) in a light; by day it is as it was."""
    if light == "day":
        return image
    shaded = image.point(_table(light))
    glow = (255, 176, 96) if light == "sunset" else (0, 0, 0)
    shaded.paste(glow, mask=_glow(light, image.width))
    return shaded


@lru_cache
def _table(light: Light) -> list[int]:
    factors, added = TONES[light]
    return [min(255, round(v * f) + a) for f, a in zip(factors, added, strict=True) for v in range(256)]


@lru_cache
def _glow(light: Light, side: int) -> Image.Image:
    """How much of the glow each pixel has: from the horizon at sunset, else darkness from the edges."""
    y, x = np.mgrid[:side, :side] / side
    if light == "sunset":
        share = 0.32 * np.exp(-(((y - 0.3) / 0.28) ** 2))
    else:
        share = 0.4 * np.clip(np.hypot(x - 0.5, y - 0.5) / 0.7, 0, 1) ** 2
    return Image.fromarray((share * 255).astype(np.uint8))


def in_weather(image: Image.Image, weather: Weather, seed: int) -> Image.Image:
    """The picture (RGB) with rain, snow or fog before it, drawn from the seed; in clear weather as it was."""
    if weather == "clear":
        return image
    rng, side = np.random.default_rng([seed, 3]), image.width
    if weather == "fog":
        share = 0.42 + 0.3 * noise(rng, side, ((3, 3), (7, 5)), (0.7, 0.3)).astype(np.float32) / 255
        image.paste((206, 211, 216), mask=Image.fromarray((share * 255).astype(np.uint8)))
        return image
    mask = Image.new("L", image.size)
    draw = ImageDraw.Draw(mask)
    if weather == "rain":
        image = image.point([round(v * f) for f in (0.76, 0.8, 0.86) for v in range(256)])
        slant = float(rng.uniform(-0.03, 0.03))
        for x, y, length in rng.uniform((0, -0.1, 0.06), (1, 1, 0.13), (110, 3)).tolist():
            ends = [(x * side, y * side), ((x + slant) * side, (y + length) * side)]
            draw.line(ends, fill=170, width=max(1, side // 150))
        image.paste((206, 222, 240), mask=mask)
        return image
    for x, y, radius in rng.uniform((0, 0, 0.004), (1, 1, 0.011), (110, 3)).tolist():
        draw.ellipse([(v + d) * side for d in (-radius, radius) for v in (x, y)], fill=235)
    image.paste((255, 255, 255), mask=mask)
    return image
