"""Description length of programs over images, under the code of `programs.bits` with other literals.

A test costs the log of the number of kinds, then its arguments: a concept or a statistic of pixels, 9 bits for its name
(a dictionary of 512) and the log of the number of kinds of concepts; lists as in `programs.bits`; a share or least
value, 1 bit for whether it is there and 4 bits (steps of 1/16); a distance, universal.
"""

from __future__ import annotations

import math

from glossator.programs.base import Test
from glossator.programs.language import And, Not, Or
from glossator.programs.scene.atoms import Anywhere, Beside, Looks, Shows, Together

KINDS = 8
NAME_BITS, KIND_BITS = 9.0, math.log2(10)
OPTIONAL_BITS, LEAST_BITS = 1.0, 4.0


def scene_bits(test: Test) -> float:
    """Description length of one test in bits, without a strength."""
    return math.log2(KINDS) + _argument_bits(test)


def _argument_bits(test: Test) -> float:
    match test:
        case Shows(concepts, least):
            return _names(concepts) + OPTIONAL_BITS + (0.0 if least is None else LEAST_BITS)
        case Together(concepts):
            return _names(concepts)
        case Looks(_, least):
            return NAME_BITS + KIND_BITS + OPTIONAL_BITS + (0.0 if least is None else LEAST_BITS)
        case Not(inner) | Anywhere(inner):
            return scene_bits(inner)
        case Beside(inner, k):
            return scene_bits(inner) + universal(k)
        case And(tests) | Or(tests):
            return universal(len(tests)) + sum(map(scene_bits, tests)) - math.lgamma(len(tests) + 1) / math.log(2)
    raise TypeError(f"no code for {type(test).__name__}")


def _names(concepts: tuple[str, ...]) -> float:
    orders = math.lgamma(len(concepts) + 1) / math.log(2)
    return universal(len(concepts)) + len(concepts) * (NAME_BITS + KIND_BITS) - orders


def universal(n: int) -> float:
    return 2 * math.floor(math.log2(n)) + 1.0
