"""An explanation: a sentence, a program, or both, and how it was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.programs import Program


@dataclass(frozen=True)
class Provenance:
    """How an explanation was made; two with the same fields are the same explanation.

    method: registered name; settings: the method's own spec; evidence: fingerprint of the explain split it saw;
    seed; model, prompt: name and hash, for methods that use a language model; cost: calls, tokens, money, seconds.
    """

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    evidence: str = ""
    seed: int = 0
    model: str | None = None
    prompt: str | None = None
    cost: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Explanation:
    """What a unit responds to. `text` is English; `program`, when there is one, can be executed on tokens.

    rank: 0 for the method's best candidate, then 1, 2, ...; an explainer that finds nothing better than its baseline
    returns no explanation and the study stores the status `abstained`.
    """

    unit: Unit
    text: str
    provenance: Provenance
    program: Program | None = None
    rank: int = 0
