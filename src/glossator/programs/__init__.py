"""Programs: explanations that can be parsed, printed, executed on tokens, costed in bits and rendered in English."""

from glossator.programs.executor import execute, truth
from glossator.programs.language import (
    After, And, Between, Clause, Contains, Like, Not, Or, Position, Prefix, Program, Repeated, Sequence, Shape, Suffix,
    Table, Test, Token, Within, Word,
)  # fmt: skip
from glossator.programs.lexicon import Lexicon

__all__ = [
    "After", "And", "Between", "Clause", "Contains", "Lexicon", "Like", "Not", "Or", "Position", "Prefix", "Program",
    "Repeated", "Sequence", "Shape", "Suffix", "Table", "Test", "Token", "Within", "Word", "execute", "truth",
]  # fmt: skip
