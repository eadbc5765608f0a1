"""The language of programs: a small, total, typed way to say when a unit fires and how strongly.

A program is a bias and a sum of clauses. A clause is a strength times the truth, between 0 and 1, of a test on one
token in its window. Programs are values: frozen, hashable, equal when they say the same thing in the same order.
The constructors check their arguments and raise `ValueError`; whatever could be built can be executed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from glossator.programs.shapes import CONTEXT_SHAPES, SHAPES
from glossator.programs.words import WORD_CLASSES

DEEPEST = 24
"""How many tests may stand inside one another."""
LARGEST = 1e30
"""Bound on every number in a program, so that sums stay finite in float32."""


def _number(value: object, name: str, low: float = -LARGEST, high: float = LARGEST) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"{name} is not a number: {value!r}") from None
    if not (low <= number <= high):
        raise ValueError(f"{name} must be between {low:g} and {high:g}, not {value!r}")
    return number


def _whole(value: object, name: str, low: int) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is not a whole number: {value!r}") from None
    if number != value or number < low or number > 10**9:
        raise ValueError(f"{name} must be a whole number from {low}, not {value!r}")
    return number


def _text(value: object, name: str, empty: bool = False) -> str:
    if not isinstance(value, str) or (not value and not empty):
        raise ValueError(f"{name} must be text{'' if empty else ' of at least one character'}, not {value!r}")
    if not value.isascii():
        value.encode("utf-8")  # a lone surrogate is no text: UnicodeEncodeError is a ValueError
    return str(value)


def _texts(values: Iterable[str], name: str) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ValueError(f"{name} must be several texts, not the one text {values!r}")
    texts = tuple(_text(v, name, empty=True) for v in values)
    if not texts:
        raise ValueError(f"{name} must not be empty")
    if len(set(texts)) != len(texts):
        raise ValueError(f"{name} holds a text twice: {texts!r}")
    return texts


class Test:
    """Something that is more or less true of a token in its window: a truth between 0 and 1 (except `Table`)."""

    __test__ = False  # not a test case, whatever the name says to test runners

    @property
    def parts(self) -> tuple[Test, ...]:
        """The tests directly inside this one."""
        return ()

    def __str__(self) -> str:
        from glossator.programs.printer import print_test

        return print_test(self)


def _set(instance: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def _part(value: object, name: str) -> Test:
    if not isinstance(value, Test):
        raise ValueError(f"{name} must be a test, not {value!r}")
    if isinstance(value, Table):
        raise ValueError("a table stands alone in a clause of strength 1, never inside another test")
    return value


@dataclass(frozen=True)
class Token(Test):
    """This token is one of `texts` (exact: case and leading space count)."""

    texts: tuple[str, ...]

    def __post_init__(self) -> None:
        _set(self, texts=_texts(self.texts, "token texts"))


@dataclass(frozen=True)
class Like(Test):
    """This token is close in meaning to the seeds: clip((s - floor) / (1 - floor), 0, 1).

    s is the cosine between the token's static embedding (centred on the vocabulary's mean) and the normalised mean
    of the seeds' normalised embeddings.
    """

    seeds: tuple[str, ...]
    floor: float

    def __post_init__(self) -> None:
        _set(self, seeds=_texts(self.seeds, "seeds"), floor=_number(self.floor, "floor", 0.0, 0.999))


@dataclass(frozen=True)
class Prefix(Test):
    """The token without its leading space starts with `text`."""

    text: str

    def __post_init__(self) -> None:
        _set(self, text=_text(self.text, "prefix"))


@dataclass(frozen=True)
class Suffix(Test):
    """The token without its leading space ends with `text`."""

    text: str

    def __post_init__(self) -> None:
        _set(self, text=_text(self.text, "suffix"))


@dataclass(frozen=True)
class Contains(Test):
    """The token without its leading space contains `text`."""

    text: str

    def __post_init__(self) -> None:
        _set(self, text=_text(self.text, "contained text"))


@dataclass(frozen=True)
class Shape(Test):
    """The token is written in a certain way; the names are the keys of `shapes.SHAPES`."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in SHAPES:
            raise ValueError(f"unknown shape {self.name!r}; known: {', '.join(SHAPES)}")


