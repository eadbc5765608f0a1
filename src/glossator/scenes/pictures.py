"""Pictures from texts, edited and described: the protocols, and the renderer as their default backend.

A picture says what it was made from (prompt, seed, backend) and what was asked for and is not there, so that no failure
of a tool is silent. Saved as PNG it keeps all of that, its scene included.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from PIL import Image, PngImagePlugin

from glossator.errors import UserError
from glossator.inputs import Images
from glossator.scenes.edits import apply, parse_edit
from glossator.scenes.inputs import SceneImages
from glossator.scenes.layout import held
from glossator.scenes.parse import called, parse, tokens
from glossator.scenes.render import SIDE, Rendered, labelled, render
from glossator.scenes.scene import Scene, named, phrase
from glossator.scenes.sprites import own_colour
from glossator.scenes.words import BACKGROUNDS, LIGHT_PHRASES, WEATHER_PHRASES, classes_above

HIDDEN = 0.5
"""Of which share of an instance less must be seen for it to be reported as missing."""
TEXT_CHUNK = "glossator"
NOTHING_SHARED, SEVERAL_OF_ONE_KIND = "nothing in common", "several of one kind"


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and where it comes from. pixels (height, width, 3) uint8; scene: what it shows, where that is known;
    missing: what was asked for and is not there, in words; failure: why there is no picture, which is then grey and a
    missing value, never one to measure."""

    pixels: np.ndarray
    scene: Scene | None
    prompt: str
    seed: int
    backend: str
    missing: tuple[str, ...] = ()
    failure: str | None = None

    def png(self) -> bytes:
        """The picture as a PNG file that holds its prompt, seed, backend and scene as a text chunk."""
        about = {
            "prompt": self.prompt,
            "seed": self.seed,
            "backend": self.backend,
            "missing": list(self.missing),
            "failure": self.failure,
            "scene": None if self.scene is None else self.scene.as_json(),
        }
        chunks, file = PngImagePlugin.PngInfo(), io.BytesIO()
        chunks.add_itxt(TEXT_CHUNK, json.dumps(about))
        Image.fromarray(self.pixels).save(file, "PNG", pnginfo=chunks)
        return file.getvalue()

    @classmethod
    def from_png(cls, data: bytes) -> Picture:
        """A picture from an image file; one that `png` did not write has no scene and no prompt."""
        pixels, about = decoded(data), {}
        if text := _text_chunk(data):
            try:
                about = json.loads(text)
                scene = None if about["scene"] is None else Scene.from_json(about["scene"])
                missing = tuple(str(one) for one in about["missing"])
                said = str(about["prompt"]), int(about["seed"]), str(about["backend"])
                return cls(pixels, scene, *said, missing, about["failure"])
            except (ValueError, KeyError, TypeError) as error:
                raise UserError("the text of this picture is damaged", value=text[:60]) from error
        return cls(pixels, None, "", 0, "file")


def decoded(data: bytes) -> np.ndarray:
    """The pixels of an image file, (height, width, 3) uint8; `UserError` for bytes that are none."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError("this is not an image that can be read", value=data[:12], fix=str(error)) from error


def _text_chunk(data: bytes) -> str | None:
    with Image.open(io.BytesIO(data)) as image:
        found = getattr(image, "text", {}).get(TEXT_CHUNK)
        return None if found is None else str(found)


class TextToImage(Protocol):
    """Makes pictures from texts."""

    @property
    def backend(self) -> str: ...

    def draw(self, prompts: Sequence[str], seed: int) -> list[Picture]:
        """One picture a prompt, each with a seed of its own that follows from `seed` and its number."""
        ...


class Editor(Protocol):
    """Changes pictures as instructions say."""

    @property
    def backend(self) -> str: ...

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int) -> list[Picture]:
        """The pictures after one instruction each."""
        ...


class Describer(Protocol):
    """Says what pictures show. It is told nothing else, so that no hypothesis can colour what it sees."""

    @property
    def backend(self) -> str: ...

    def describe(self, picture: Picture, mask: np.ndarray | None = None) -> str:
        """What the picture shows or, with a mask (height, width) bool, what its True part shows."""
        ...

    def summarise(self, pictures: Sequence[Picture], masks: Sequence[np.ndarray | None]) -> str:
        """What the pictures, or the parts of them, have in common."""
        ...


def seed_of(seed: int, number: int) -> int:
    """The seed of one picture of several."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] % 2**31)


def pictures_of(inputs: Images, rows: Sequence[int]) -> list[Picture]:
    """Rows of image inputs as pictures; those of rendered scenes can be edited and described exactly."""
    found = []
    for row in rows:
        scene = inputs.scenes[row] if isinstance(inputs, SceneImages) else None
        prompt, seed = (scene.caption(), scene.seed) if scene else ("", 0)
        found.append(Picture(np.asarray(inputs.pixels[row]), scene, prompt, seed, "renderer" if scene else "inputs"))
    return found


