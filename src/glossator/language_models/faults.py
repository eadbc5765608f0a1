"""Server errors, in the terms needed for retrying, counting and stopping."""

from __future__ import annotations

from dataclasses import dataclass

from glossator.errors import UserError


class ServerFault(Exception):
    """The server did not answer as it should; another attempt may succeed.

    retry_after: seconds that it asked us to wait; perhaps_billed: the request reached it, so it may have cost
    something although no answer came; never_reached: no connection was made.
    """

    def __init__(
        self, what: str, *, retry_after: float | None = None, perhaps_billed: bool = False, never_reached: bool = False
    ):
        super().__init__(what)
        self.retry_after, self.perhaps_billed, self.never_reached = retry_after, perhaps_billed, never_reached


class RequestRefused(Exception):
    """The server rejects this request (too long, an unreadable image), or its reply is unusable; other requests may
    succeed. perhaps_billed: as for `ServerFault`."""

    def __init__(self, what: str, *, perhaps_billed: bool = False):
        super().__init__(what)
        self.perhaps_billed = perhaps_billed


class ParameterRefused(Exception):
    """The server rejects a parameter whatever its value; the request can be sent without it."""

    def __init__(self, parameter: str, said: str):
        super().__init__(said)
        self.parameter, self.said = parameter, said


class ServerUnavailable(UserError):
    """The server does not answer any request. Answers that came before are in the cache, so running again continues
    from there."""


class NotInCache(UserError):
    """A replay needs an answer that is not in the cache."""


@dataclass(frozen=True)
class Retry:
    """attempts at one request in all, and the seconds between them: first, first * factor, ... up to longest.

    The schedule has no random part, so that runs repeat; one limit per endpoint and a common pause after a 429 keep
    requests from coming back all at once. longest_wait: a server that asks for more than this is unavailable.
    """

    attempts: int = 8
    first: float = 0.5
    factor: float = 2.0
    longest: float = 30.0
    longest_wait: float = 600.0

    def wait(self, failed: int) -> float:
        """Seconds to wait after so many failed attempts (1, 2, ...)."""
        return float(min(self.first * self.factor ** (failed - 1), self.longest))
