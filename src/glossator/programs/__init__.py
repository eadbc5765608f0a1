"""Programs: explanations that can be parsed, printed, executed on tokens, costed in bits and rendered in English."""

from glossator.programs.bits import bits
from glossator.programs.english import english, english_length
from glossator.programs.executor import execute, truth
from glossator.programs.language import (
    After,
    And,
    Between,
    Clause,
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
)  # fmt: skip
from glossator.programs.lexicon import Lexicon
from glossator.programs.parser import parse_program
from glossator.programs.quantise import quantise

__all__ = [
    "After", "And", "Between", "Clause", "Contains", "Lexicon", "Like", "Not", "Or", "Position", "Prefix", "Program",
    "Repeated", "Sequence", "Shape", "Spelled", "Suffix", "Table", "Test", "Token", "Within", "Word", "bits", "english",
    "english_length", "execute", "parse_program", "quantise", "truth",
]  # fmt: skip
