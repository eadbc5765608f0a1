"""Texts that test a program, made by executing it, without a language model.

A text that must fire is the beginning of a held-out window up to just after a position where the program fires. Its
near miss is the same text with the fewest tokens exchanged that silence the program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from glossator.inputs.tokens import TokenWindows
from glossator.programs import Lexicon, Program, execute

BEHIND = 3
"""Tokens kept behind the place that fires."""
ROUNDS = 8
"""Rounds of exchanging tokens before the text is cut off in front of the place that still fires."""
REACH = 3
"""In later rounds one of so many tokens before a firing place is exchanged too: it may fire for what precedes it."""


@dataclass(frozen=True)
class WrittenTexts:
    """active, silent: texts at which the unit must and must not fire; sources, silent_sources: the corpus document that
    each was taken from. A silent text is the near miss of the active one of the same document."""

    active: list[str]
    silent: list[str]
    sources: list[int]
    silent_sources: list[int]


def program_texts(
    program: Program, windows: TokenWindows, lexicon: Lexicon, n: int, cut: float, rng: np.random.Generator
) -> WrittenTexts:
    """Up to n texts of each sort, of as many documents as can be; the program fires where its value is above `cut`.

    Fewer where it fires in few windows; no near misses where nothing silences it.
    """
    fires = execute(program, windows, lexicon) > cut
    rows = _one_per_document(np.flatnonzero(fires.any(axis=1)), windows.documents, n, rng)
    first = fires[rows].argmax(axis=1)
    lengths = np.minimum(first + 1 + BEHIND, windows.lengths[rows]).astype(np.int32)
    active = _cut(windows.take(rows), lengths)
    silent = _silenced(program, active, lexicon, cut, windows.tokens[windows.valid & ~fires], rng)
    return WrittenTexts(
        [active.text(i) for i in range(len(active))],
        [silent.text(i) for i in range(len(silent))],
        active.documents.tolist(),
        silent.documents.tolist(),
    )


def _silenced(
    program: Program, texts: TokenWindows, lexicon: Lexicon, cut: float, pool: np.ndarray, rng: np.random.Generator
) -> TokenWindows:
    """The texts with tokens exchanged for others of the pool until the program fires nowhere; those that cannot be
    silenced are left out."""
    tokens = texts.tokens.copy()
    for attempt in range(ROUNDS if len(pool) else 0):
        rows, places = np.nonzero(execute(program, replace(texts, tokens=tokens), lexicon) > cut)
        if not len(rows):
            break
        if attempt % 2:  # what fires may depend on what stands before it
            places = np.maximum(places - rng.integers(1, REACH + 1, len(places)), 0)
        tokens[rows, places] = rng.choice(pool, len(rows))
    texts = replace(texts, tokens=tokens)
    fires = execute(program, texts, lexicon) > cut
    ends = np.where(fires.any(axis=1), fires.argmax(axis=1), texts.lengths).astype(np.int32)
    return _cut(texts, ends).take(np.flatnonzero(ends > 0))


def _cut(windows: TokenWindows, lengths: np.ndarray) -> TokenWindows:
    """The same windows, cut to these lengths."""
    valid = windows.valid & (np.arange(windows.width) < lengths[:, None])
    return replace(windows, lengths=lengths, valid=valid)


def _one_per_document(rows: np.ndarray, documents: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n rows by chance, of different documents as far as there are."""
    shuffled = rng.permutation(rows)
    first_of = np.unique(documents[shuffled], return_index=True)[1] if len(shuffled) else np.empty(0, int)
    rest = np.setdiff1d(np.arange(len(shuffled)), first_of)
    return shuffled[np.concatenate([rng.permutation(first_of), rest])[:n].astype(int)]
