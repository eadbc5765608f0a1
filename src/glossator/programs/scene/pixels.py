"""Statistics of the pixels at the places of a grid: brightness, colours, texture, orientation of edges, position."""

from __future__ import annotations

import numpy as np

from glossator.inputs import Grid
from glossator.inputs.annotations import place_of_pixels
from glossator.programs.scene.atoms import COLOURS, POSITIONS, STATISTICS

MEASURED = tuple(name for name in STATISTICS if name not in POSITIONS)
LARGEST_SIDE = 128
"""Larger images are averaged in square blocks first: finer texture than that is not told apart."""
HUES = {"red": (345, 15), "orange": (15, 45), "yellow": (45, 70), "green": (70, 165), "cyan": (165, 195),
        "blue": (195, 255), "purple": (255, 290), "pink": (290, 345)}  # fmt: skip
"""From and to which angle of the colour circle, in degrees."""
PALE, DARK, LIGHT, DIM = 0.2, 0.18, 0.85, 0.6
"""Below a saturation there is no hue; below a value pixels are black; above it, pale ones are white; dim orange is
brown."""
STEEP = 4.0
"""A change of brightness by 1 / STEEP from one pixel to the next but one is a full edge."""
SECTORS = {"vertical": 0, "rising": 1, "horizontal": 2, "falling": 3}
"""Eighths of a turn from the direction in which brightness changes to the edge's name; images count rows downwards."""


def measure(pixels: np.ndarray, grid: Grid) -> np.ndarray:
    """(n, statistics, places) float32 between 0 and 1 of images (n, height, width, 3) uint8, ordered as `MEASURED`.

    Of brightness, strength of colour (`colourful`) and edges, the mean over the pixels of a place; of colours, the
    share of its pixels; `contrast`: the doubled standard deviation of brightness.
    """
    return np.stack([_measured(image, grid) for image in pixels]) if len(pixels) else _none(grid)


def _none(grid: Grid) -> np.ndarray:
    return np.zeros((0, len(MEASURED), grid.places), np.float32)


def position(statistic: str, grid: Grid) -> np.ndarray:
    """(places,) float32: how far to that side the centre of a place is; 0.5 on the grid `whole`."""
    if grid.kind != "cells":
        return np.full(grid.places, 0.5, np.float32)
    rows, columns = grid.shape
    y, x = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    out = np.minimum(2 * np.maximum(abs(y - 0.5), abs(x - 0.5)), 1.0)
    found = {"left": 1 - x, "right": x, "top": 1 - y, "bottom": y, "border": out, "centre": 1 - out}
    return np.asarray(found[statistic].reshape(-1), np.float32)


def _measured(pixels: np.ndarray, grid: Grid) -> np.ndarray:
    image = _smaller(pixels)
    height, width, _ = image.shape
    place = place_of_pixels(height, width, grid).reshape(-1)
    counts = np.maximum(np.bincount(place, minlength=grid.places), 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values.reshape(-1), minlength=grid.places) / counts

    light = image @ np.array([0.299, 0.587, 0.114], np.float32)
    bright = mean(light)
    greatest, least = image.max(axis=-1), image.min(axis=-1)
    saturation = (greatest - least) / np.maximum(greatest, 1e-6)
    contrast = np.minimum(2 * np.sqrt(np.maximum(mean(light**2) - bright**2, 0)), 1)
    found = {"bright": bright, "contrast": contrast, "colourful": mean(saturation * greatest)}
    size, sector = _edges(light)
    found["edges"] = mean(size)
    for name, number in SECTORS.items():
        found[name] = mean(size * (sector == number))
    named = _colours(image, greatest, least, saturation)
    for number, name in enumerate(COLOURS):
        found[name] = mean(named == number)
    return np.stack([found[name] for name in MEASURED]).astype(np.float32)


def _smaller(pixels: np.ndarray) -> np.ndarray:
    """The image as float32 in 0..1, in blocks where it is large."""
    image = pixels.astype(np.float32) / 255
    step = -(-max(image.shape[:2]) // LARGEST_SIDE)
    if step == 1:
        return image
    height, width = image.shape[0] // step, image.shape[1] // step
    blocks = image[: height * step, : width * step].reshape(height, step, width, step, 3)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _edges(light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The size of the edge at each pixel, and the number of its direction in `SECTORS`."""
    padded = np.pad(light, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(np.int64) % 4
    return np.minimum(STEEP * np.hypot(across, down), 1.0), sector


def _colours(image: np.ndarray, greatest: np.ndarray, least: np.ndarray, saturation: np.ndarray) -> np.ndarray:
    """The number of each pixel's colour in `COLOURS`."""
    spread = np.maximum(greatest - least, 1e-6)
    red, green, blue = (image[..., channel] for channel in range(3))
    of_green, of_blue = (blue - red) / spread + 2, (red - green) / spread + 4
    hue = 60 * np.where(greatest == red, ((green - blue) / spread) % 6, np.where(greatest == green, of_green, of_blue))
    ends = np.array([high for _, high in HUES.values()])  # red is also what comes after the last
    by_hue = np.array([COLOURS.index(name) for name in (*HUES, "red")])
    found = by_hue[np.searchsorted(ends, hue, side="right")]
    found[(found == COLOURS.index("orange")) & (greatest < DIM)] = COLOURS.index("brown")
    found[saturation < PALE] = COLOURS.index("grey")
    found[(saturation < PALE) & (greatest >= LIGHT)] = COLOURS.index("white")
    found[greatest < DARK] = COLOURS.index("black")
    return np.asarray(found)
