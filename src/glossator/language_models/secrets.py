"""Redacting keys that servers echo, however spelled: plain, escaped for JSON, URLs or HTML, or in part."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote, quote_plus

from glossator.language_models.request import Answer, TokenLogprob

BLOT = "[key]"
WHOLE, PART = 6, 12
"""Keys of fewer characters are no secrets; so many characters of a longer one in a row are never printed."""


class Secret:
    """An API key, or None."""

    def __init__(self, key: str | None):
        self.spellings = sorted(_spellings(key), key=len, reverse=True) if key and len(key) >= WHOLE else []

    def hide(self, text: str) -> str:
        """The text without the key and without long parts of it."""
        for spelling in self.spellings:
            text = text.replace(spelling, BLOT)
        for spelling in self.spellings:
            text = _without_parts(text, spelling)
        return text

    def hide_in(self, answer: Answer) -> Answer:
        """The same of an answer; tokens that together spell the key are dropped."""
        if not self.spellings:
            return answer
        return replace(
            answer,
            text=self.hide(answer.text),
            failure=None if answer.failure is None else self.hide(answer.failure),
            tokens=self._whole(answer.tokens),
            prompt_tokens=self._whole(answer.prompt_tokens),
        )

    def _whole(self, tokens: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
        texts = "".join(token.text for token in tokens)
        others = "\n".join(other for token in tokens for other in token.top)
        return tokens if self.hide(texts) == texts and self.hide(others) == others else ()


def _spellings(key: str) -> Iterable[str]:
    escaped = json.dumps(key)[1:-1]
    encoded = base64.b64encode(key.encode()).decode().rstrip("=")
    every = "".join(f"\\u{ord(c):04x}" for c in key)
    percent = "".join(f"%{ord(c):02X}" for c in key)
    return {key, escaped, escaped.replace("/", "\\/"), quote(key), quote(key, safe=""), quote_plus(key),
            html.escape(key), encoded, every, percent, percent.lower(), json.dumps(escaped)[1:-1]}  # fmt: skip


def _without_parts(text: str, key: str) -> str:
    """Without any `PART` characters of the key in a row. Every such stretch holds one of the key's blocks whole."""
    if len(key) < PART:
        return text
    half = PART // 2
    for start in range(0, len(key) - half + 1, half):
        block, at = key[start : start + half], 0
        while (at := text.find(block, at)) >= 0:
            first, before = at, start
            while first > 0 and before > 0 and text[first - 1] == key[before - 1]:
                first, before = first - 1, before - 1
            last, after = at + half, start + half
            while last < len(text) and after < len(key) and text[last] == key[after]:
                last, after = last + 1, after + 1
            found = text[first:last]
            if len(found) >= PART and not found.isalpha():  # a word is no secret
                text, at = text[:first] + BLOT + text[last:], first + len(BLOT)
            else:
                at += 1
    return text
