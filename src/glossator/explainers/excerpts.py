"""Peaks in context: the words at which a unit is strongest, with a few tokens around each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glossator.evidence import Exemplars
from glossator.inputs.tokens import CLOSE, OPEN, TokenWindows

BEFORE, AFTER = 10, 3
"""Tokens of context around a peak."""
ALIKE = 2
"""Of the peaks that are shown together, no more have the same word, as long as there are others."""


@dataclass(frozen=True)
class Excerpt:
    """The word at one place of a window, and its context, plain and with the word marked."""

    word: str
    context: str
    marked: str


def excerpt(windows: TokenWindows, row: int, place: int) -> Excerpt:
    """The written word around a place and so many tokens on either side."""
    pieces = windows.vocabulary.pieces
    length = int(windows.lengths[row])
    tokens = windows.tokens[row, :length].tolist()
    first, last = windows.word_at(row, place)
    start, end = max(first - BEFORE, 0), min(last + AFTER, length)
    parts = [_text(tokens[a:b], pieces) for a, b in ((start, first), (first, last), (last, end))]
    word = parts[1].strip() or repr(parts[1])
    return Excerpt(word, "".join(parts), f"{parts[0]}{OPEN}{parts[1]}{CLOSE}{parts[2]}")


def strongest(exemplars: Exemplars, count: int, of: np.ndarray | None = None) -> list[Excerpt]:
    """The strongest place of each of up to `count` windows, the strongest window first; of (n, width) bool: places that
    are looked at, None for all."""
    windows = exemplars.windows
    looked_at = windows.valid if of is None else windows.valid & of
    values = np.where(looked_at, exemplars.activations, -np.inf)
    maxima = values.max(axis=1, initial=-np.inf)
    order = [int(row) for row in np.argsort(-maxima, kind="stable") if maxima[row] > 0]
    seen: Counter[str] = Counter()
    chosen: list[Excerpt] = []
    others: list[Excerpt] = []
    for row in order:
        if len(chosen) == count:
            break
        found = excerpt(windows, row, int(values[row].argmax()))
        seen[found.word.casefold()] += 1
        (chosen if seen[found.word.casefold()] <= ALIKE else others).append(found)
    return [*chosen, *others[: count - len(chosen)]]


def _text(tokens: Sequence[int], pieces: Sequence[bytes]) -> str:
    return b"".join(pieces[token] for token in tokens).decode("utf-8", "replace")