@dataclass(frozen=True)
class Word(Test):
    """The token, lower-cased and without its leading space, is in a named class of words (`words.WORD_CLASSES`)."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in WORD_CLASSES:
            raise ValueError(f"unknown word class {self.name!r}; known: {', '.join(WORD_CLASSES)}")


@dataclass(frozen=True)
class Position(Test):
    """The token stands at position low..high of the window, counted from 0, both included; no high means to the end."""

    low: int
    high: int | None = None

    def __post_init__(self) -> None:
        low = _whole(self.low, "position", 0)
        _set(self, low=low, high=None if self.high is None else _whole(self.high, "last position", low))


@dataclass(frozen=True)
class Repeated(Test):
    """The same token stands earlier in the window, at most `within` tokens back."""

    within: int | None = None

    def __post_init__(self) -> None:
        _set(self, within=None if self.within is None else _whole(self.within, "distance", 1))


@dataclass(frozen=True)
class After(Test):
    """The test holds at the previous token (0 at the first token of the window)."""

    test: Test

    def __post_init__(self) -> None:
        _check_depth(_part(self.test, "after"), 1)

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)


@dataclass(frozen=True)
class Within(Test):
    """The greatest truth of the test at any of the k tokens before this one."""

    test: Test
    k: int

    def __post_init__(self) -> None:
        _set(self, k=_whole(self.k, "distance", 1))
        _check_depth(_part(self.test, "within"), 1)

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)


@dataclass(frozen=True)
class Between(Test):
    """An opening token came before and nothing has closed it up to and including this token.

    A token opens or closes when its test is at least half true; one that does both (a plain quotation mark) opens
    when nothing is open and closes otherwise. Opening twice is opening once.
    """

    open: Test
    close: Test

    def __post_init__(self) -> None:
        _check_depth(_part(self.open, "open"), 1)
        _check_depth(_part(self.close, "close"), 1)

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.open, self.close)


@dataclass(frozen=True)
class _Several(Test):
    tests: tuple[Test, ...]

    def __post_init__(self) -> None:
        name = type(self).__name__.lower()
        tests = tuple(_part(t, name) for t in self.tests)
        if len(tests) < 2:
            raise ValueError(f"{name} needs at least two tests, not {len(tests)}")
        for test in tests:
            _check_depth(test, 1)
        _set(self, tests=tests)

    @property
    def parts(self) -> tuple[Test, ...]:
        return self.tests


@dataclass(frozen=True)
class And(_Several):
    """All hold: the least truth."""


@dataclass(frozen=True)
class Or(_Several):
    """Any holds: the greatest truth."""


@dataclass(frozen=True)
class Sequence(_Several):
    """Consecutive tokens ending at this one satisfy the tests in order: the least truth; 0 where too few came before."""


@dataclass(frozen=True)
class Not(Test):
    """1 minus the truth of the test."""

    test: Test

    def __post_init__(self) -> None:
        _check_depth(_part(self.test, "not"), 1)

    @property
    def parts(self) -> tuple[Test, ...]:
        return (self.test,)


@dataclass(frozen=True)
class Table(Test):
    """A lookup table: the value of the token's text, or the default. Unbounded, so only for a clause of strength 1."""

    values: tuple[tuple[str, float], ...]
    default: float = 0.0

    def __post_init__(self) -> None:
        values = tuple((_text(text, "table text", empty=True), _number(v, "table value")) for text, v in self.values)
        if len({text for text, _ in values}) != len(values):
            raise ValueError("the table holds a text twice")
        _set(self, values=values, default=_number(self.default, "table default"))


@dataclass(frozen=True)
class Clause:
    """`strength` is what the unit's value gains (or, below 0, loses) where the test is fully true."""

    strength: float
    test: Test

    def __post_init__(self) -> None:
        _set(self, strength=_number(self.strength, "strength"))
        if not isinstance(self.test, Test):
            raise ValueError(f"a clause needs a test, not {self.test!r}")
        if isinstance(self.test, Table) and self.strength != 1.0:
            raise ValueError("a table must have strength 1: its values already are strengths")


@dataclass(frozen=True)
class Program:
    """Value at a token = max(0, bias + sum of strength * truth(test)), in units of the unit's activation."""

    bias: float
    clauses: tuple[Clause, ...] = ()

    def __post_init__(self) -> None:
        clauses = tuple(self.clauses)
        if not all(isinstance(c, Clause) for c in clauses):
            raise ValueError("a program's clauses must be clauses")
        _set(self, bias=_number(self.bias, "bias"), clauses=clauses)

    def __str__(self) -> str:
        from glossator.programs.printer import print_program

        return print_program(self)


def depth(test: Test) -> int:
    """How many tests stand inside one another, this one included."""
    return 1 + max((depth(part) for part in test.parts), default=0)


def _check_depth(test: Test, above: int) -> None:
    if depth(test) + above > DEEPEST:
        raise ValueError(f"tests may stand inside one another at most {DEEPEST} deep")


def walk(test: Test) -> Iterator[Test]:
    """The test and everything inside it, outside first."""
    yield test
    for part in test.parts:
        yield from walk(part)


_CONTEXT = (Position, Repeated, After, Within, Between, Sequence)


def is_local(test: Test) -> bool:
    """Whether the truth depends on the token alone, so that it can be computed once per vocabulary entry."""
    return not any(
        isinstance(t, _CONTEXT) or (isinstance(t, Shape) and t.name in CONTEXT_SHAPES) for t in walk(test)
    )


def scaled(program: Program, factor: float) -> Program:
    """The same program for a unit whose activations are `factor` times as large (factor > 0)."""
    if not factor > 0 or math.isinf(factor):
        raise ValueError(f"factor must be above 0 and finite, not {factor!r}")

    def clause(c: Clause) -> Clause:
        if isinstance(c.test, Table):
            table = Table(tuple((t, v * factor) for t, v in c.test.values), c.test.default * factor)
            return Clause(1.0, table)
        return Clause(c.strength * factor, c.test)

    return Program(program.bias * factor, tuple(clause(c) for c in program.clauses))
