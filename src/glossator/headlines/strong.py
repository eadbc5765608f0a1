"""Where a unit is strongly active, and how much a class of tokens says about that.

People look at peaks, so the tail does not count: each token has a weight that grows with the square of its activation
and is 0 below a share of the unit's usual peak. A class is worth what it says of where that weight lies: the divergence
between the share R of the weight that falls on the class and the share p of all tokens that belong to it,
R log(R / p) + (1 - R) log((1 - R) / (1 - p)), in nats. It is judged in parts of the documents, and the standard error
between them is taken off, so that what holds in one document alone is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import betainc

from glossator.programs.problem import PARTS, Problem

USUAL, FROM, MOST = 20, 0.3, 1.5
"""The usual peak is the mean of so many windows' peaks; activations count from this share of it on, and up to that."""
ALL_PARTS = PARTS + 1
"""The parts that programs are searched on, and the one that their claim is judged on."""
CHANCE = 1e-6
"""A class is no accident when chance alone does as well this rarely: some 50,000 classes are looked at."""
PRIOR = 0.5
"""Weight of the assumption, in each part, that a class says nothing."""


def squares(problem: Problem) -> tuple[np.ndarray, float]:
    """Squared activations (T,) in units of the usual peak, and the usual peak; all 0 where a unit is never active."""
    peaks = np.zeros(len(problem.windows))
    np.maximum.at(peaks, problem.flat // problem.windows.width, problem.target)
    usual = float(np.sort(peaks)[-USUAL:].mean())
    if usual <= 0:
        return np.zeros(len(problem.target)), 0.0
    return np.minimum(problem.target / usual, MOST) ** 2, usual


def numbered(part: np.ndarray) -> np.ndarray:
    """Parts (T,) with the one that claims are judged on as the last."""
    return np.where(part < 0, PARTS, part)


@dataclass(frozen=True, eq=False)
class Strength:
    """weight (T,) of places; left (T,) bool: those that no mode has claimed yet; part (T,): of each place, 0, 1, ..."""

    weight: np.ndarray
    left: np.ndarray
    part: np.ndarray

    def without(self, truth: np.ndarray) -> Self:
        """The same where a class (T,) is not true."""
        left = self.left & (truth < 0.5)
        return replace(self, weight=self.weight * left, left=left)

    @cached_property
    def parts(self) -> np.ndarray:
        """(parts, T) float32: 1 for the places of each part."""
        return (self.part == np.arange(ALL_PARTS)[:, None]).astype(np.float32)

    @cached_property
    def total(self) -> np.ndarray:
        """(parts,) weight in each part."""
        return np.bincount(self.part, self.weight, minlength=ALL_PARTS)

    @cached_property
    def tokens(self) -> int:
        return int(self.left.sum())

    def of_truths(self, truths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight (m, parts) and number (m,) of places on which truths (m, T) hold."""
        return truths @ (self.parts * self.weight.astype(np.float32)).T, truths @ self.left.astype(np.float32)

    def surely(self, truth: np.ndarray, chance: float = CHANCE) -> bool:
        """Whether more weight falls on a class (T,) than chance would have put there for any of the classes looked at:
        the weight counts as so many equal tokens as have its spread, each on the class as often as any token is."""
        share = float(self.weight @ truth) / max(float(self.weight.sum()), 1e-12)
        tokens = float(self.weight.sum()) ** 2 / max(float(self.weight @ self.weight), 1e-12)
        base = float(truth @ self.left) / max(self.tokens, 1)
        return share > base and float(betainc(share * tokens, tokens - share * tokens + 1, base)) < chance

    def worth(self, weight: np.ndarray, count: np.ndarray) -> np.ndarray:
        """What classes say, in nats (m,), from the weight (m, parts) and the number (m,) of their tokens."""
        base = np.clip(count / max(self.tokens, 1), 1e-9, 1 - 1e-9)[:, None]
        share = (weight + PRIOR * base) / (self.total + PRIOR)
        share = np.clip(share, 1e-9, 1 - 1e-9)
        said = share * np.log(share / base) + (1 - share) * np.log((1 - share) / (1 - base))
        said = np.where(share > base, said, -said)
        known = self.total > 0
        if known.sum() < 2:
            return np.zeros(len(weight))
        said = said[:, known]
        found: np.ndarray = said.mean(axis=1) - said.std(axis=1, ddof=1) / np.sqrt(known.sum())
        return found


@dataclass(frozen=True, eq=False)
class Strong(Strength):
    """Strong activity at a problem's tokens."""

    problem: Problem

    @classmethod
    def of(cls, problem: Problem) -> Strong:
        squared, usual = squares(problem)
        weight = np.where(problem.target >= FROM * usual, squared, 0.0)
        return cls(weight, np.ones(len(weight), bool), numbered(problem.part), problem)

    def by_type(self, distance: int) -> tuple[np.ndarray, np.ndarray]:
        """Weight (s, parts) and number (s,) of tokens, by the type that stands so many places before them."""
        problem, size = self.problem, len(self.problem.seen) + 1
        bins = problem.back[distance] + self.part * size
        weight = np.bincount(bins, self.weight, minlength=ALL_PARTS * size).reshape(ALL_PARTS, size)
        counts = np.bincount(problem.back[distance], self.left, minlength=size)
        return weight[:, :-1].T.astype(np.float32), counts[:-1].astype(np.float32)
