"""Descriptions in the manner of MILAN (Hernandez et al. 2022): the one with the largest log p(d | E) - λ log p(d).

There a captioner that was trained on descriptions by people gives both probabilities. Here they come from what is known
of the images: of a person who points at a random spot of one of the unit's regions, p(d | E) is how often d is there,
and p(d) is the same of random images. Candidates are the concepts in the regions and pairs of them, such as a noun and
a colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.of_concepts import Shown, each_alone
from glossator.image_programs.overlap import Covered
from glossator.inputs.annotations import Concept
from glossator.programs.base import Test
from glossator.programs.language import And
from glossator.programs.scene.atoms import Shows
from glossator.units import unit_rng

METHOD = "milan"
EXCHANGES = 499
PAIRED = 12
"""Of so many of the best concepts pairs are looked at."""
THINGS, OF_THINGS = ("noun", "class", "label"), ("colour", "size", "light", "weather", "relation")
"""A pair is one of these with one of those."""
DOUBT = 0.5
"""Images in which a concept is beside those that were seen."""


@dataclass(frozen=True)
class MilanExplainer(Explainer):
    """The descriptions with the best score of the regions of the strongest images.

    weight: λ, how much a description must say beyond what is true of any image; exemplars: how many images; share: of
    the cells of random images, how many are as strong as a region; alpha: how often a unit that has nothing to do with
    the images is claimed, None to describe every unit, as in the paper.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"images"})
    ranks: ClassVar[bool] = True

    weight: float = 0.2
    exemplars: int = 15
    share: float = 0.01
    alpha: float | None = 0.01

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        return each_alone(lambda shown: self._explain(shown, n), evidence, seed)

    def _explain(self, shown: Shown, n: int) -> Explained:
        rows = shown.top(self.exemplars)
        regions = shown.regions(rows, self.share).astype(np.float32)
        regions /= regions.sum(axis=1, keepdims=True)
        known = shown.covered
        if not known.concepts:
            return Abstained("no concept is shown by enough images of the explain split")
        corpus, rng = known.of_images(shown.random), unit_rng(shown.seed, shown.evidence.unit, 2)
        usual = self._usual(corpus)
        here = known.of_images(rows).overlap(regions[None])[:, 0]
        scores = self._scores(here, usual, len(rows))
        chance = self._scores(corpus.exchanged(regions, EXCHANGES, rng), usual, len(rows)).max(axis=1)
        p = (1 + int((chance >= scores.max()).sum())) / (1 + EXCHANGES)
        if self.alpha is not None and p > self.alpha:
            best = known.concepts[int(scores.argmax())]
            return Abstained(f"{best} is no more frequent in the unit's regions than concepts in others (p {p:.3f})")
        found = self._with_pairs(shown, known, scores, rows, regions)
        return [
            shown.explanation(
                test,
                METHOD,
                {"weight": self.weight, "exemplars": self.exemplars, "score": round(score, 4), "p": round(p, 4)},
                rank=rank,
            )
            for rank, (test, score) in enumerate(found[:n])
        ]

    def _usual(self, known: Covered) -> np.ndarray:
        """(m,) p(d): how often each concept is at a random spot of a random image."""
        return np.asarray((known.areas / known.places + DOUBT) / (known.images + 1))

    def _scores(self, here: np.ndarray, usual: np.ndarray, exemplars: int) -> np.ndarray:
        """log p(d | E) - λ log p(d); here: sums over exemplars of the share of the region that shows each concept."""
        return np.asarray(np.log((here + usual) / (exemplars + 1)) - self.weight * np.log(usual))

    def _with_pairs(
        self, shown: Shown, known: Covered, scores: np.ndarray, rows: np.ndarray, regions: np.ndarray
    ) -> list[tuple[Test, float]]:
        best = np.argsort(-scores, kind="stable")[:PAIRED]
        found: list[tuple[Test, float]] = [(Shows((str(known.concepts[i]),)), float(scores[i])) for i in best]
        for i, j in combinations(best.tolist(), 2):
            thing, quality = (i, j) if known.concepts[i].kind in THINGS else (j, i)
            if not _make_a_pair(known.concepts[thing], known.concepts[quality]):
                continue
            both = known.shares[[i]].minimum(known.shares[[j]])
            pair = Covered((known.concepts[i],), both, known.places)
            here = pair.of_images(rows).overlap(regions[None])[:, 0]
            score = self._scores(here, self._usual(pair.of_images(shown.random)), len(rows))
            test = And((Shows((str(known.concepts[thing]),)), Shows((str(known.concepts[quality]),))))
            found.append((test, float(score[0])))
        return sorted(found, key=lambda one: -one[1])


def _make_a_pair(thing: Concept, quality: Concept) -> bool:
    return thing.kind in THINGS and quality.kind in OF_THINGS
