"""Stopping a run whose language model gives no usable answers before it is paid for in full."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from glossator.explainers.answers import REFUSAL
from glossator.explainers.cleaning import lines_of
from glossator.explainers.refusals import is_refusal
from glossator.language_models import Answer, Request
from glossator.language_models.judging import is_answered

FIRST, IN_A_ROW = 3, 50
"""Useless answers to one kind of question after which a run stops: at its beginning, and later on."""
QUOTED = 60
WHAT_NOW = (
    "Nothing more was sent, and finished work is kept. Try another model, less reasoning (effort=minimal in its spec, "
    "or thinking disabled in the server), or another method"
)


@dataclass
class Useless:
    """Counts, for one model of a run, answers that are of no use, by what was asked for: JSON, one word, or text."""

    name: str
    _used: set[str] = field(default_factory=set)
    _row: dict[str, list[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def after(self, requests: Sequence[Request], answers: Sequence[Answer]) -> str | None:
        """Why to stop after these answers, or None."""
        with self._lock:
            for request, answer in zip(requests, answers, strict=True):
                kind = "JSON" if request.schema is not None else "a single word" if request.logprobs else "text"
                if request.max_tokens == 0:
                    continue
                if (why := why_useless(request, answer)) is None:
                    self._used.add(kind)
                    self._row[kind] = []
                else:
                    self._row.setdefault(kind, []).append(why)
            for kind, row in self._row.items():
                if len(row) >= (IN_A_ROW if kind in self._used else FIRST):
                    what = "; ".join(dict.fromkeys(row[:FIRST]))
                    which = "last" if kind in self._used else "first"
                    return (
                        f"the {which} {len(row)} answers of {self.name}, which should be {kind}, are of no use: {what}"
                    )
        return None


def why_useless(request: Request, answer: Answer) -> str | None:
    """Why nobody can use this answer, with its first words; None where somebody may."""
    if answer.failure is not None:
        return _with_words(answer.failure, answer)
    if request.logprobs:
        if not answer.tokens:
            return _with_words("it came without log-probabilities", answer)
        top = answer.tokens[0].top or {answer.tokens[0].text: answer.tokens[0].logprob or 0.0}
        if request.max_tokens > 1 or is_answered(top, _is_word):
            return None
        return _with_words("neither yes, no nor a number is likely", answer)
    if request.schema is None:
        lines = lines_of(answer.text)
        if not lines:
            return _with_words("nothing but the wrapping of an answer", answer)
        if len(lines) < 2 and is_refusal(lines[0]):
            return _with_words(REFUSAL, answer)
    return None


def _is_word(token: str) -> bool:
    text = token.strip(" \n\t▁Ġ*\"'.:").lower()
    return text in ("yes", "no") or text.isdigit() or len(text) == 1


def _with_words(reason: str, answer: Answer) -> str:
    said = " ".join((answer.text or "".join(token.text for token in answer.tokens[:5])).split())
    said = said if len(said) <= QUOTED else f"{said[:QUOTED]}..."
    return f"{reason} ({said!r})" if said else reason
