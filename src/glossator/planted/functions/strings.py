"""Functions of a text: one operation, or one after another; noise, and texts for which another rule holds.

The kinds of operations are those of FIND (Schwettmann et al. 2023); operations, sources and texts are our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from glossator.planted.functions.base import TextFunction, Variant

LETTERS = "abcdefghijklmnopqrstuvwxyz"
NOISE = 0.15
"""How often an answer has one character changed."""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
           "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty")  # fmt: skip
_COUNT = "len([c for c in x if c.lower() in '{}'])"
IN_WORDS = f"{NUMBERS!r}[min({{}}, 20)]"


@dataclass(frozen=True)
class Operation:
    """One operation: its family, an expression in x and its English."""

    family: str
    expression: str
    english: str

    @property
    def source(self) -> str:
        return f"def f(x):\n    return {self.expression}\n"


@dataclass(frozen=True)
class Spared:
    """Texts for which a function does nothing: a condition in x and its English."""

    condition: str
    english: str


EXCEPTIONS = (
    Spared("x[:1].lower() in ('a', 'e', 'i', 'o', 'u')", "texts that begin with a vowel"),
    Spared("len(x) > 7", "texts of more than 7 characters"),
    Spared("len(x) < 5", "texts of fewer than 5 characters"),
    Spared("any([c in '0123456789' for c in x])", "texts with a digit"),
    Spared("' ' in x", "texts with a space"),
    Spared("x[:1] != x[:1].lower()", "texts that begin with a capital"),
    *(Spared(f"'{c}' in x", f"texts with the letter {c}") for c in "aeiorst"),
)


@cache
def operations() -> tuple[Operation, ...]:
    """Every operation with every value of its parameters."""
    found = [
        Operation("upper case", "x.upper()", "in capitals"),
        Operation("lower case", "x.lower()", "in lower case"),
        Operation("capitalise", "x.capitalize()", "with a first capital only"),
        Operation("alternate", "''.join([c.upper() if i % 2 else c.lower() for i, c in enumerate(x)])", "like tHiS"),
        Operation("reverse", "x[::-1]", "backwards"),
        Operation("reverse words", "' '.join(x.split()[::-1])", "the words in the opposite order"),
        Operation("reverse half", "x[:len(x) // 2][::-1] + x[len(x) // 2:]", "the first half backwards"),
        Operation("drop vowels", "''.join([c for c in x if c.lower() not in 'aeiou'])", "without vowels"),
        Operation("keep vowels", "''.join([c for c in x if c.lower() in 'aeiou'])", "its vowels"),
        Operation("drop digits", "''.join([c for c in x if c not in '0123456789'])", "without digits"),
        Operation("drop spaces", "''.join([c for c in x if c != ' '])", "without spaces"),
        Operation("drop repeats", "''.join([c for i, c in enumerate(x) if c not in x[:i]])", "each character once"),
        Operation("every second", "x[::2]", "every second character"),
        Operation("first", "x[:1]", "the first character"),
        Operation("last", "x[-1:]", "the last character"),
        Operation("middle", "x[len(x) // 2:len(x) // 2 + 1]", "the middle character"),
        Operation("length", IN_WORDS.format("len(x)"), "how many characters, in words"),
        Operation("count vowels", IN_WORDS.format(_COUNT.format("aeiou")), "how many vowels, in words"),
        Operation("count digits", IN_WORDS.format(_COUNT.format("0123456789")), "how many digits, in words"),
        Operation("twice", "x + x", "twice"),
        Operation("double last", "x + x[-1:]", "with the last character doubled"),
        Operation("double first", "x[:1] + x", "with the first character doubled"),
        Operation("mirror", "x + x[::-1]", "followed by itself backwards"),
        Operation("swap ends", "x[-1:] + x[1:-1] + x[:1] if len(x) > 1 else x", "with both ends swapped"),
        Operation("rotate", "x[1:] + x[:1]", "with the first character moved to the end"),
        Operation("sort", "''.join(sorted(x))", "its characters in order"),
    ]  # fmt: skip
    for k in (2, 3, 4):
        found += [Operation("first k", f"x[:{k}]", f"the first {k} characters"),
                  Operation("last k", f"x[-{k}:]", f"the last {k} characters")]  # fmt: skip
    for k in (1, 2, 3):
        found += [Operation("drop first k", f"x[{k}:]", f"without the first {k} characters"),
                  Operation("drop last k", f"x[:-{k}]", f"without the last {k} characters")]  # fmt: skip
    for k in (1, 2, 3, 4, 5, 13):
        moved = f"{LETTERS!r}[({LETTERS!r}.index(c.lower()) + {k}) % 26]"
        shift = f"''.join([{moved} if c.lower() in {LETTERS!r} else c for c in x])"
        found.append(Operation("shift", shift, f"every letter {k} further in the alphabet"))
    for c in "aeio*":
        vowels = f"''.join(['{c}' if d.lower() in 'aeiou' else d for d in x])"
        found.append(Operation("replace vowels", vowels, f"every vowel replaced by {c}"))
    for c in LETTERS:
        found += [Operation("append", f"x + '{c}'", f"followed by {c}"),
                  Operation("prepend", f"'{c}' + x", f"after {c}"),
                  Operation("drop letter", f"x.replace('{c}', '')", f"without the letter {c}"),
                  Operation("count letter", IN_WORDS.format(f"x.count('{c}')"), f"how many {c}, in words")]  # fmt: skip
    return tuple(found)


def after(first: Operation, second: Operation) -> Operation:
    """The second operation applied to what the first gives."""
    source = second.expression
    return Operation(
        f"{first.family}, {second.family}", _with(source, first.expression), f"{first.english}, then {second.english}"
    )


def _with(expression: str, argument: str) -> str:
    return f"[{expression} for x in [{argument}]][0]"


def excepted(operation: Operation, exception: Spared) -> Operation:
    """The operation, but the text itself where the exception holds."""
    return Operation(
        operation.family,
        f"x if {exception.condition} else ({operation.expression})",
        f"{operation.english}; {exception.english} stay as they are",
    )


@cache
def compiled(expression: str) -> Callable[[str], Any]:
    """An expression in x as a function."""
    return eval(compile(f"lambda x: {expression}", "operation", "eval"))


def string_function(variant: Variant, seed: int, number: int) -> TextFunction:
    """Function `number` of a seed; a composition in which neither operation is lost on the texts of this seed."""
    rng = np.random.default_rng([seed, number, 2])
    texts = random_texts(rng, 40)
    operation = _drawn(rng)
    families = [operation.family]
    while variant == "composed":
        second = _drawn(rng)
        both = after(operation, second)
        if not any(_share_alike(both, other, texts) > 0.8 for other in operations()):
            families.append(second.family)
            operation = both
            break
        operation, families = _drawn(rng), []
        families = [operation.family]
    elsewhere: tuple[Callable[[Any], bool], str] | None = None
    if variant == "corrupted":
        exception = EXCEPTIONS[int(rng.integers(len(EXCEPTIONS)))]
        elsewhere = (compiled(exception.condition), exception.english)
        operation = excepted(operation, exception)
    return TextFunction(
        f"string-{variant}-{number}", "string", variant, operation.source, operation.english, tuple(families), seed,
        noise=NOISE if variant == "noise" else 0.0, elsewhere=elsewhere,
    )  # fmt: skip


def _drawn(rng: np.random.Generator) -> Operation:
    """One that changes texts; every family as often as every other, however many values its parameter has."""
    texts = random_texts(rng, 40)
    visible = [one for one in operations() if float(np.mean([compiled(one.expression)(t) == t for t in texts])) < 0.8]
    families = list(dict.fromkeys(one.family for one in visible))
    family = families[int(rng.integers(len(families)))]
    of_it = [one for one in visible if one.family == family]
    return of_it[int(rng.integers(len(of_it)))]


def _share_alike(one: Operation, other: Operation, texts: list[str]) -> float:
    f, g = compiled(one.expression), compiled(other.expression)
    return float(np.mean([f(text) == g(text) for text in texts]))


def random_texts(rng: np.random.Generator, count: int) -> list[str]:
    """Pronounceable texts of 3 to 12 characters, some with capitals, digits or a space."""
    texts = []
    for _ in range(count):
        text = "".join(
            str(rng.choice(list("bcdfghklmnprstvwyz" if i % 2 else "aeiou"))) for i in range(int(rng.integers(2)), 9)
        )
        text = text[: int(rng.integers(3, 9))]
        kind = int(rng.integers(6))
        if kind == 0:
            text = text.capitalize()
        elif kind == 1:
            text += str(int(rng.integers(10, 99)))
        elif kind == 2:
            text = f"{text[:3]} {text[::-1][:5]}"
        elif kind == 3:
            text = text.upper() if rng.random() < 0.3 else text + text[:2]
        texts.append(text)
    return texts


def mutants(function: TextFunction, rng: np.random.Generator) -> list[Operation]:
    """Operations that differ from a function in one operation or one parameter, in a seeded order: near misses."""
    body = function.source.split("return ", 1)[1].strip()
    last = function.parts[-1]
    same = [o for o in operations() if o.family == last and o.expression != body]
    others = [o for o in operations() if o.family != last]
    if len(function.parts) == 2:
        firsts = [o for o in operations() if o.family == function.parts[0]]
        seconds = [o for o in operations() if o.family == last]
        alone = firsts[:3] + seconds[:3]
        near = [after(a, b) for a in firsts for b in seconds][:40] + [after(a, b) for a in firsts for b in others[:25]]
        near = [*near, *alone]
    else:
        near = same + [after(o, p) for o in ([p for p in operations() if p.family == last][:2]) for p in others[:20]]
    near = [one for one in near if one.expression != body]
    return [near[i] for i in rng.permutation(len(near)).tolist()]
