"""The scale of whole numbers from 0 to 10 on which language models see and predict activations.

Bills et al. 2023: a record's activations are divided by the largest one shown and rounded down, so that nothing below
the largest is a 10 and everything below a tenth of it is a 0. A record is one token per line, with its level after a
tab, between two marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

GREATEST = 10
START, END = "<start>", "<end>"
UNKNOWN = "unknown"
"""Stands in a record for a level that is yet to be told."""

Record: TypeAlias = tuple[Sequence[str], Sequence[float] | np.ndarray]
"""The texts of a run of tokens and the activation at each."""

_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def largest(activations: Iterable[Sequence[float] | np.ndarray] | np.ndarray) -> float:
    """The greatest of max(a, 0) over all arrays; 0 where nothing is active. What is not finite does not count."""
    best = 0.0
    for values in activations:
        row = np.asarray(values, np.float64).ravel()
        best = max(best, float(row[np.isfinite(row)].max(initial=0.0)))
    return best


def zero_to_ten(activations: Sequence[float] | np.ndarray, largest: float) -> np.ndarray:
    """min(10, floor(10 max(a, 0) / largest)) int64, of any shape; all 0 where `largest` is not above 0.

    In double precision and in this order, as published: 10 x / x may round to below 10, and the largest be a 9. NaN is
    a 0; what is infinite, where the published code ends in an error, is a 10.
    """
    values = np.maximum(np.nan_to_num(np.asarray(activations, np.float64), nan=0.0, posinf=np.inf), 0.0)
    if not largest > 0:
        return np.zeros(values.shape, np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        tenths = np.floor(GREATEST * values / largest)
    return np.where(tenths < GREATEST, tenths, GREATEST).astype(np.int64)


def non_zero_share(records: Iterable[Record], largest: float) -> float:
    """The share of all tokens of the records whose level is not 0; 0 for no tokens."""
    levels = [zero_to_ten(activations, largest) for _, activations in records]
    tokens = sum(len(row) for row in levels)
    return sum(int(np.count_nonzero(row)) for row in levels) / tokens if tokens else 0.0


def format_records(
    records: Sequence[Record],
    largest: float,
    *,
    omit_zeros: bool = False,
    shown_from: Sequence[int] | None = None,
) -> str:
    """The records as text, one token per line, to the byte as the published code writes them.

    omit_zeros: leave out tokens whose level is 0; shown_from: for each record the first token whose level is told,
    those before it are `unknown`. A record without a token is one empty line, and so is a list without a record.
    Tokens are written as they are given: see `escaped`. Raises ValueError when zeros are to be left out of a record
    with hidden levels.
    """
    starts = [0] * len(records) if shown_from is None else list(shown_from)
    if omit_zeros and any(starts):
        raise ValueError("a record with hidden levels cannot leave out its zeros")
    blocks = []
    for (tokens, activations), start in zip(records, starts, strict=True):
        levels = zero_to_ten(activations, largest)
        lines = [
            f"{token}\t{UNKNOWN if place < start else level}"
            for place, (token, level) in enumerate(zip(tokens, levels.tolist(), strict=True))
            if level or not omit_zeros
        ]
        blocks.append("\n".join(lines))
    return f"\n{START}\n" + f"\n{END}\n{START}\n".join(blocks) + f"\n{END}\n"


def snipped(record: Record, length: int) -> Record:
    """At most `length` tokens of a record: those around its largest activation, which has `length // 2` tokens before
    it (as in the code of semantic regexes, arXiv 2510.06378), or as many as there are near an end of the record."""
    tokens, activations = record
    values = np.nan_to_num(np.asarray(activations, np.float64), nan=-np.inf)
    start = 0 if len(values) <= length else int(values.argmax()) - length // 2
    start = max(0, min(start, len(values) - length))
    return tokens[start : start + length], activations[start : start + length]


def escaped(text: str) -> str:
    """A token without line breaks and tabs: these, and what cannot be printed, are escaped.

    Spaces stay spaces. Bytes that are no complete character come from `Vocabulary.texts`, already as \\xNN.
    """
    if text.isprintable():
        return text
    return "".join(_ESCAPES.get(c) or (c if c.isprintable() else _code(c)) for c in text)


def _code(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
