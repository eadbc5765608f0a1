"""What tests find in images: truths at the places of one grid, from exact masks and from pixels, each made once."""

from __future__ import annotations

from collections.abc import Hashable
from functools import reduce
from hashlib import sha256
from weakref import WeakKeyDictionary

import numpy as np
from scipy.ndimage import maximum_filter

from glossator.errors import MissingPower
from glossator.inputs import WHOLE, Grid, Inputs
from glossator.inputs.annotations import Concept, annotations_of
from glossator.inputs.images import DrawnPixels
from glossator.programs.base import Test
from glossator.programs.language import And, Not, Or, Program
from glossator.programs.scene.atoms import POSITIONS, Anywhere, Beside, Looks, Shows, Together
from glossator.programs.scene.pixels import MEASURED, measure, position

FINE = Grid("cells", (28, 28))
"""Where it is decided for a whole image whether several concepts are at one spot: each covers most of such a cell."""
HALF = 0.5
MOST_KEPT = 50_000_000
"""So many numbers are kept of single images."""

_made: WeakKeyDictionary[Inputs, dict[Hashable, np.ndarray]] = WeakKeyDictionary()
"""Truths by images, test and grid, kept as long as the images are; images never change."""

_of_image: dict[tuple[bytes, Grid], np.ndarray] = {}
"""Statistics (statistics, places) of single images, by their content."""


def execute(program: Program, inputs: Inputs, grid: Grid) -> np.ndarray:
    """The program's value at every place: (n, places) float32, at least 0, and 0 where a place does not count.

    Raises `MissingPower` for inputs that are no images, and for concepts where nothing is known of the content.
    """
    _check(inputs, grid)
    values = np.full((len(inputs), grid.places), program.bias, np.float32)
    for clause in program.clauses:
        values += np.float32(clause.strength) * truth(clause.test, inputs, grid)
    return np.where(inputs.valid_at(grid), np.maximum(values, 0.0), np.float32(0))


def truth(test: Test, inputs: Inputs, grid: Grid) -> np.ndarray:
    """The truth of a test at every place: (n, places) float32, not to be changed."""
    kept = _made.setdefault(inputs, {})
    if (test, grid) not in kept:
        kept[test, grid] = np.asarray(_truth(test, inputs, grid), np.float32)
    return kept[test, grid]


def measured(inputs: Inputs, grid: Grid) -> None:
    """Have all statistics of pixels ready; those of an image are kept for all units that it is shown of."""
    kept = _made.setdefault(inputs, {})
    if (Looks(MEASURED[0]), grid) in kept:
        return
    _check(inputs, grid)
    found = np.zeros((len(inputs), len(MEASURED), grid.places), np.float32)
    pixels: np.ndarray | DrawnPixels = inputs.pixels  # type: ignore[attr-defined]
    for row in range(len(inputs)):
        key = (content_of(pixels, row), grid)
        if key not in _of_image:
            while len(_of_image) * grid.places * len(MEASURED) > MOST_KEPT:
                del _of_image[next(iter(_of_image))]
            _of_image[key] = measure(pixels[row : row + 1], grid)[0]
        found[row] = _of_image[key]
    for number, name in enumerate(MEASURED):
        kept[Looks(name), grid] = found[:, number]


def content_of(pixels: np.ndarray | DrawnPixels, row: int) -> bytes:
    """Tells an image from others, without drawing it where its pixels are drawn when they are read."""
    content = pixels.at(np.array([row])).content() if isinstance(pixels, DrawnPixels) else pixels[row].tobytes()
    return sha256(content).digest()


def _check(inputs: Inputs, grid: Grid) -> None:
    if inputs.kind != "images" or grid.kind == "tokens":
        raise MissingPower("this program reads images", value=inputs.kind)


def _truth(test: Test, inputs: Inputs, grid: Grid) -> np.ndarray:
    match test:
        case Looks(name, None) if name in POSITIONS:
            return np.repeat(position(name, grid)[None], len(inputs), axis=0)
        case Looks(name, None):
            measured(inputs, grid)
            return _made[inputs][test, grid]
        case Looks(name, least):
            return truth(Looks(name), inputs, grid) >= np.float32(least)
        case Shows(concepts, None) if grid == WHOLE:
            of = annotations_of(inputs)
            return reduce(np.maximum, [of.present(Concept.of(text)) for text in concepts])[:, None]
        case Shows(concepts, None):
            return reduce(np.maximum, [_coverage(text, inputs, grid) for text in concepts])
        case Shows(concepts, least):
            return reduce(np.maximum, [_coverage(text, inputs, grid) for text in concepts]) >= np.float32(least)
        case Together(concepts) if grid == WHOLE:
            return reduce(np.minimum, [_coverage(text, inputs, FINE) for text in concepts]).max(axis=1)[:, None] > HALF
        case Together(concepts):
            return reduce(np.minimum, [_coverage(text, inputs, grid) for text in concepts])
        case And(tests):
            return reduce(np.minimum, [truth(t, inputs, grid) for t in tests])
        case Or(tests):
            return reduce(np.maximum, [truth(t, inputs, grid) for t in tests])
        case Not(inner):
            return np.float32(1) - truth(inner, inputs, grid)
        case Anywhere(inner):
            found = truth(inner, inputs, grid)
            return np.broadcast_to(found.max(axis=1, keepdims=True, initial=0.0), found.shape)
        case Beside(inner, k):
            found = truth(inner, inputs, grid)
            if grid == WHOLE or not len(found):
                return found
            cells = found.reshape(len(found), *grid.shape)
            size = (1, *(min(2 * k + 1, 2 * side - 1) for side in grid.shape))
            return maximum_filter(cells, size, mode="nearest").reshape(found.shape)
    raise MissingPower("this test reads tokens, not images", value=str(test)[:60])


def _coverage(text: str, inputs: Inputs, grid: Grid) -> np.ndarray:
    """(n, places) float32, made once."""
    kept, key = _made.setdefault(inputs, {}), ("covers", text, grid)
    if key not in kept:
        kept[key] = annotations_of(inputs).coverage(np.arange(len(inputs)), Concept.of(text), grid)
    return kept[key]
