"""Functions of numbers, texts and words with a known definition, in the manner of FIND, and how answers are graded."""

from __future__ import annotations

from glossator.planted.functions.base import FAMILIES, VARIANTS, Asked, TextFunction
from glossator.planted.functions.grading import Grade, Run, grade, held_out, triplets
from glossator.planted.functions.numeric import numeric_function
from glossator.planted.functions.relations import relation_function
from glossator.planted.functions.strings import string_function

__all__ = ["FAMILIES", "VARIANTS", "Asked", "Grade", "Run", "TextFunction", "grade", "held_out", "text_functions",
           "triplets"]  # fmt: skip
_MAKERS = {"numeric": numeric_function, "string": string_function, "relation": relation_function}


def text_functions(each: int, seed: int) -> list[TextFunction]:
    """`each` functions of every family and variant; another seed gives others."""
    return [
        _MAKERS[family](variant, seed, number)  # type: ignore[arg-type]
        for family in FAMILIES
        for variant in VARIANTS
        for number in range(each)
    ]
