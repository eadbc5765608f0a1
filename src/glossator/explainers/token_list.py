"""A short list of exact tokens with strengths: the best that a lookup table can do within a given length.

It is a baseline: a program no better than a token list of equal bits has found nothing beyond single tokens. So the
list is coded to fit the most tokens into the bits: tokens of similar strength share one clause, which saves the
strength and the frame of a clause for all but the first of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Explainer
from glossator.explainers.token_means import KIND_WEIGHTS, TokenMeans, rounded, token_means
from glossator.explanations import Explanation, Provenance
from glossator.statistics import largest

if TYPE_CHECKING:
    from glossator.programs import Lexicon, Program

DEFAULT_TOKENS = 12
MOST_TOKENS = 4096
FORMS = ("groups", "clauses")
STEPS_OF_2 = 2
"""Strengths of one sign share a group within 1 / STEPS_OF_2 of a doubling."""


@dataclass(frozen=True)
class TokenListExplainer(Explainer):
    """The tokens that explain most variance: n of them, or as many as fit.

    n: how many tokens; bits: instead of n, the length that `glossator.programs.bits` may give the program, in bits
    under `lexicon` (without one, under the evidence's vocabulary); form: `groups` (tokens whose strengths fall on one
    step of a factor 2 ** 0.5 share a clause) or `clauses` (each token with its own strength). The bias is the mean of
    all tokens not listed, so strengths are least squares up to shrinkage and may be negative. It never abstains;
    within fewer bits than one token needs, the program is the mean alone.
    """

    n: int | None = None
    bits: float | None = None
    form: Literal["groups", "clauses"] = "groups"
    lexicon: Lexicon | None = None
    prior: float | None = None
    kind_weights: Mapping[str, float] = field(default_factory=lambda: dict(KIND_WEIGHTS))

    def __post_init__(self) -> None:
        if self.n is not None and self.bits is not None:
            raise UserError("limit a token list by tokens or by bits, not both", value=(self.n, self.bits))
        if self.form not in FORMS:
            raise UserError("unknown form of a token list", value=self.form, allowed=", ".join(FORMS))
        if (self.n is not None and self.n < 1) or (self.bits is not None and not self.bits > 0):
            raise UserError("a token list needs at least one token or a bit", value=self.n or self.bits)

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int = 1, seed: int = 0) -> list[list[Explanation]]:
        return [[self.list_of(one)] for one in evidence]

    def list_of(self, evidence: ExplainEvidence) -> Explanation:
        """The list of one unit."""
        from glossator.programs import Token, english

        found = token_means(evidence, self.prior, self.kind_weights)
        texts = evidence.exemplars.windows.vocabulary.texts
        length = self.n or DEFAULT_TOKENS if self.bits is None else self._longest(found, evidence)
        program = list_program(found, best_tokens(found, length), texts, self.form)
        settings = {
            "n": self.n, "bits": self.bits, "form": self.form, "prior": self.prior,
            "kind_weights": dict(self.kind_weights), "prior_used": round(found.prior, 4),
            "tokens": sum(len(c.test.texts) for c in program.clauses if isinstance(c.test, Token)),
        }  # fmt: skip
        provenance = Provenance("token-list", settings, evidence.fingerprint)
        return Explanation(evidence.unit, english(program), provenance, program)

    def _longest(self, found: TokenMeans, evidence: ExplainEvidence) -> int:
        """How many tokens fit, by doubling, then bisection."""
        from glossator.programs import Lexicon, bits

        vocabulary = evidence.exemplars.windows.vocabulary
        lexicon, budget = self.lexicon or Lexicon.for_windows(vocabulary, None), self.bits or 0.0

        def fits(length: int) -> bool:
            return bits(list_program(found, best_tokens(found, length), vocabulary.texts, self.form), lexicon) <= budget

        low, high, most = 0, 1, min(len(found.tokens), MOST_TOKENS)
        while high <= most and fits(high):
            low, high = high, high * 2
        high = min(high, most + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low


def best_tokens(found: TokenMeans, n: int) -> np.ndarray:
    """Rows of the n tokens that leave least variance when each has its own value and all others share one.

    For a given shared value b these are the tokens with the largest count * (mean - b)^2, and for given tokens b is
    the mean of the others; the two steps alternate until nothing changes, from b = overall mean and from b = 0, and
    the better end is taken. Best first; fewer where fewer tokens differ from the shared value.
    """
    total, ends = (found.counts * found.means).sum(), []
    for shared in (found.overall, 0.0):
        chosen = np.zeros(0, np.int64)
        for _ in range(20):
            gain = found.counts * (found.means - shared) ** 2
            before, chosen = chosen, largest(gain, n)
            others = found.counts.sum() - found.counts[chosen].sum()
            if others <= 0 or np.array_equal(before, chosen):
                break
            shared = (total - (found.counts[chosen] * found.means[chosen]).sum()) / others
        gain = found.counts * (found.means - shared) ** 2
        ends.append((gain.sum() - gain[chosen].sum(), chosen[gain[chosen] > 0]))
    return min(ends, key=lambda end: end[0])[1]


def list_program(found: TokenMeans, chosen: np.ndarray, texts: tuple[str, ...], form: str = "groups") -> Program:
    """The program that lists the chosen rows of the means; its bias is the mean of all other tokens.

    A group's strength is the mean of its tokens' strengths, weighted by how often each occurs.
    """
    from glossator.programs import Clause, Program, Token

    rest = np.ones(len(found.tokens), bool)
    rest[chosen] = False
    others = found.counts[rest].sum()
    bias = float((found.counts[rest] * found.means[rest]).sum() / others) if others > 0 else found.overall
    strengths, counts = found.means[chosen] - bias, found.counts[chosen]
    if form == "groups":
        with np.errstate(divide="ignore"):
            steps = np.round(STEPS_OF_2 * np.log2(np.abs(strengths)))
        keys: list[object] = list(zip(np.sign(strengths).tolist(), steps.tolist(), strict=True))
    else:
        keys = [*range(len(chosen))]
    groups: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        groups.setdefault(key, []).append(place)
    means = np.array([np.average(strengths[places], weights=counts[places]) for places in groups.values()])
    *means, bias = rounded(np.append(means, bias), 3).tolist()
    clauses = (
        Clause(mean, Token(tuple(texts[found.tokens[chosen[i]]] for i in places)))
        for mean, places in zip(means, groups.values(), strict=True)
        if mean
    )
    return Program(bias, tuple(clauses))
