"""Text to programs, the inverse of `str`; mistakes are told with their place.

program  = (number | ["+" | "-"] clause) { ("+" | "-") clause } [";" "raises" test] [";" "lowers" test]
clause   = [number "*"] test
test     = "token(" strings ")" | "spelled(" strings ")" | "like(" strings ";" number ")"
         | "prefix(" string ")" | "suffix(" string ")" | "contains(" string ")"
         | "shape(" name ")" | "word(" name ")" | "position(" range [";" test] ")" | "repeated(" [whole] ")"
         | "count(" test "," range [";" test] ")" | "share(" test ";" number ")" | "same(" name "," range ")"
         | "agrees(" name "," test ")" | "induction(" [whole] ")" | "between(" test "," test [";" whole] ")"
         | "after(" test ")" | "within(" test "," whole ")" | "not(" test ")"
         | ("and" | "or" | "sequence") "(" test "," test { "," test } ")"
         | "shows(" strings [";" number] ")" | "together(" strings ")" | "looks(" name [";" number] ")"
         | "anywhere(" test ")" | "beside(" test ["," whole] ")"
         | "table(" [string "=" number { "," string "=" number }] ";" number ")"
range    = whole ".." [whole]
string   = JSON string, or the same in single quotes; blank space between symbols is free.

A number that is left out is a bias of 0 and a strength of 1, or is fitted where a program is tested
(`glossator.study.hypothesis`). Names may stand in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from glossator.errors import UserError, near_matches
from glossator.programs.language import (
    DEEPEST,
    After,
    Agrees,
    And,
    Between,
    Clause,
    Contains,
    Count,
    Induction,
    Like,
    Not,
    Or,
    Position,
    Prefix,
    Program,
    Repeated,
    Same,
    Sequence,
    Shape,
    Share,
    Spelled,
    Suffix,
    Table,
    Test,
    Token,
    Within,
    Word,
)
from glossator.programs.scene.atoms import Anywhere, Beside, Looks, Shows, Together

T = TypeVar("T")
BLANK = re.compile(r"\s*")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
WHOLE = re.compile(r"\d+")
STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
BEGINNING = re.compile(
    rf"\s*(?:{NUMBER.pattern}\s*[*+;-]|[+-])?\s*(?:{NUMBER.pattern}\s*\*\s*)?[A-Za-z]+\(.*", re.DOTALL
)
SINGLE = re.compile(r"'(?:[^'\\\x00-\x1f]|\\.)*'")
NAME = re.compile(r"[A-Za-z]+")
CLASS_NAME = re.compile(r"[A-Za-z][A-Za-z.\- ]*[A-Za-z]")


@dataclass(frozen=True)
class Draft:
    """A program as it was written. bias: None if it was left out; clauses: (sign, size of the strength, test), the
    size None if it was left out.

    One that begins with its bias is complete: strengths that it leaves out are 1.
    """

    bias: float | None
    clauses: tuple[tuple[float, float | None, Test], ...]
    output: dict[str, Test] = field(default_factory=dict)

    def program(self) -> Program:
        """The program in which a bias that was left out is 0 and a strength is 1."""
        clauses = (Clause(sign * (1.0 if size is None else size), test) for sign, size, test in self.clauses)
        return Program(0.0 if self.bias is None else self.bias, tuple(clauses), **self.output)


def parse_program(text: str) -> Program:
    """Read a program; `UserError` with line and column when it is none."""
    return parse_draft(text).program()


def parse_draft(text: str) -> Draft:
    """Read a program and keep which of its numbers were left out; `UserError` with line and column when it is none."""
    reader = _Reader(text)
    draft = reader.draft()
    reader.end()
    return draft


def reads_as_program(text: str) -> bool:
    """Whether a text is meant as a program and not as words: it begins as one, correctly written or not."""
    return NUMBER.fullmatch(text.strip()) is not None or BEGINNING.match(text) is not None


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        at = self.at if at is None else at
        line, column = self.text.count("\n", 0, at) + 1, at - (self.text.rfind("\n", 0, at) + 1) + 1
        found = self.text[at : at + 30] or "the end"
        raise UserError(f"not a program, at line {line}, column {column}", value=found, allowed=expected)

    def skip(self) -> None:
        self.at = BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]

    def match(self, pattern: re.Pattern[str]) -> str | None:
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found.group()

    def need(self, pattern: re.Pattern[str], expected: str) -> str:
        found = self.match(pattern)
        return self.fail(expected) if found is None else found

    def take(self, symbol: str) -> bool:
        self.skip()
        if not self.text.startswith(symbol, self.at):
            return False
        self.at += len(symbol)
        return True

    def want(self, symbol: str) -> None:
        if not self.take(symbol):
            self.fail(f"`{symbol}`")

    def build(self, start: int, make: Callable[[], T]) -> T:
        """What a constructor refuses becomes an error at the place where its text starts."""
        try:
            return make()
        except ValueError as error:
            self.fail(str(error), start)

    def end(self) -> None:
        self.skip()
        if self.at != len(self.text):
            self.fail("`+` or `-` and another clause, `;` and an output, or the end")

    def draft(self) -> Draft:
        self.skip()
        start, bias, clauses = self.at, None, []
        if (found := self.match(NUMBER)) is not None and not self.take("*"):
            bias = float(found)
        else:
            self.at = start
            sign = -1.0 if self.take("-") else 1.0
            self.take("+")
            clauses.append(self.clause(sign, 'a number or a test: 0.5, word(months), 2*token(" keep")'))
        while (plus := self.take("+")) or self.take("-"):
            clauses.append(self.clause(1.0 if plus else -1.0))
        output = self.output()
        draft = Draft(bias, tuple(clauses), output)
        self.build(start, draft.program)
        return draft

    def clause(self, sign: float, expected: str = "") -> tuple[float, float | None, Test]:
        """Its sign, the size of its strength where that is written, and its test."""
        self.skip()
        begin, size = self.at, None
        if (found := self.match(NUMBER)) is not None:
            size = float(found)
            self.want("*")
        elif expected and not BEGINNING.match(self.text, self.at):
            self.fail(expected)
        test = self.test(1)
        self.build(begin, lambda: Clause(sign * (1.0 if size is None else size), test))
        return sign, size, test

    def output(self) -> dict[str, Test]:
        """What follows the clauses: what the unit raises, then what it lowers."""
        found: dict[str, Test] = {}
        while self.take(";"):
            self.skip()
            start = self.at
            side = self.need(NAME, "`raises` or `lowers`")
            if side not in ("raises", "lowers") or side in found or "lowers" in found:
                self.fail("`raises` and a test, then `lowers` and a test, each at most once", start)
            self.skip()
            begin = self.at
            test = self.test(1)
            found[side] = self.build(begin, lambda s=side, t=test: Program(0.0, (), **{s: t}).output[s])  # type: ignore[misc]
        return found

    def number(self) -> float:
        return float(self.need(NUMBER, "a number"))

    def whole(self) -> int:
        return int(self.need(WHOLE, "a whole number")[:20])

    def string(self) -> str:
        self.skip()
        start = self.at
        if (single := self.match(SINGLE)) is not None:
            inside = single[1:-1].replace("\\'", "'").replace('"', '\\"')
            return self.build(start, lambda: str(json.loads(f'"{inside}"')))
        raw = self.need(STRING, 'a text in double quotes, such as " keep"')
        return self.build(start, lambda: str(json.loads(raw)))

    def strings(self) -> tuple[str, ...]:
        texts = [self.string()]
        while self.take(","):
            texts.append(self.string())
        return tuple(texts)

    def class_name(self) -> str:
        self.skip()
        if self.text[self.at : self.at + 1] in ('"', "'"):
            return self.string()
        return self.need(CLASS_NAME, "a name")

    def several(self, deep: int) -> tuple[Test, ...]:
        tests = [self.test(deep)]
        while self.take(","):
            tests.append(self.test(deep))
        return tuple(tests)

    def test(self, deep: int) -> Test:
        self.skip()
        start = self.at
        if deep > DEEPEST:
            self.fail(f"tests nested at most {DEEPEST} deep")
        name = self.need(NAME, f"a test: {', '.join(_READERS)}")
        read = _READERS.get(name)
        if read is None:
            self.fail(near_matches(name, _READERS), start)
        self.want("(")
        make = read(self, deep + 1)
        self.want(")")
        return self.build(start, make)


def _range(reader: _Reader) -> tuple[int, int | None]:
    low = reader.whole()
    reader.want("..")
    reader.skip()
    return low, reader.whole() if WHOLE.match(reader.text, reader.at) else None


def _since(reader: _Reader, deep: int) -> Test | None:
    return reader.test(deep) if reader.take(";") else None


def _position(reader: _Reader, deep: int) -> Callable[[], Test]:
    low, high = _range(reader)
    since = _since(reader, deep)
    return lambda: Position(low, high, since)


def _count(reader: _Reader, deep: int) -> Callable[[], Test]:
    counted = reader.test(deep)
    reader.want(",")
    low, high = _range(reader)
    since = _since(reader, deep)
    return lambda: Count(counted, low, high, since)


def _share(reader: _Reader, deep: int) -> Callable[[], Test]:
    counted = reader.test(deep)
    reader.want(";")
    least = reader.number()
    return lambda: Share(counted, least)


def _same(reader: _Reader) -> Callable[[], Test]:
    aspect = reader.class_name()
    reader.want(",")
    low, high = _range(reader)
    return lambda: Same(aspect, low, high)


def _agrees(reader: _Reader, deep: int) -> Callable[[], Test]:
    aspect = reader.class_name()
    reader.want(",")
    other = reader.test(deep)
    return lambda: Agrees(aspect, other)


def _induction(reader: _Reader) -> Callable[[], Test]:
    n = _optional_whole(reader)
    return Induction if n is None else lambda: Induction(n)


def _optional_whole(reader: _Reader) -> int | None:
    reader.skip()
    return None if reader.text.startswith(")", reader.at) else reader.whole()


def _like(reader: _Reader) -> Callable[[], Test]:
    seeds = reader.strings()
    reader.want(";")
    floor = reader.number()
    return lambda: Like(seeds, floor)


def _within(reader: _Reader, deep: int) -> Callable[[], Test]:
    inner = reader.test(deep)
    reader.want(",")
    k = reader.whole()
    return lambda: Within(inner, k)


def _between(reader: _Reader, deep: int) -> Callable[[], Test]:
    opening = reader.test(deep)
    reader.want(",")
    closing = reader.test(deep)
    depth = reader.whole() if reader.take(";") else None
    return lambda: Between(opening, closing, depth)


def _table(reader: _Reader) -> Callable[[], Test]:
    values: list[tuple[str, float]] = []
    while not reader.take(";"):
        if values:
            reader.want(",")
        text = reader.string()
        reader.want("=")
        values.append((text, reader.number()))
    default = reader.number()
    return lambda: Table(tuple(values), default)


def _shows(reader: _Reader) -> Callable[[], Test]:
    concepts = reader.strings()
    least = reader.number() if reader.take(";") else None
    return lambda: Shows(concepts, least)


def _looks(reader: _Reader) -> Callable[[], Test]:
    statistic = reader.class_name()
    least = reader.number() if reader.take(";") else None
    return lambda: Looks(statistic, least)


def _beside(reader: _Reader, deep: int) -> Callable[[], Test]:
    inner = reader.test(deep)
    k = reader.whole() if reader.take(",") else 1
    return lambda: Beside(inner, k)


def _one(make: Callable[[T], Test], value: T) -> Callable[[], Test]:
    return lambda: make(value)


_READERS: dict[str, Callable[[_Reader, int], Callable[[], Test]]] = {
    "token": lambda r, d: _one(Token, r.strings()),
    "spelled": lambda r, d: _one(Spelled, r.strings()),
    "like": lambda r, d: _like(r),
    "prefix": lambda r, d: _one(Prefix, r.string()),
    "suffix": lambda r, d: _one(Suffix, r.string()),
    "contains": lambda r, d: _one(Contains, r.string()),
    "shape": lambda r, d: _one(Shape, r.class_name()),
    "word": lambda r, d: _one(Word, r.class_name()),
    "position": _position,
    "repeated": lambda r, d: _one(Repeated, _optional_whole(r)),
    "count": _count,
    "share": _share,
    "same": lambda r, d: _same(r),
    "agrees": _agrees,
    "induction": lambda r, d: _induction(r),
    "after": lambda r, d: _one(After, r.test(d)),
    "within": _within,
    "between": _between,
    "and": lambda r, d: _one(And, r.several(d)),
    "or": lambda r, d: _one(Or, r.several(d)),
    "not": lambda r, d: _one(Not, r.test(d)),
    "sequence": lambda r, d: _one(Sequence, r.several(d)),
    "table": lambda r, d: _table(r),
    "shows": lambda r, d: _shows(r),
    "together": lambda r, d: _one(Together, r.strings()),
    "looks": lambda r, d: _looks(r),
    "anywhere": lambda r, d: _one(Anywhere, r.test(d)),
    "beside": lambda r, d: _beside(r, d),
}
"""Every kind of test and how its inside is read."""
