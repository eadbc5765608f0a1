"""The shelf: every class that a headline can name, with its members in one vocabulary, made once for all units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from glossator.headlines.classes import VAGUE, Named, nameable, standing
from glossator.programs.bank import Bank
from glossator.programs.language import is_local


@dataclass(frozen=True, eq=False)
class Shelf:
    """classes (F,) with truth (F, k) sparse over the types of a bank; words: those that types are spellings of, in any
    case; word_of (k,): which of them each type is, the number of words for none."""

    bank: Bank
    classes: tuple[Named, ...]
    truth: sparse.csr_matrix
    words: tuple[str, ...]
    word_of: np.ndarray

    @classmethod
    def of(cls, bank: Bank) -> Shelf:
        lexicon, types = bank.lexicon, bank.types
        classes: list[Named] = []
        rows: list[np.ndarray] = []
        for named in nameable():
            if is_local(named.test):
                members = np.flatnonzero(lexicon.truths(named.test)[types])
                if 2 <= len(members) < len(types):
                    classes.append(named)
                    rows.append(members)
        ends = np.cumsum([0, *map(len, rows)])
        held = np.concatenate([np.zeros(0, np.int64), *rows])  # a small vocabulary may have no class that has a name
        truth = sparse.csr_matrix((np.ones(len(held), np.float32), held, ends), shape=(len(rows), len(types)))
        numbers: dict[str, int] = {}
        word_of = [
            numbers.setdefault(text, len(numbers)) if _sayable(text := lexicon.lowered[row]) else -1 for row in types
        ]
        found = np.array(word_of)
        found[found < 0] = len(numbers)
        return cls(bank, tuple(classes), truth, tuple(numbers), found)

    @cached_property
    def standing(self) -> tuple[Named, ...]:
        """Classes by what stands before."""
        return tuple(standing())

    @cached_property
    def clear(self) -> np.ndarray:
        """(F,) how clear each name is."""
        return np.array([named.clear for named in self.classes], np.float32)

    @cached_property
    def covering(self) -> np.ndarray:
        """Classes that say what a list of words has in common."""
        return np.flatnonzero([named.covers and named.clear > VAGUE for named in self.classes])


def _sayable(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and "\ufffd" not in text
