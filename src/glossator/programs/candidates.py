"""Candidates of the search: tests on this token, further back or in combination that may explain a residual.

Each candidate's gain is estimated across parts of the documents. What a test explains is the mean product of its
covariances with the residual in two different parts, so that the noise of one part does not count. A test that helps in
some parts and hurts in others has a small or negative gain.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from glossator.programs.bank import cost
from glossator.programs.gains import Weighed, across, best_ranges, spread_of
from glossator.programs.language import (
    After,
    And,
    Between,
    Contains,
    Count,
    Induction,
    Position,
    Repeated,
    Sequence,
    Shape,
    Share,
    Test,
    Token,
    Within,
    is_local,
)
from glossator.programs.loops import masses_and_squares, products
from glossator.programs.phrases import distance, phrase_of, runs_of
from glossator.programs.problem import CLAIM, PARTS, Problem
from glossator.programs.reading import REACH, after
from glossator.programs.remembered import Remembered
from glossator.statistics import largest

LEAST_TO_COMBINE = 5.0
"""Tokens of which a test must be true to be tried further back or together with another, which is rarer still."""
KEPT_HERE, KEPT_BEFORE = 260, 70
"""How many tests of the bank stay in the pool between two looks at the whole bank, on this token and the one before."""
KEPT_SINGLES, SINGLES = 16, 80
"""So many tests with columns of their own are kept at an expansion, and there is room for as many at first."""
REACHES = (2, 4, REACH)
REMEMBERED, REMEMBERED_BESIDE = 6, 2
"""How many tests with memory are tried at a time, alone and beside each base."""
REFINABLE = (Between, Count, Position, Share)

BRACKETS = (('"', '"'), ("“", "”"), ("(", ")"), ("[", "]"), ("{", "}"), ("`", "`"))
"""What may be open: each is offered as "between a token that contains the first and one that contains the second"."""
STANDING: tuple[Test, ...] = (
    Repeated(),
    Repeated(8),
    Repeated(24),
    After(Repeated()),
    Induction(),
    Shape("continues-word"),
    *(Between(Contains(opening), Contains(closing)) for opening, closing in BRACKETS),
)
"""Context tests without an argument to search for."""


@dataclass(frozen=True, eq=False)
class Single:
    """A test with its truth on the problem's tokens, and what it costs to add."""

    test: Test
    truth: np.ndarray
    cost: float


