"""Where code runs that a language model wrote: Monty by default, bubblewrap where numpy is wanted, or unsafe.

Monty (`pydantic-monty`) is an interpreter of Python in a worker process. It has no files, no network, no environment,
no processes, and no objects of the host: only functions that are handed to it, whose arguments and results are copies
of plain data. What a program asks of the host is checked once more here.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from typing import Any, Self

from glossator.agents.gate import Function, Gate, Limits, Ran, Sandbox
from glossator.agents.processes import ProcessSandbox
from glossator.errors import UserError

SANDBOXES = ("monty", "bubblewrap", "unsafe")


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
        return ProcessSandbox(name, limits)
    raise UserError("unknown sandbox", value=name, allowed=", ".join(SANDBOXES))
