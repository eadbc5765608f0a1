"""Escaping text that a terminal would execute, since texts of servers, studies and files reach the screen.

Escape sequences move the cursor, change titles and clipboards, and hide text; marks of direction show it in another
order. They are neutralised where text is printed: `glossator.cli.printing` for stdout, `neutral_streams` for stderr.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_OBEYED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\u2028\u2029\ud800-\udfff]")
_IN_JSON = re.compile(f"[\x7f-\x9f{_BIDI}\u2028\u2029\ud800-\udfff]")


def neutral(text: str, keep: str = "") -> str:
    """The text with each control character of a terminal replaced by one sign; line breaks and tabs stay.

    Controls (C0, C1, DEL), marks of direction, separators of lines and unpaired surrogates.
    """
    if text.isascii() and text.isprintable():
        return text
    return _OBEYED.sub(lambda found: found[0] if found[0] in keep else _sign(found[0]), text)


def _sign(character: str) -> str:
    number = ord(character)
    return chr(0x2400 + number) if number < 0x20 else "␡" if number == 0x7F else "�"


def neutral_json(text: str) -> str:
    """JSON with the same characters escaped, which does not change its meaning; JSON itself escapes C0."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class NeutralStream:
    """A stream that writes neutral text; a carriage return stays, which progress bars need."""

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(neutral(text, keep="\r"))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def neutral_streams() -> Iterator[None]:
    """A context in which stderr is neutral and both streams can be written to, whatever their encoding, even if
    closed."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in before)  # noqa: SIM115 - nothing to lose
    undo: list[Any] = [(s, s.errors) for s in (sys.stdout, sys.stderr) if _writes_other_than_unicode(s)]
    for stream, _ in undo:
        stream.reconfigure(errors=PLAIN)
    sys.stderr = NeutralStream(sys.stderr)
    try:
        yield
    finally:
        for stream, errors in undo:
            with contextlib.suppress(ValueError):  # closed meanwhile
                stream.reconfigure(errors=errors)
        sys.stdout, sys.stderr = before


def is_unicode(stream: Any) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("_", "-").startswith("utf")


def _writes_other_than_unicode(stream: Any) -> bool:
    return hasattr(stream, "reconfigure") and not is_unicode(stream)


PLAIN = "glossator-plain"
_PLAIN = str.maketrans(
    {"–": "-", "−": "-", "…": "...", "“": '"', "”": '"', "‘": "'", "’": "'", "≤": "<=", "≥": ">=", "±": "+-", "·": "."}
    | {"×": "x", "→": "->", "↵": "\\n", "⇥": "\\t", "⟨": "<", "⟩": ">", "∅": "''", "\u00a0": " "}
    | dict.fromkeys("─━═", "-")
)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that an encoding lacks: signs of its own for those that tables use, else `\\u2603`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(c if c.isascii() else c.encode("ascii", "backslashreplace").decode() for c in text), error.end


codecs.register_error(PLAIN, _plainly)


SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥", "\u00a0": "⍽"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories with no picture of their own: controls, marks that turn text, halves of pairs, unassigned."""


def visible(text: str) -> str:
    """The token as one line of printable characters; spaces stay spaces, an empty token is ∅."""
    if text.isascii() and text.isprintable() and text:
        return text
    return "".join(_picture(character) for character in text) or "∅"


def _picture(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    if unicodedata.category(character) in _HIDDEN:
        return f"⟨{ord(character):X}⟩"
    return character
