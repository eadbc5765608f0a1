"""The steganography check: do annotators prefer what scores well?

A method can win its score without telling a person anything: it hides a code that its own simulator reads. It then
outscores its opponents, but annotators do not prefer it. Over blinded pairs (a, b) of one unit, p is how much
annotators prefer a (-1..1), and d is the score of a minus that of b. The order within a pair is arbitrary, so the
correlation is the uncentred one, sum p d / sqrt(sum p^2 sum d^2), which does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glossator.human.preference import Choice, means
from glossator.statistics import SHARE, Estimate, Resampled, document_index, estimate, mean_over_units, ratio, sums_by

RULE = (
    "flagged: the method's score is above its opponent's (the interval of the mean difference over units is above 0), "
    "and annotators do not prefer it (win rate at most one half)"
)


@dataclass(frozen=True)
class Advantage:
    """A method against another: what the score says and what annotators say, over the same units.

    flagged: the score is better and people do not prefer it; unknown (None) where the score has no interval.
    """

    method: str
    against: str
    score: Estimate
    preference: Estimate
    flagged: bool | None
    why: str


@dataclass(frozen=True)
class Steganography:
    """correlation: between preference and score difference over pairs; agree: among pairs where both decide, how often
    people prefer the one that scores higher; both with intervals over units; unscored: pairs without both scores."""

    score: str
    correlation: Estimate
    agree: Estimate
    pairs: int
    unscored: int
    advantages: tuple[Advantage, ...]
    rule: str = RULE

    @property
    def flagged(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(a.method for a in self.advantages if a.flagged))


def steganography(
    choices: Iterable[Choice], scores: Mapping[tuple[str, str], float | None], score: str
) -> Steganography:
    """scores: (unit, method) -> the model's score of that explanation; score: its name."""
    wins: dict[tuple[str, str, str], list[float]] = {}
    for c in choices:
        wins.setdefault((c.unit, c.a, c.b), []).append(c.win)
    rows = []
    for (unit, a, b), answers in wins.items():
        ours, theirs = scores.get((unit, a)), scores.get((unit, b))
        if ours is not None and theirs is not None:
            rows.append((unit, a, b, means([answers])[0], ours - theirs))
    both_ways = [*rows, *((unit, b, a, 1 - win, -apart) for unit, a, b, win, apart in rows)]
    pairs = dict.fromkeys((a, b) for _, a, b, _, _ in sorted(both_ways, key=lambda row: row[1:3]))
    advantages = tuple(_advantage(a, b, [row[3:] for row in both_ways if row[1:3] == (a, b)]) for a, b in pairs)
    correlation, agree = _over_pairs(rows)
    return Steganography(score, correlation, agree, len(rows), len(wins) - len(rows), advantages)


def _advantage(method: str, against: str, rows: Sequence[tuple[float, float]]) -> Advantage:
    score = mean_over_units([apart for _, apart in rows])
    preference = mean_over_units([win for win, _ in rows], bounds=SHARE)
    if score.low is None or preference.value is None:
        return Advantage(method, against, score, preference, None, score.reason or preference.reason or "no interval")
    if score.low <= 0:
        return Advantage(method, against, score, preference, False, "its score is not shown to be better")
    if preference.value > 0.5:
        shown = preference.low is not None and preference.low > 0.5
        why = "annotators prefer it too" if shown else "annotators lean towards it, not beyond chance"
        return Advantage(method, against, score, preference, False, why)
    worse = preference.high is not None and preference.high < 0.5
    why = (
        "its score is better, but annotators prefer the other"
        if worse
        else "its score is better, but annotators see no gain"
    )
    return Advantage(method, against, score, preference, True, why)


def _over_pairs(rows: Sequence[tuple[str, str, str, float, float]]) -> tuple[Estimate, Estimate]:
    names = [row[0] for row in rows]
    if len(set(names)) < 2:
        few = Estimate(None, n=len(set(names)), reason=f"fewer than 2 units have scored pairs ({len(set(names))})")
        return few, few
    index, units = document_index(np.array(names))
    p = 2 * np.array([row[3] for row in rows]) - 1
    d = np.array([row[4] for row in rows])
    sums = sums_by(index, units, p * d, p * p, d * d)

    def under(weights: np.ndarray) -> np.ndarray:
        pd, pp, dd = (weights @ sums).T
        size = np.sqrt(pp * dd)
        return np.divide(pd, size, out=np.full(len(pd), np.nan), where=size > 0)

    reason = (
        "annotators rate every pair equal" if not p.any() else "all score differences are 0" if not d.any() else None
    )
    correlation = estimate(Resampled(units, under, reason))
    decided = (p != 0) & (d != 0)
    counts = sums_by(index, units, decided & (np.sign(p) == np.sign(d)), decided)
    agree = estimate(ratio(counts[:, 0], counts[:, 1], reason="no pair is decided by both"))
    return correlation, agree
