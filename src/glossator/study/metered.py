"""A study's language model: its requests are counted, and a run stops when it gives no usable answers, before it is
paid for in full.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from glossator.errors import MissingPower, UserError
from glossator.explainers.answers import REFUSAL
from glossator.explainers.cleaning import lines_of
from glossator.explainers.refusals import is_refusal
from glossator.language_models import Answer, LanguageModel, Request
from glossator.language_models.cache import key_of
from glossator.language_models.costs import Meter
from glossator.language_models.endpoint import Backend
from glossator.language_models.faults import NotInCache
from glossator.language_models.judging import is_answered
from glossator.language_models.open_model import OpenModel

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


class Interrupted(UserError):
    """What would fail every further request, such as a budget that is reached: the run stops and can go on later."""

    @classmethod
    def by(cls, error: UserError) -> Interrupted:
        """The same words; `reason_of` lets it through, so that it is nobody's missing value."""
        return cls(error.what, value=error.value, allowed=error.allowed, fix=error.fix)


class Metered(LanguageModel):
    """A language model whose requests are counted.

    Errors that would fail every request become `Interrupted`. showing: an answer that is not in the cache is nobody's
    fault but a `MissingPower`, as nothing is sent to show a finished study.
    """

    def __init__(self, model: OpenModel, meter: Meter, showing: bool = False):
        self.model, self.meter, self.showing = model, meter, showing
        self.name, self.powers, self.context = model.name, model.powers, model.context
        self.computed = 0
        """Tokens that a simulator has computed with the model in this process without a request."""
        self._useless = Useless(model.name) if isinstance(model.inner, Backend) else None
        self._out: set[str] = set()
        self._free = threading.Condition()

    @property
    def in_process(self) -> LanguageModel | None:
        return self.model.in_process

    def charge(self, tokens: int) -> None:
        self.model.charge(tokens)
        self.computed += tokens

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        try:
            with self._alone_with(frozenset(key_of(self.name, request) for request in requests)):
                answers = self.model.ask(requests)
        except MissingPower:
            raise
        except UserError as error:
            if self.showing and isinstance(error, NotInCache):
                raise MissingPower("not in the answer cache", value=self.name) from error
            raise Interrupted.by(error) from error
        self.meter.add(self.name, requests, answers)
        if self._useless is not None and (stop := self._useless.after(requests, answers)) is not None:
            raise Interrupted(stop, fix=WHAT_NOW)
        return answers

    @contextlib.contextmanager
    def _alone_with(self, keys: frozenset[str]) -> Iterator[None]:
        """Wait until no other thread asks one of these questions; its answer is in the cache then, and paid once."""
        with self._free:
            self._free.wait_for(lambda: not keys & self._out)
            self._out |= keys
        try:
            yield
        finally:
            with self._free:
                self._out -= keys
                self._free.notify_all()
