"""Explainers: from the explain split of a unit's evidence to explanations, one method a file.

To add one, write a class with `explain` and register it under `explainers` (see `glossator.registry`). An explainer is
handed `ExplainEvidence`, which holds no window that is ever scored.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.explanations import Explanation
from glossator.units import Unit


class Explainer(Protocol):
    """Explains one unit at a time.

    One that gains by seeing many units together may also have
    `explain_many(pairs: list[tuple[Unit, ExplainEvidence]], *, n, rng) -> list[list[Explanation]]`.
    """

    def explain(self, unit: Unit, evidence: ExplainEvidence, *, n: int, rng: np.random.Generator) -> list[Explanation]:
        """Up to n explanations, best first; an empty list when nothing is better than the method's null."""
        ...


def explain_all(
    explainer: Explainer, pairs: Iterable[tuple[Unit, ExplainEvidence]], *, n: int, rng: np.random.Generator
) -> list[list[Explanation]]:
    """Explanations of many units in order, by `explain_many` where the explainer has it."""
    pairs = list(pairs)
    together = getattr(explainer, "explain_many", None)
    if together is not None:
        return together(pairs, n=n, rng=rng)
    return [explainer.explain(unit, evidence, n=n, rng=rng) for unit, evidence in pairs]
