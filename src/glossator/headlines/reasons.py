"""Headline and modes of a unit: one class after the other, each for what the ones before leave open."""

from __future__ import annotations

import numpy as np

from glossator.explanations import UNNAMEABLE, Headline, Mode, Peaks
from glossator.headlines.finding import CLEAR, Found, best
from glossator.headlines.peaks import peaks_of
from glossator.headlines.shelf import Shelf
from glossator.headlines.strong import Strong
from glossator.programs.language import Clause, Program
from glossator.programs.problem import Problem

MODES = 3
LEAST = 0.05
"""The value from which on a class is named at all."""
LOUDEST, HITS = 40, 5.0
"""In so many windows with the highest peaks, modes that are not weak find the peak so many times as often as chance."""
LEAST_SHARE, LEAST_MORE = 0.02, 0.08
"""Of the strong activation, the share that a further mode accounts for; and the nats that it adds, all told. It must
also be as clear as a headline that is not weak, of what is left."""


def headlines(problem: Problem, shelf: Shelf) -> tuple[Headline, tuple[Mode, ...], Peaks | None]:
    """The headline, the modes where anything has a name, and the peaks. First comes the mode that accounts for most of
    the strong activation, which counts share and height together."""
    strong = Strong.of(problem)
    whole = strong.weight.sum()
    chosen: list[Found] = []
    accounts: list[float] = []
    while len(chosen) < MODES and strong.weight.sum() > 0:
        found = best(strong, shelf)
        if found is None:
            break
        left = strong.weight.sum() / whole
        share = float(strong.weight @ found.truth) / whole
        more = share >= LEAST_SHARE and left * found.value >= LEAST_MORE and found.value >= CLEAR
        if not more if chosen else found.value < LEAST:
            break
        chosen.append(found)
        accounts.append(share)
        strong = strong.without(found.truth)
    if not chosen:
        return Headline(UNNAMEABLE, Program(0.0)), (), peaks_of(problem, shelf)
    modes, claimed = [], np.zeros(len(problem.target), bool)
    total = problem.target.sum()
    weak = chosen[0].value < CLEAR or _hits(problem, chosen) < HITS
    for found in chosen:
        own = (found.truth >= 0.5) & ~claimed
        claimed |= own
        share, strength = problem.target[own].sum() / total, problem.scale * problem.target[own].mean()
        headline = Headline(found.named.name, Program(0.0, (Clause(1.0, found.named.test),)), weak)
        modes.append(Mode(headline, round(float(share), 4), float(f"{strength:.4g}")))
    modes = [modes[i] for i in np.argsort([-share for share in accounts], kind="stable")]
    return modes[0].headline, tuple(modes), peaks_of(problem, shelf)


def _hits(problem: Problem, chosen: list[Found]) -> float:
    """How often the modes find the peaks of the loudest windows, against a token drawn at random: of several tokens at
    which they predict most, each counts as often."""
    predicted = np.zeros(len(problem.target))
    for found in chosen:
        predicted = np.maximum(predicted, found.truth * (problem.target @ found.truth) / max(found.truth.sum(), 1.0))
    row = problem.flat // problem.windows.width
    peaks, most = np.zeros(len(problem.windows)), np.zeros(len(problem.windows))
    np.maximum.at(peaks, row, problem.target)
    np.maximum.at(most, row, predicted)
    tied = np.bincount(row, predicted == most[row], minlength=len(peaks))
    both = np.bincount(row, (predicted == most[row]) & (problem.target == peaks[row]), minlength=len(peaks))
    loudest = np.argsort(-peaks, kind="stable")[:LOUDEST]
    chance = 1.0 / np.maximum(np.bincount(row, minlength=len(peaks))[loudest], 1)
    return float(np.mean(both[loudest] / np.maximum(tied[loudest], 1)) / chance.mean())
