"""Where code runs that a language model wrote: Monty by default, bubblewrap where numpy is wanted, or unsafe.

Monty (`pydantic-monty`) is an interpreter of Python in a worker process. It has no files, no network, no environment,
no processes, and no objects of the host: only functions that are handed to it, whose arguments and results are copies
of plain data. What a program asks of the host is checked once more here.
"""

from __future__ import annotations

import contextlib
import datetime
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from glossator.agents.errors import ToolError
from glossator.errors import UserError

Function = Callable[..., Any]
SANDBOXES = ("monty", "bubblewrap", "unsafe")
DEEPEST, MOST_PARTS, LONGEST_TEXT = 6, 2000, 20_000


@dataclass(frozen=True)
class Limits:
    """seconds: of one piece of code, without the time that tools take; memory: bytes; output: bytes that it may print;
    calls: of tools in one piece of code; recursion: how deep functions may call each other; code: characters of it."""

    seconds: float = 5.0
    memory: int = 64 << 20
    output: int = 20_000
    calls: int = 100
    recursion: int = 200
    code: int = 50_000


@dataclass(frozen=True)
class Ran:
    """What a piece of code printed, and how it failed, None where it did not; fresh: its variables are gone."""

    output: str
    error: str | None = None
    fresh: bool = False


class Sandbox(Protocol):
    """Runs pieces of code one after the other; variables stay, unless a piece had to be stopped."""

    name: str

    def run(self, code: str, functions: Mapping[str, Function]) -> Ran: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class Gate:
    """Between code and tools: plain arguments only, a limited number of calls, and no exception of the host inside.

    What ends the experiment (the budget, the final answer, a fault of the host) is kept in `ended` and raised again
    once the code has stopped, whatever it caught.
    """

    def __init__(self, functions: Mapping[str, Function], calls: int):
        self.functions, self.calls = functions, calls
        self.ended: BaseException | None = None

    def wrapped(self) -> dict[str, Function]:
        def through(name: str) -> Function:
            return lambda *args, **kwargs: self.call(name, args, kwargs)

        return {name: through(name) for name in self.functions}

    def call(self, name: str, args: Any, kwargs: Any) -> Any:
        if self.ended is not None:
            raise RuntimeError("the experiment has ended")
        self.calls -= 1
        if self.calls < 0:
            raise RuntimeError("too many calls of tools in one piece of code")
        try:
            given, named = plain_argument(list(args)), plain_argument(dict(kwargs))
            return plain_argument(self.functions[name](*given, **named), limited=False)
        except ToolError as error:
            raise ValueError(str(error)) from None
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # wrong arguments
                raise TypeError(str(error).replace("Tools.", "")[:300]) from None
            self.ended = error
        except BaseException as error:
            self.ended = error
        raise RuntimeError("the experiment has ended")

    def settle(self, ran: Ran) -> Ran:
        """The outcome, or what ended the experiment."""
        if self.ended is not None:
            raise self.ended
        return ran


def plain_argument(value: Any, depth: int = 0, *, limited: bool = True, budget: list[int] | None = None) -> Any:
    """A copy that consists of plain data; `ToolError` for anything else, and for too much of it."""
    parts = [MOST_PARTS] if budget is None else budget
    parts[0] -= 1
    if limited and (parts[0] < 0 or depth > DEEPEST):
        raise ToolError(f"arguments of tools may have at most {MOST_PARTS} parts, {DEEPEST} deep")
    if value is None or type(value) in (bool,):
        return value
    if type(value) is int:
        if abs(value) > 2**53:
            raise ToolError("a whole number in the arguments is too large")
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise ToolError("numbers in the arguments must be finite")
        return value
    if type(value) is str:
        if limited and len(value) > LONGEST_TEXT:
            raise ToolError(f"texts in the arguments may have at most {LONGEST_TEXT} characters")
        return value
    if type(value) in (list, tuple):
        return [plain_argument(one, depth + 1, limited=limited, budget=parts) for one in value]
    if type(value) is dict and all(type(key) is str for key in value):
        return {key: plain_argument(one, depth + 1, limited=limited, budget=parts) for key, one in value.items()}
    raise ToolError("arguments of tools must be texts, numbers, lists or dictionaries of these")


class MontySandbox:
    """Monty: one worker process for one experiment; a piece of code that had to be stopped loses its variables."""

    name = "monty"

    def __init__(self, limits: Limits | None = None):
        self.limits = Limits() if limits is None else limits
        self._pool: Any = None
        self._session: Any = None

    def __enter__(self) -> Self:
        import pydantic_monty

        # The host's own deadline stands behind the worker's, should that not be kept; turns end at calls of tools.
        self._pool = pydantic_monty.Monty(max_processes=2, request_timeout=self.limits.seconds + 5)
        self._pool.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        self._pool.__exit__(None, None, None)

    def _open(self) -> Any:
        if self._session is None:
            limits = {
                "max_feed_duration_secs": self.limits.seconds,
                "max_memory": self.limits.memory,
                "max_recursion_depth": self.limits.recursion,
                "max_suspensions": 100_000,
                "max_total_sleep_secs": 0.0,
            }
            policy = {
                "datetime": datetime.datetime(2026, 1, 1),
                "sleep": "zero",
                "random_start": {"seed": 0},
            }
            session = self._pool.checkout(script_name="experiment.py", limits=limits, os_policy=policy)
            self._session = session.__enter__()
        return self._session

    def _close(self) -> None:
        if self._session is not None:
            with contextlib.suppress(Exception):  # the worker may be gone already
                self._session.__exit__(None, None, None)
            self._session = None

    def run(self, code: str, functions: Mapping[str, Function]) -> Ran:
        import pydantic_monty as monty

        if len(code) > self.limits.code:
            return Ran("", f"the code has more than {self.limits.code} characters")
        gate, printed = Gate(functions, self.limits.calls), monty.CollectString(max_bytes=self.limits.output)
        stopped: tuple[str, ...] = ("TimeoutError", "MemoryError", "RecursionError")
        error, fresh = None, False
        try:
            self._open().feed_run(code, external_lookup=gate.wrapped(), print_callback=printed)
        except (monty.MontySyntaxError, monty.MontyRuntimeError) as fault:
            error = fault.display()[-2000:]
            # Where a limit stopped it, its variables may be in any state.
            fresh = fault.display("type-msg").startswith(stopped)
        except (monty.MontyCrashedError, monty.MontyDisconnectError, monty.MontyConversionError) as fault:
            error, fresh = f"the sandbox was stopped: {fault}"[:500], True
        except (RuntimeError, OSError, UnicodeError) as fault:
            error, fresh = f"the sandbox was stopped: {fault}"[:500], True
        if fresh:
            self._close()
        return gate.settle(Ran(printed.output, error, fresh))


def open_sandbox(name: str, limits: Limits | None = None) -> Sandbox:
    """`monty`, `bubblewrap` (numpy, Linux), or `unsafe`, which protects from nothing but loops and floods."""
    if name == "monty":
        return MontySandbox(limits)
    if name in ("bubblewrap", "unsafe"):
        from glossator.agents.processes import ProcessSandbox

        return ProcessSandbox(name, limits)
    raise UserError("unknown sandbox", value=name, allowed=", ".join(SANDBOXES))


__all__ = [
    "SANDBOXES", "Gate", "Limits", "MontySandbox", "Ran", "Sandbox",  "open_sandbox",
    "plain_argument",
]  # fmt: skip
