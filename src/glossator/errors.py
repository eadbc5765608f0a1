"""The one exception meant for users."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the input: says what is wrong, which value, what is allowed and what to do.

    The command line prints it as one paragraph without a traceback and exits with code 2.
    """

    def __init__(self, what: str, *, value: object = None, allowed: str | None = None, fix: str | None = None):
        self.what, self.value, self.allowed, self.fix = what, value, allowed, fix
        parts = [what if value is None else f"{what}: {value!r}"]
        if allowed:
            parts.append(f"Allowed: {allowed}")
        if fix:
            parts.append(fix)
        super().__init__(" ".join(part if part.endswith("?") else part.rstrip(".") + "." for part in parts))


class MissingPower(UserError):
    """A method needs something that this unit, subject or input does not offer (running, intervening, text, ...)."""


def near_matches(name: str, known: Iterable[str], n: int = 3) -> str:
    """Name the closest known names, or all of them when they are few: the `allowed` part of a UserError."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=n, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?" + ("" if len(names) > 12 else f" All: {', '.join(names)}")
    return ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")


MODEL_FAILS = (AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)
"""What a model may raise that does not support what is tried on it once, such as a cache."""
