"""Text to words and punctuation, from character properties alone: where each begins and ends in the text.

Words keep their contractions and hyphens (`don't`, `well-known`), numbers their separators (`3.14`, `12:30`) and
abbreviations their dots (`U.S.`). Scripts that set no spaces (Han, Hiragana, Thai, Lao, Khmer, Burmese) are cut into
characters with their marks; Katakana runs stay whole. Every other visible character is a mark or a symbol.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_UNSPACED = (
    r"\u0e01-\u0e30\u0e32-\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2-\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"
    r"\u1000-\u102a\u103f\u1050-\u1055\u105a-\u105d\u1780-\u17b3\u17d7\u17dc"
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
)
_KATAKANA = r"\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_INVISIBLE = r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_JOINERS = r"\u200c\u200d\xad"
_APOSTROPHES = "'’ʼ＇"
_HYPHENS = "\\-‐‑"
_LAST_MARK = 0x1F000
"""Combining marks above this code point: only the variation selectors of the last planes, which are added by hand."""

NOT_BORDERS = frozenset("#@%&/_*\\")
"""Punctuation that stands inside words (`#tag`, `50%`, `AT&T`): it is read as a symbol, not as a mark."""


@cache
def _pattern() -> re.Pattern[str]:
    """The pattern of one token; Python's `\\w` lacks combining marks, so that they are listed from `unicodedata`."""
    marks = _ranges([c for c in range(0x300, _LAST_MARK) if unicodedata.category(chr(c))[0] == "M"])
    marks += r"\U000e0100-\U000e01ef"
    letter = rf"(?:[^\W{_UNSPACED}{_KATAKANA}]|[{marks}{_JOINERS}])"
    other = rf"[^\w\s{_INVISIBLE}{marks}]"
    modifiers = r"[\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff]"
    return re.compile(
        "|".join(
            (
                r"\d+(?:[.,:]\d+)+(?![^\W\d])",
                rf"(?:(?<!\w)[^\W\d_{_UNSPACED}]\.){{2,}}",
                rf"[^\W{_UNSPACED}{_KATAKANA}]{letter}*(?:[{_APOSTROPHES}{_HYPHENS}][^\W{_UNSPACED}{_KATAKANA}]{letter}*)*",
                rf"[{_KATAKANA}][{_KATAKANA}{marks}]*",
                rf"[{_UNSPACED}][{marks}]*",
                r"[\U0001f1e6-\U0001f1ff]{2}",
                rf"{other}(?:{modifiers}|\u200d{other})+",
                rf"({other})\1*",
                rf"[{marks}]+",
            )
        )
    )


def _ranges(points: list[int]) -> str:
    """Code points as the inside of a character class."""
    found: list[list[int]] = []
    for point in points:
        if found and point == found[-1][1] + 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)


def words(text: str) -> list[tuple[int, int]]:
    """(start, end) of each word, mark and symbol of the text, in order; what lies between them is white or invisible.

    >>> [text[a:b] for text in ["Don't panic: it's 3.14%!"] for a, b in words(text)]
    ["Don't", 'panic', ':', "it's", '3.14', '%', '!']
    """
    return [match.span() for match in _pattern().finditer(text)]


def is_mark(word: str) -> bool:
    """Whether a token of `words` is punctuation at which a phrase breaks off (a comma, a bracket, a quote)."""
    first = word[0]
    return first not in NOT_BORDERS and unicodedata.category(first)[0] == "P"


def folded(word: str, case: bool) -> str:
    """The spelling under which occurrences are counted together: composed characters, straight apostrophes.

    With `case` also without case.
    """
    if word.isascii():
        return word.casefold() if case else word
    plain = unicodedata.normalize("NFC", word).translate(_STRAIGHT)
    return unicodedata.normalize("NFC", plain.casefold()) if case else plain


_STRAIGHT = {**{ord(c): "'" for c in _APOSTROPHES}, ord("‐"): "-", ord("‑"): "-", 0xAD: None}
