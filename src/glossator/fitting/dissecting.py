"""A site as Network Dissection and Net2Vec see it: which concepts its units detect, and which combinations of them do.

What is counted is set beside the same site in a random basis: if units meant no more than other directions, a rotation
would change nothing (Bau et al. 2017). A concept's direction (Net2Vec, Fong and Vedaldi 2018) is set beside the best
single unit, on images that neither was fitted to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.errors import UserError, near_matches
from glossator.evidence import Split
from glossator.fitting.captured import SiteValues
from glossator.image_programs.overlap import Covered, covered, strongest
from glossator.inputs.annotations import Concept
from glossator.readouts.directions import DirectionSet, direction_set

TOP, DETECTS = 0.005, 0.04
"""The share of cells in a unit's mask, and the IoU that a detector exceeds, as published."""
SHARES = (0.0025, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of the cells from which the mask of a concept is chosen, of single units and of combinations alike."""
HELD_OUT: tuple[Split, ...] = ("calibrate", "select")
FEWEST = 20
"""Images of the explain split that show a concept for which a direction is fitted."""
CELLS, CELLS_OF_CONCEPT = 20_000, 500
"""So many random cells are fitted to, and so many more of those that show each concept."""
STEPS, DECAY = 100, 1e-4
_AT_ONCE = 64


@dataclass(frozen=True)
class Dissected:
    """best: of each unit, the concept with the largest IoU and that IoU; least: what a detector exceeds."""

    best: tuple[tuple[Concept, float], ...]
    least: float

    @property
    def detectors(self) -> dict[int, tuple[Concept, float]]:
        """Units with an IoU above the least one."""
        return {i: one for i, one in enumerate(self.best) if one[1] > self.least}

    @property
    def concepts(self) -> Counter[Concept]:
        """How many detectors each concept has."""
        return Counter(concept for concept, _ in self.detectors.values())

    def as_dict(self) -> dict[str, Any]:
        kinds = Counter(concept.kind for concept in self.concepts)
        return {
            "units": len(self.best),
            "detectors": len(self.detectors),
            "concepts": len(self.concepts),
            "concepts_by_kind": dict(sorted(kinds.items())),
        }


def dissect(
    values: SiteValues, rotation: np.ndarray | None = None, *, share: float = TOP, least: float = DETECTS
) -> Dissected:
    """Which concepts the units of a site detect on the explain split.

    rotation: (d, d) orthogonal, for the units of a rotated basis; share: of cells, how many are in a unit's mask.
    """
    known = _covered(values, "explain")
    cells = values.tokens("explain")
    best: list[tuple[Concept, float]] = []
    for part in _parts(cells if rotation is None else rotation.astype(np.float32), cells, rotation is not None):
        iou = known.iou(_masks(part, share))
        best += [(known.concepts[i], float(iou[i, unit])) for unit, i in enumerate(iou.argmax(axis=0))]
    return Dissected(tuple(best), least)


def random_rotation(width: int, seed: int) -> np.ndarray:
    """(width, width) float32, orthogonal, uniform among rotations and reflections (Mezzadri 2007)."""
    q, r = np.linalg.qr(np.random.default_rng([seed, width]).normal(size=(width, width)))
    return np.asarray(q * np.sign(np.diag(r)), np.float32)


def rotated_directions(name: str, values: SiteValues, *, seed: int = 0) -> DirectionSet:
    """The units of a site in a random basis: as many directions, orthogonal to each other."""
    made = {"method": "random rotation", "seed": seed}
    return direction_set(name, values.site, random_rotation(values.width, seed), subject=values.subject, made=made)


def concept_directions(
    name: str, values: SiteValues, concepts: Sequence[Concept] | None = None, *, seed: int = 0
) -> DirectionSet:
    """Of each concept the direction that tells best, cell by cell, where it is: Net2Vec.

    concepts: by default all that enough images show. made["concepts"]: of each its name, the IoU of its direction and
    of the best single unit on held-out images, and that unit. Where the paper combines units after a threshold, this
    combines their values, so that the result is a direction like any other. Raises `UserError` for unknown concepts.
    """
    import torch

    known = _chosen(_covered(values, "explain"), concepts)
    cells = values.tokens("explain")
    centre, spread = cells.mean(axis=1), cells.std(axis=1)
    rows = _fitted_to(known, cells.shape[1], seed)
    x = torch.from_numpy(((cells[:, rows].T - centre) / np.where(spread > 0, spread, 1)).astype(np.float32))
    y = torch.from_numpy(np.ascontiguousarray(known.shares[:, rows].toarray().T))
    often = y.mean(dim=0)
    weight = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    bias = torch.zeros(y.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def step() -> Any:
        optimiser.zero_grad()
        at = x @ weight + bias
        there, not_there = torch.nn.functional.logsigmoid(at), torch.nn.functional.logsigmoid(-at)
        loss = -(y * there / often + (1 - y) * not_there / (1 - often)).mean(dim=0).sum()  # both sides count alike
        loss = loss + DECAY * weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(step)
    vectors = weight.detach().numpy().T / np.where(spread > 0, spread, np.inf)
    found = direction_set(name, values.site, vectors, centre, subject=values.subject)
    made = {"method": "net2vec", "seed": seed, "concepts": _beside_units(values, known, found, cells), **values.origin}
    return DirectionSet(name, values.site, found.vectors, found.centre, values.subject, made)


def _beside_units(
    values: SiteValues, known: Covered, directions: DirectionSet, cells: np.ndarray
) -> list[dict[str, Any]]:
    """Of each concept, the IoU of its direction and of the best unit on held-out images; masks are chosen on others."""
    m = len(known.concepts)
    share_of, most = np.zeros(m, np.int64), np.zeros(m)
    unit_of, unit_share, best = np.zeros(m, np.int64), np.zeros(m, np.int64), np.full(m, -1.0)
    projected = directions.vectors @ (cells - directions.centre[:, None])
    for number, share in enumerate(SHARES):
        for first in range(0, m, _AT_ONCE):
            rows = np.arange(first, min(first + _AT_ONCE, m))
            iou = known.iou(_masks(projected[rows], share))[rows, np.arange(len(rows))]
            better = iou > most[rows]
            share_of[rows[better]], most[rows[better]] = number, iou[better]
        for first in range(0, len(cells), _AT_ONCE):
            iou = known.iou(_masks(cells[first : first + _AT_ONCE], share))
            better = iou.max(axis=1) > best
            unit_of[better], unit_share[better] = first + iou.argmax(axis=1)[better], number
            best = np.maximum(best, iou.max(axis=1))
    thresholds = [_threshold(projected[i], SHARES[share_of[i]]) for i in range(m)]
    of_units = [_threshold(cells[unit_of[i]], SHARES[unit_share[i]]) for i in range(m)]
    inputs = values.inputs.take(np.concatenate([values.rows(split) for split in HELD_OUT]))
    held = np.concatenate([values.tokens(split) for split in HELD_OUT], axis=1)
    there = covered(inputs, values.grid, among=known.concepts)
    found = []
    for i, concept in enumerate(known.concepts):
        together = directions.vectors[i] @ (held - directions.centre[:, None])
        masks = np.stack([strongest(together, thresholds[i]), strongest(held[unit_of[i]], of_units[i])])
        own, single = (round(float(one), 4) if there.areas[i] else None for one in there.iou(masks)[i])
        found.append({"concept": str(concept), "iou": own, "unit": int(unit_of[i]), "unit_iou": single})
    return found


def _covered(values: SiteValues, split: Split) -> Covered:
    known = covered(values.inputs.take(values.rows(split)), values.grid)
    if not known.concepts:
        raise UserError("too few images show any concept", value=known.images, fix="Record more images")
    return known


def _chosen(known: Covered, wanted: Sequence[Concept] | None) -> Covered:
    if wanted is None:
        images = known.shares.reshape((-1, known.places)).sum(axis=1).reshape(len(known.concepts), -1) > 0
        rows = np.flatnonzero(np.asarray(images).sum(axis=1) >= FEWEST)
        if not len(rows):
            raise UserError(f"no concept is shown by {FEWEST} images of the explain split", fix="Record more images")
    else:
        names = {str(concept): i for i, concept in enumerate(known.concepts)}
        for concept in wanted:
            if str(concept) not in names:
                raise UserError(
                    "too few images show this concept", value=str(concept), allowed=near_matches(str(concept), names)
                )
        rows = np.array([names[str(concept)] for concept in wanted])
    return Covered(tuple(known.concepts[i] for i in rows), known.shares[rows], known.places)


def _fitted_to(known: Covered, cells: int, seed: int) -> np.ndarray:
    """Cells that concepts are fitted to, ascending: random ones, and more of those that show each concept."""
    rng = np.random.default_rng([seed, 31])
    chosen = [rng.choice(cells, min(CELLS, cells), replace=False)]
    for i in range(len(known.concepts)):
        there = known.shares[[i]].indices
        chosen.append(rng.choice(there, min(CELLS_OF_CONCEPT, len(there)), replace=False))
    return np.unique(np.concatenate(chosen))


def _parts(rows: np.ndarray, cells: np.ndarray, rotate: bool) -> Iterator[np.ndarray]:
    for first in range(0, len(rows), _AT_ONCE):
        part = rows[first : first + _AT_ONCE]
        yield part @ cells if rotate else part


def _masks(values: np.ndarray, share: float) -> np.ndarray:
    """(u, T) bool of values (u, T)."""
    return np.stack([strongest(one, _threshold(one, share)) for one in values])


def _threshold(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, 1 - share, method="lower"))
