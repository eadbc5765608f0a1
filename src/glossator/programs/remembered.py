"""Candidates with memory: states, counts, places since a token, shares, agreement, for a residual.

Which tokens matter is found for all tests of the bank at once. How often a test held since a border, summed over a
residual, is the same as the residual summed over what follows each token up to the next border, over the tokens where
the test holds: one running sum and one sparse product. Only the best are then executed, and their ranges chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from glossator.programs import states
from glossator.programs.atoms import Contains, Shape, Spelled, Token, Word
from glossator.programs.executor import ROUNDING
from glossator.programs.gains import Weighed, across, best_ranges
from glossator.programs.language import Agrees, And, Between, Count, Or, Position, Same, Share, Test
from glossator.programs.loops import products
from glossator.programs.memory import ASPECTS
from glossator.programs.problem import PARTS, Problem
from glossator.programs.quantise import SHARE_STEPS
from glossator.statistics import largest

SENTENCE, LINE = Word("ends of sentence"), Shape("newline")
BORDERS: tuple[Test | None, ...] = (None, SENTENCE, LINE)
"""What ends the stretch in which tokens are remembered; None: nothing does."""
PAUSES = Word("commas and semicolons")
CLOSERS: tuple[Test, ...] = (
    SENTENCE, LINE, Token((".",)), Token((".", "!", "?")), Or((SENTENCE, LINE)), Or((SENTENCE, PAUSES)),
    Or((Token((".", "!", "?")), Token((",",)))), Or((SENTENCE, PAUSES, LINE)),
)  # fmt: skip
"""Borders among which a test that was found is refined."""
BESIDE = 60.0
"""About what remembering a test costs beside the test."""
ROUNDS, WIDER, INSTEAD, CLEARLY = 8, 3, 4, 1.02
"""A test is changed at most so often; so many tokens are tried to widen it, or instead of its own; by so much a change
must gain."""
MOST_COUNTED = 12
"""Counts from here on are one."""


@dataclass(frozen=True)
class Proposal:
    """A test and about how much it explains."""

    test: Test
    gain: float


class Remembered:
    """Proposes tests for one problem. rows (a,) of the bank that are worth remembering, and their truth (a, s)."""

    def __init__(self, problem: Problem, rows: np.ndarray, truth: sparse.csr_matrix) -> None:
        self.problem, self.reading, self.rows, self.truth = problem, problem.reading, rows, truth
        self.size = len(problem.seen) + 1
        self.here = self.reading.columns[0].reshape(-1)
        part = np.zeros(len(self.reading.ids), np.int64)
        part[problem.flat // problem.windows.width] = problem.dealt
        self.bins = self.here * PARTS + np.repeat(part, problem.windows.width)

    def still_to_come(self, running: np.ndarray, border: Test | None) -> np.ndarray:
        """(n * width,) sum of values over what follows each token up to the next border, from their running sums."""
        return running[self.reading.ends(border)] - running

    # --- what to remember -----------------------------------------------------------------------------------------

    def worth_remembering(
        self, border: Test | None, running: tuple[np.ndarray, np.ndarray], most: int, sign: int = 0
    ) -> list[Test]:
        """The tests whose counts since a border go best with a residual, for their cost.

        running: sums of the residual and of its weights (n * width,); sign: 1 or -1 for tests that raise or lower it
        only.
        """
        residual, weight = running
        later = self.still_to_come(residual, border)
        sums = np.zeros((self.size - 1, 2 * PARTS), np.float32)
        sums[:, :PARTS] = np.bincount(self.bins, later, minlength=PARTS * self.size).reshape(-1, PARTS)[:-1]
        sums[:, PARTS] = np.bincount(self.here, self.still_to_come(weight, border), minlength=self.size)[:-1]
        covariances, mass = np.split(products(self.truth, sums)[:, : PARTS + 1], [PARTS], axis=1)
        gain = across(covariances, mass[:, 0])
        if sign:
            gain = np.where(sign * covariances.sum(axis=1) > 0, gain, 0.0)
        value = gain / (self.problem.bank.costs[self.rows] + BESIDE)
        return [self.problem.bank.tests[self.rows[i]] for i in largest(value, most) if value[i] > 0]

    # --- proposals ------------------------------------------------------------------------------------------------

    def proposals(self, left: Weighed, own: Test | None, alone: bool) -> list[Proposal]:
        """Tests to try alone, or beside a base that weighs what is left; own: its test where it looks at one token."""
        return list(self._alone(left) if alone else self._beside(left, own))

    def _alone(self, left: Weighed) -> Iterator[Proposal]:
        for border in BORDERS:
            found = self.worth_remembering(border, left.running, 2)
            for test in found:
                yield from self.counts(test, border, left)
            if border is not None:
                yield from self.places(border, left)
            for test in found if border is None else ():
                yield from self.places(test, left)
                yield from self.until(test, left)
        scaled = left.scaled(1.0 / (self.reading.place + 1.0))
        for test in self.worth_remembering(None, scaled.running, 2):
            yield from self.shares(test, left)
        for aspect in ASPECTS:
            yield from self.agreements(aspect, left)

    def _beside(self, left: Weighed, own: Test | None) -> Iterator[Proposal]:
        for border in BORDERS[:2]:
            for test in self.worth_remembering(border, left.running, 1):
                yield from self.counts(test, border, left)
        for border in BORDERS:
            if own is not None:
                yield from self.counts(own, border, left)
            if border is not None:
                yield from self.places(border, left)
        if own is not None:
            yield self.measured(Agrees("initial", own), left)

    def counts(self, test: Test, border: Test | None, left: Weighed) -> Iterator[Proposal]:
        number = np.minimum(self.reading.counted(test, border), MOST_COUNTED)
        for low, high, gain in best_ranges(left, number, MOST_COUNTED + 1, 1):
            if low == 0 and high is not None and self._everywhere(left):
                low, high = high + 1, None  # the opposite explains as much and reads better
            if border is not None and (low, high) == (1, None):
                yield Proposal(Between(test, border), gain)
            else:
                yield Proposal(Count(test, low, high, border), gain)

    def _everywhere(self, left: Weighed) -> bool:
        return bool(left.weight.sum() == self.problem.searched.sum())

    def places(self, border: Test, left: Weighed) -> Iterator[Proposal]:
        for low, high, gain in best_ranges(left, self.reading.since(border), self.problem.windows.width, 1):
            yield Proposal(Position(low, high, border), gain)

    def until(self, test: Test, left: Weighed) -> Iterator[Proposal]:
        """The state that a test opens, with what closes it."""
        for closing in self.closings(test, left, 1):
            yield self.measured(Between(test, closing), left)

    def closings(self, test: Test, left: Weighed, most: int) -> list[Test]:
        opened = (self.reading.last(test) >= 0).reshape(-1)
        running = np.cumsum(left.dense * opened), np.cumsum(left.dense_weight * opened)
        found = self.worth_remembering(test, running, most, -1)
        return [closing for closing in found if closing != test]

    def shares(self, test: Test, left: Weighed) -> Iterator[Proposal]:
        share = self.reading.at(states.running(self.reading.holds(test))) / (self.reading.place + 1.0)
        steps = np.floor(share * SHARE_STEPS + ROUNDING).astype(np.int64)
        for low, _, gain in best_ranges(left, steps, SHARE_STEPS + 1, 1, open_ended=True):
            yield Proposal(Share(test, low / SHARE_STEPS), gain)

    def agreements(self, aspect: str, left: Weighed) -> Iterator[Proposal]:
        width = self.problem.windows.width
        for low, high, gain in best_ranges(left, self.reading.gaps(aspect), width, 1, least=1):
            last = None if high is not None and high >= width - 2 else high
            yield Proposal(Same(aspect, low, last), gain)

    def measured(self, test: Test, left: Weighed) -> Proposal:
        return Proposal(test, left.gain_of(self.problem.column(test)))

    # --- refining -------------------------------------------------------------------------------------------------

    def refined(self, test: Test, left: Weighed) -> Test:
        """A test with memory, with borders, ranges and sets of tokens changed as long as it explains clearly more."""
        best = self.measured(test, left)
        tried = {test}
        for number in range(ROUNDS):
            moves = [move for move in self._moves(best.test, left, not number) if move.test not in tried]
            tried |= {move.test for move in moves}
            if not moves:
                break
            move = max(moves, key=lambda proposal: proposal.gain)
            if move.gain < CLEARLY * best.gain:
                break
            best = move
        return best.test

    def _moves(self, test: Test, left: Weighed, first: bool) -> Iterator[Proposal]:
        more = left.without(self.problem.column(test))
        match test:
            case Between(opening, closing, depth):
                for level in (None, 1, 2) if isinstance(opening, Contains) else ():
                    if level != depth:
                        yield self.measured(Between(opening, closing, level), left)
                if closing in CLOSERS:
                    for other_closing in CLOSERS:
                        yield self.measured(Between(opening, other_closing, depth), left)
                    yield self.measured(Count(opening, 1, None, closing), left)
                else:
                    for wider in self.closings(opening, more, WIDER):
                        yield self.measured(Between(opening, united(closing, wider), depth), left)
                for wider in self.wider(opening, closing, more):
                    yield self.measured(Between(wider, closing, depth), left)
            case Count(counted, _, _, border):
                for other in (None, *CLOSERS):
                    yield from self.counts(counted, other, left)
                if first:
                    for instead in self.worth_remembering(border, left.running, INSTEAD):
                        yield from self.counts(instead, border, left)
                for wider in self.wider(counted, border, more):
                    yield from self.counts(wider, border, left)
            case Position(_, _, since) if since is not None:
                for closer in CLOSERS:
                    yield from self.places(closer, left)
                yield self.measured(And((test, Count(since, 1, None))), left)
            case Share(counted, _):
                for other in (None, *CLOSERS) if first else ():
                    yield from self.counts(counted, other, left)
                for wider in self.wider(counted, None, more, shares=True):
                    yield from self.shares(wider, left)

    def wider(self, test: Test, border: Test | None, left: Weighed, shares: bool = False) -> Iterator[Test]:
        """The test or another that explains what it leaves."""
        if shares:
            left = left.scaled(1.0 / (self.reading.place + 1.0))
        for other in self.worth_remembering(border, left.running, WIDER, 1):
            if other != test:
                yield united(test, other)


def united(one: Test, other: Test) -> Test:
    """A test of the token alone that holds where either does."""
    match one, other:
        case Token(some), Token(more):
            return Token(tuple(dict.fromkeys((*some, *more))))
        case Spelled(some), Spelled(more):
            return Spelled(tuple(dict.fromkeys((*some, *more))))
    tests = [*(one.tests if isinstance(one, Or) else (one,))]
    for i, test in enumerate(tests):
        if type(test) is type(other) and isinstance(test, (Token, Spelled)):
            tests[i] = united(test, other)
            return Or(tuple(tests))
    return one if other in tests else Or((*tests, other))
