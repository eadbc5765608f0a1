"""Units with a known answer: exact functions over tokens, each with the program and sentence that express it.

Activations come from a plain Python function over the texts of the tokens at and before a position, never from the
program executor. So an explanation that scores well has found the function, and a benchmark on these units is not
circular. They are defined on any byte-level vocabulary; the words they use are single tokens with a leading space in
common ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from glossator.inputs.tokens import TokenWindows, Vocabulary
from glossator.programs import Program

Kind = Literal[
    "token", "context", "conjunction", "disjunction", "rare", "negated", "positional", "repetition", "character"
]
KINDS: tuple[str, ...] = get_args(Kind)

Rule = Callable[[list[str], int], float]
"""(texts of a window's tokens, place) -> activation; it reads nothing after the place."""


@dataclass(frozen=True)
class PlantedUnit:
    """One function and what a right, a partial, a vague and a wrong explanation of it would say.

    rule: the function; truth_program: a program that equals it; description: the right sentence; partial: names a part
    of it (one of two concepts, the token without its context); vague: fits it and much else; wrong: fits another unit.
    """

    name: str
    kind: Kind
    rule: Rule
    truth_program: Program
    description: str
    partial: str = ""
    vague: str = ""
    wrong: str = ""

    def activations(self, windows: TokenWindows) -> np.ndarray:
        """(n, width) float32, at least 0; 0 where the windows are not valid."""
        return activations_of(self.rule, windows)


def activations_of(rule: Rule, windows: TokenWindows) -> np.ndarray:
    """(n, width) float32 values of a rule, at least 0; 0 where the windows are not valid."""
    texts = decoded(windows.vocabulary)
    values = np.zeros(windows.tokens.shape, dtype=np.float32)
    for row, (tokens, length) in enumerate(zip(windows.tokens.tolist(), windows.lengths.tolist(), strict=True)):
        words = [texts[t] for t in tokens[:length]]
        values[row, :length] = [rule(words, i) for i in range(length)]
    values[~windows.valid] = 0.0
    return values


@lru_cache(maxsize=4)
def decoded(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Token texts; bytes that are no whole character become lone surrogates, so that different bytes stay different."""
    return tuple(piece.decode("utf-8", "surrogateescape") for piece in vocabulary.pieces)
