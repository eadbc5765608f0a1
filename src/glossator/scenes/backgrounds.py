"""Backgrounds drawn from a seed: ground and sky, walls, patterns and plain colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from glossator.errors import UserError, near_matches
from glossator.scenes.words import BACKGROUNDS

Colour = tuple[int, int, int]
Draw = Callable[[np.random.Generator, int], np.ndarray]


def background(name: str, seed: int, side: int) -> np.ndarray:
    """(side, side, 3) uint8; raises `UserError` for a background that is not known."""
    if name not in BACKGROUNDS:
        raise UserError("no such background", value=name, allowed=near_matches(name, BACKGROUNDS))
    rng = np.random.default_rng([seed, 2])
    return DRAWN[name](rng, side)


def noise(
    rng: np.random.Generator, side: int, octaves: Sequence[tuple[int, int]], weights: Sequence[float]
) -> np.ndarray:
    """(side, side) uint8, smooth noise with so many bumps down and across, added with weights that sum to 1."""
    total = np.zeros((side, side), np.float32)
    for (down, across), weight in zip(octaves, weights, strict=True):
        small = Image.fromarray(rng.integers(0, 256, (down, across), np.uint8))
        total += weight * np.asarray(small.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    return np.clip((total - 128) * 1.6 + 128, 0, 255).astype(np.uint8)


def palette(*colours: Colour) -> np.ndarray:
    """(256, 3) uint8, evenly from the first colour to the last."""
    at = np.linspace(0, 255, len(colours))
    given = np.array(colours, np.float64)
    return np.stack([np.interp(np.arange(256), at, given[:, i]) for i in range(3)], axis=1).astype(np.uint8)


def _sky(rng: np.random.Generator, side: int) -> np.ndarray:
    down = (np.arange(side) * 255 // max(side - 1, 1)).astype(np.uint8)
    blue = palette((84, 150, 226), (150, 198, 240), (206, 229, 247))[down]
    clouds = noise(rng, side, ((4, 2), (9, 5), (20, 12)), (0.55, 0.3, 0.15)).astype(np.float32)
    share = np.clip((clouds - 150) / 90, 0, 0.9)[..., None]
    return (blue[:, None] * (1 - share) + 252 * share).astype(np.uint8)


def _ground(colours: Sequence[Colour], octaves: Sequence[tuple[int, int]], weights: Sequence[float]) -> Draw:
    """Sky above a ground of noise in these colours."""

    def draw(rng: np.random.Generator, side: int) -> np.ndarray:
        image = _sky(rng, side)
        horizon = int(side * rng.uniform(0.22, 0.36))
        ground = palette(*colours)[noise(rng, side, octaves, weights)]
        rise = np.interp(np.arange(side), np.linspace(0, side, 5), rng.uniform(-0.03, 0.03, 5) * side)
        below = np.arange(side)[:, None] >= horizon + rise[None]
        return np.where(below[..., None], ground, image)

    return draw


def _jungle(rng: np.random.Generator, side: int) -> np.ndarray:
    image = Image.fromarray(
        palette((10, 42, 20), (22, 78, 34), (46, 112, 44))[noise(rng, side, ((6, 8), (24, 28)), (0.6, 0.4))]
    )
    draw = ImageDraw.Draw(image)
    for x in rng.uniform(0, 1, 5):
        width = rng.uniform(0.02, 0.05)
        draw.polygon(_scaled([(x, 0), (x + width, 0), (x + width * 1.3, 1), (x - width * 0.3, 1)], side), (66, 48, 30))
    for _ in range(46):
        x, y, length, turn = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.06, 0.16), rng.uniform(0, np.pi)
        along = np.array([np.cos(turn), np.sin(turn)]) * length / 2
        aside = np.array([-along[1], along[0]]) * 0.35
        green = int(rng.integers(70, 165))
        points = [np.array([x, y]) + way for way in (along, aside, -along, -aside)]
        draw.polygon(_scaled(points, side), (green // 4, green, green // 3))
    return np.asarray(image)


def _mountain(rng: np.random.Generator, side: int) -> np.ndarray:
    image = Image.fromarray(_sky(rng, side))
    draw = ImageDraw.Draw(image)
    for base, tone in ((0.5, (140, 152, 176)), (0.58, (98, 110, 130))):
        for x in np.linspace(0, 1, 4) + rng.uniform(-0.1, 0.1, 4):
            top, half = base - rng.uniform(0.2, 0.42), rng.uniform(0.22, 0.34)
            draw.polygon(_scaled([(x - half, 0.72), (x, top), (x + half, 0.72)], side), tone)
            cap = [
                (x - half * 0.22, top + 0.16 * (0.72 - top) + 0.03),
                (x, top),
                (x + half * 0.22, top + 0.19 * (0.72 - top)),
            ]
            draw.polygon(_scaled(cap, side), (240, 244, 250))
    meadow = palette((62, 104, 52), (112, 146, 76))[noise(rng, side, ((18, 8), (60, 30)), (0.5, 0.5))]
    below = np.arange(side) >= 0.68 * side
    return np.where(below[:, None, None], meadow, np.asarray(image))


def _beach(rng: np.random.Generator, side: int) -> np.ndarray:
    image = _sky(rng, side)
    sea = palette((18, 110, 160), (48, 158, 196), (150, 216, 226))[noise(rng, side, ((40, 4), (80, 9)), (0.6, 0.4))]
    sand = palette((214, 188, 138), (240, 220, 176))[noise(rng, side, ((8, 8), (70, 70)), (0.5, 0.5))]
    rows, wave = np.arange(side)[:, None], np.sin(np.arange(side) / side * 2 * np.pi * rng.uniform(1, 2.5))
    horizon, shore = rng.uniform(0.22, 0.3) * side, rng.uniform(0.46, 0.56) * side + wave[None] * 0.02 * side
    image = np.where((rows >= horizon)[..., None], sea, image)
    image = np.where((rows >= shore - 0.015 * side)[..., None], np.uint8(246), image)
    return np.where((rows >= shore)[..., None], sand, image)


def _water(rng: np.random.Generator, side: int) -> np.ndarray:
    return palette((8, 66, 128), (26, 112, 178), (74, 166, 214), (176, 224, 240))[
        noise(rng, side, ((28, 4), (54, 9), (100, 20)), (0.4, 0.35, 0.25))
    ]


def _city(rng: np.random.Generator, side: int) -> np.ndarray:
    image = Image.fromarray(_sky(rng, side))
    draw = ImageDraw.Draw(image)
    street, x = 0.74, 0.0
    while x < 1:
        width, top = rng.uniform(0.1, 0.2), rng.uniform(0.12, 0.45)
        tone = int(rng.integers(96, 168))
        draw.rectangle(_scaled([(x, top), (x + width, street)], side), (tone, tone - 6, tone - 14))
        for down in np.arange(top + 0.03, street - 0.04, 0.06):
            for across in np.arange(x + 0.02, x + width - 0.02, 0.045):
                lit = bool(rng.random() < 0.4)
                window = [(across, down), (across + 0.022, down + 0.03)]
                draw.rectangle(_scaled(window, side), (236, 214, 150) if lit else (70, 84, 104))
        x += width + 0.005
    draw.rectangle(_scaled([(0, street), (1, 1)], side), (84, 86, 92))
    draw.rectangle(_scaled([(0, street), (1, street + 0.04)], side), (172, 170, 164))
    for x in np.arange(rng.uniform(-0.1, 0), 1, 0.2):
        draw.rectangle(_scaled([(x, 0.88), (x + 0.1, 0.9)], side), (230, 226, 200))
    return np.asarray(image)


def _room(rng: np.random.Generator, side: int) -> np.ndarray:
    walls: Sequence[Colour] = ((236, 224, 204), (208, 222, 216), (222, 212, 228), (230, 216, 208))
    wall = walls[int(rng.integers(len(walls)))]
    image = Image.new("RGB", (side, side), wall)
    draw = ImageDraw.Draw(image)
    floor = float(rng.uniform(0.66, 0.74))
    x = float(rng.uniform(0.1, 0.5))
    draw.rectangle(_scaled([(x, 0.1), (x + 0.3, 0.4)], side), (250, 250, 246))
    for dx, dy in ((0.02, 0.02), (0.16, 0.02), (0.02, 0.16), (0.16, 0.16)):
        draw.rectangle(_scaled([(x + dx, 0.1 + dy), (x + dx + 0.12, 0.1 + dy + 0.12)], side), (166, 206, 238))
    draw.rectangle(_scaled([(0, floor - 0.025), (1, floor)], side), (250, 248, 242))
    planks = palette((150, 108, 70), (184, 140, 96))[noise(rng, side, ((60, 3), (90, 12)), (0.6, 0.4))]
    below = np.arange(side) >= floor * side
    return np.where(below[:, None, None], planks, np.asarray(image))


def _brick_wall(rng: np.random.Generator, side: int) -> np.ndarray:
    rows = int(rng.integers(10, 15))
    down, across = np.arange(side) * rows / side, np.arange(side) * rows / side / 2
    row = down.astype(int)
    along = across[None] + (row[:, None] % 2) * 0.5
    column = along.astype(int)
    tone = rng.integers(-22, 23, (rows + 1, rows + 2))[row[:, None], column]
    grain = noise(rng, side, ((70, 70),), (1.0,)).astype(np.int64) // 12 - 10
    brick = np.array([168, 82, 62])[None, None] + (tone + grain)[..., None]
    mortar = ((down % 1)[:, None] < 0.12) | ((along % 1) < 0.06)
    return (
        np.where(mortar[..., None], np.array([204, 196, 186]) + grain[..., None], brick).clip(0, 255).astype(np.uint8)
    )


def _wood(rng: np.random.Generator, side: int) -> np.ndarray:
    image = palette((126, 82, 46), (168, 116, 70), (196, 148, 98))[noise(rng, side, ((50, 2), (110, 6)), (0.6, 0.4))]
    planks = int(rng.integers(4, 7))
    seam = (np.arange(side) * planks / side) % 1 < 0.02 * planks / 4
    return np.where(seam[:, None, None], np.uint8(70), image)


PAIRS: Sequence[tuple[Colour, Colour]] = (
    ((250, 246, 236), (220, 96, 86)),
    ((246, 248, 250), (88, 132, 200)),
    ((252, 246, 220), (120, 170, 110)),
    ((240, 240, 240), (120, 120, 126)),
    ((250, 236, 246), (168, 110, 190)),
)


def _pattern(inside: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]) -> Draw:
    """Two colours, by whether a pixel, as shares of the side, is inside the figure."""

    def draw(rng: np.random.Generator, side: int) -> np.ndarray:
        pair = np.array(PAIRS[int(rng.integers(len(PAIRS)))], np.uint8)
        y, x = np.mgrid[:side, :side] / side
        return pair[inside(x, y, rng).astype(int)]

    return draw


def _striped(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turn = rng.choice([0, np.pi / 4, np.pi / 2, 3 * np.pi / 4])
    return (x * np.cos(turn) + y * np.sin(turn)) * rng.integers(5, 10) % 1 < 0.5


def _chequered(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(6, 11))
    return (np.floor(x * n) + np.floor(y * n)) % 2 == 0


def _dotted(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    n = int(rng.integers(6, 10))
    across, down = x * n + (np.floor(y * n) % 2) * 0.5, y * n
    return (across % 1 - 0.5) ** 2 + (down % 1 - 0.5) ** 2 < 0.07


def _plain(colour: Colour) -> Draw:
    def draw(rng: np.random.Generator, side: int) -> np.ndarray:
        return np.full((side, side, 3), np.array(colour, np.uint8))

    return draw


def _scaled(points: Sequence[Sequence[float] | np.ndarray], side: int) -> list[tuple[float, float]]:
    return [(float(x) * side, float(y) * side) for x, y in points]


DRAWN: dict[str, Draw] = {
    "plain white": _plain((250, 250, 250)),
    "plain grey": _plain((150, 150, 150)),
    "plain black": _plain((12, 12, 14)),
    "grass": _ground(((38, 96, 34), (78, 146, 52), (134, 184, 82)), ((14, 14), (34, 60), (50, 112)), (0.3, 0.3, 0.4)),
    "desert": _ground(((206, 150, 82), (232, 186, 116), (246, 214, 156)), ((7, 3), (26, 8), (90, 90)), (0.5, 0.3, 0.2)),
    "snow": _ground(((206, 220, 238), (234, 240, 248), (252, 253, 255)), ((6, 3), (18, 9)), (0.6, 0.4)),
    "dirt": _ground(((84, 60, 42), (118, 86, 60), (150, 114, 84)), ((10, 10), (40, 40), (100, 100)), (0.4, 0.3, 0.3)),
    "jungle": _jungle,
    "mountain": _mountain,
    "beach": _beach,
    "water": _water,
    "sky": _sky,
    "city": _city,
    "room": _room,
    "brick wall": _brick_wall,
    "wood": _wood,
    "stripes": _pattern(_striped),
    "checkerboard": _pattern(_chequered),
    "dots": _pattern(_dotted),
}
