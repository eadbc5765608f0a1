"""Scores and explanations as pages show them, and how such data becomes JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from glossator.language_models.costs import cost_in_words
from glossator.scores import Column, Score
from glossator.store.results import Chosen, Named
from glossator.store.summary import baselines_of_scores

LONGEST_PROGRAM, LONGEST = 4000, 6000


@dataclass(frozen=True)
class Beside:
    """A baseline beside a score: its value; how far the score is above it, with its interval, p, and q over all units
    of the study."""

    baseline: str
    value: float | None
    margin: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None


@dataclass(frozen=True)
class ScoreShown:
    """A score with its interval, n, baselines and how it was made; value None with a reason."""

    name: str
    column: Column
    measure: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None
    baselines: list[Beside]
    how: dict[str, Any]

    @classmethod
    def of(cls, score: Score) -> ScoreShown:
        beside = []
        for name in baselines_of_scores([score]):
            over = score.margins.get(name)
            numbers = () if over is None else map(rounded, (over.value, over.low, over.high, over.p, over.q))
            beside.append(Beside(name, rounded(score.baselines[name]), *numbers))
        own = (rounded(score.value), rounded(score.low), rounded(score.high), score.n, score.reason)
        return cls(score.name, score.column, score.measure, *own, beside, score.how)


@dataclass(frozen=True)
class HeadlineShown:
    """A headline or that of a mode. said: as readers are told it; program: its class, None for words alone; share of
    the activation, and strength there."""

    said: str
    text: str
    program: str | None
    weak: bool
    share: float | None
    strength: float | None

    @classmethod
    def of(cls, named: Named) -> HeadlineShown:
        return cls(str(named), named.text, named.program, named.weak, rounded(named.share), rounded(named.strength))


@dataclass(frozen=True)
class ExplanationShown:
    """An explanation with its provenance and scores. rank: 0 for its method's best candidate; named: headline, then
    other modes; sentence: what is left to say below them; peaks: words where the unit is strongest; flags: what scores
    warn of; select: r on the split that ranked it; role, settings, evidence, seed, model, prompt: its provenance."""

    method: str
    rank: int
    named: list[HeadlineShown]
    text: str
    sentence: str
    peaks: list[str]
    flags: list[str]
    program: str | None
    bits: float | None
    select: float | None
    role: str
    model: str | None
    prompt: str | None
    seed: int
    evidence: str
    cost: str
    settings: dict[str, Any]
    scores: list[ScoreShown]

    @classmethod
    def of(cls, chosen: Chosen) -> ExplanationShown:
        made, program = chosen.provenance, chosen.program
        if program is not None and len(program) > LONGEST_PROGRAM:
            program = f"{program[:LONGEST_PROGRAM]} … ({len(program):,} characters)"
        return cls(
            method=chosen.method,
            rank=chosen.rank,
            named=[HeadlineShown.of(named) for named in chosen.named],
            text=chosen.text,
            sentence=chosen.sentence,
            peaks=[] if chosen.peaks is None else [*chosen.peaks.words],
            flags=[*chosen.flags],
            program=program,
            bits=rounded(chosen.bits),
            select=rounded(chosen.select),
            role=str(made["settings"].get("role", "")),
            model=made["model"],
            prompt=made["prompt"],
            seed=made["seed"],
            evidence=made["evidence"],
            cost=cost_in_words(made["cost"]),
            settings=made["settings"],
            scores=[ScoreShown.of(score) for score in chosen.scores],
        )


def cut(text: str, most: int = LONGEST) -> str:
    """The beginning of a text that is too long, and how long it is."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


def slug(name: str) -> str:
    """A name as it stands in addresses."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "study"


def rounded(value: float | None) -> float | None:
    """Four digits, as many as a page has room for."""
    return None if value is None else float(f"{value:.4g}")


def all_rounded(values: Iterable[float | None]) -> list[float | None]:
    return [rounded(value) for value in values]


_ADAPTERS: dict[Any, Any] = {}


def adapter(kind: Any) -> Any:
    """What turns objects of a type into JSON, and knows their schema; made once, as it is costly."""
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def to_json(value: Any, kind: Any = None) -> bytes:
    """Page data as JSON; of bytes that are no text, as file names may hold, what can be shown."""
    dumped: bytes = adapter(kind or type(value)).dump_json(value)
    return dumped
