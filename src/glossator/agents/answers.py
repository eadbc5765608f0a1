"""What an experiment ends with: a headline, a program, the hypotheses it rests on, and what was not tested."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from glossator.statistics.sequential import rate_at_least

Verdict = Literal["confirmed", "refuted", "inconclusive", "untested"]
Direction = Literal["activates", "suppresses", "weakens"]


OF_CONTROL: dict[Verdict, str] = {
    "confirmed": "did not fail", "refuted": "failed, as expected", "inconclusive": "not settled",
    "untested": "untested",
}  # fmt: skip
"""What a verdict says of a negative control, which is expected to fail."""


@dataclass(frozen=True)
class Finding:
    """A hypothesis at the end. effect: mean difference between inputs with it and matched ones without, in the unit's
    activation; successes of trials: pairs that went as predicted; e_above, e_below: evidence for and against
    (e-values); program: as text, None for words alone; control: a negative control, which is expected to fail."""

    id: str
    statement: str
    direction: Direction
    verdict: Verdict
    program: str | None = None
    control: bool = False
    effect: float | None = None
    successes: int = 0
    trials: int = 0
    e_above: float = 1.0
    e_below: float = 1.0

    @property
    def outcome(self) -> str:
        """The verdict in words."""
        return OF_CONTROL[self.verdict] if self.control else self.verdict

    @property
    def at_least(self) -> float:
        """The share of new pairs of this kind that go as predicted, at least, with 95 % confidence."""
        return rate_at_least(self.successes, self.trials)


@dataclass(frozen=True)
class Answer:
    """The answer to a question about a unit.

    headline: None where nothing is claimed, with `reason`; program: as text in the language of the inputs; rule: the
    same as data, a list of alternatives `{"all": [concepts], "none": [concepts]}`, with `"less": {concept: share}`
    where concepts leave only a share of the response, None where it has no such form;
    limits: what was not tested or did not hold; spent: inputs, calls, rounds, tokens, money.
    """

    unit: str
    question: str
    headline: str | None
    program: str | None = None
    rule: tuple[dict[str, Any], ...] | None = None
    findings: tuple[Finding, ...] = ()
    limits: tuple[str, ...] = ()
    reason: str | None = None
    policy: str = ""
    seed: int = 0
    spent: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def other_limits(self) -> tuple[str, ...]:
        """Limits that the findings do not say already."""
        said = {f"{one.verdict}: {one.statement}" for one in self.findings}
        return tuple(limit for limit in self.limits if limit not in said)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Answer:
        rule = stored.get("rule")
        return cls(
            **stored
            | {
                "findings": tuple(Finding(**one) for one in stored["findings"]),
                "limits": tuple(stored["limits"]),
                "rule": None if rule is None else tuple(rule),
            }
        )


@dataclass
class Conclusion:
    """What a policy ends with; it may be filled in as the policy goes, so that it stands when a limit is reached."""

    headline: str | None = None
    program: str | None = None
    rule: list[dict[str, Any]] | None = None
    limits: list[str] = field(default_factory=list)
    reason: str | None = None
