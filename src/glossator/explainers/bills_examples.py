"""Worked examples for the explainer's prompt: invented units, each with two short records.

They cover meaning, the previous token, and spelling with graded activations; one is so sparse that its prompt needs the
repetition without zeros. Levels are those displayed.
"""

from __future__ import annotations

from dataclasses import dataclass

from glossator.zero_to_ten import Record


@dataclass(frozen=True)
class Example:
    """An invented unit and what is to be said of it."""

    explanation: str
    records: tuple[Record, ...]


def _record(*tokens: str | tuple[str, int]) -> Record:
    """Tokens with their level; a bare one is at 0."""
    pairs = [(token, 0) if isinstance(token, str) else token for token in tokens]
    return [token for token, _ in pairs], [level for _, level in pairs]


EXAMPLES = (
    Example(
        "words that say how hot or cold something is",
        (
            _record(
                "S", "oup", " should", " be", " served", (" hot", 10), ",", " never", (" luke", 6), ("warm", 9), ";",
                " a", (" chilled", 7), " bowl", " ruins", " it", ".",
            ),
            _record(
                "The", " kettle", " was", " still", (" warm", 8), " when", " the", (" fro", 4), ("st", 7), " came",
                " back", " overnight", ".",
            ),
        ),
    ),
    Example(
        "a verb that directly follows “to”",
        (
            _record(
                "She", " drove", " to", " Lyon", " to", (" visit", 9), " her", " aunt", " and", " forgot", " to",
                (" lock", 10), " the", " gate", ".",
            ),
            _record("\\n", "Un", "able", " to", (" sleep", 8), ",", " he", " went", " to", " the", " window", "."),
        ),
    ),
    Example(
        "the digits of a year, most at its last digit",
        (
            _record(
                "Found", "ed", " in", " ", ("1", 3), ("8", 5), ("9", 8), ("1", 10), ",", " the", " mill", " closed",
                " in", " ", ("1", 2), ("9", 5), ("7", 7), ("4", 9), " with", " ", "6", "2", " workers", ".",
            ),
            _record(
                "©", " ", ("2", 2), ("0", 5), ("1", 7), ("6", 9), " the", " authors", " (", "p", ".", " ", "4", "4", ")"
            ),
        ),
    ),
)  # fmt: skip
