"""Network Dissection (Bau et al. 2017): a unit is a detector of the concept whose masks its own strongest cells meet.

The mask of a unit is where it exceeds the value that a share of .005 of the cells of random images exceeds. Each
concept covers a share of each cell, from its exact mask of pixels, so intersection and union are those of the pixels
when the unit's map is enlarged without smoothing; the paper smooths it. Beyond the paper, the concept has to be met
better than by chance: masks are laid on other images, and the greatest IoU of any concept is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.of_concepts import Shown, each_alone
from glossator.programs.scene.atoms import Shows
from glossator.units import unit_rng

METHOD = "dissection"
TOP, DETECTS = 0.005, 0.04
"""The share of cells in a unit's mask, and the IoU above which a unit is a detector, both of the paper."""
EXCHANGES = 499


@dataclass(frozen=True)
class DissectionExplainer(Explainer):
    """The concepts that a unit detects, that with the largest IoU first.

    share: of the cells of random images, how many are in the unit's mask; least: a detector has a larger IoU; alpha:
    how often a unit that has nothing to do with the images is claimed, None for the paper's rule alone.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"images"})
    ranks: ClassVar[bool] = True

    share: float = TOP
    least: float = DETECTS
    alpha: float | None = 0.01

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        return each_alone(lambda shown: self._explain(shown, n), evidence, seed)

    def _explain(self, shown: Shown, n: int) -> Explained:
        mask, known = shown.mask(self.share)[shown.random], shown.covered.of_images(shown.random)
        if not known.concepts:
            return Abstained("no concept is shown by enough images of the explain split")
        if not mask.any():
            return Abstained("the unit has no cells at which it is strongest")
        iou = known.iou(mask[None])[:, 0]
        best = np.argsort(-iou, kind="stable")
        first = known.concepts[best[0]]
        if iou[best[0]] <= self.least:
            return Abstained(f"the largest IoU, with {first}, is {iou[best[0]]:.3f}; a detector exceeds {self.least:g}")
        rng = unit_rng(shown.seed, shown.evidence.unit, 1)
        lit = mask[mask.any(axis=1)]
        both = known.exchanged(lit, EXCHANGES, rng)
        chance = (both / (known.areas + lit.sum() - both)).max(axis=1)
        p = (1 + (chance[:, None] >= iou).sum(axis=0)) / (1 + EXCHANGES)
        if self.alpha is not None and p[best[0]] > self.alpha:
            return Abstained(
                f"the IoU with {first}, {iou[best[0]]:.3f}, is no better than that of masks laid on other images"
                f" (p {p[best[0]]:.3f})"
            )
        chosen = [i for i in best[:n] if iou[i] > self.least and (self.alpha is None or p[i] <= self.alpha)]
        return [
            shown.explanation(
                Shows((str(known.concepts[i]),)),
                METHOD,
                {"share": self.share, "least": self.least, "iou": round(float(iou[i]), 4), "p": round(float(p[i]), 4)},
                rank=rank,
            )
            for rank, i in enumerate(chosen)
        ]
