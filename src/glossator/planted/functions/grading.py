"""Grading an answer to "what does this function do?": its code is run on inputs that nobody asked about.

The code runs wherever `Run` runs it, such as a sandbox; it fails on an input where that gives None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.planted.functions import numeric, strings
from glossator.planted.functions.base import TextFunction
from glossator.planted.functions.relations import relations

Run = Callable[[str, Sequence[Any]], list[Any]]
"""(source that defines f(x), inputs) -> one output each, None where it failed."""
GOOD = 0.1
"""Largest normalised squared error of a solved function of numbers, as in FIND."""
TEXTS, TRIPLETS = 20, 10


@dataclass(frozen=True)
class Grade:
    """solved: both where the main rule holds and where another does; main, elsewhere: normalised squared
    error (numbers) or share of exact answers (texts and words), None where there is nothing to grade; triplets:
    share of near misses told from the function's own output."""

    solved: bool
    main: float | None
    elsewhere: float | None = None
    triplets: float | None = None


def grade(function: TextFunction, source: str | None, run: Run, *, seed: int) -> Grade:
    """Grade code on a held-out grid (numbers), unseen texts, or all words that a relation knows."""
    inputs = held_out(function, seed)
    truth = [function.exact(x) for x in inputs]
    given = run(source, inputs) if source is not None else [None] * len(inputs)
    other = np.array([function.corrupted(x) for x in inputs], bool)
    of_numbers = function.family == "numeric"
    measure = _error if of_numbers else _exact
    main = measure(truth, given, ~other)
    elsewhere = measure(truth, given, other)
    limit = (lambda v: v is None or v < GOOD) if of_numbers else (lambda v: v is None or v == 1.0)
    told = _triplets(function, source, run, seed) if function.family == "string" else None
    return Grade(main is not None and limit(main) and limit(elsewhere), main, elsewhere, told)


def held_out(function: TextFunction, seed: int) -> list[Any]:
    """Inputs on which a function is graded; texts for which another rule holds are about half where there are such."""
    if function.family == "numeric":
        return list(numeric.GRID)
    if function.family == "relation":
        return sorted(next(r for r in relations() if r.name == function.parts[0]).pairs)
    rng = np.random.default_rng([seed, function.seed, 7, *function.name.encode()])
    texts = strings.random_texts(rng, TEXTS * 10)
    within = [text for text in texts if function.corrupted(text)][: TEXTS // 2]
    return [text for text in texts if not function.corrupted(text)][: TEXTS - len(within)] + within


def _error(truth: Sequence[Any], given: Sequence[Any], chosen: np.ndarray) -> float | None:
    """Squared error over squared truth; infinite where an answer is no finite number, None for no places."""
    if not chosen.any():
        return None
    expected = np.array(truth, np.float64)[chosen]
    found = np.array([v if isinstance(v, (int, float)) else np.nan for v in given], np.float64)[chosen]
    if not np.isfinite(found).all():
        return float("inf")
    scale = float((expected**2).sum())
    return float(((expected - found) ** 2).sum() / scale) if scale else float((found**2).sum() > 0)


def _exact(truth: Sequence[Any], given: Sequence[Any], chosen: np.ndarray) -> float | None:
    hits = [a == b for a, b, use in zip(truth, given, chosen.tolist(), strict=True) if use]
    return float(np.mean(hits)) if hits else None


def triplets(function: TextFunction, seed: int) -> list[tuple[str, list[str], int]]:
    """(text, three outputs, which is the function's): the others are of near misses that differ on this text."""
    rng = np.random.default_rng([seed, function.seed, 8, *function.name.encode()])
    near = [strings.compiled(mutant.expression) for mutant in strings.mutants(function, rng)]
    found: list[tuple[str, list[str], int]] = []
    for text in strings.random_texts(rng, 4 * TRIPLETS):
        own = function.exact(text)
        wrong = list(dict.fromkeys(out for f in near if (out := f(text)) != own))[:2]
        if len(wrong) == 2 and len(found) < TRIPLETS:
            place = int(rng.integers(3))
            found.append((text, [*wrong[:place], own, *wrong[place:]], place))
    return found


def _triplets(function: TextFunction, source: str | None, run: Run, seed: int) -> float | None:
    """Chance is one third, which is also what code gets that gives none of the three outputs."""
    asked = triplets(function, seed)
    if not asked:
        return None
    given = run(source, [text for text, *_ in asked]) if source is not None else [None] * len(asked)
    return float(np.mean([
        float(out == options[place]) if out in options else 1 / 3
        for out, (_, options, place) in zip(given, asked, strict=True)
    ]))  # fmt: skip
