"""The common interface of all models: cache, ledger and checks around a served or in-process model."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from glossator.language_models.cache import AnswerCache, key_of
from glossator.language_models.endpoint import LOOK_AGAIN, Backend, Stopped, endpoint, on_loop
from glossator.language_models.faults import NotInCache, Retry
from glossator.language_models.judging import after_asking_again, again, asks_again, judged
from glossator.language_models.ledger import Hold, Ledger
from glossator.language_models.powers import refuse_what_is_missing
from glossator.language_models.projection import Projection, project, worst_case
from glossator.language_models.request import CHAT, Answer, LanguageModel, Message, Request, Usage

AT_A_TIME = 4096  # requests handed to a model in this process in one call; what they bring is then in the cache


class OpenModel(LanguageModel):
    """A language model with its cache and ledger; thread-safe, and usable inside a running event loop.

    inner: the model itself, or the backend that speaks to its server; cache: None keeps nothing; offline: only the
    cache answers. A request that stands twice in one call is asked once.
    """

    def __init__(
        self,
        inner: LanguageModel | Backend,
        *,
        cache: AnswerCache | None = None,
        ledger: Ledger | None = None,
        retry: Retry | None = None,
        offline: bool = False,
    ):
        self.inner, self.cache, self.offline = inner, cache, offline
        self.name, self.powers = inner.name, inner.powers
        self.context = None if isinstance(inner, Backend) else inner.context
        self.ledger = Ledger() if ledger is None else ledger
        self.retry = Retry() if retry is None else retry
        self._one_call = threading.Lock()

    def __repr__(self) -> str:
        return f"OpenModel({self.name!r})"

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """One answer to each request, in order; see `LanguageModel.ask`.

        Raises, beside `MissingPower` and `UserError`, `BudgetReached`, `ServerUnavailable` and `NotInCache`; answers
        that came before are in the cache, so the same call continues from there.
        """
        refuse_what_is_missing(requests, self.powers, self.name)
        keys = [key_of(self.name, request) for request in requests]
        answers = self._replayed(keys)
        wanted = {key: request for key, request in zip(keys, requests, strict=True) if key not in answers}
        if wanted:
            self._refuse_offline(wanted)
            self.ledger.refuse_unpriced(self.name)
            if isinstance(self.inner, Backend):
                self.inner.ready()
                answers |= on_loop(self._ask_server(self.inner, wanted))
            else:
                answers |= self._ask_here(self.inner, wanted)
        return [answers[key] for key in keys]

    @property
    def in_process(self) -> LanguageModel | None:
        return None if isinstance(self.inner, Backend) else self.inner.in_process

    def charge(self, tokens: int) -> None:
        """Pay for what was computed in this process without a request; raises `BudgetReached`."""
        if not tokens:
            return
        hold = self.ledger.try_hold(self.name, tokens, 0)
        if hold is None:
            raise self.ledger.reached(self.name, tokens, 0)
        self.ledger.settle(hold, Usage(1, tokens, 0, 0.0))

    def check(self) -> None:
        """Raise `UserError` when the server cannot be reached, does not take the key or has not the model.

        It costs nothing where the server lists its models; else one short question is asked.
        """
        if self.offline or not isinstance(self.inner, Backend):
            return
        self.inner.ready()
        if not on_loop(self.inner.check()):
            is_chat = CHAT in self.powers
            turns = (Message("user", "Hello"),) if is_chat else ()
            self.ask([Request(turns, None if is_chat else "Hello", max_tokens=16)])

    def missing(self, requests: Sequence[Request]) -> list[Request]:
        """The requests that are not in the cache, each once."""
        wanted = {key_of(self.name, request): request for request in requests}
        there = {} if self.cache is None else self.cache.get(wanted)
        return [request for key, request in wanted.items() if key not in there]

    def project(self, requests: Sequence[Request]) -> Projection:
        """The cost of these requests now; those in the cache are free."""
        missing = self.missing(requests)
        return project(missing, self.ledger.price(self.name), len(requests) - len(missing))

    def _replayed(self, keys: list[str]) -> dict[str, Answer]:
        found = {} if self.cache is None else self.cache.get(keys)
        if found:
            failures = sum(answer.failure is not None for answer in found.values())
            self.ledger.count(self.name, replayed=len(found), failures=failures)
        return found

    def _refuse_offline(self, wanted: dict[str, Request]) -> None:
        if self.offline:
            where = "there is no cache" if self.cache is None else str(self.cache.path)
            raise NotInCache(
                f"{len(wanted)} requests to {self.name} are not in the cache ({where})",
                fix="Ask with the same settings as when they were kept, or without --offline",
            )

    def _keep(self, key: str, answer: Answer) -> Answer:
        if answer.failure is not None:
            self.ledger.count(self.name, failures=1)
        if self.cache is None or answer.finish == "error":
            return answer
        return self.cache.put(key, self.name, answer)

    async def _ask_server(self, backend: Backend, wanted: dict[str, Request]) -> dict[str, Answer]:
        """All requests, as many at a time as the endpoint allows; each answer is kept as soon as it is there."""
        there = endpoint(backend.url, backend.concurrency)
        waiting, stop = deque(wanted.items()), asyncio.Event()
        answers: dict[str, Answer] = {}
        errors: list[BaseException] = []

        async def work() -> None:
            while waiting and not stop.is_set():
                key, request = waiting.popleft()
                try:
                    answer = judged(request, await there.answer(backend, request, self.ledger, self.retry, stop))
                    if asks_again(request, answer):
                        second = await there.answer(backend, again(request, answer), self.ledger, self.retry, stop)
                        answer = after_asking_again(request, answer, second)
                    answers[key] = await asyncio.to_thread(self._keep, key, answer)
                except Stopped:
                    return
                except Exception as error:
                    errors.append(error)
                    stop.set()  # what is out comes in and is kept; nothing more is sent

        await asyncio.gather(*(work() for _ in range(min(there.limit, len(wanted)))))
        if errors:
            raise errors[0]
        return answers

    def _ask_here(self, model: LanguageModel, wanted: dict[str, Request]) -> dict[str, Answer]:
        """The same with a model that answers whole lists: first all, then all those that are asked again."""
        answers: dict[str, Answer] = {}
        waiting = deque(wanted.items())
        while waiting:
            asked, replies = self._ask_some(model, waiting)
            broken = deque(
                (key, again(request, reply))
                for (key, request), reply in zip(asked, replies, strict=True)
                if asks_again(request, reply)
            )
            firsts = {key: reply for (key, _), reply in zip(asked, replies, strict=True)}
            retried = {key for key, _ in broken}
            for key, reply in firsts.items():
                if key not in retried:
                    answers[key] = self._keep(key, reply)
            while broken:
                for (key, _), second in zip(*self._ask_some(model, broken), strict=True):
                    answers[key] = self._keep(key, after_asking_again(wanted[key], firsts[key], second))
        return answers

    def _ask_some(
        self, model: LanguageModel, waiting: deque[tuple[str, Request]]
    ) -> tuple[list[tuple[str, Request]], list[Answer]]:
        """Take from the front as many requests as the budget has room for, ask them in one call, and judge."""
        asked: list[tuple[str, Request]] = []
        holds: list[Hold] = []
        while waiting and len(asked) < AT_A_TIME:
            hold = self.ledger.try_hold(self.name, *worst_case(waiting[0][1]))
            if hold is not None:
                asked.append(waiting.popleft())
                holds.append(hold)
            elif asked:
                break
            elif self.ledger.holds:  # another thread's; what it really costs leaves room, or does not
                time.sleep(LOOK_AGAIN)
            else:
                raise self.ledger.reached(self.name, *worst_case(waiting[0][1]))
        try:
            with self._one_call:
                replies = model.ask_once([request for _, request in asked])  # asking again is done and paid for here
        except BaseException:
            for hold in holds:
                self.ledger.release(hold)
            raise
        return asked, [
            judged(request, _priced(reply, self.ledger, hold))
            for (_, request), reply, hold in zip(asked, replies, holds, strict=True)
        ]


def _priced(reply: Answer, ledger: Ledger, hold: Hold) -> Answer:
    return replace(reply, usage=ledger.settle(hold, reply.usage))
