"""Baselines: explanations that a score is set beside, each a class with `reads` and `explanation`.

To add one, write such a class and register it under `baselines`; `glossator run --baseline NAME` then sets every score
beside it. Resources (a lexicon, the subject) are parameters of its constructor, as for explainers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from glossator.evidence import ExplainEvidence
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.token_list import TokenListExplainer
from glossator.explanations import Explanation
from glossator.resources import Resources

if TYPE_CHECKING:
    from glossator.programs import Lexicon

DEFAULT_BASELINES = ("lookup", "token-list", "mismatched")
RANDOM_WEIGHTS = "random-weights"
ANY_INPUTS = frozenset({"tokens", "texts", "images", "stimuli"})
TOKENS = frozenset({"tokens"})


@dataclass(frozen=True)
class Beside:
    """What a baseline may use besides the unit's own evidence.

    scored: the explanation that is scored; bits: the length of its program, None without one; other: what the same
    method says of another unit of the site, None where there is none.
    """

    scored: Explanation
    bits: float | None = None
    other: Explanation | None = None


class Baseline(Protocol):
    """Makes an explanation that scores are compared with. reads: the kinds of inputs that it works for
    (`Inputs.kind`)."""

    @property
    def reads(self) -> frozenset[str]: ...

    def explanation(self, evidence: ExplainEvidence, beside: Beside) -> Explanation | None:
        """The baseline of the explanation that is scored; None if there is none."""
        ...


@dataclass(frozen=True)
class LookupBaseline:
    """The mean activation of every token of the explain split, a table."""

    reads: ClassVar[frozenset[str]] = TOKENS

    def explanation(self, evidence: ExplainEvidence, beside: Beside) -> Explanation | None:
        return LookupExplainer().table_of(evidence)


@dataclass(frozen=True)
class TokenListBaseline:
    """The best list of exact tokens that is no longer, in bits, than the program that is scored; none for plain
    sentences."""

    lexicon: Lexicon | None = None
    reads: ClassVar[frozenset[str]] = TOKENS

    def explanation(self, evidence: ExplainEvidence, beside: Beside) -> Explanation | None:
        if beside.bits is None:
            return None
        return TokenListExplainer(bits=beside.bits, lexicon=self.lexicon).list_of(evidence)


@dataclass(frozen=True)
class MismatchedBaseline:
    """The same method's explanation of another unit of the site."""

    reads: ClassVar[frozenset[str]] = ANY_INPUTS

    def explanation(self, evidence: ExplainEvidence, beside: Beside) -> Explanation | None:
        return beside.other


@dataclass(frozen=True)
class RandomWeightsBaseline:
    """The same architecture with random weights. It is no explanation of a unit: a study of that network stands beside
    the study, see `glossator.study.random_weights`."""

    reads: ClassVar[frozenset[str]] = ANY_INPUTS

    def explanation(self, evidence: ExplainEvidence, beside: Beside) -> Explanation | None:
        return None


def open_baselines(names: Iterable[str], resources: Resources) -> dict[str, Baseline]:
    """The registered baselines of these names, with the resources that they take."""
    return {name: resources.build("baselines", name) for name in names}


def explanations_of(
    baselines: Mapping[str, Baseline], evidence: ExplainEvidence, beside: Beside
) -> dict[str, Explanation]:
    """The baselines available for this unit and this explanation, by name."""
    kind = evidence.exemplars.inputs.kind
    found = {name: one.explanation(evidence, beside) for name, one in baselines.items() if kind in one.reads}
    return {name: explanation for name, explanation in found.items() if explanation is not None}


def baselines_beside(
    scored: Explanation,
    evidence: ExplainEvidence,
    names: Iterable[str] = DEFAULT_BASELINES,
    *,
    lexicon: Lexicon | None = None,
    bits: float | None = None,
    other: Explanation | None = None,
) -> dict[str, Explanation]:
    """The registered baselines available for one explanation, by name.

    bits: the length of the program to match, by default that of `scored` under the lexicon; other: as in `Beside`.
    """
    from glossator.programs import bits as length

    if bits is None and scored.program is not None and (lexicon is not None or scored.program.language == "scene"):
        bits = length(scored.program, lexicon)
    return explanations_of(open_baselines(names, Resources(lexicon)), evidence, Beside(scored, bits, other))
