"""A language model that is a Python function or a list of answers.

It tests that questions are asked and answers parsed correctly, and says nothing about explanations: whoever wrote the
test wrote the answers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from glossator.language_models.judging import after_asking_again, again, asks_again, judged
from glossator.language_models.powers import ALL, refuse_what_is_missing
from glossator.language_models.request import Answer, LanguageModel, Request, Usage

Said = str | Answer | dict[str, Any] | list[Any]


class Scripted(LanguageModel):
    """answers: a function from a request to an answer, or a list that is used up in the order of asking. Said is
    text, a whole `Answer`, or a dict or list, which is sent as JSON.

    Answers are checked against schemas and asked about once more, as a server's are. Usage counts words as tokens.
    Raises `IndexError` when a list is used up. `asked` holds every request, in order; calls of a function come one at
    a time.
    """

    def __init__(
        self,
        answers: Callable[[Request], Said] | Iterable[Said],
        *,
        name: str = "scripted:here",
        powers: Iterable[str] = ALL,
    ):
        self.name, self.powers = name, frozenset(powers)
        self.asked: list[Request] = []
        self._function = answers if callable(answers) else None
        self._list = [] if callable(answers) else list(answers)
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"Scripted({self.name!r})"

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """One answer to each request, in order."""
        refuse_what_is_missing(requests, self.powers, self.name)
        return [self._checked(request) for request in requests]

    def ask_once(self, requests: Sequence[Request]) -> list[Answer]:
        """The same without checks and follow-ups, for callers that do both: each request counts as one call."""
        return [self.say(request) for request in requests]

    def say(self, request: Request) -> Answer:
        """The script's answer as it is, without checks and follow-ups."""
        with self._lock:
            if self._function is None and len(self.asked) == len(self._list):
                raise IndexError(f"the script of {self.name} has {len(self._list)} answers and was asked for one more")
            said = self._function(request) if self._function else self._list[len(self.asked)]
            self.asked.append(request)
        if isinstance(said, Answer):
            return said
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        question = [request.prompt] if request.prompt is not None else [m.content for m in request.messages]
        words = sum(len(part.split()) for part in question)
        return Answer(text, usage=Usage(1, words, len(text.split()), 0.0))

    def _checked(self, request: Request) -> Answer:
        first = judged(request, self.say(request))
        if not asks_again(request, first):
            return first
        return after_asking_again(request, first, self.say(again(request, first)))
