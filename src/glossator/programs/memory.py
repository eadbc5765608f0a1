"""Tests with memory: of all that stands before a token in its window, and nothing after it.

Windows begin in the middle of a document, and what stood before is unknown: at the window's start nothing is open,
nothing was counted, and a line, a sentence or any other stretch begins there. Inside these tests another test holds
where it is at least half true.
"""

from __future__ import annotations

from dataclasses import dataclass

from glossator.errors import near_matches
from glossator.programs.base import Test, inner
from glossator.programs.checks import assign, number, whole

ASPECTS: dict[str, str] = {
    "token": "token",
    "word": "word",
    "initial": "first letter",
    "ending": "ending",
    "kind": "kind of spelling",
    "pair": "token and predecessor",
}
"""What two tokens can have in common (`Lexicon.aspect` defines them), and its English."""


@dataclass(frozen=True)
class Between(Test):
    """An opening token came before and nothing has closed it up to and including this token.

    One that does both (a plain quotation mark) opens when nothing is open and closes otherwise. Opening twice is
    opening once. With a depth openings are counted instead: each takes one closing, a token that does both changes
    nothing, and at least `depth` must be open.
    """

    open: Test
    close: Test
    depth: int | None = None

    needs_context = True

    def __post_init__(self) -> None:
        inner(self.open, "open")
        inner(self.close, "close")
        assign(self, depth=None if self.depth is None else whole(self.depth, "depth", 1))

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.open, self.close)

    @property
    def within_brackets(self) -> str:
        return f"{self.open}, {self.close}{'' if self.depth is None else f'; {self.depth}'}"


@dataclass(frozen=True)
class Position(Test):
    """The token stands at position low..high, counted from 0, both included; no high means to the end.

    Counted from the start of the window, or from the token after the last one before this where `since` holds.
    """

    low: int
    high: int | None = None
    since: Test | None = None

    needs_context = True

    def __post_init__(self) -> None:
        _check_range(self, "position")
        _check_since(self.since)

    @property
    def parts(self) -> tuple[Test, ...]:
        return () if self.since is None else (self.since,)

    @property
    def within_brackets(self) -> str:
        return _range(self) + _since(self.since)


@dataclass(frozen=True)
class Count(Test):
    """Before this token, low..high tokens of the window satisfy the test; no high means any number from low on.

    With `since` only those after the last token before this where `since` holds, which is not counted itself.
    """

    test: Test
    low: int
    high: int | None = None
    since: Test | None = None

    needs_context = True

    def __post_init__(self) -> None:
        inner(self.test, "what is counted")
        _check_range(self, "count")
        _check_since(self.since)

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,) if self.since is None else (self.test, self.since)

    @property
    def within_brackets(self) -> str:
        return f"{self.test}, {_range(self)}{_since(self.since)}"


@dataclass(frozen=True)
class Share(Test):
    """Of the window's tokens up to and including this one, at least this share satisfies the test."""

    test: Test
    least: float

    needs_context = True

    def __post_init__(self) -> None:
        inner(self.test, "what is counted")
        assign(self, least=number(self.least, "share", 0.0, 1.0))

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)

    @property
    def within_brackets(self) -> str:
        return f"{self.test}; {self.least!r}"


@dataclass(frozen=True)
class Same(Test):
    """The last token before with the same aspect (`ASPECTS`) stands low..high places back; no high means or more."""

    aspect: str
    low: int = 1
    high: int | None = None

    needs_context = True

    def __post_init__(self) -> None:
        _check_aspect(self.aspect)
        _check_range(self, "distance", 1)

    @property
    def within_brackets(self) -> str:
        return f"{self.aspect}, {_range(self)}"


@dataclass(frozen=True)
class Agrees(Test):
    """The last token before this one where `test` holds has this aspect in common with this one: `ASPECTS`."""

    aspect: str
    test: Test

    needs_context = True

    def __post_init__(self) -> None:
        _check_aspect(self.aspect)
        inner(self.test, "what is compared with")

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)

    @property
    def within_brackets(self) -> str:
        return f"{self.aspect}, {self.test}"


@dataclass(frozen=True)
class Induction(Test):
    """The `n` tokens before this one stand earlier in the window, and this token followed them the last time."""

    n: int = 1

    needs_context = True

    def __post_init__(self) -> None:
        assign(self, n=whole(self.n, "number of tokens", 1))

    @property
    def within_brackets(self) -> str:
        return "" if self.n == 1 else str(self.n)


def _check_aspect(aspect: str) -> None:
    if aspect not in ASPECTS:
        raise ValueError(f"unknown aspect {aspect!r}; {near_matches(aspect, ASPECTS)}")


def _check_range(test: Position | Count | Same, name: str, least: int = 0) -> None:
    low = whole(test.low, name, least)
    assign(test, low=low, high=None if test.high is None else whole(test.high, f"last {name}", low))


def _check_since(since: Test | None) -> None:
    if since is not None:
        inner(since, "since")


def _range(test: Position | Count | Same) -> str:
    return f"{test.low}..{'' if test.high is None else test.high}"


def _since(since: Test | None) -> str:
    return "" if since is None else f"; {since}"
