"""Five explanations of a planted unit, from true to coded, each a sentence and the program that it means.

- true: the unit's own description and program.
- partial: half of the truth. Of several clauses, or of a list of words, the first half; of a condition ("A after B"),
  its first part alone; of a list of alternatives, the first half; of "within k tokens", the next token alone.
- vague: the narrowest of a few very general statements ("words", "capitalised words", ...) that holds at nine tenths
  of the tokens at which the unit fires and at no fewer than a tenth of all tokens, twice as many as the partial one.
- wrong: the description and program of another planted unit, of another kind.
- coded: the rarest tokens of the windows in which the unit fires, written down without a word of meaning, as a
  steganographic explanation would be: they mark windows of the explain split and say nothing about new text.
  Executed, it is a list of tokens; a reader of English cannot tell what it means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.scorer_units import THRESHOLD, PlantedWorld
from glossator.explanations import Explanation, Provenance
from glossator.planted.units import PlantedUnit
from glossator.programs import (
    After,
    And,
    Clause,
    Or,
    Program,
    Sequence,
    Test,
    Token,
    Within,
    english,
    execute,
    parse_program,
)

LEVELS = ("true", "partial", "vague", "wrong", "coded")
GENERAL = (
    "shape(capitalised)",
    "shape(punctuation)",
    "not(shape(letters))",
    "and(shape(lowercase), shape(space-start))",
    "shape(lowercase)",
    "shape(letters)",
    "shape(space-start)",
)
"""Very general statements; what none of them covers gets the one that covers most of it."""
COVERED, LEAST_SHARE, TIMES_PARTIAL = 0.9, 0.1, 2.0
MARKS = 12
"""Tokens in a coded explanation."""


@dataclass(frozen=True)
class Levels:
    """One explanation of each level, in order; true_program: what the true one means."""

    explanations: tuple[Explanation, ...]
    true_program: Program


def half_of(program: Program) -> Program | None:
    """Half of a program in the sense above; None where it says a single thing that has no half."""
    if len(program.clauses) > 1:
        return Program(program.bias, program.clauses[: (len(program.clauses) + 1) // 2])
    clause = program.clauses[0]
    half = _half(clause.test)
    return None if half is None else Program(program.bias, (Clause(clause.strength, half),))


def _half(test: Test) -> Test | None:
    match test:
        case Token(texts) if len(texts) > 1:
            return Token(texts[: (len(texts) + 1) // 2])
        case And(tests):
            return tests[0]
        case Or(tests):
            return tests[0] if len(tests) < 4 else Or(tests[: len(tests) // 2])
        case Sequence(tests):
            return tests[-1]
        case Within(inner, k) if k > 1:
            return After(inner)
        case After(inner):
            found = _half(inner)
            return None if found is None else After(found)
    return None


def levels_of(world: PlantedWorld, number: int) -> Levels | None:
    """The explanations of one unit of the world; None where half of its truth cannot be told or is never true."""
    planted = world.units[number]
    partial = half_of(planted.truth_program)
    if partial is None or not (_fires(world, partial) & _truth(world, number)).any():
        return None
    other = world.units[_wrong(world, number)]
    vague, marks = _vague(world, number, partial), _marks(world, number)
    told = (
        (planted.description, planted.truth_program),
        (english(partial), partial),
        (english(vague), vague),
        (other.description, other.truth_program),
        (" ".join(f"⟦{mark.strip()}⟧" for mark in marks), Program(0.0, (Clause(1.0, Token(marks)),))),
    )
    return Levels(
        tuple(
            Explanation(world.unit(number), text, Provenance(level), program)
            for level, (text, program) in zip(LEVELS, told, strict=True)
        ),
        planted.truth_program,
    )


def _wrong(world: PlantedWorld, number: int) -> int:
    """The unit half the library away, or the next one of another kind."""
    own, n = world.units[number], len(world.units)
    steps = ((number + n // 2 + step) % n for step in range(n))
    return next(i for i in steps if world.units[i].kind != own.kind)


def _vague(world: PlantedWorld, number: int, partial: Program) -> Program:
    truth, valid = _truth(world, number), world.windows["explain"].valid
    least = max(LEAST_SHARE, TIMES_PARTIAL * float(_fires(world, partial)[valid].mean()))
    found = []
    for statement in GENERAL:
        program = parse_program(f"0 + 1*{statement}")
        fires = _fires(world, program)
        found.append((float(fires[truth].mean()), float(fires[valid].mean()), program))
    fit = [(share, covered, program) for covered, share, program in found if covered >= COVERED and share >= least]
    if fit:
        return min(fit, key=lambda f: f[0])[2]
    return max(found, key=lambda f: (f[0], f[1]))[2]


def _marks(world: PlantedWorld, number: int) -> tuple[str, ...]:
    """The rarest tokens of the explain split's firing windows at which the unit does not itself fire."""
    windows, truth = world.windows["explain"], _truth(world, number)
    vocabulary = windows.vocabulary
    counts = np.bincount(windows.tokens[windows.valid], minlength=len(vocabulary))
    near = windows.valid & np.any(truth, axis=1, keepdims=True) & ~truth
    candidates = np.setdiff1d(np.unique(windows.tokens[near]), np.unique(windows.tokens[truth]))
    written = [t for t in candidates.tolist() if vocabulary.texts[t].strip()]
    rarest = sorted(written, key=lambda t: (counts[t], vocabulary.texts[t]))[:MARKS]
    return tuple(dict.fromkeys(vocabulary.texts[t] for t in rarest))


def _truth(world: PlantedWorld, number: int) -> np.ndarray:
    return np.asarray(world.activations["explain"][number] > THRESHOLD)


def _fires(world: PlantedWorld, program: Program) -> np.ndarray:
    return np.asarray(execute(program, world.windows["explain"], world.lexicon) > THRESHOLD)


def usable(unit: PlantedUnit) -> bool:
    """Whether the unit has all five levels."""
    return half_of(unit.truth_program) is not None
