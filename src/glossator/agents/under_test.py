"""The unit under test, as tools see it: it answers inputs, and shows what was recorded of it in the explain split.

There is no way from here to any other split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.inputs import Images
from glossator.inputs.images import cells_of_pixels
from glossator.inputs.tokens import TokenWindows
from glossator.scenes import SceneImages
from glossator.scenes.pictures import Picture, pictures_of
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.explanations import Explanation
    from glossator.programs import Lexicon

Takes = Literal["texts", "images"]
MASKED = 0.99
"""The quantile of the cells of random images above which a cell is shown."""
MOST_LEFT = 24
"""How many tokens of a window are kept before the one at which the unit is strongest."""


@dataclass(frozen=True, eq=False)
class Response:
    """The largest activation in one input. at: the token where it is, with ">>" and "<<" around it in `marked`; cells
    (rows, columns) bool: where an image's activation is above the unit's level, and mask (height, width) bool the same
    at its pixels; both None where it has no places."""

    value: float
    at: str = ""
    marked: str = ""
    mask: np.ndarray | None = None
    cells: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """An input with the unit's response to it."""

    item: Any
    response: Response


class UnderTest(Protocol):
    """A unit that can be run on new inputs: texts as `str`, images as pictures of the studio that draws them.

    reference: (n,) its responses to ordinary inputs of the explain split, by which percentiles and levels are given.
    """

    name: str
    takes: Takes
    reference: np.ndarray

    def respond(self, items: Sequence[Any]) -> list[Response]: ...

    def exemplars(self, n: int) -> list[Seen]:
        """The recorded inputs of the explain split with the largest responses, largest first."""
        ...

    def ordinary(self, n: int, seed: int) -> list[Seen]:
        """Random inputs of the explain split."""
        ...


class FunctionUnderTest:
    """Any function of an input as a unit; its exemplars and reference are from inputs that are given with it.

    respond: from some items to their numbers, or to `Response`s; pool: inputs to explain with.
    """

    def __init__(self, name: str, takes: Takes, respond: Callable[[Sequence[Any]], Sequence[Any]], pool: Sequence[Any]):
        self.name, self.takes, self._respond, self.pool = name, takes, respond, list(pool)
        self._seen = [Seen(item, response) for item, response in zip(self.pool, self.respond(self.pool), strict=True)]
        self.reference = np.array([seen.response.value for seen in self._seen])

    def respond(self, items: Sequence[Any]) -> list[Response]:
        found = self._respond(items) if len(items) else []
        return [value if isinstance(value, Response) else Response(float(value)) for value in found]

    def exemplars(self, n: int) -> list[Seen]:
        return [self._seen[i] for i in np.argsort(-self.reference, kind="stable")[:n]]

    def ordinary(self, n: int, seed: int) -> list[Seen]:
        rows = np.random.default_rng([seed, 1]).permutation(len(self.pool))[:n]
        return [self._seen[i] for i in rows]


class TokenUnderTest:
    """A unit of a language model or encoder: texts in, the activation at the strongest token out.

    respond: from texts to (token texts, activations, which count) of each; evidence: its explain split; explanation:
    one that was made from that split, so that hypotheses need not be searched for again.
    """

    takes: Takes = "texts"

    def __init__(
        self,
        unit: Unit,
        evidence: ExplainEvidence,
        respond: Callable[[Sequence[str]], Sequence[tuple[Sequence[str], np.ndarray, np.ndarray]]],
        lexicon: Lexicon | None = None,
        explanation: Explanation | None = None,
    ):
        self.name, self.evidence, self._respond, self.lexicon = str(unit), evidence, respond, lexicon
        self.explanation = explanation
        random = evidence.exemplars.of("random")
        self.reference = np.sort(random.activations[random.valid])

    def respond(self, items: Sequence[str]) -> list[Response]:
        return [strongest(*one) for one in self._respond(items)] if items else []

    def exemplars(self, n: int) -> list[Seen]:
        shown = self.evidence.exemplars
        return [self._shown(i) for i in np.argsort(-shown.maxima, kind="stable")[:n]]

    def ordinary(self, n: int, seed: int) -> list[Seen]:
        rows = np.flatnonzero(self.evidence.exemplars.in_random)
        chosen = np.random.default_rng([seed, 1]).permutation(rows)[:n]
        return [self._shown(i) for i in chosen]

    def search(self, text: str, n: int) -> list[Seen]:
        """Inputs of the explain split that hold this text, strongest first."""
        shown = self.evidence.exemplars
        order = np.argsort(-shown.maxima, kind="stable")
        rows = [row for row in order if text.lower() in window_text(shown.windows, row).lower()]
        return [self._shown(row) for row in rows[:n]]

    def _shown(self, row: int) -> Seen:
        shown = self.evidence.exemplars
        windows = shown.windows
        names, tokens = windows.vocabulary.texts, windows.tokens[row, : windows.lengths[row]].tolist()
        values = np.where(shown.valid[row], shown.activations[row], -np.inf)
        peak = int(values.argmax())
        # Exemplars of other kinds of subjects may look to the right too: the whole window is kept after the peak.
        pieces = [names[token] for token in tokens]
        start = max(0, peak - MOST_LEFT)
        response = strongest(pieces[start:], values[start : len(pieces)], np.isfinite(values[start : len(pieces)]))
        return Seen("".join(pieces[start:]), response)


