"""Where concepts are, beside where a unit is strongest: what all methods that name units by annotated concepts share.

A unit has values at cells and concepts have masks of pixels. A concept covers a share of each cell, so overlaps are
those of the pixels when a unit's mask is enlarged without smoothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

from glossator.errors import MissingPower
from glossator.image_programs.candidates import FEWEST, ORDER
from glossator.inputs import WHOLE, Grid, Inputs
from glossator.inputs.annotations import Concept, annotations_of

NO_REGION = ("count",)
"""Kinds of concepts that are no part of an image that could be pointed at."""
UNSAID = frozenset({Concept("light", "day"), Concept("weather", "clear"), Concept("size", "medium")})
"""What nobody says of an image, because most are so."""
AT_ONCE = 20_000_000
"""So many numbers are made at once."""


@dataclass(frozen=True, eq=False)
class Covered:
    """Where each of m concepts is in n images. shares (m, n * places) float32: of each place, how much shows it; on the
    grid `whole`, 1 where the image shows it at all."""

    concepts: tuple[Concept, ...]
    shares: csr_array
    places: int

    @property
    def images(self) -> int:
        return int(self.shares.shape[1]) // self.places

    @property
    def areas(self) -> np.ndarray:
        """(m,) places that each concept covers."""
        return np.asarray(self.shares.sum(axis=1), np.float64).reshape(-1)

    def of_images(self, rows: np.ndarray) -> Covered:
        """The same in these images."""
        columns = (rows[:, None] * self.places + np.arange(self.places)).reshape(-1)
        return Covered(self.concepts, self.shares[:, columns], self.places)

    def overlap(self, masks: np.ndarray) -> np.ndarray:
        """(m, u) float64: by how many places each concept and each mask (u, n, places) overlap."""
        return np.asarray(self.shares @ masks.reshape(len(masks), -1).T.astype(np.float32), np.float64)

    def iou(self, masks: np.ndarray) -> np.ndarray:
        """(m, u) intersection over union, summed over all images as in Network Dissection (Bau et al. 2017)."""
        both = self.overlap(masks)
        either = self.areas[:, None] + masks.reshape(len(masks), -1).sum(axis=1, dtype=np.float64) - both
        return np.divide(both, either, out=np.zeros_like(both), where=either > 0)

    def exchanged(self, masks: np.ndarray, times: int, rng: np.random.Generator) -> np.ndarray:
        """(times, m) float64: by how much the concepts and masks (k, places) overlap when each mask is laid on an image
        drawn at random, no two on the same one."""
        drawn = np.stack([rng.permutation(self.images)[: len(masks)] for _ in range(times)])
        found = np.empty((times, len(self.concepts)))
        for first, rows in self._parts(len(masks)):
            of_each = rows.reshape((-1, self.places)) @ masks.T.astype(np.float32)
            of_each = np.asarray(of_each).reshape(-1, self.images, len(masks))
            for number, one in enumerate(of_each):
                found[:, first + number] = one[drawn, np.arange(len(masks))].sum(axis=1)
        return found

    def _parts(self, masks: int) -> Iterator[tuple[int, csr_array]]:
        size = max(1, AT_ONCE // max(self.images * masks, 1))
        for first in range(0, len(self.concepts), size):
            yield first, self.shares[first : first + size]


def covered(inputs: Inputs, grid: Grid, fewest: int = FEWEST, among: Sequence[Concept] | None = None) -> Covered:
    """Where each concept is that so many of these images show; of those that are at the same places the plainest.

    among: these concepts instead, in their order, wherever they are. Raises `MissingPower` where nothing is known of
    what the images show.
    """
    if inputs.kind != "images" or grid.kind == "tokens":
        raise MissingPower("this reads images", value=inputs.kind)
    annotations, rows = annotations_of(inputs), np.arange(len(inputs))

    def shares(concept: Concept, present: np.ndarray) -> csr_array:
        share = present.astype(np.float32)[:, None] if grid == WHOLE else annotations.coverage(rows, concept, grid)
        return csr_array(share.reshape(1, -1))

    if among is not None:
        return _stacked(among, [shares(concept, annotations.present(concept)) for concept in among], inputs, grid)
    said = [one for one in annotations.concepts if one.kind not in NO_REGION and one not in UNSAID]
    # Presence of all first: scenes remember where things are on one grid at a time.
    presence = [(one, annotations.present(one)) for one in sorted(said, key=lambda one: ORDER.index(one.kind))]
    found: dict[bytes, tuple[Concept, csr_array]] = {}
    for concept, present in presence:
        if present.sum() < fewest:
            continue
        flat = shares(concept, present)
        if flat.nnz and (flat.nnz < flat.shape[1] or flat.min() < flat.max()):
            found.setdefault(flat.indices.tobytes() + flat.data.tobytes(), (concept, flat))
    return _stacked([c for c, _ in found.values()], [s for _, s in found.values()], inputs, grid)


def _stacked(concepts: Sequence[Concept], shares: Sequence[csr_array], inputs: Inputs, grid: Grid) -> Covered:
    none = csr_array((0, len(inputs) * grid.places), dtype=np.float32)
    return Covered(tuple(concepts), vstack(shares, "csr") if shares else none, grid.places)


def strongest(values: np.ndarray, threshold: float) -> np.ndarray:
    """bool, where values exceed a threshold or, if a whole plateau of them is as high as it, where they reach it."""
    above = values > threshold
    if not above.any() and values.size and threshold > values.min():
        return values >= np.float32(threshold)
    return np.asarray(above)
