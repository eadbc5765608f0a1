"""Embedding: do firing windows lie closer to the explanation than silent ones, in a text embedder?

It costs one embedding per text and no language model. An embedder captures what texts are about and little of single
tokens, so a low score means less than a high one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import EMBEDDER, TOKEN_VALUES, Scorer
from glossator.scorers.asking import Replies
from glossator.scorers.items import WindowItems
from glossator.scorers.judged import Judged, Verdict, auroc_of, no_text
from glossator.scorers.lab import Lab
from glossator.scorers.yes_no import window_items
from glossator.scores import Score
from glossator.units import Unit


@dataclass(frozen=True)
class EmbeddingScorer(Scorer):
    """`embedding.auroc`: of the cosine between explanation and window. items: windows, half of them firing."""

    items: int = 100
    split: Split = "test"
    name: ClassVar[str] = "embedding"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, EMBEDDER})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        embedder = lab.embedder
        items = window_items(unit, evidence, lab, self.split, self.items)
        how = {
            "split": self.split,
            "items": items.counts,
            "firing_rule": evidence.statistics.firing_rule,
            "embedder": embedder.name,
            "embedder_fingerprint": embedder.fingerprint,
        }
        if why_not := items.reason or no_text(explanation):
            return [Verdict(None, how=how, why_not=why_not).score(lab, f"{self.name}.auroc", "AUROC", auroc_of)]
        windows = lab.kept(("embedded", embedder.fingerprint, self), (evidence,), lambda: embedder.embed(items.texts))
        baselines = {name: baseline for name, baseline in lab.baselines.items() if baseline.text.strip()}
        vectors = embedder.embed([e.text for e in (explanation, *baselines.values())])
        judged = [_judged(items, windows @ vector) for vector in vectors]
        verdict = Verdict(judged[0], dict(zip(baselines, judged[1:], strict=True)), how)
        return [verdict.score(lab, f"{self.name}.auroc", "AUROC", auroc_of)]


def _judged(items: WindowItems, similarity: np.ndarray) -> Judged:
    return Judged.of(items, Replies(similarity.astype(np.float64)))
