"""The token lookup table: a unit's mean activation at each token, and nothing else.

It is the baseline beside every explanation: it ignores context but knows everything about single tokens that the
explain split shows. It needs thousands of numbers, so it is no explanation for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.explainers import Explainer
from glossator.explainers.token_means import KIND_WEIGHTS, rounded, token_means
from glossator.explanations import Explanation, Provenance


@dataclass(frozen=True)
class LookupExplainer(Explainer):
    """One explanation: a program with a single table of (sum + prior * overall) / (count + prior) by token.

    Tokens that the explain split lacks get the overall mean. prior: a count, or None to estimate it from the data;
    kind_weights: how much windows count by the way they were drawn (see `glossator.explainers.token_means`).
    It never abstains.
    """

    prior: float | None = None
    kind_weights: Mapping[str, float] = field(default_factory=lambda: dict(KIND_WEIGHTS))

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int = 1, seed: int = 0) -> list[list[Explanation]]:
        return [[self.table_of(one)] for one in evidence]

    def table_of(self, evidence: ExplainEvidence) -> Explanation:
        """The table of one unit."""
        from glossator.programs import Clause, Program, Table

        found = token_means(evidence, self.prior, self.kind_weights)
        texts = evidence.exemplars.windows.vocabulary.texts
        *means, overall = rounded(np.append(found.means, found.overall)).tolist()
        table = Table(tuple(zip([texts[i] for i in found.tokens], means, strict=True)), overall)
        highest = [f"{texts[i]!r}" for i in found.tokens[np.argsort(-found.means, kind="stable")[:8]]]
        text = f"The mean activation of each of {len(means)} tokens, highest at {', '.join(highest)}"
        settings = {"prior": self.prior, "kind_weights": dict(self.kind_weights), "prior_used": round(found.prior, 4)}
        provenance = Provenance("lookup", settings, evidence.fingerprint)
        return Explanation(evidence.unit, text, provenance, Program(0.0, (Clause(1.0, table),)))