class ImageUnderTest:
    """A unit of an image model: pictures in, the largest activation over the image out, with the cells that exceed the
    unit's level as mask.

    respond: from image inputs to activations (n, places); evidence: its explain split.
    """

    takes: Takes = "images"

    def __init__(self, unit: Unit, evidence: ExplainEvidence, respond: Callable[[Images], np.ndarray]):
        self.name, self.evidence, self._respond = str(unit), evidence, respond
        random = evidence.exemplars.of("random")
        self.reference = np.sort(random.activations.max(axis=1))
        self.level = float(np.quantile(random.activations, MASKED))

    def respond(self, items: Sequence[Picture]) -> list[Response]:
        if not items:
            return []
        values = self._respond(inputs_of(items))
        return [self._response(row, item.pixels.shape) for row, item in zip(values, items, strict=True)]

    def exemplars(self, n: int) -> list[Seen]:
        return self._shown(np.argsort(-self.evidence.exemplars.maxima, kind="stable")[:n])

    def ordinary(self, n: int, seed: int) -> list[Seen]:
        rows = np.flatnonzero(self.evidence.exemplars.in_random)
        return self._shown(np.random.default_rng([seed, 1]).permutation(rows)[:n])

    def _shown(self, rows: np.ndarray) -> list[Seen]:
        shown = self.evidence.exemplars
        assert isinstance(shown.inputs, Images)
        pictures = pictures_of(shown.inputs, rows.tolist())
        return [
            Seen(picture, self._response(shown.activations[row], picture.pixels.shape))
            for row, picture in zip(rows, pictures, strict=True)
        ]

    def _response(self, values: np.ndarray, shape: tuple[int, ...]) -> Response:
        grid = self.evidence.exemplars.grid
        if grid.kind != "cells":
            return Response(float(values.max()))
        above = (values > self.level).reshape(grid.shape)
        return Response(float(values.max()), mask=cells_of_pixels(above, shape[0], shape[1]), cells=above)


def inputs_of(pictures: Sequence[Picture]) -> Images:
    """Pictures as inputs; scenes stay known, for subjects that read them."""
    scenes = [picture.scene for picture in pictures if picture.scene is not None and picture.backend == "renderer"]
    if len(scenes) == len(pictures):
        return SceneImages.of_scenes(scenes, side=len(pictures[0].pixels))
    return Images.of(np.stack([picture.pixels for picture in pictures]))


def strongest(pieces: Sequence[str], values: np.ndarray, counts: np.ndarray) -> Response:
    """The response at the strongest token that counts; 0 where none does."""
    if not len(pieces) or not np.any(counts):
        return Response(0.0)
    place = int(np.where(counts, values, -np.inf).argmax())
    marked = "".join([*pieces[:place], ">>", pieces[place], "<<", *pieces[place + 1 :]])
    return Response(float(values[place]), pieces[place], marked)


def window_text(windows: TokenWindows, row: int) -> str:
    names = windows.vocabulary.texts
    return "".join(names[token] for token in windows.tokens[row, : windows.lengths[row]].tolist())


def token_unit(
    subject: Any,
    unit: Unit,
    evidence: ExplainEvidence,
    width: int,
    readouts: Mapping[str, Any] | None = None,
    lexicon: Lexicon | None = None,
    explanation: Explanation | None = None,
) -> TokenUnderTest:
    """A unit of a loaded subject; texts are cut and masked as a recording of this width would."""
    from glossator.recording.texts import site_values, text_windows

    names = subject.tokenizer.vocabulary.texts

    def respond(texts: Sequence[str]) -> list[tuple[Sequence[str], np.ndarray, np.ndarray]]:
        windows = text_windows(subject, texts, width)
        values = site_values(subject, unit.site, [unit.index], windows, readouts)[:, :, 0] * np.float32(unit.sign)
        real = np.arange(windows.width) < windows.lengths[:, None]
        found: list[tuple[Sequence[str], np.ndarray, np.ndarray]] = []
        for number in range(len(texts)):
            rows = windows.documents == number
            own = real & rows[:, None]
            found.append(([names[t] for t in windows.tokens[own].tolist()], values[own], windows.valid[own]))
        return found

    return TokenUnderTest(unit, evidence, respond, lexicon, explanation)


def image_unit(
    subject: Any, unit: Unit, evidence: ExplainEvidence, readouts: Mapping[str, Any] | None = None
) -> ImageUnderTest:
    """A unit of a loaded image subject."""
    from glossator.recording.texts import site_values

    def respond(images: Images) -> np.ndarray:
        return site_values(subject, unit.site, [unit.index], images, readouts)[:, :, 0] * np.float32(unit.sign)

    return ImageUnderTest(unit, evidence, respond)