@dataclass(frozen=True)
class Renderer:
    """Draws, edits and describes scenes: exact, deterministic, a few milliseconds a picture; needs no model.

    side: of its pictures, in pixels; style: the sprites that new scenes are drawn with.
    """

    side: int = SIDE
    style: str = "noto"
    backend: str = "renderer"

    def draw(self, prompts: Sequence[str], seed: int = 0) -> list[Picture]:
        found = []
        for i, prompt in enumerate(prompts):
            read = parse(prompt, seed_of(seed, i), style=self.style)
            found.append(self._drawn(read.scene, prompt, unknown_words(read.unknown)))
        return found

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int = 0) -> list[Picture]:
        """Raises `UserError` for a picture without a scene. An instruction that cannot be followed, because it cannot
        be read or names what the scene does not have, leaves the picture as it is and is reported as missing."""
        check_pairs(pictures, instructions)
        found = []
        for picture, instruction in zip(pictures, instructions, strict=True):
            scene = scene_of(picture)
            try:
                edit = parse_edit(instruction)
                found.append(self._drawn(apply(scene, edit), instruction, unknown_words(edit.unknown)))
            except UserError as error:
                found.append(self._drawn(scene, instruction, (f"not done: {instruction} ({error.what})",)))
        return found

    def _drawn(self, scene: Scene, prompt: str, left_out: tuple[str, ...]) -> Picture:
        drawn = render(scene, self.side)
        return Picture(drawn.pixels, scene, prompt, scene.seed, self.backend, left_out + missing(scene, drawn))

    def describe(self, picture: Picture, mask: np.ndarray | None = None) -> str:
        scene = scene_of(picture)
        if mask is None:
            return scene.caption()
        shown = shown_in(scene, mask)
        said = [phrase(scene.things[i]) for i in shown]
        return " and ".join(said) if said else f"nothing but the background {BACKGROUNDS[scene.background][0]}"

    def summarise(self, pictures: Sequence[Picture], masks: Sequence[np.ndarray | None]) -> str:
        """What more than half of the pictures share, the most frequent first, each with how many show it; a class is
        left out where one of its nouns or classes says as much."""
        counts: Counter[str] = Counter()
        for picture, mask in zip(pictures, masks, strict=True):
            counts.update(_features(scene_of(picture), mask))
        ranked = sorted(counts, key=lambda name: (-counts[name], name))
        common = [name for name in ranked if counts[name] * 2 > len(pictures)]
        implied = {(kind, counts[name]) for name in common for kind in classes_above(name)}
        said = [name for name in common if (name, counts[name]) not in implied]
        return ", ".join(f"{name} ({counts[name]} of {len(pictures)})" for name in said) or NOTHING_SHARED


def shown_in(scene: Scene, mask: np.ndarray | None) -> list[int]:
    """The things of a scene that a mask (height, width) bool of its picture shows: those that fill a tenth of it or lie
    in it by half of their pixels; all without a mask."""
    if mask is None:
        return list(range(len(scene.things)))
    labels, things, _ = labelled(scene, mask.shape[0])
    of_thing = np.where(labels >= 0, things[labels], -1) if len(things) else labels
    found = []
    for i in range(len(scene.things)):
        mine = of_thing == i
        shared = int((mine & mask).sum())
        if shared and (shared >= 0.1 * mask.sum() or 2 * shared >= mine.sum()):
            found.append(i)
    return found


def _features(scene: Scene, mask: np.ndarray | None) -> set[str]:
    """What can be said of a scene, or of what a mask shows of it, in single words."""
    found = {BACKGROUNDS[scene.background][0]}
    found |= set() if scene.light == "day" else {LIGHT_PHRASES[scene.light][0]}
    found |= set() if scene.weather == "clear" else {WEATHER_PHRASES[scene.weather][0]}
    for i in shown_in(scene, mask):
        thing = scene.things[i]
        colour = thing.colour or own_colour(thing.noun, scene.style)
        found |= {*called(thing), *([] if colour is None else [colour])}
        found |= set() if thing.size == "medium" else {thing.size}
        found |= {SEVERAL_OF_ONE_KIND} if thing.count > 1 else set()
    return found


def unknown_words(unknown: Sequence[str]) -> tuple[str, ...]:
    """What a prompt's words that were not understood are reported as."""
    return tuple(f"not understood: {word}" for word in unknown)


def check_pairs(pictures: Sequence[Picture], instructions: Sequence[str]) -> None:
    if len(pictures) != len(instructions):
        raise UserError("one instruction a picture", value=len(instructions), allowed=str(len(pictures)))


def scene_of(picture: Picture) -> Scene:
    """The scene of a picture; raises `UserError` where none is known."""
    if picture.scene is None:
        raise UserError(
            "nothing is known of what this picture shows",
            value=picture.backend,
            fix="Use a rendered picture, or a vision language model and an editing model as backends",
        )
    return picture.scene


def checked(pictures: Sequence[Picture], describer: Describer) -> list[Picture]:
    """The pictures, with what a describer does not find in them as missing: the nouns and classes of a prompt that its
    description does not name. Pictures with a scene are known exactly, those that failed show nothing; both stay."""
    found = []
    for picture in pictures:
        if picture.scene is None and picture.failure is None:
            said = parse(describer.describe(picture)).scene
            named_there = {name for thing in said.things for name in called(thing)}
            wanted = dict.fromkeys(t.value for t in tokens(picture.prompt) if t.kind in ("noun", "class"))
            lacking = tuple(f"not seen: {name}" for name in wanted if name not in named_there)
            picture = replace(picture, missing=picture.missing + lacking)
        found.append(picture)
    return found


def missing(scene: Scene, drawn: Rendered) -> tuple[str, ...]:
    """What a scene asks for and its picture does not show: things that are hidden or cut off, relations that do not
    hold."""
    found = []
    seen = np.bincount(drawn.labels[drawn.labels >= 0], minlength=len(drawn.things))
    for i, thing in enumerate(scene.things):
        mine = drawn.things == i
        hidden = int((seen[mine] < HIDDEN * drawn.areas[mine]).sum())
        if hidden:
            found.append(f"hidden or cut off: {hidden} of {phrase(thing)}")
    for relation in scene.relations:
        if not held(scene, relation):
            first, second = named(scene, relation.first), named(scene, relation.second)
            found.append(f"does not hold: {first} {relation.kind} {second}")
    return tuple(found)
