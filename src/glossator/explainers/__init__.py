"""Explainers: from the explain split of a unit's evidence to explanations, one method per file.

To add one, write a class with `explain` and register it under `explainers` (see `glossator.registry`). An explainer
receives `ExplainEvidence`, which holds no window that is ever scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explanations import Explanation
from glossator.units import Unit

Answered: TypeAlias = "list[Explanation] | str"
"""What became of one unit among many: its explanations, none when the method abstains, or the reason why it failed."""


class Explainer(Protocol):
    """Explains one unit at a time.

    One that reads other inputs than windows of tokens says so in `reads`, the kinds of inputs that it reads.
    One that has ranked its explanations on texts of its own says `ranks = True`; those of others are put in order by
    the select split. One that gains by seeing many units together may also have
    `explain_many(pairs: list[tuple[Unit, ExplainEvidence]], *, n, rngs) -> list[Answered]`, with a generator for each
    pair, so that what is drawn for a unit does not depend on those beside it; a reason in the place of a unit's
    explanations says that it failed without spoiling the others. One that builds something for all units of a recording
    may have `warm(evidence)`, which is called before worker processes are forked.
    """

    def explain(self, unit: Unit, evidence: ExplainEvidence, *, n: int, rng: np.random.Generator) -> list[Explanation]:
        """Up to n explanations, best first; an empty list when nothing is better than the method's baseline."""
        ...


def explain_all(
    explainer: Explainer,
    pairs: Iterable[tuple[Unit, ExplainEvidence]],
    *,
    n: int,
    rngs: Sequence[np.random.Generator],
) -> list[Answered]:
    """What became of many units, in order, by `explain_many` where the explainer has it; rngs: one for each unit."""
    pairs = list(pairs)
    together = getattr(explainer, "explain_many", None)
    if together is not None:
        return together(pairs, n=n, rngs=rngs)
    return [explainer.explain(*pair, n=n, rng=rng) for pair, rng in zip(pairs, rngs, strict=True)]


def explained(answered: Answered) -> list[Explanation]:
    """The explanations of one unit; raises `UserError` with the reason when it failed."""
    if isinstance(answered, str):
        raise UserError(answered)
    return answered
