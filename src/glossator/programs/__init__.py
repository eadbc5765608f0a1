"""Programs: explanations that can be parsed, printed, executed on tokens, costed in bits and rendered in English."""

from glossator.programs.bits import bits
from glossator.programs.english import english, english_length
from glossator.programs.executor import execute, truth
from glossator.programs.language import (
    After,
    Agrees,
    And,
    Between,
    Clause,
    Contains,
    Count,
    Induction,
    Like,
    Not,
    Or,
    Position,
    Prefix,
    Program,
    Repeated,
    Same,
    Sequence,
    Shape,
    Share,
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
    "After", "Agrees", "And", "Between", "Clause", "Contains", "Count", "Induction", "Lexicon", "Like", "Not", "Or",
    "Position", "Prefix", "Program", "Repeated", "Same", "Sequence", "Shape", "Share", "Spelled", "Suffix", "Table",
    "Test", "Token", "Within", "Word", "bits", "english", "english_length", "execute", "parse_program", "quantise",
    "truth",
]  # fmt: skip
