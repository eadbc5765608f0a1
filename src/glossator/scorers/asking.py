"""Asking a judge about items and parsing its answers: a number for each item, or a reason for none.

A refusal, a failed request or an unreadable answer is a missing value, never a "no".
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from glossator.errors import UserError
from glossator.language_models import LOGPROBS, NOTHING_USED, Answer, LanguageModel, Request, Usage
from glossator.language_models.judging import is_answered
from glossator.scorers import prompts
from glossator.scorers.prompts import Question

AnswerForm = Literal["auto", "json", "probability"]
ANSWER_FORMS: tuple[AnswerForm, ...] = ("auto", "json", "probability")
ALTERNATIVES = 20
"""How many alternatives are asked for at the answer's token; the most that servers commonly give."""


@dataclass(frozen=True, eq=False)
class Replies:
    """values (items,) float64, NaN where missing; failed: how many items are missing, by reason; usage: of all
    requests behind them."""

    values: np.ndarray
    failed: dict[str, int] = field(default_factory=dict)
    usage: Usage = NOTHING_USED

    @property
    def answered(self) -> np.ndarray:
        return np.isfinite(self.values)

    @property
    def record(self) -> dict[str, Any]:
        """The counts stored with a score."""
        return {
            "asked": len(self.values),
            "answered": int(self.answered.sum()),
            "failed": dict(sorted(self.failed.items())),
            "cost": self.usage.as_dict(),
        }


@dataclass(frozen=True)
class Asking:
    """Some requests and how to read them: `read` gets the answers in order."""

    requests: Sequence[Request]
    read: Callable[[Sequence[Answer]], Replies]


def ask_all(lm: LanguageModel, askings: Sequence[Asking]) -> list[Replies]:
    """Send all requests of all askings together."""
    answers = lm.ask([request for asking in askings for request in asking.requests])
    found, start = [], 0
    for asking in askings:
        end = start + len(asking.requests)
        found.append(asking.read(answers[start:end]))
        start = end
    return found


def answer_form(lm: LanguageModel, mode: AnswerForm) -> Literal["json", "probability"]:
    """`auto` is probability where the model gives log-probabilities of its answer."""
    if mode not in ANSWER_FORMS:
        raise UserError("unknown form of answers", value=mode, allowed=", ".join(ANSWER_FORMS))
    return ("probability" if LOGPROBS in lm.powers else "json") if mode == "auto" else mode


def ask_yes_no(many: Question, one: Question, explanation: str, texts: Sequence[str], mode: str, batch: int) -> Asking:
    """Ask whether each text fits: the probability of yes, with one text per request, or 1 and 0, with `batch` texts."""
    if mode == "probability":
        requests = [Request(one.messages(explanation, [text]), max_tokens=1, logprobs=ALTERNATIVES) for text in texts]
        return Asking(requests, lambda answers: _gather(answers, [_yes(a) for a in answers], [1] * len(answers)))
    groups = [texts[start : start + batch] for start in range(0, len(texts), batch)]
    requests = [
        Request(many.messages(explanation, group), schema=prompts.answers_schema(len(group)), max_tokens=32 + 8 * batch)
        for group in groups
    ]
    sizes = [len(group) for group in groups]

    def read(answers: Sequence[Answer]) -> Replies:
        return _gather(answers, [_booleans(a, n) for a, n in zip(answers, sizes, strict=True)], sizes)

    return Asking(requests, read)


def ask_which(
    many: Question,
    one: Question,
    explanation: str | None,
    groups: Sequence[Sequence[str]],
    mode: str,
    key: str = "intruder",
) -> Asking:
    """Ask which text of each group fits, as its place counted from 0; key: its name in a JSON answer."""
    if mode == "probability":
        requests = [Request(one.messages(explanation, texts), max_tokens=1, logprobs=ALTERNATIVES) for texts in groups]
    else:
        requests = [
            Request(many.messages(explanation, texts), schema=prompts.place_schema(key, len(texts)), max_tokens=32)
            for texts in groups
        ]

    def read(answer: Answer, n: int) -> list[float] | str:
        return _likeliest_number(answer, n) if mode == "probability" else _number(answer, key, n)

    def read_all(answers: Sequence[Answer]) -> Replies:
        found = [read(answer, len(texts)) for answer, texts in zip(answers, groups, strict=True)]
        return _gather(answers, found, [1] * len(groups))

    return Asking(requests, read_all)


def _gather(answers: Sequence[Answer], found: Sequence[list[float] | str], sizes: Sequence[int]) -> Replies:
    """Values in order; a reason in place of a list counts for all items of that request."""
    values: list[float] = []
    failed: Counter[str] = Counter()
    for answer, got, n in zip(answers, found, sizes, strict=True):
        reason = answer.why_unusable() or (got if isinstance(got, str) else None)
        if reason is not None or isinstance(got, str):
            failed[reason or ""] += n
            values += [math.nan] * n
        else:
            values += got
    usage = sum((answer.usage for answer in answers), NOTHING_USED)
    return Replies(np.array(values, np.float64), dict(failed), usage)


def _yes(answer: Answer) -> list[float] | str:
    """P(yes) / (P(yes) + P(no)) at the first token of the answer."""
    shares = _shares(answer, ("yes", "no"))
    return shares if isinstance(shares, str) else [shares["yes"] / sum(shares.values())]


def _likeliest_number(answer: Answer, n: int) -> list[float] | str:
    """The likeliest of the places, from 0 on."""
    shares = _shares(answer, tuple(str(number) for number in range(1, n + 1)))
    return shares if isinstance(shares, str) else [float(max(shares, key=shares.__getitem__)) - 1]


def _shares(answer: Answer, words: tuple[str, ...]) -> dict[str, float] | str:
    """Probability of each word at the answer's first token, spellings with spaces and capitals added up."""
    if not answer.tokens:
        return "no log-probabilities in the answer"
    first = answer.tokens[0]
    top = dict(first.top) or ({} if first.logprob is None else {first.text: first.logprob})
    shares = dict.fromkeys(words, 0.0)
    for text, logprob in top.items():
        if (word := _word(text)) in shares and logprob is not None:
            shares[word] += math.exp(min(logprob, 0.0))
    if any(map(math.isnan, shares.values())):
        return "a log-probability is not a number"
    if is_answered(top, lambda text: _word(text) in shares):
        return shares
    likeliest = max(top, key=top.__getitem__, default="")
    return f"none of {words[0]} to {words[-1]} among the likely answers (most likely: {likeliest[:20]!r})"


def _word(text: str) -> str:
    """A token without the space, the capitals and the marks that it is written with."""
    return re.sub(r"^[\W_ĠĊ]+|[\W_ĠĊ]+$", "", unicodedata.normalize("NFKC", text)).casefold()


def _booleans(answer: Answer, n: int) -> list[float] | str:
    """1 for true, 0 for false, exactly n of them."""
    value = answer.value.get("answers") if isinstance(answer.value, dict) else None
    if not isinstance(value, list) or not all(isinstance(v, bool) for v in value):
        return "not a list of true and false"
    return [float(v) for v in value] if len(value) == n else "not as many answers as texts"


def _number(answer: Answer, key: str, n: int) -> list[float] | str:
    value = answer.value.get(key) if isinstance(answer.value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return "not a number"
    return [float(value - 1)] if 1 <= value <= n else "not the number of a text"
