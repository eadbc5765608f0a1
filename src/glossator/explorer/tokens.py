"""Tokens made visible: what would move the cursor, hide or turn text around is shown as a sign that stands for it."""

from __future__ import annotations

import unicodedata

SIGNS = {"\n": "↵", "\r": "␍", "\t": "⇥", "\u00a0": "⍽"}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories with no picture of their own: controls, marks that turn text, halves of pairs, unassigned."""


def visible(text: str) -> str:
    """The token as one line of printable characters; spaces stay spaces, an empty token is ∅."""
    if text.isascii() and text.isprintable() and text:
        return text
    return "".join(_sign(character) for character in text) or "∅"


def _sign(character: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    if unicodedata.category(character) in _HIDDEN:
        return f"⟨{ord(character):X}⟩"
    return character
