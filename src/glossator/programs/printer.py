"""Programs as text: one line, compact, and read back by `parse_program` to the same program.

Example: 0.0 + 0.9*token(" keep", " kept") + 0.5*like(" more", " most"; 0.4) - 0.3*and(shape(punctuation), after(...))
With an output side: 0.0 + 0.9*token(" keep"); raises token(" on", " up"); lowers suffix("ed")
"""

from __future__ import annotations

import json
import math

from glossator.programs.language import (
    After,
    And,
    Between,
    Contains,
    Like,
    Not,
    Or,
    Position,
    Prefix,
    Program,
    Repeated,
    Sequence,
    Shape,
    Spelled,
    Suffix,
    Table,
    Test,
    Token,
    Within,
    Word,
)


def print_program(program: Program) -> str:
    """The program in concrete syntax; numbers are printed in full (repr)."""
    parts = [repr(program.bias)]
    for clause in program.clauses:
        sign = "-" if math.copysign(1.0, clause.strength) < 0 else "+"
        parts.append(f"{sign} {abs(clause.strength)!r}*{print_test(clause.test)}")
    return "; ".join([" ".join(parts), *(f"{side} {print_test(test)}" for side, test in program.output.items())])


def print_test(test: Test) -> str:
    """One test in concrete syntax."""
    match test:
        case Token(texts):
            return f"token({_texts(texts)})"
        case Spelled(words):
            return f"spelled({_texts(words)})"
        case Like(seeds, floor):
            return f"like({_texts(seeds)}; {floor!r})"
        case Prefix(text) | Suffix(text) | Contains(text):
            return f"{type(test).__name__.lower()}({quote(text)})"
        case Shape(name) | Word(name):
            return f"{type(test).__name__.lower()}({name})"
        case Position(low, high):
            return f"position({low}..{'' if high is None else high})"
        case Repeated(within):
            return f"repeated({'' if within is None else within})"
        case Within(inner, k):
            return f"within({print_test(inner)}, {k})"
        case Table(values, default):
            return f"table({', '.join(f'{quote(t)}={v!r}' for t, v in values)}; {default!r})"
        case After() | Between() | Not() | And() | Or() | Sequence():
            return f"{type(test).__name__.lower()}({', '.join(map(print_test, test.parts))})"
    raise TypeError(f"no rule to print {type(test).__name__}")


def quote(text: str) -> str:
    """A JSON string; characters that print as themselves are left as they are, all others are escaped."""
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else json.dumps(c)[1:-1] for c in text) + '"'


def _texts(texts: tuple[str, ...]) -> str:
    return ", ".join(map(quote, texts))
