"""What every test of the language is, and how tests stand inside one another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

Language = Literal["tokens", "scene"]

DEEPEST = 24
"""How many tests may stand inside one another."""


class Test:
    """Something that is more or less true of a token in its window, or of a place in an image: a truth between 0 and 1
    (except `Table`)."""

    __test__ = False  # not a test case, whatever the name says to test runners

    needs_context: ClassVar[bool] = False
    """Whether the truth depends on more than the token itself."""
    language: ClassVar[Language | None] = "tokens"
    """What the test reads; None for one that combines others."""
    whole_clause: ClassVar[bool] = False
    """Whether it can only be a clause, not stand inside another test."""

    @property
    def parts(self) -> tuple[Test, ...]:
        """The tests directly inside this one."""
        return ()

    @property
    def within_brackets(self) -> str:
        """What stands in the brackets when the test is written down."""
        return ", ".join(map(str, self.parts))

    def __str__(self) -> str:
        """The test in concrete syntax, as `parse_program` reads it."""
        return f"{type(self).__name__.lower()}({self.within_brackets})"


def depth(test: Test) -> int:
    """How many tests stand inside one another, this one included."""
    return 1 + max((depth(part) for part in test.parts), default=0)


def walk(test: Test) -> Iterator[Test]:
    """The test and everything inside it, outside first."""
    yield test
    for part in test.parts:
        yield from walk(part)


def part(value: object, name: str) -> Test:
    """A test that is not a whole clause; `ValueError` for anything else."""
    if not isinstance(value, Test):
        raise ValueError(f"{name} must be a test, not {value!r}")
    if value.whole_clause:
        raise ValueError("a table must be a whole clause of strength 1, not inside another test")
    return value


def inner(value: object, name: str) -> Test:
    """A test that may stand inside another one; `ValueError` for anything else."""
    if depth(part(value, name)) >= DEEPEST:
        raise ValueError(f"tests can be nested at most {DEEPEST} deep")
    return part(value, name)
