"""From answers to scores: shared arithmetic, intervals and baselines of every scorer that asks about items.

An item that was not answered is left out and counted; when less than half are answered there is no score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.language_models import LanguageModel
from glossator.scorers.asking import Asking, Replies, ask_all
from glossator.scorers.lab import Lab
from glossator.scores import Score
from glossator.statistics import (
    Resampled,
    auroc,
    compare,
    constant,
    document_index,
    in_words,
    mean_of_hits_and_rejections,
    ratio,
    sums_by,
    undefined,
)

LEAST_ANSWERED = 0.5
"""Share of the items that must be answered; what few answers a reader gives may be those it finds easy."""
READABLE_BASELINES = ("mismatched", "vague")
"""Baselines that are sentences; a reader is not asked about the others, which are tables and lists of tokens."""


class Items(Protocol):
    """What was planned: see `glossator.scorers.items`."""

    @property
    def positive(self) -> np.ndarray: ...
    @property
    def documents(self) -> np.ndarray: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Judged:
    """Answered items: positive (m,) the truth; values (m,) the answers, larger for yes; documents (m,); replies: all of
    them, also the missing ones."""

    positive: np.ndarray
    values: np.ndarray
    documents: np.ndarray
    replies: Replies

    @classmethod
    def of(cls, items: Items, replies: Replies) -> Judged:
        kept = replies.answered
        return cls(items.positive[kept], replies.values[kept], items.documents[kept], replies)

    @property
    def why_not(self) -> str | None:
        """Why too little was answered, or None."""
        asked = len(self.replies.values)
        if asked and len(self.values) >= LEAST_ANSWERED * asked:
            return None
        most = max(self.replies.failed, key=lambda reason: self.replies.failed[reason], default="nothing was asked")
        return f"{len(self.values)} of {asked} items answered; most often: {most}"


Statistic = Callable[[Judged], Resampled]


def auroc_of(judged: Judged) -> Resampled:
    """P(a positive item gets the higher answer), ties half: 0.5 when all answers are the same."""
    index, documents = document_index(judged.documents)
    return auroc(judged.positive, judged.values, index, documents)


def balanced_accuracy_of(judged: Judged, cut: float = 0.5) -> Resampled:
    """Mean of the share of positive items answered above the cut and of negative ones that are not; 0.5 when all
    answers are the same. An answer at the very cut is half of either."""
    index, documents = document_index(judged.documents)
    positive = judged.positive
    if positive.all() or not positive.any():
        return Resampled(documents, undefined, "the answered items are all of one kind")
    yes = np.where(judged.values > cut, 1.0, np.where(judged.values == cut, 0.5, 0.0))
    found = mean_of_hits_and_rejections(positive, yes, index, documents)
    return replace(found, deciding=len(np.unique(index[positive.astype(bool)])))


def accuracy_of(judged: Judged) -> Resampled:
    """Share of questions whose answer is the right one (`positive` holds the right answers)."""
    index, documents = document_index(judged.documents)
    right = (judged.values == judged.positive).astype(np.float64)
    sums = sums_by(index, documents, right, np.ones(len(right)))
    return ratio(sums[:, 0], sums[:, 1], reason="no question was answered", bounds=(0.0, 1.0))


def ask_about(
    lab: Lab,
    lm: LanguageModel,
    evidence: Evidence,
    key: tuple[object, ...],
    explanations: Sequence[Explanation],
    asking: Callable[[Explanation], Asking],
) -> list[Replies]:
    """Replies for each explanation, asked together; what this lab asked before under `key` is not asked again."""
    kept: dict[str, Replies] = lab.kept(("asked", lm.name, *key), (evidence,), dict)
    new = {e.fingerprint: e for e in explanations if e.fingerprint not in kept}
    kept.update(zip(new, ask_all(lm, [asking(e) for e in new.values()]) if new else [], strict=True))
    return [kept[e.fingerprint] for e in explanations]


def readable(lab: Lab, names: Sequence[str] = READABLE_BASELINES) -> dict[str, Explanation]:
    """The lab's baselines that a reader is asked about."""
    return {name: baseline for name, baseline in lab.baselines.items() if name in names and baseline.text.strip()}


def no_text(explanation: Explanation) -> str | None:
    """Why a reader cannot be asked about this explanation, or None."""
    return None if explanation.text.strip() else "the explanation has no text to read"


@dataclass(frozen=True, eq=False)
class Verdict:
    """All that a judged score is made of. judged: None with `why_not` when nothing could be asked; baselines: by name;
    chance: what an answer without a look at the text scores on average."""

    judged: Judged | None
    baselines: Mapping[str, Judged] = field(default_factory=dict)
    how: Mapping[str, Any] = field(default_factory=dict)
    why_not: str | None = None
    chance: float = 0.5

    def score(self, lab: Lab, name: str, measure: str, statistic: Statistic, *, chance_baseline: bool = False) -> Score:
        """The score with its interval; how it was made, what was answered and what it cost stand in `how`.

        chance_baseline: chance stands among the baselines, for questions that have no baseline.
        """
        how: dict[str, Any] = {
            **self.how,
            "chance": self.chance,
            "interval": in_words(lab.level),
            "seed": lab.seed,
        }
        compared: dict[str, Resampled | None] = {
            baseline: None if judged.why_not else statistic(judged) for baseline, judged in self.baselines.items()
        }
        baselines = {baseline: None if other is None else other.value for baseline, other in compared.items()}
        if chance_baseline:
            baselines["chance"] = self.chance
        if self.judged is None:
            return Score(name, None, measure, baselines=baselines, reason=self.why_not or "nothing to ask", how=how)
        how |= self.judged.replies.record
        documents = len(np.unique(self.judged.documents))
        reason = self.why_not or self.judged.why_not
        if reason:
            return Score(name, None, measure, n=documents, baselines=baselines, reason=reason, how=how)
        # Differences are paired where the very same documents were answered for both.
        paired = {
            baseline: other if _same_documents(self.judged, self.baselines[baseline]) else None
            for baseline, other in compared.items()
        }
        if chance_baseline:
            paired["chance"] = constant(self.chance, documents)
        found, _, over = compare(statistic(self.judged), paired, level=lab.level)
        if found.no_interval is not None:
            how["no_interval"] = found.no_interval
        return Score(
            name, found.value, measure, found.low, found.high, documents,
            baselines=baselines, margins=over, reason=found.reason, how=how,
        )  # fmt: skip


def _same_documents(one: Judged, other: Judged) -> bool:
    return np.array_equal(np.unique(one.documents), np.unique(other.documents))
