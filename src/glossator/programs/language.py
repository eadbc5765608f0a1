"""The language of programs: a small, total, typed way to say when a unit fires and how strongly.

A program is a bias and a sum of clauses. A clause is a strength times the truth, between 0 and 1, of a test on one
token in its window, or on one place of an image (`programs.scene`). A program may also say which next tokens the unit
promotes or suppresses; that describes what the unit does, not when it fires, and execution ignores it. Programs are
values: frozen, hashable, equal if they say the same in the same order. The constructors check their
arguments and raise `ValueError`; every program can be executed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from glossator.programs.atoms import (
    Contains,
    Like,
    Prefix,
    Repeated,
    Shape,
    Spelled,
    Suffix,
    Token,
    Word,
)
from glossator.programs.base import DEEPEST, Language, Test, depth, inner, part, walk
from glossator.programs.checks import assign, number, quoted, text_of, whole
from glossator.programs.memory import Agrees, Between, Count, Induction, Position, Same, Share

__all__ = [
    "DEEPEST", "After", "Agrees", "And", "Between", "Clause", "Contains", "Count", "Induction", "Like", "Not", "Or",
    "Position", "Prefix", "Program", "Repeated", "Same", "Sequence", "Shape", "Share", "Spelled", "Suffix", "Table",
    "Test", "Token", "Within", "Word", "depth", "is_local", "scaled", "walk",
]  # fmt: skip


@dataclass(frozen=True)
class After(Test):
    """The test holds at the previous token (0 at the first token of the window)."""

    test: Test

    needs_context = True

    def __post_init__(self) -> None:
        inner(self.test, "after")

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)


@dataclass(frozen=True)
class Within(Test):
    """The greatest truth of the test at any of the k tokens before this one."""

    test: Test
    k: int

    needs_context = True

    def __post_init__(self) -> None:
        assign(self, k=whole(self.k, "distance", 1))
        inner(self.test, "within")

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)

    @property
    def within_brackets(self) -> str:
        return f"{self.test}, {self.k}"


@dataclass(frozen=True)
class _Several(Test):
    tests: tuple[Test, ...]

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        tests = tuple(inner(t, name) for t in self.tests)
        if len(tests) < 2:
            raise ValueError(f"{name} needs at least two tests, not {len(tests)}")
        assign(self, tests=tests)

    @property
    def parts(self) -> tuple[Test, ...]:
        return self.tests


@dataclass(frozen=True)
class And(_Several):
    """All hold: the least truth."""

    language = None


@dataclass(frozen=True)
class Or(_Several):
    """Any holds: the greatest truth."""

    language = None


@dataclass(frozen=True)
class Sequence(_Several):
    """Consecutive tokens ending here satisfy the tests in order: the least truth; 0 where too few came before."""

    needs_context = True


@dataclass(frozen=True)
class Not(Test):
    """1 minus the truth of the test."""

    test: Test

    language = None

    def __post_init__(self) -> None:
        inner(self.test, "not")

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)


@dataclass(frozen=True)
class Table(Test):
    """A lookup table: the value of the token's text, or the default. Unbounded, so only for a clause of strength 1."""

    values: tuple[tuple[str, float], ...]
    default: float = 0.0

    whole_clause = True

    def __post_init__(self) -> None:
        values = tuple((text_of(text, "table text", empty=True), number(v, "table value")) for text, v in self.values)
        if len({text for text, _ in values}) != len(values):
            raise ValueError("the table has a text twice")
        assign(self, values=values, default=number(self.default, "table default"))

    @property
    def within_brackets(self) -> str:
        return f"{', '.join(f'{quoted(text)}={value!r}' for text, value in self.values)}; {self.default!r}"


@dataclass(frozen=True)
class Clause:
    """`strength` is what the unit's value gains (or, below 0, loses) where the test is fully true."""

    strength: float
    test: Test

    def __post_init__(self) -> None:
        assign(self, strength=number(self.strength, "strength"))
        if not isinstance(self.test, Test):
            raise ValueError(f"a clause needs a test, not {self.test!r}")
        if isinstance(self.test, Table) and self.strength != 1.0:
            raise ValueError("a table must have strength 1: its values already are strengths")


@dataclass(frozen=True)
class Program:
    """Value at a token = max(0, bias + sum of strength * truth(test)), in units of the unit's activation.

    raises, lowers: the output side, each a test of the next token alone; where it is true, the unit makes that token
    more likely (less likely). None if the program does not say.
    """

    bias: float
    clauses: tuple[Clause, ...] = ()
    raises: Test | None = None
    lowers: Test | None = None

    def __post_init__(self) -> None:
        clauses = tuple(self.clauses)
        if not all(isinstance(c, Clause) for c in clauses):
            raise ValueError("a program's clauses must be clauses")
        for side, test in self.output.items():
            if not is_local(part(test, side)):
                raise ValueError(f"what a unit {side} must depend on the next token alone")
        if len(_languages(clauses)) > 1:
            raise ValueError("a program reads tokens or images, not both")
        assign(self, bias=number(self.bias, "bias"), clauses=clauses)

    @property
    def language(self) -> Language | None:
        """What it reads: `tokens`, or `scene` for images; None for a bias alone, which reads nothing."""
        return next(iter(_languages(self.clauses)), None)

    @property
    def output(self) -> dict[str, Test]:
        """The output side: `raises` and `lowers`, as far as they are there."""
        sides = {"raises": self.raises, "lowers": self.lowers}
        return {side: test for side, test in sides.items() if test is not None}

    def __str__(self) -> str:
        """In concrete syntax, on one line, as `parse_program` reads it; numbers are written in full (repr).

        Example: 0.0 + 0.9*token(" keep", " kept") + 0.5*like(" more", " most"; 0.4) - 0.3*and(shape(punctuation), ...)
        With an output side: 0.0 + 0.9*token(" keep"); raises token(" on", " up"); lowers suffix("ed")
        """
        parts = [repr(self.bias)]
        for clause in self.clauses:
            sign = "-" if math.copysign(1.0, clause.strength) < 0 else "+"
            parts.append(f"{sign} {abs(clause.strength)!r}*{clause.test}")
        return "; ".join([" ".join(parts), *(f"{side} {test}" for side, test in self.output.items())])


def _languages(clauses: Iterable[Clause]) -> set[Language]:
    return {t.language for clause in clauses for t in walk(clause.test) if t.language is not None}


def is_local(test: Test) -> bool:
    """Whether the truth depends on the token alone, so that it can be computed once per vocabulary entry."""
    return not any(t.needs_context for t in walk(test))


def scaled(program: Program, factor: float) -> Program:
    """The same program for a unit whose activations are `factor` times as large (factor > 0); its output stays."""
    if not factor > 0 or math.isinf(factor):
        raise ValueError(f"factor must be above 0 and finite, not {factor!r}")

    def clause(c: Clause) -> Clause:
        if isinstance(c.test, Table):
            table = Table(tuple((t, v * factor) for t, v in c.test.values), c.test.default * factor)
            return Clause(1.0, table)
        return Clause(c.strength * factor, c.test)

    return replace(program, bias=program.bias * factor, clauses=tuple(clause(c) for c in program.clauses))
