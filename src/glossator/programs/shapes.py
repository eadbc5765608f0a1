"""Spelling shapes of tokens: capitals, digits, punctuation, scripts, spaces. One function of the text per shape.

`body` is the token without one leading space, bytes that are no complete character shown as the replacement character;
`text` is the token with its leading space.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class ShapeRule:
    """english: plural words for the shape; holds(text, body): whether a token has it."""

    english: str
    holds: Callable[[str, str], bool]


@lru_cache(maxsize=8192)
def _category(character: str) -> str:
    return unicodedata.category(character)


@lru_cache(maxsize=8192)
def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def _all(body: str, classes: str) -> bool:
    return bool(body) and all(_category(c)[0] in classes and c != "\ufffd" for c in body)


def _in_script(*scripts: str) -> Callable[[str, str], bool]:
    return lambda text, body: any(not c.isascii() and _script(c) in scripts for c in body)


def _number(text: str, body: str) -> bool:
    bare = body.replace(",", "").replace(".", "")
    return bare.isdecimal() and body[0].isdecimal() and body[-1].isdecimal()


def _mixed(text: str, body: str) -> bool:
    cased = body.isalpha() and body.lower() != body.upper()
    return cased and not (body.islower() or body.isupper() or body[1:].islower())


SHAPES: dict[str, ShapeRule] = {
    "capitalised": ShapeRule(
        "capitalised words", lambda t, b: len(b) > 1 and b.isalpha() and b[0].isupper() and b[1:].islower()
    ),
    "uppercase": ShapeRule("words in capitals", lambda t, b: len(b) > 1 and b.isalpha() and b.isupper()),
    "lowercase": ShapeRule("lower-case words", lambda t, b: b.isalpha() and b.islower()),
    "mixed-case": ShapeRule("words in mixed case", _mixed),
    "letters": ShapeRule("words", lambda t, b: b.isalpha()),
    "letter-single": ShapeRule("single letters", lambda t, b: len(b) == 1 and b.isalpha()),
    "letter-capital": ShapeRule("single capital letters", lambda t, b: len(b) == 1 and b.isalpha() and b.isupper()),
    "digit": ShapeRule("digits", lambda t, b: len(b) == 1 and b.isdecimal()),
    "number": ShapeRule("numbers", _number),
    "has-digit": ShapeRule("tokens with a digit", lambda t, b: any(c.isdecimal() for c in b)),
    "letters-digits": ShapeRule(
        "letters mixed with digits",
        lambda t, b: b.isalnum() and any(c.isalpha() for c in b) and any(c.isdecimal() for c in b),
    ),
    "punctuation": ShapeRule("punctuation", lambda t, b: _all(b, "P")),
    "symbol": ShapeRule("symbols", lambda t, b: _all(b, "S")),
    "punctuation-or-symbol": ShapeRule("punctuation or symbols", lambda t, b: _all(b, "PS")),
    "has-punctuation": ShapeRule("tokens with punctuation", lambda t, b: any(_category(c)[0] in "PS" for c in b)),
    "space-start": ShapeRule("tokens after a space", lambda t, b: t[:1] == " "),
    "no-space-start": ShapeRule("tokens joined to the one before", lambda t, b: t != "" and not t[0].isspace()),
    "continues-word": ShapeRule("word continuations", lambda t, b: t[:1].isalnum()),
    "whitespace": ShapeRule("blank space", lambda t, b: t != "" and t.isspace()),
    "newline": ShapeRule("line breaks", lambda t, b: "\n" in t),
    "short": ShapeRule("words of up to 3 letters", lambda t, b: 1 <= len(b) <= 3 and b.isalpha()),
    "long": ShapeRule("words of 8 or more letters", lambda t, b: len(b) >= 8 and b.isalpha()),
    "non-ascii": ShapeRule("non-English characters", lambda t, b: not b.isascii()),
    "accented": ShapeRule("accented letters", _in_script("LATIN")),
    "cyrillic": ShapeRule("Cyrillic letters", _in_script("CYRILLIC")),
    "greek": ShapeRule("Greek letters", _in_script("GREEK")),
    "cjk": ShapeRule("Chinese, Japanese or Korean characters", _in_script("CJK", "HIRAGANA", "KATAKANA", "HANGUL")),
    "arabic": ShapeRule("Arabic letters", _in_script("ARABIC")),
    "partial-character": ShapeRule("pieces of a character", lambda t, b: "\ufffd" in b),
}
"""Shape names, their English and their rule."""

CONTEXT_SHAPES = frozenset({"continues-word"})
"""Shapes that also look at the token before: continuing a word needs a letter or digit on both sides of the border."""


def ends_word(text: str) -> bool:
    """Whether a letter or digit that follows this token directly continues the same word."""
    return text[-1:].isalnum()
