"""Images that look alike stay in one split: copies, also at another size or in another format, and frames of one scene.

Two images look alike when thumbnails of 16 x 16 pixels differ by less than `DIFFERENCE` levels of 255 and by less than
a seventh of their own contrast. Images that were cropped, turned or mirrored are not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from glossator.inputs.image_files import thumbnail

SIDE = 16
DIFFERENCE, OF_CONTRAST = 5.0, 0.15
_ROWS = 256


def thumbnails_of_files(paths: Iterable[Path]) -> np.ndarray:
    """(n, 16 x 16 x 3) float32 of image files; `UserError` for one that cannot be decoded."""
    return _rows([thumbnail(path, SIDE) for path in paths])


def thumbnails_of_pixels(pixels: np.ndarray) -> np.ndarray:
    """The same of pixels uint8 (n, height, width, 3)."""
    of_each = (Image.fromarray(np.ascontiguousarray(one)).resize((SIDE, SIDE), Image.Resampling.BOX) for one in pixels)
    return _rows([np.asarray(one) for one in of_each])


def join_look_alikes(groups: np.ndarray, thumbnails: np.ndarray) -> tuple[np.ndarray, int]:
    """Groups int64 (n,) joined where images of theirs look alike: each the lowest number of those that it joins; and
    how many images were given another group."""
    if not len(groups):
        return groups, 0
    names, group = np.unique(groups, return_inverse=True)
    pairs = group[_pairs(thumbnails)]
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(names), len(names)))
    count, joined = connected_components(graph, directed=False)
    lowest = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(lowest, joined, names)
    found = lowest[joined[group]]
    return found, int((found != groups).sum())


def _rows(images: list[np.ndarray]) -> np.ndarray:
    return np.array(images, np.float32).reshape(len(images), 3 * SIDE**2)


def _pairs(thumbnails: np.ndarray) -> np.ndarray:
    """(pairs, 2) row numbers of images that look alike. Means differ by no more than the images themselves, and so do
    thumbnails of 4 x 4: most images are told apart by these."""
    means, contrast = thumbnails.mean(axis=1), thumbnails.std(axis=1)
    order = np.argsort(means, kind="stable")
    rows, means, contrast = thumbnails[order].astype(np.float64), means[order], contrast[order]
    coarse = rows.reshape(len(rows), 4, SIDE // 4, 4, SIDE // 4, 3).mean(axis=(2, 4)).reshape(len(rows), 48)
    coarse -= coarse.mean(axis=0)
    sizes, found = (coarse**2).sum(axis=1), [np.empty((0, 2), np.int64)]
    for first in range(0, len(rows), _ROWS):
        block = slice(first, min(first + _ROWS, len(rows)))
        end = int(np.searchsorted(means, means[block.stop - 1] + DIFFERENCE, side="right"))
        squares = sizes[block, None] + sizes[None, first:end] - 2 * coarse[block] @ coarse[first:end].T
        a, b = np.nonzero(np.triu(squares < coarse.shape[1] * DIFFERENCE**2 + 1e-3, 1))
        a, b = first + a, first + b
        apart = np.sqrt(((rows[a] - rows[b]) ** 2).mean(axis=1))
        near = (apart < DIFFERENCE) & (apart <= OF_CONTRAST * np.minimum(contrast[a], contrast[b]))
        found.append(np.stack([order[a[near]], order[b[near]]], axis=1))
    return np.concatenate(found)