@dataclass(eq=False)
class Pool:
    """The candidates at hand: tests of the bank on this token and the one before (rows: their places among the rows
    of the reading), and tests with columns of their own. What is true in one part of the documents alone gains nothing.
    """

    problem: Problem
    rows: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0, np.int64)] * 2)
    singles: list[Single] = field(default_factory=list)
    _spread: list[np.ndarray] = field(default_factory=list)
    _masses: np.ndarray | None = None
    _judged: tuple[np.ndarray, list[np.ndarray]] | None = None
    _judged_singles: tuple[np.ndarray, np.ndarray] | None = None

    def __post_init__(self) -> None:
        problem, bank, reading = self.problem, self.problem.bank, self.problem.reading
        self._by_part = np.argsort(problem.part, kind="stable")[(problem.part == CLAIM).sum() :]
        self._ends = np.searchsorted(problem.part[self._by_part], np.arange(PARTS + 1))
        self._weight = problem.searched[self._by_part].astype(np.float32)
        self._total = float(problem.searched.sum())
        self._single_truths = np.empty((SINGLES, len(self._by_part)), np.float32)
        self._single_spread = np.zeros(0, np.float32)
        counts = problem.sums_back(problem.searched, 2, by_part=False)
        masses, squares = masses_and_squares(reading.truth, counts)
        for place in (0, 1):
            mass = masses[:, place]
            self._spread.append(spread_of(mass, squares[:, place], self._total))
            if place == 0:
                common = mass >= LEAST_TO_COMBINE
                simple = np.flatnonzero(bank.simple[reading.rows] & common)
                anchors = np.flatnonzero(bank.anchors[reading.rows] & common)
        self._simple, self._simple_truth = reading.rows[simple], reading.truth[simple]
        self._simple_squares = self._simple_truth.power(2)
        self._remembered = Remembered(problem, reading.rows[anchors], reading.truth[anchors])
        simplest = Token((bank.lexicon.vocabulary.texts[int(bank.types[0])],))
        self.extra_cost = cost(After(simplest), bank.lexicon) - cost(simplest, bank.lexicon)
        self.known = set(STANDING)
        for test in (*STANDING, *runs_of(problem)):
            self.add(test)

    def add(self, test: Test) -> None:
        problem = self.problem
        self.singles.append(Single(test, problem.column(test), cost(test, problem.bank.lexicon)))
        self._judged_singles = None

    def look(self, residual: np.ndarray) -> None:
        """Choose again which rows of the bank stay in the pool."""
        truth = self.problem.reading.truth
        covariances, judged = products(truth, self._sums(residual)), []
        for place, keep in ((0, KEPT_HERE), (1, KEPT_BEFORE)):
            explained = across(covariances[:, place * PARTS :][:, :PARTS], self._spread[place])
            gain = explained / self._costs(place)
            best = largest(gain, keep)
            self.rows[place] = np.sort(best[gain[best] > 0])
            judged.append(explained[self.rows[place]])
        self._kept_truth = truth[np.concatenate(self.rows)]
        self._kept_costs = [self._costs(place, rows) for place, rows in enumerate(self.rows)]
        self._judged = residual, judged

    def best(self, residual: np.ndarray, taken: set[Test], noise: float) -> tuple[float, Single] | None:
        """The untaken candidate with the greatest gain for its cost, and that gain; None when none gains."""
        problem, bank = self.problem, self.problem.bank
        found: list[tuple[float, float, int, int]] = []
        for place, (rows, gain) in enumerate(zip(self.rows, self._kept_gains(residual), strict=True)):
            if len(rows):
                value = (gain - noise) / self._kept_costs[place]
                for i in largest(value, len(taken) + 8):
                    found.append((float(value[i]), float(gain[i]), place, int(rows[i])))
        for i, own in enumerate(self.single_gains(residual).tolist()):
            found.append(((own - noise) / self.singles[i].cost, own, 2, i))
        for worth, explained, place, index in sorted(found, key=lambda item: (-item[0], item[2], item[3])):
            if worth <= 0:
                return None
            if place == 2:
                single = self.singles[index]
            else:
                inner = bank.tests[problem.reading.rows[index]]
                test = After(inner) if place else inner
                single = Single(test, problem.column(test), float(self._costs(place, np.array([index]))[0]))
            if single.test not in taken:
                return explained, single
        return None

    def _kept_gains(self, residual: np.ndarray) -> list[np.ndarray]:
        """Gains of the rows that stay in the pool, on either place; known where the same residual is asked of again."""
        if self._judged is None or self._judged[0] is not residual:
            covariances = np.split(products(self._kept_truth, self._sums(residual)), [len(self.rows[0])])
            gains = [
                across(covariances[place][:, place * PARTS :][:, :PARTS], self._spread[place][rows])
                for place, rows in enumerate(self.rows)
            ]
            self._judged = residual, gains
        return self._judged[1]

    def single_gains(self, residual: np.ndarray) -> np.ndarray:
        """Gains of the singles; known where the same residual is asked of again."""
        if not self.singles:
            return np.zeros(0)
        if self._judged_singles is not None and self._judged_singles[0] is residual:
            return self._judged_singles[1]
        known, all_told = len(self._single_spread), len(self.singles)
        if known < all_told:
            while all_told > len(self._single_truths):
                self._single_truths = np.concatenate([self._single_truths, np.empty_like(self._single_truths)])
            masses, squares = np.empty((2, all_told - known), np.float32)
            for i, single in enumerate(self.singles[known:]):
                row = self._single_truths[known + i]
                np.take(single.truth, self._by_part, out=row, mode="clip")  # which spares a copy
                weighted = row * self._weight
                masses[i], squares[i] = weighted.sum(), weighted @ row
            self._single_spread = np.concatenate([self._single_spread, spread_of(masses, squares, self._total)])
        values = self._weight * residual[self._by_part].astype(np.float32)
        pieces = [slice(*ends) for ends in itertools.pairwise(self._ends)]
        covariances = [self._single_truths[:all_told, piece] @ values[piece] for piece in pieces]
        self._judged_singles = residual, across(np.stack(covariances, axis=1), self._single_spread)
        return self._judged_singles[1]

    def _prune(self, residual: np.ndarray) -> None:
        """Keep the singles that promise most."""
        value = self.single_gains(residual) / np.array([s.cost for s in self.singles])
        kept = np.sort(largest(value, KEPT_SINGLES))
        self.singles = [self.singles[i] for i in kept]
        for place, row in enumerate(kept):  # in place: large arrays are slow to come by
            self._single_truths[place] = self._single_truths[row]
        self._single_spread = self._single_spread[kept]
        self._judged_singles = None

    def _costs(self, place: int, rows: np.ndarray | None = None) -> np.ndarray:
        """Of some of the reading's rows, or of all."""
        reading = self.problem.reading
        found = reading.costs if rows is None else reading.costs[rows]
        return found + (self.extra_cost if place else 0.0)

    def _sums(self, residual: np.ndarray) -> np.ndarray:
        """(s, 2 * PARTS) of a residual over the tokens on this place and on the one before, in each part."""
        return self.problem.sums_back(self.problem.searched * residual, 2, by_part=True)

    # --- tests made of two ----------------------------------------------------------------------------------------

    def expand(self, residual: np.ndarray, bases: list[Single], most: int = 2, remember: bool = True) -> None:
        """Add further-back tests, places in the window, and conjunctions of each base with a simple test nearby.

        remember: add tests of all that was read so far, too.
        """
        for base in (None, *bases):
            left = Weighed.of(self.problem, residual, None if base is None else base.truth)
            self._add_positions(left, base)
            self._add_distant(left, base, most)
            if remember:
                self._add_remembered(left, base)
        self._prune(residual)

    def _add_distant(self, left: Weighed, base: Single | None, most: int) -> None:
        problem, bank = self.problem, self.problem.bank
        rows, truth, squares = self._simple, self._simple_truth, self._simple_squares
        costs = bank.costs[rows] + self.extra_cost
        distances = range(REACH + 1)
        weight = left.weight if base is None else left.weight * base.truth[left.rows]
        sums = problem.sums_back(left.values, len(distances), left.rows, by_part=True)
        if base is not None or self._masses is None:
            masses = squares @ problem.sums_back(weight, len(distances), left.rows, by_part=False)
            if base is None:
                self._masses = masses
        else:
            masses = self._masses
        covariances = (truth @ sums).reshape(len(rows), len(distances), PARTS)
        looks: list[tuple[int, int]] = [(0, 0), (1, 1), (2, 2), (3, 3)] if base is not None else [(2, 2), (3, 3)]
        looks += [(1, k) for k in REACHES]
        for first, last in looks:
            covariance = sum(covariances[:, d] for d in range(first, last + 1))
            mass = sum(masses[:, d] for d in range(first, last + 1))
            value = across(covariance, spread_of(mass, mass, self._total)) / costs
            for i in largest(value, most):
                if value[i] > 0:
                    self._add_once(_together(base, _placed(bank.tests[rows[i]], first, last)))

    def _add_once(self, test: Test | None) -> None:
        if test is not None and test not in self.known:
            self.known.add(test)
            self.add(test)

    def _add_positions(self, left: Weighed, base: Single | None) -> None:
        """The two best ranges of places in the window, for the base if there is one."""
        for low, high, _ in best_ranges(left, self.problem.reading.place, self.problem.windows.width, 2):
            self._add_once(_together(base, Position(low, high)))

    def _add_remembered(self, left: Weighed, base: Single | None) -> None:
        """The best tests of all that was read so far, alone or beside the base."""
        own = base.test if base is not None and is_local(base.test) else None
        lexicon = self.problem.bank.lexicon
        worth = [
            (proposal.gain / cost(test, lexicon), test)
            for proposal in self._remembered.proposals(left, own, base is None)
            if (test := _together(base, proposal.test)) is not None and proposal.gain > 0
        ]
        for _, test in sorted(worth, key=lambda pair: -pair[0])[: REMEMBERED if base is None else REMEMBERED_BESIDE]:
            self._add_once(test)

    def refined(self, single: Single, residual: np.ndarray) -> Single:
        """A test that has memory in one place, changed as long as it explains clearly more."""
        parts = single.test.tests if isinstance(single.test, And) else (single.test,)
        remembering = [part for part in parts if isinstance(part, REFINABLE)]
        if len(remembering) != 1:
            return single
        rest = [part for part in parts if part not in remembering]
        mask = np.minimum.reduce([*map(self.problem.column, rest)]) if rest else None
        part = self._remembered.refined(remembering[0], Weighed.of(self.problem, residual, mask))
        if part == remembering[0]:
            return single
        test = And((*rest, *(part.tests if isinstance(part, And) else (part,)))) if rest else part
        return Single(test, self.problem.column(test), cost(test, self.problem.bank.lexicon))


def _placed(test: Test, first: int, last: int) -> Test:
    """The test, so many tokens back."""
    if last == 0:
        return test
    if first == 1 and last > 1:
        return Within(test, last)
    return after(test, last)


def _together(base: Single | None, other: Test) -> Test | None:
    """Both tests; a neighbour directly before reads as a sequence. None if the pair says nothing new."""
    if base is None:
        return other
    if other == base.test or (isinstance(base.test, (And, Sequence)) and len(base.test.parts) > 2):
        return None
    parts = base.test.tests if isinstance(base.test, And) else (base.test,)
    if other in parts:
        return None
    return phrase_of((*parts, other)) or And(tuple(sorted((*parts, other), key=distance)))
