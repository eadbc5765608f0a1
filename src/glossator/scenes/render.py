"""From a scene to its picture, with an exact mask of each instance; equal scenes give equal bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from glossator.scenes.backgrounds import background
from glossator.scenes.layout import Pose, poses, settled
from glossator.scenes.scene import Scene
from glossator.scenes.sprites import sprite
from glossator.scenes.weather import in_weather, lit

RENDERER = "1"
"""Changes when the same scene is drawn otherwise; part of every fingerprint of rendered images."""
SIDE = 224
SEEN = 128
"""From which opacity on a pixel belongs to an instance."""


@dataclass(frozen=True, eq=False)
class Rendered:
    """A picture and where its instances are.

    pixels (side, side, 3) uint8; labels (side, side) int16: the instance that is seen at each pixel, -1 for none;
    things (instances,) int64: which thing of the scene each is; areas (instances,) int64: the pixels that it would have
    if nothing stood before it and the image were larger.
    """

    pixels: np.ndarray
    labels: np.ndarray
    things: np.ndarray
    areas: np.ndarray

    @property
    def masks(self) -> np.ndarray:
        """(instances, side, side) bool, the pixels at which each instance is seen."""
        return self.labels[None] == np.arange(len(self.things))[:, None, None]


def render(scene: Scene, side: int = SIDE) -> Rendered:
    """Draw a scene on side x side pixels."""
    scene = settled(scene)
    image = Image.fromarray(background(scene.background, scene.seed, side))
    placed = list(_instances(scene, side))
    for drawn, at, _ in placed:
        _over(image, drawn, at)
    labels, things, areas = _labelled(placed, side)
    finished = in_weather(lit(image, scene.light), scene.weather, scene.seed)
    return Rendered(np.asarray(finished), labels, things, areas)


def labelled(scene: Scene, side: int = SIDE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """labels, things and areas of `Rendered`, without drawing the picture."""
    return _labelled(list(_instances(settled(scene), side, tinted=False)), side)


Placed = tuple[Image.Image, tuple[int, int], int]


def _instances(scene: Scene, side: int, tinted: bool = True) -> Iterator[Placed]:
    """Sprites with the pixel of their upper left corner and the thing that each is, from the back to the front."""
    order = sorted(range(len(scene.things)), key=lambda i: (scene.things[i].place or (0, 0))[::-1])
    for i in order:
        thing = scene.things[i]
        for pose in poses(thing, scene.seed):
            drawn = _posed(sprite(thing.noun, thing.colour if tinted else None, scene.style), pose, side)
            at = round(pose.x * side - drawn.width / 2), round(pose.y * side - drawn.height / 2)
            yield drawn, at, i


def _posed(drawn: Image.Image, pose: Pose, side: int) -> Image.Image:
    if pose.mirrored:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    scale = pose.side * side / max(drawn.size)
    size = max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))
    drawn = drawn.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return drawn.rotate(pose.turned, Image.Resampling.BILINEAR, expand=True)


def _over(image: Image.Image, drawn: Image.Image, at: tuple[int, int]) -> None:
    """Lay a sprite with premultiplied opacity over the image."""
    left, top = max(at[0], 0), max(at[1], 0)
    right, bottom = min(at[0] + drawn.width, image.width), min(at[1] + drawn.height, image.height)
    if right <= left or bottom <= top:
        return
    part = np.asarray(drawn)[top - at[1] : bottom - at[1], left - at[0] : right - at[0]].astype(np.uint16)
    below = np.asarray(image.crop((left, top, right, bottom))).astype(np.uint16)
    mixed = part[..., :3] + (below * (255 - part[..., 3:]) + 127) // 255
    image.paste(Image.fromarray(np.minimum(mixed, 255).astype(np.uint8)), (left, top))


def _labelled(placed: list[Placed], side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = np.full((side, side), -1, np.int16)
    areas = np.zeros(len(placed), np.int64)
    for number, (drawn, (left, top), _) in enumerate(placed):
        seen = np.asarray(drawn.getchannel("a")) >= SEEN
        areas[number] = seen.sum()
        within = seen[max(-top, 0) : side - top, max(-left, 0) : side - left]
        part = labels[max(top, 0) : top + seen.shape[0], max(left, 0) : left + seen.shape[1]]
        part[within] = number
    return labels, np.array([thing for *_, thing in placed], np.int64), areas
