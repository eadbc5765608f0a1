"""Rounding a program to the numbers that its description length can express (see `bits`), which also print short."""

from __future__ import annotations

import math
from collections.abc import Callable

from glossator.programs.language import (
    After,
    Agrees,
    And,
    Between,
    Clause,
    Count,
    Like,
    Not,
    Or,
    Position,
    Program,
    Sequence,
    Share,
    Table,
    Test,
    Within,
)
from glossator.programs.scene.atoms import Anywhere, Beside, Looks, Shows

LEVELS = 15
"""Steps of a factor 2 ** -0.5 from the greatest number of a program downwards; with 0 they take 4 bits."""
FLOOR_STEPS = 16
SHARE_STEPS = 120
"""Steps on which the usual shares fall: a third, a quarter, a fifth, tenths."""


def quantise(program: Program) -> Program:
    """The nearest program on the code's levels: strengths, bias and table values become 0 or scale * 2 ** (-i / 2),
    i < LEVELS, where scale is the greatest of them, to three significant digits; floors become multiples of 1/16,
    shares of 1/120.

    Clauses whose strength becomes 0 are dropped. Quantising twice is quantising once.
    """
    numbers = [abs(program.bias)]
    for clause in program.clauses:
        if isinstance(clause.test, Table):
            numbers += [abs(clause.test.default), *(abs(value) for _, value in clause.test.values)]
        else:
            numbers.append(abs(clause.strength))
    level = _leveller(max(numbers))
    clauses = []
    for clause in program.clauses:
        if isinstance(clause.test, Table):
            values = tuple((text, level(value)) for text, value in clause.test.values)
            clauses.append(Clause(1.0, Table(values, level(clause.test.default))))
        elif strength := level(clause.strength):
            clauses.append(Clause(strength, _on_grid(clause.test)))
    output = {side: _on_grid(test) for side, test in program.output.items()}
    return Program(level(program.bias), tuple(clauses), **output)


def _leveller(greatest: float) -> Callable[[float], float]:
    scale = float(f"{greatest:.3g}")
    lowest = greatest * 2.0 ** (-(LEVELS - 1) / 2)

    def level(value: float) -> float:
        size = abs(value)
        if size == 0.0 or size < lowest / 2 or scale == 0.0:
            return 0.0
        step = min(LEVELS - 1, max(0, round(-2.0 * math.log2(size / greatest))))
        return math.copysign(float(f"{scale * 2.0 ** (-step / 2):.3g}"), value)

    return level


def _on_grid(test: Test) -> Test:
    match test:
        case Like(seeds, floor):
            return Like(seeds, min(round(floor * FLOOR_STEPS), FLOOR_STEPS - 1) / FLOOR_STEPS)
        case After(inner):
            return After(_on_grid(inner))
        case Not(inner):
            return Not(_on_grid(inner))
        case Within(inner, k):
            return Within(_on_grid(inner), k)
        case Between(opening, closing, depth):
            return Between(_on_grid(opening), _on_grid(closing), depth)
        case Position(low, high, Test() as since):
            return Position(low, high, _on_grid(since))
        case Count(inner, low, high, since):
            return Count(_on_grid(inner), low, high, None if since is None else _on_grid(since))
        case Share(inner, least):
            return Share(_on_grid(inner), round(least * SHARE_STEPS) / SHARE_STEPS)
        case Agrees(aspect, inner):
            return Agrees(aspect, _on_grid(inner))
        case Shows(concepts, float() as least):
            return Shows(concepts, round(least * FLOOR_STEPS) / FLOOR_STEPS)
        case Looks(statistic, float() as least):
            return Looks(statistic, round(least * FLOOR_STEPS) / FLOOR_STEPS)
        case Anywhere(inner):
            return Anywhere(_on_grid(inner))
        case Beside(inner, k):
            return Beside(_on_grid(inner), k)
        case And(tests) | Or(tests) | Sequence(tests):
            return type(test)(tuple(_on_grid(t) for t in tests))
    return test
