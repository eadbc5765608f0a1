"""What stands in windows, and where tests hold there: nothing of it depends on a unit.

Units of a recording are mostly searched on the same windows, so the reading of the last windows is kept, with the
truths of the tests that were asked for last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property, reduce
from hashlib import sha256
from typing import TypeVar, cast

import numpy as np
from scipy import sparse

from glossator.inputs.tokens import TokenWindows
from glossator.programs import states
from glossator.programs.bank import FLOORS, Bank
from glossator.programs.executor import in_range, keys_of, truth_at
from glossator.programs.language import (
    After,
    Agrees,
    And,
    Between,
    Count,
    Like,
    Position,
    Same,
    Sequence,
    Test,
    Token,
    Within,
    is_local,
)

REACH = 8
"""How many tokens back the search looks."""
Made = TypeVar("Made")
KEPT_BYTES = 128 << 20
"""Truths are kept up to this size."""


@dataclass(eq=False)
class Reading:
    """Windows (n, width) as the search reads them, at the T places that count.

    seen (s,) the bank's columns that occur; ids (n, width) the lexicon's rows; columns (REACH + 1, n, width): which of
    `seen` stands 0, 1, ... places back, s if there is none; flat (T,): places that count, in (n * width). What the
    methods return is not to be changed.
    """

    bank: Bank
    seen: np.ndarray
    ids: np.ndarray
    columns: np.ndarray
    flat: np.ndarray
    _kept: OrderedDict[Hashable, np.ndarray] = field(default_factory=OrderedDict, repr=False)
    _kept_bytes: int = 0
    _derived: dict[Hashable, object] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, windows: TokenWindows, places: np.ndarray, bank: Bank) -> Reading:
        """The reading of windows at places (n, width) bool; the same one for the same windows and places again."""
        ids = bank.lexicon.ids(windows)
        key = sha256(repr(ids.shape).encode() + ids.tobytes() + places.tobytes()).hexdigest()
        if key not in bank.readings:
            bank.readings.clear()  # one at a time
            bank.readings[key] = cls._made(ids, places, bank)
        found: Reading = bank.readings[key]
        return found

    @classmethod
    def _made(cls, ids: np.ndarray, places: np.ndarray, bank: Bank) -> Reading:
        here = bank.column_of[ids]
        seen = np.flatnonzero(np.bincount(here.reshape(-1), minlength=len(bank.types) + 1)[:-1])
        renumbered = np.full(len(bank.types) + 1, len(seen))
        renumbered[seen] = np.arange(len(seen))
        columns = np.full((REACH + 1, *ids.shape), len(seen), np.intp)  # NumPy casts what it indexes with to this type
        columns[0] = renumbered[here]
        for distance in range(1, REACH + 1):
            columns[distance, :, distance:] = columns[0][:, :-distance]
        return cls(bank, seen, ids, columns, np.flatnonzero(places.reshape(-1)))

    @cached_property
    def back(self) -> list[np.ndarray]:
        """Which of `seen` (T,) stands at each distance back, s for none."""
        return [column.reshape(-1)[self.flat] for column in self.columns]

    @cached_property
    def place(self) -> np.ndarray:
        """(T,) place in the window."""
        return self.flat % self.ids.shape[1]

    @cached_property
    def rows(self) -> np.ndarray:
        """Tests of the bank that are true of something that is seen."""
        return np.flatnonzero(np.diff(self._truth.indptr))

    @cached_property
    def truth(self) -> sparse.csr_matrix:
        """(rows, s) float32 truth of these tests."""
        return self._truth[self.rows]

    @cached_property
    def costs(self) -> np.ndarray:
        """(rows,) of adding them."""
        return self.bank.costs[self.rows]

    @cached_property
    def directions(self) -> np.ndarray:
        """(s, d) of the lexicon, which must have some."""
        assert self.bank.lexicon.directions is not None
        return self.bank.lexicon.directions[self.bank.types[self.seen]]

    def cosines(self, seeds: list[int]) -> np.ndarray:
        """(seeds, s) of some of what is seen with all of it."""
        return self.directions[seeds] @ self.directions.T

    def near(self, seed: str, cosine: float) -> np.ndarray:
        """(k,) bool: types of the bank that are at least this close in meaning to a seed."""
        for floor in (floor for floor in reversed(FLOORS) if floor < cosine <= floor + Like.RAMP):
            row = self.bank.row_of.get(Like((seed,), floor))
            if row is not None:  # spares a product with all embeddings
                return self.bank.vector(row) >= Like.ramp(np.asarray(cosine, np.float32), floor)
        similarity = self.bank.lexicon.similarity((seed,))
        assert similarity is not None
        return similarity[self.bank.types] >= cosine

    @cached_property
    def _truth(self) -> sparse.csr_matrix:
        return self.bank.truth[:, self.seen]

    # --- where tests hold -----------------------------------------------------------------------------------------

    def column(self, test: Test) -> np.ndarray:
        """Truth (T,) float32 of any test, as the executor has it."""
        return self._keep(test, lambda: self._column(test))

    def holds(self, test: Test) -> np.ndarray:
        """(n, width) bool: where a test is at least half true, padding included."""
        return self._keep(("holds", test), lambda: self._everywhere(test) >= 0.5)

    def last(self, test: Test) -> np.ndarray:
        """(n, width) place of the last token before each where a test holds, -1 for none."""
        return self._keep(("last", test), lambda: states.last_before(self.holds(test)))

    def counted(self, test: Test, border: Test | None) -> np.ndarray:
        """(T,) how often a test held before each place, since the border if there is one."""

        def make() -> np.ndarray:
            since = None if border is None else self.last(border)
            return self.at(states.counted(self.holds(test), since))

        return self._keep(("counted", test, border), make)

    def ends(self, border: Test | None) -> np.ndarray:
        """(n * width,) where the piece of each place ends, if windows are cut after each token where a border holds."""

        def make() -> np.ndarray:
            starts = np.zeros(self.ids.shape, bool)
            starts[:, :1] = True
            if border is not None:
                starts[:, 1:] |= self.holds(border)[:, :-1]
            first = np.append(np.flatnonzero(starts), starts.size)
            return np.repeat(first[1:] - 1, np.diff(first))

        return self._keep(("ends", border), make)

    def since(self, border: Test) -> np.ndarray:
        """(T,) how many tokens stand between each place and the last one before where a border holds, or the start."""
        return self._keep(("since", border), lambda: self.place - 1 - self.at(self.last(border)))

    def gaps(self, aspect: str) -> np.ndarray:
        """(T,) how many tokens back the same aspect stands, 0 where it is new."""
        return self._keep(("gaps", aspect), lambda: self.at(states.distance_to_same(self._keys(aspect))))

    def _keys(self, aspect: str) -> np.ndarray:
        return self._keep(("keys", aspect), lambda: keys_of(aspect, self.ids, self.bank.lexicon))

    def at(self, values: np.ndarray) -> np.ndarray:
        """Values (n, width) at the places that count: (T,)."""
        return values.reshape(-1)[self.flat]

    def _column(self, test: Test) -> np.ndarray:
        inner, places = test, 0
        while isinstance(inner, After):
            inner, places = inner.test, places + 1
        known = self._of_seen(inner) if places <= 1 or (places <= REACH and self._ordinary) else None
        if known is not None:
            return known[self.back[places]]
        match test:
            case And(tests):
                return reduce(np.minimum, [self._part(part) for part in tests])
            case Sequence(tests):
                return reduce(np.minimum, [self._part(after(part, i)) for i, part in enumerate(reversed(tests))])
            case Position(low, high, since):
                return in_range(self.place if since is None else self.since(since), low, high).astype(np.float32)
            case Count(counted, low, high, since):
                return in_range(self.counted(counted, since), low, high).astype(np.float32)
            case Same(aspect, low, high):
                return in_range(self.gaps(aspect), low, high).astype(np.float32)
            case Between(opening, closing, None):
                return self.at(states.between(self.holds(opening), self.holds(closing))).astype(np.float32)
            case Agrees(aspect, inner):
                return self.at(states.agrees(self._keys(aspect), self.last(inner))).astype(np.float32)
            case Within(near, k):
                return self.at(states.shift(states.greatest_of_last(self._everywhere(near), k), 1)).astype(np.float32)
        return self.at(truth_at(test, self.ids, self.bank.lexicon))

    def _part(self, test: Test) -> np.ndarray:
        """The column of a test within another."""
        if self._ordinary or not is_local(test):
            return self.column(test)
        return self.at(truth_at(test, self.ids, self.bank.lexicon))

    def _everywhere(self, test: Test) -> np.ndarray:
        """Truth (n, width) of any test, padding included."""
        known = self._of_seen(test) if self._ordinary else None
        return truth_at(test, self.ids, self.bank.lexicon) if known is None else known[self.columns[0]]

    @cached_property
    def _ordinary(self) -> bool:
        """Whether no special token is read: they are none of the bank's types, but tests of spelling hold on them."""
        counts = np.zeros(self.ids.size, bool)
        counts[self.flat] = True
        read = np.logical_or.accumulate(counts.reshape(self.ids.shape)[:, ::-1], axis=1)[:, ::-1]  # not what only pads
        return not np.isin(self.ids[read], list(self.bank.lexicon.vocabulary.special)).any()

    def _of_seen(self, test: Test) -> np.ndarray | None:
        """Truth (s + 1,) on what is seen, and 0; None for a test that is not in the bank."""
        match test:
            case Like(seeds, floor):
                parts: list[Test] = [Like((seed,), floor) for seed in seeds]
            case Token(texts):
                parts = [Token((text,)) for text in texts]
            case _:
                parts = [test]
        rows = [row for part in parts if (row := self.bank.row_of.get(part)) is not None]
        if len(rows) < len(parts):
            return None
        found = np.zeros(len(self.seen) + 1, np.float32)
        for row in rows:
            mine = slice(*self._truth.indptr[row : row + 2])
            columns = self._truth.indices[mine]
            found[columns] = np.maximum(found[columns], self._truth.data[mine])
        return found

    def derived(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What others make of the windows alone, made once."""
        if key not in self._derived:
            self._derived[key] = make()
        return cast("Made", self._derived[key])

    def _keep(self, key: Hashable, make: Callable[[], np.ndarray]) -> np.ndarray:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        found = self._kept[key] = make()
        self._kept_bytes += found.nbytes
        while self._kept_bytes > KEPT_BYTES and len(self._kept) > 1:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return found


def after(test: Test, places: int) -> Test:
    """The test, so many tokens back."""
    for _ in range(places):
        test = After(test)
    return test
