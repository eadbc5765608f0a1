"""A short list of exact tokens, each with its own strength: the best that a lookup table can do within a given length.

It is the null `lookup_same_bits`: a program that is no better than a token list of the same bits has found nothing
beyond single tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from glossator.errors import UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers.token_means import KIND_WEIGHTS, TokenMeans, rounded, token_means
from glossator.explanations import Explanation, Provenance
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.programs import Lexicon, Program

DEFAULT_TOKENS = 12
MOST_TOKENS = 4096


@dataclass(frozen=True)
class TokenListExplainer:
    """The tokens that explain most variance, count * (mean - overall mean)^2, greedily: n of them, or as many as fit.

    n: how many tokens; bits: instead of n, the length that `glossator.programs.bits` may give the program, in bits
    under `lexicon` (without one, under the evidence's vocabulary). The bias is the mean of all tokens not listed, so
    strengths are least squares up to shrinkage and may be negative. It never abstains; within fewer bits than one
    token needs, the program is the mean alone.
    """

    n: int | None = None
    bits: float | None = None
    lexicon: Lexicon | None = None
    prior: float | None = None
    kind_weights: Mapping[str, float] = field(default_factory=lambda: dict(KIND_WEIGHTS))

    def __post_init__(self) -> None:
        if self.n is not None and self.bits is not None:
            raise UserError(
                "a token list takes a number of tokens or a number of bits, not both", value=(self.n, self.bits)
            )
        if (self.n is not None and self.n < 1) or (self.bits is not None and not self.bits > 0):
            raise UserError("a token list needs at least one token or a bit", value=self.n or self.bits)

    def explain(
        self, unit: Unit, evidence: ExplainEvidence, *, n: int = 1, rng: np.random.Generator | None = None
    ) -> list[Explanation]:
        from glossator.programs import english

        found = token_means(evidence, self.prior, self.kind_weights)
        gain = found.counts * (found.means - found.overall) ** 2
        order = np.argsort(-gain, kind="stable")[:MOST_TOKENS]
        texts = evidence.exemplars.windows.vocabulary.texts
        order = order[gain[order] > 0]
        if self.bits is None:
            program = list_program(found, order[: self.n or DEFAULT_TOKENS], texts)
        else:
            program = self._longest(found, order, evidence)
        settings = {
            "n": self.n, "bits": self.bits, "prior": self.prior, "kind_weights": dict(self.kind_weights),
            "prior_used": round(found.prior, 4), "tokens": len(program.clauses),
        }  # fmt: skip
        provenance = Provenance("token-list", settings, evidence.fingerprint)
        return [Explanation(unit, english(program), provenance, program)]

    def _longest(self, found: TokenMeans, order: np.ndarray, evidence: ExplainEvidence) -> Program:
        """The longest prefix of the greedy order whose program fits: by doubling, then bisection."""
        from glossator.programs import Lexicon, bits

        assert self.bits is not None
        vocabulary = evidence.exemplars.windows.vocabulary
        lexicon = self.lexicon or Lexicon.for_windows(vocabulary, None)

        def fits(length: int) -> bool:
            return bits(list_program(found, order[:length], vocabulary.texts), lexicon) <= self.bits

        low, high = 0, 1
        while high <= len(order) and fits(high):
            low, high = high, high * 2
        high = min(high, len(order) + 1)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return list_program(found, order[:low], vocabulary.texts)


def list_program(found: TokenMeans, chosen: np.ndarray, texts: tuple[str, ...]) -> Program:
    """The program with one clause for each chosen row of the means; its bias is the mean of all other tokens."""
    from glossator.programs import Clause, Program, Token

    rest = np.ones(len(found.tokens), bool)
    rest[chosen] = False
    others = found.counts[rest].sum()
    bias = float((found.counts[rest] * found.means[rest]).sum() / others) if others > 0 else found.overall
    *strengths, bias = rounded(np.append(found.means[chosen] - bias, bias), 3).tolist()
    clauses = (Clause(s, Token((texts[found.tokens[i]],))) for s, i in zip(strengths, chosen, strict=True) if s)
    return Program(bias, tuple(clauses))
