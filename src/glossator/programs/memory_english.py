"""How tests with memory read after a noun: "in parentheses", "in the first 4 places of the line"."""

from __future__ import annotations

from collections.abc import Callable

from glossator.programs.atoms import Contains, Shape, Word
from glossator.programs.base import Test
from glossator.programs.language import After
from glossator.programs.memory import ASPECTS, Agrees, Between, Count, Induction, Position, Same, Share

ENCLOSED = {
    ("(", ")"): "in parentheses", ("[", "]"): "in square brackets", ("{", "}"): "in braces", ("<", ">"): "in tags",
    ('"', '"'): "in quotation marks", ("“", "”"): "in quotation marks", ("«", "»"): "in quotation marks",
    ("`", "`"): "in backticks", ("```", "```"): "in code blocks", ("/*", "*/"): "in comments",
}  # fmt: skip
STRETCHES: dict[Test, str] = {Shape("newline"): "the line", Word("ends of sentence"): "the sentence"}

OCCURRENCE, OCCURRENCES = " occurrence of", " occurrences of"

Noun = Callable[[Test], str]
_FEW = {2: "two", 3: "three", 4: "four"}


def following(test: After, noun: Noun) -> str:
    """ "after a number", "two places after a number"; noun: how a test reads as a plural noun."""
    back, before = 1, test.test
    while isinstance(before, After):
        back, before = back + 1, before.test
    return f"after {noun(before)}" if back == 1 else f"{_FEW.get(back, back)} places after {noun(before)}"


def remembered(test: Test, noun: Noun) -> str | None:
    """What can follow a noun for a test with memory, None for any other; noun: how a test reads as a plural noun."""
    match test:
        case Between(opening, closing, depth):
            return _between(opening, closing, noun) + ("" if depth is None else f" at least {depth} deep")
        case Position(0, None, _):
            return "anywhere"
        case Position(low, high, since):
            return _places(low, high) + _stretch(since, " of ", noun)
        case Count(counted, low, high, since):
            return f"{_number(low, high)} {noun(counted)}{_stretch(since, ' in ', noun)}"
        case Share(counted, least):
            return f"in text with at least {100 * least:.2g} % {noun(counted)}"
        case Same(aspect, low, high):
            return f"with the same {ASPECTS[aspect]} as {_distance(low, high)}"
        case Agrees(aspect, other):
            return f"with the same {ASPECTS[aspect]} as the last of {noun(other)}"
        case Induction(n):
            return f"that follow the {'token' if n == 1 else f'{n} tokens'} before as they did last time"
    return None


def _between(opening: Test, closing: Test, noun: Noun) -> str:
    if isinstance(opening, Contains) and isinstance(closing, Contains):
        known = ENCLOSED.get((opening.text, closing.text))
        if known is not None:
            return known
    if closing in STRETCHES:
        return f"after {noun(opening)} in {STRETCHES[closing]}"
    return f"between {noun(opening)} and {noun(closing)}"


def _places(low: int, high: int | None) -> str:
    if high is None:
        return f"from place {low + 1} on"
    if low == 0:
        return "in first place" if high == 0 else f"in the first {high + 1} places"
    return f"in place {low + 1}" if low == high else f"in places {low + 1}–{high + 1}"


def _number(low: int, high: int | None) -> str:
    if high == 0:
        return "before any"
    if high is None:
        return "after" if low <= 1 else f"after {low} or more" + OCCURRENCES
    if low == high:
        return "after one" + OCCURRENCE if low == 1 else f"after {low}" + OCCURRENCES
    if low == 0:
        return f"after at most {high}" + (OCCURRENCE if high == 1 else OCCURRENCES)
    return f"after {low} {'or' if high == low + 1 else 'to'} {high}" + OCCURRENCES


def _stretch(since: Test | None, joint: str, noun: Noun) -> str:
    if since is None:
        return ""
    return f"{joint}{STRETCHES[since]}" if since in STRETCHES else f" since the last of {noun(since)}"


def _distance(low: int, high: int | None) -> str:
    if high is None:
        return "an earlier token" if low == 1 else f"a token {low} or more back"
    if low == high:
        return "the token before" if low == 1 else f"the token {low} back"
    return f"one of the {high} tokens before" if low == 1 else f"a token {low}–{high} back"
