"""Building blocks of planted units' functions: plain questions about token texts."""

from __future__ import annotations

from glossator.planted.units import Kind, PlantedUnit, Rule
from glossator.programs import parse_program

VAGUE: dict[Kind, str] = {
    "token": "common words",
    "context": "words in certain contexts",
    "conjunction": "words in certain phrases",
    "disjunction": "various words and symbols",
    "rare": "uncommon expressions",
    "negated": "most text",
    "positional": "parts of a passage",
    "repetition": "recurring text",
    "character": "certain spellings",
}
"""An explanation of each kind that fits the units and much else."""

MONTHS = (
    *(" January", " February", " March", " April", " May", " June"),
    *(" July", " August", " September", " October", " November", " December"),
)
COUNTS = (" one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")
COLOURS = (" red", " blue", " green", " yellow", " black", " white", " brown", " purple", " pink")
FAMILY = (" mother", " father", " son", " daughter", " brother", " sister", " wife", " husband")
STOPS = (".", "!", "?")
SOURCES = (" of", " in", " to", " on", " at", " for", " with", " from", " by")


def body(token: str) -> str:
    return token[1:] if token.startswith(" ") else token


def before(tokens: list[str], i: int, back: int = 1) -> str:
    """The token `back` places earlier, or text that equals no token and has no letters before the window."""
    return tokens[i - back] if i >= back else "\0"


def capitalised(token: str) -> bool:
    text = body(token)
    return len(text) >= 2 and text.isalpha() and text[0].isupper() and text[1:].islower()


def long(token: str) -> bool:
    return len(body(token)) >= 8 and body(token).isalpha()


def has_digit(token: str) -> bool:
    return any(c.isdecimal() for c in token)


def inside_parentheses(tokens: list[str], i: int) -> bool:
    open_now = False
    for token in tokens[: i + 1]:
        was_open = open_now
        opens, closes = "(" in token, ")" in token
        open_now = not was_open if opens and closes else opens or (was_open and not closes)
    return was_open and ")" not in tokens[i]


def inside_quotes(tokens: list[str], i: int) -> bool:
    marks = sum('"' in token for token in tokens[:i])
    return marks % 2 == 1 and '"' not in tokens[i]


def listed(tokens: tuple[str, ...]) -> str:
    return ", ".join(f'"{token}"' for token in tokens)


def unit(kind: Kind, name: str, rule: Rule, program: str, description: str, partial: str = "") -> PlantedUnit:
    return PlantedUnit(name, kind, rule, parse_program(program), description, partial, VAGUE[kind])
