"""Between written code and the host: limits, and a gate that lets plain data through and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from glossator.agents.errors import ToolError

Function = Callable[..., Any]
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
