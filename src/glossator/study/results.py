"""What became of one unit, in a form that JSON holds: the rows that the store is built from.

They are written shard by shard while a study runs, so that nothing in them may depend on when or how fast that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from glossator.explanations import Explanation, Provenance
from glossator.files import plain
from glossator.scores import Margin, Score
from glossator.units import Unit, parse_unit

if TYPE_CHECKING:
    from glossator.programs import Lexicon

Status = Literal["ok", "insufficient", "abstained", "failed"]
STATUSES: tuple[Status, ...] = ("ok", "insufficient", "abstained", "failed")
CLOCK = "seconds"
SCORING = "scoring: "
"""How the reason of a unit begins that failed when it was scored."""


@dataclass(frozen=True)
class Chosen:
    """One explanation as it is stored.

    rank: 0 for the candidate that its method's select split prefers; program: its printed form; bits: its description
    length; select: the correlation on the select split that ranked it, None where undefined; scores: on the test
    split, of the candidates of rank 0 only, so that the test split is used once for each method.
    """

    method: str
    rank: int
    text: str
    program: str | None
    bits: float | None
    select: float | None
    provenance: dict[str, Any]
    scores: tuple[Score, ...] = ()

    def explanation(self, unit: Unit) -> Explanation:
        from glossator.programs import parse_program

        program = None if self.program is None else parse_program(self.program)
        return Explanation(unit, self.text, Provenance(**self.provenance), program, self.rank)


@dataclass(frozen=True)
class UnitResult:
    """One unit of a study. reason: why there is no explanation, or which method failed beside one that did not."""

    unit: Unit
    status: Status
    reason: str = ""
    statistics: dict[str, Any] | None = None
    explanations: tuple[Chosen, ...] = field(default=())

    def best(self, method: str | None = None) -> Chosen | None:
        """The first-ranked explanation of a method, of all methods when None: the one with the highest correlation on
        the select split, so that no test score chooses what it is then quoted for; of equal ones, and where none has
        that correlation, the first."""
        first = [e for e in self.explanations if e.rank == 0 and method in (None, e.method)]
        return max(first, key=lambda e: float("-inf") if e.select is None else e.select, default=None)


def unscored(result: UnitResult) -> UnitResult:
    """The result as the explaining stage left it."""
    explanations = tuple(replace(chosen, scores=()) for chosen in result.explanations)
    if result.status == "failed" and result.reason.startswith(SCORING):
        return replace(result, status="ok", reason="", explanations=explanations)
    return replace(result, explanations=explanations)


def as_stored(explanation: Explanation, lexicon: Lexicon | None, rank: int, select: float | None) -> Chosen:
    """An explanation as a row; the time that it took is left out, since it is never the same twice."""
    from glossator.programs import bits

    program, provenance = explanation.program, explanation.provenance
    cost = {name: value for name, value in provenance.cost.items() if name != CLOCK}
    return Chosen(
        method=provenance.method,
        rank=rank,
        text=explanation.text,
        program=None if program is None else str(program),
        bits=None if program is None or lexicon is None else round(bits(program, lexicon), 3),
        select=select,
        provenance=plain(replace(provenance, cost=cost)),
    )


def to_plain(result: UnitResult) -> dict[str, Any]:
    return {**plain(result), "unit": str(result.unit)}


def from_plain(stored: Mapping[str, Any]) -> UnitResult:
    explanations = tuple(
        Chosen(**{**e, "scores": tuple(score_from_plain(score) for score in e["scores"])})
        for e in stored["explanations"]
    )
    return UnitResult(**{**stored, "unit": parse_unit(stored["unit"]), "explanations": explanations})


def score_from_plain(stored: Mapping[str, Any]) -> Score:
    """A score from JSON; one of an older study has no margins."""
    return Score(**{**stored, "margins": margins_from_plain(stored.get("margins", {}))})


def margins_from_plain(stored: Mapping[str, Mapping[str, float | None]]) -> dict[str, Margin]:
    return {null: Margin(**margin) for null, margin in stored.items()}  # type: ignore[arg-type]  # value is a number
