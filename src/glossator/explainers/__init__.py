"""Explainers: from the explain split of units' evidence to explanations, one method per file.

To add one, write a class with `explain` and register it under `explainers` (see `glossator.registry`). An explainer
receives `ExplainEvidence`, which holds no input that is ever scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explanations import Explanation


@dataclass(frozen=True)
class Abstained:
    """Why a unit has no explanation: the explainer found nothing to say or, if `failed`, could not find out."""

    reason: str
    failed: bool = False


Explained: TypeAlias = "list[Explanation] | Abstained"
"""What an explainer returns for one unit: its explanations, best first, or why there are none."""


class Explainer(Protocol):
    """Explains units. Derive from this class to inherit the defaults of its attributes.

    reads: the kinds of inputs that it can read (`Inputs.kind`); ranks: whether its explanations are already in order,
    else they are ranked on the select split.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"tokens"})
    ranks: ClassVar[bool] = False

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> Sequence[Explained]:
        """Up to n explanations for each unit, in the order of the evidence.

        What is drawn at random for a unit is seeded by `seed` and the unit (`unit_rng`), so that it does not depend on
        the units beside it. A unit that cannot be explained must not spoil the others: its answer is `Abstained`.
        """
        ...

    def warm(self, evidence: ExplainEvidence) -> None:
        """Prepare what all units of a recording share; called before worker processes are forked."""
        return

    @classmethod
    def content_of(cls, options: Mapping[str, Any]) -> str | None:
        """A fingerprint of what is in the files that its options name, for a study to see that they have changed; None
        without any. Explanations carry it in their settings as `content`."""
        return None


def explain_one(explainer: Explainer, evidence: ExplainEvidence, *, n: int = 5, seed: int = 0) -> list[Explanation]:
    """The explanations of a single unit, an empty list if the explainer abstains; raises `UserError` if it fails."""
    (answer,) = explainer.explain([evidence], n=n, seed=seed)
    if not isinstance(answer, Abstained):
        return list(answer)
    if answer.failed:
        raise UserError(answer.reason)
    return []
