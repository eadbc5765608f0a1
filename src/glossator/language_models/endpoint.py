"""One server: concurrent requests, retries, when it counts as down, and what users are told meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

from glossator.language_models.faults import RequestRefused, Retry, ServerFault, ServerUnavailable
from glossator.language_models.ledger import Hold, Ledger
from glossator.language_models.projection import worst_case
from glossator.language_models.request import NOTHING_USED, Answer, Request, Usage
from glossator.language_models.specs import DEFAULT_CONCURRENCY

_lock = threading.Lock()
_listeners: list[Callable[[str], None]] = []
_said: dict[str, float] = {}


def notice(text: str, *, about: str = "", every: float = 0.0) -> None:
    """Print a notice to stderr, or pass it to the listener set by `heard`. about: of one subject at most one notice in
    `every` seconds (0: all)."""
    with _lock:
        now = time.monotonic()
        if about and now - _said.get(about, -1e9) < every:
            return
        _said[about] = now
        listeners = list(_listeners[-1:])
    for tell in listeners or [_to_stderr]:
        tell(text)


@contextlib.contextmanager
def heard(tell: Callable[[str], None]) -> Iterator[None]:
    """A context in which notices go to this function, such as one that also writes a log."""
    with _lock:
        _listeners.append(tell)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(tell)


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


DOWN_AFTER = 3  # requests in a row that used up all their attempts
GENERATIONS = 3  # attempts at an answer that the server itself says has failed
TOLD_FROM, TOLD_EVERY = 1.0, 5.0  # seconds: of shorter waits nobody is told, and of longer ones not more often
LOOK_AGAIN = 0.02  # seconds between looks at a budget that others hold parts of


@dataclass(frozen=True)
class Reply:
    """The answer that a backend received, not yet judged; usage_known: False when the server did not say what it
    cost."""

    answer: Answer
    usage_known: bool = True


@runtime_checkable
class Backend(Protocol):
    """The client of one kind of server. `url` tells endpoints apart; `send` makes one attempt."""

    name: str
    powers: frozenset[str]
    url: str
    concurrency: int | None

    def ready(self) -> None:
        """Raise `UserError` when nothing can be sent (no key, a package missing)."""
        ...

    async def check(self) -> bool:
        """Whether the server can be reached, takes the key and has the model; False where only asking can tell."""
        ...

    async def send(self, request: Request) -> Reply:
        """Raises `ServerFault`, `RequestRefused`, or a `UserError` that holds for every request."""
        ...


class Stopped(Exception):
    """Another request of the same call met an error that ends the call."""


class Endpoint:
    """One server address, shared by all its models; lives on the background loop."""

    def __init__(self, limit: int = DEFAULT_CONCURRENCY):
        self.limit = limit
        self._slots = asyncio.Semaphore(limit)
        self._not_before = 0.0
        self._used_up = 0

    def set_limit(self, limit: int) -> None:
        if limit != self.limit:
            self.limit, self._slots = limit, asyncio.Semaphore(limit)

    async def answer(
        self, backend: Backend, request: Request, ledger: Ledger, retry: Retry, stop: asyncio.Event
    ) -> Answer:
        """The answer after as many attempts as it takes, or one with a failure; what it cost is in the ledger."""
        reached, spent = False, NOTHING_USED
        for attempt in range(1, retry.attempts + 1):
            async with self._slots:
                await self._pause(stop)
                hold = await _hold(ledger, backend.name, request, stop)
                try:
                    reply = await backend.send(request)
                except RequestRefused as refused:
                    (ledger.forfeit if refused.perhaps_billed else ledger.release)(hold)
                    self._used_up = 0
                    what = "no usable answer" if refused.perhaps_billed else "the server refused the request"
                    return _nothing(f"{what}: {refused}")
                except ServerFault as problem:
                    (ledger.forfeit if problem.perhaps_billed else ledger.release)(hold)
                    fault = problem
                except asyncio.CancelledError:
                    ledger.forfeit(hold)
                    raise
                except BaseException:
                    ledger.release(hold)
                    raise
                else:
                    self._used_up = 0
                    answer = _settled(reply, hold, ledger)
                    spent += answer.usage
                    answer = replace(answer, usage=spent)
                    if answer.finish != "error" or attempt >= min(GENERATIONS, retry.attempts):
                        return answer
                    fault = ServerFault(answer.failure or "the generation failed")
            reached = reached or not fault.never_reached
            if attempt < retry.attempts:
                await self._wait(fault, attempt, retry, stop, backend.name)
        self._used_up += 1
        if not reached or self._used_up >= DOWN_AFTER:
            raise ServerUnavailable(
                f"{backend.name} does not answer ({fault})",
                fix="Answers so far are in the cache, if there is one: run again when the server is back",
            )
        return _nothing(f"no answer after {retry.attempts} attempts: {fault}")

    async def _wait(self, fault: ServerFault, attempt: int, retry: Retry, stop: asyncio.Event, name: str) -> None:
        seconds = retry.wait(attempt)
        asked = fault.retry_after or 0.0
        if max(seconds, asked) >= TOLD_FROM:
            wait = f"the next attempt ({attempt + 1} of {retry.attempts}) is in {max(seconds, min(asked, 1e6)):.0f} s"
            notice(f"{name}: {fault}; {wait}.", about=name, every=TOLD_EVERY)
        if fault.retry_after is not None:
            if fault.retry_after > retry.longest_wait:
                raise ServerUnavailable(
                    f"the server asks to come back in {fault.retry_after:.0f} seconds ({fault})",
                    fix="Run again then; answers so far are in the cache, if there is one",
                )
            seconds = max(seconds, fault.retry_after)
            self._not_before = max(self._not_before, time.monotonic() + seconds)  # for every request to this server
        await _sleep(seconds, stop)

    async def _pause(self, stop: asyncio.Event) -> None:
        while (seconds := self._not_before - time.monotonic()) > 0:
            await _sleep(seconds, stop)
        if stop.is_set():
            raise Stopped


def endpoint(url: str, limit: int | None = None) -> Endpoint:
    """The endpoint at this address; a limit that is given holds from now on for all models there."""
    key = (os.getpid(), url)
    if key not in _endpoints:
        _endpoints[key] = Endpoint()
    if limit is not None:
        _endpoints[key].set_limit(limit)
    return _endpoints[key]


_endpoints: dict[tuple[int, str], Endpoint] = {}


async def _hold(ledger: Ledger, name: str, request: Request, stop: asyncio.Event) -> Hold:
    """Hold back the worst case; while others hold parts of the budget, wait for what they really cost."""
    worst = worst_case(request)
    while (hold := ledger.try_hold(name, *worst)) is None:
        if not ledger.holds:
            raise ledger.reached(name, *worst)
        await _sleep(LOOK_AGAIN, stop)
    return hold


async def _sleep(seconds: float, stop: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
    raise Stopped


def _settled(reply: Reply, hold: Hold, ledger: Ledger) -> Answer:
    if reply.usage_known:
        return replace(reply.answer, usage=ledger.settle(hold, reply.answer.usage))
    ledger.forfeit(hold, calls=1)
    return replace(reply.answer, usage=Usage(1, 0, 0, None))


def _nothing(why: str) -> Answer:
    return Answer("", usage=NOTHING_USED, finish="error", failure=why)


T = TypeVar("T")
_lock = threading.Lock()
_running: tuple[int, asyncio.AbstractEventLoop] | None = None


def loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process, in its own thread, so that requests work from any thread and inside a running
    loop; started at first use; a forked process gets its own."""
    global _running
    with _lock:
        if _running is None or _running[0] != os.getpid():
            made = asyncio.new_event_loop()
            threading.Thread(target=made.run_forever, name="glossator-language-models", daemon=True).start()
            _running = (os.getpid(), made)
        return _running[1]


def on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run work on the background loop to its end and return the result; an interrupt cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def start_on_loop(work: Coroutine[Any, Any, Any]) -> None:
    """Run work on the background loop without waiting."""
    asyncio.run_coroutine_threadsafe(work, loop())
