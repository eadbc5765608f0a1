"""Invented neurons that show a language model what a simulation looks like; every sentence was written for this file.

A text marks the tokens on which its neuron fires: `{harbour|8}` is the token ` harbour` at level 8; all others are 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

_MARK = re.compile(r"\{([^|{}]+)\|(\d+)\}")
_TOKEN = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\w\s]")


@dataclass(frozen=True)
class Shown:
    """One neuron: what it looks for, and texts with marks."""

    explanation: str
    texts: tuple[str, ...]

    @cached_property
    def records(self) -> tuple[tuple[tuple[str, int], ...], ...]:
        """Each text as (token, level) pairs; a token is a word, a number or a sign with the space before it."""
        return tuple(_record(text) for text in self.texts)


def _record(text: str) -> tuple[tuple[str, int], ...]:
    plain, levels = "", {}
    end = 0
    for mark in _MARK.finditer(text):
        plain += text[end : mark.start()]
        levels[len(plain)] = int(mark[2])
        plain, end = plain + mark[1], mark.end()
    plain += text[end:]
    found = []
    for token in _TOKEN.finditer(plain):
        first = token.start() + token[0].startswith(" ")
        found.append((token[0], levels.get(first, 0)))
    return tuple(found)


SHOWN = (
    Shown(
        "words for water and for what floats on it",
        ("The old {boat|7} left the {harbour|10}.", "She drank {water|4} by the {lake|9}."),
    ),
    Shown(
        "the word that follows a negation such as not",
        ("He did not {wait|10} for us.", "Nobody {called|6} for no {reason|8}."),
    ),
    Shown(
        "numbers and words for amounts",
        ("In {1954|9} he had {some|2} hens.", "{Three|8} cows ate {twenty|10} apples."),
    ),
)
"""Short on purpose: every token of the simulator attends to all of this."""
