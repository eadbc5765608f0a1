"""What a study cost: each distinct request to a language model once, with its usage when first answered.

The ledger of a study is a sum over the requests that its rows rest on. So a study that was killed and went on, or was
replayed from its answers, has the ledger of one that ran through; what this run itself sent stands in its log.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from glossator.language_models.cache import key_of
from glossator.language_models.request import NOTHING_USED, Answer, Request, Usage

STAGES = ("explain", "score")
Entry = list[float | None]
"""Calls, prompt tokens, completion tokens, money (None: not known), 1 for a failure."""
Asked = tuple[str, Mapping[str, Mapping[str, Entry]]]
"""A stage, and what it asked: model -> digest of a request -> what it used."""


@dataclass
class Meter:
    """Counts the requests of one shard of a stage. entries: model -> digest of a request -> what it used."""

    entries: dict[str, dict[str, Entry]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, model: str, requests: Sequence[Request], answers: Sequence[Answer]) -> None:
        with self._lock:
            known = self.entries.setdefault(model, {})
            for request, answer in zip(requests, answers, strict=True):
                known[key_of(model, request)[:16]] = _entry(answer.usage, answer.failure is not None)

    def add_computed(self, model: str, what: str, tokens: int) -> None:
        """Count what was computed in this process without a request; what: a digest of the question."""
        with self._lock:
            self.entries.setdefault(model, {})[what] = [1, tokens, 0, 0.0, 0]

    def take(self) -> dict[str, dict[str, Entry]]:
        """The counts since the last call, sorted."""
        with self._lock:
            found, self.entries = self.entries, {}
        return {model: dict(sorted(known.items())) for model, known in sorted(found.items())}


@dataclass(frozen=True)
class Cost:
    """The cost of one model in one stage. requests: distinct ones; failures: those without a usable answer; money in US
    dollars, None when no price is known."""

    stage: str
    model: str
    requests: int
    failures: int
    usage: Usage


def distinct(shards: Iterable[Asked]) -> list[Asked]:
    """One of each stage, with the requests of all its shards; a request counts where it stands first."""
    seen: set[tuple[str, str]] = set()
    stages: dict[str, dict[str, dict[str, Entry]]] = {}
    for stage, entries in shards:
        for model, known in entries.items():
            new = {digest: entry for digest, entry in known.items() if (model, digest) not in seen}
            seen.update((model, digest) for digest in new)
            if new:
                stages.setdefault(stage, {}).setdefault(model, {}).update(new)
    return list(stages.items())


def summed(shards: Iterable[Asked]) -> list[Cost]:
    """Costs by stage and model; a request counts where it stands first."""
    return [
        Cost(
            stage,
            model,
            len(known),
            sum(int(entry[4] or 0) for entry in known.values()),
            sum((_usage(known[digest]) for digest in sorted(known)), NOTHING_USED),
        )
        for stage, entries in distinct(shards)
        for model, known in entries.items()
    ]


def total(costs: Sequence[Cost]) -> Usage:
    """All costs together."""
    return sum((cost.usage for cost in costs), NOTHING_USED)


def in_words(usage: Usage) -> str:
    """`312 calls, 1,204,551 tokens (1,180,002 in, 24,549 out), $0.53`."""
    tokens = usage.prompt_tokens + usage.completion_tokens
    money = "price not known" if usage.money is None else f"${usage.money:,.2f}" if usage.money else "no money"
    calls = f"{usage.calls:,} call{'' if usage.calls == 1 else 's'}"
    return f"{calls}, {tokens:,} tokens ({usage.prompt_tokens:,} in, {usage.completion_tokens:,} out), {money}"


def cost_in_words(cost: Mapping[str, float | None]) -> str:
    """The cost of one explanation from its provenance; empty if no language model was asked."""
    if not cost.get("calls"):
        return ""
    given, made = (int(cost.get(f"{part}_tokens") or 0) for part in ("prompt", "completion"))
    return in_words(Usage(int(cost["calls"] or 0), given, made, cost.get("money")))


def _entry(usage: Usage, failed: bool) -> Entry:
    return [usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.money, int(failed)]


def _usage(entry: Entry) -> Usage:
    calls, given, made, money, _ = entry
    return Usage(int(calls or 0), int(given or 0), int(made or 0), money)
