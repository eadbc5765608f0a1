"""Headline and modes of a unit of images: the class of places that says most of where it is strongest, most plainly.

Classes are ranked as those of tokens are (`headlines.strong`): by what they say of where the strong activation lies,
judged in parts of the images, times how clear and short their name is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glossator.explanations import UNNAMEABLE, Headline, Mode
from glossator.headlines.finding import BREVITY, CLEAR, PLAINNESS
from glossator.headlines.reasons import LEAST, LEAST_MORE, LEAST_SHARE, MODES
from glossator.headlines.strong import FROM, MOST, USUAL, Strength, numbered
from glossator.image_programs.candidates import SETTINGS, Candidates, of_tests, pairs, shown
from glossator.image_programs.problem import SceneProblem
from glossator.inputs import WHOLE
from glossator.inputs.annotations import Concept
from glossator.programs.base import Test
from glossator.programs.language import And, Clause, Not, Program
from glossator.programs.scene.atoms import POSITIONS, STATISTICS, Anywhere, Looks, Shows
from glossator.programs.scene.english import noun

CLEARNESS = {"noun": 1.0, "label": 1.0, "class": 0.9, "background": 0.9, "light": 0.9, "weather": 0.9, "relation": 0.9,
             "colour": 0.8, "count": 0.6, "size": 0.5}  # fmt: skip
"""How clear the name of a concept is, by its kind."""
OF_PIXELS, OF_POSITION, ELSEWHERE, TOGETHER = 0.6, 0.4, 0.5, 0.92
FREE_WORDS = 3
"""Further words of a name cost `BREVITY` each."""
ENOUGH = 0.6
"""Modes that account for so much of the strong activation are not weak, however little each says."""
SHARE = 0.25
"""A cell belongs to a class when its concept covers this share of it."""
PAIRED = 10
CHANCE = 1e-4
"""Chance alone does as well this rarely: some thousand classes are looked at."""


@dataclass(frozen=True, eq=False)
class Found:
    """A class with its truth (T,) and what it is worth."""

    test: Test
    truth: np.ndarray
    value: float


def headline_of(problem: SceneProblem) -> tuple[Headline, tuple[Mode, ...]]:
    """The headline and, where anything has a name, the modes, that which accounts for most first."""
    strong, pool = _strong(problem), of_tests(problem, _classes(problem))
    whole = float(strong.weight.sum())
    chosen: list[Found] = []
    accounts: list[float] = []
    while len(chosen) < MODES and strong.weight.sum() > 0 and pool.tests:
        found = _best(problem, strong, pool)
        if found is None:
            break
        left, share = float(strong.weight.sum()) / whole, float(strong.weight @ found.truth) / whole
        more = share >= LEAST_SHARE and left * found.value >= LEAST_MORE and found.value >= CLEAR
        if not more if chosen else found.value < LEAST:
            break
        chosen.append(found)
        accounts.append(share)
        strong = strong.without(found.truth)
    if not chosen:
        return Headline(UNNAMEABLE, Program(0.0)), ()
    total, claimed, modes = float(problem.target.sum()), np.zeros(len(problem.target), bool), []
    for found in chosen:
        own = (found.truth >= 0.5) & ~claimed
        claimed |= own
        program = Program(0.0, (Clause(1.0, found.test),))
        name = noun(found.test, whole=problem.grid == WHOLE)
        headline = Headline(name, program, weak=chosen[0].value < CLEAR and sum(accounts) < ENOUGH)
        strength = problem.scale * float(problem.target[own].mean())
        modes.append(Mode(headline, round(float(problem.target[own].sum()) / total, 4), float(f"{strength:.4g}")))
    order = np.argsort([-share for share in accounts], kind="stable")
    modes = [modes[i] for i in order]
    return modes[0].headline, tuple(modes)


def _strong(problem: SceneProblem) -> Strength:
    peaks = np.zeros(int(problem.row.max(initial=-1)) + 1)
    np.maximum.at(peaks, problem.row, problem.target)
    usual = float(np.sort(peaks)[-USUAL:].mean()) if len(peaks) else 0.0
    squared = np.minimum(problem.target / max(usual, 1e-30), MOST) ** 2
    weight = np.where(problem.target >= FROM * usual, squared, 0.0) * (usual > 0)
    return Strength(weight, np.ones(len(weight), bool), numbered(problem.part))


def _classes(problem: SceneProblem) -> list[Test]:
    """Tests that are true or false."""
    cells = problem.grid != WHOLE
    classes: list[Test] = []
    for concept in shown(problem):
        classes.append(Shows((str(concept),), SHARE if cells else None))
        if cells and concept.kind not in SETTINGS:
            classes.append(Anywhere(classes[-1]))
    for name in STATISTICS:
        if cells or name not in POSITIONS:
            least = float(np.round(16 * np.quantile(problem.column(Looks(name)), 0.9)) / 16)
            classes.append(Looks(name, min(max(least, 1 / 16), 1.0)))
    return classes


def _best(problem: SceneProblem, strong: Strength, pool: Candidates) -> Found | None:
    found = _valued(strong, pool)
    found.sort(key=lambda one: -one.value)
    several = [one for one in found[:PAIRED] if isinstance(one.test, Shows)]
    for base in several[:4]:
        some = [one for one in found if not isinstance(one.test, Looks)][: 4 * PAIRED]
        others = Candidates(tuple(o.test for o in some), np.stack([o.truth for o in some]), np.zeros(len(some)))
        found += [one for one in _valued(strong, pairs(problem, base.test, base.truth, others)) if one.value > 0]
    found.sort(key=lambda one: -one.value)
    return next((one for one in found if one.value > 0 and strong.surely(one.truth, CHANCE)), None)


def _valued(strong: Strength, candidates: Candidates) -> list[Found]:
    if not candidates.tests:
        return []
    said = strong.worth(*strong.of_truths(candidates.truths))
    return [
        Found(
            test,
            truth,
            float(worth) * clear_of(test) ** PLAINNESS * BREVITY ** max(len(noun(test).split()) - FREE_WORDS, 0),
        )
        for test, truth, worth in zip(candidates.tests, candidates.truths, said, strict=True)
    ]


def clear_of(test: Test) -> float:
    """How clear the name of a class is."""
    match test:
        case And(tests):
            return TOGETHER * min(clear_of(part) for part in tests)
        case Not(inner):
            return clear_of(inner)
        case Anywhere(inner):
            return ELSEWHERE * clear_of(inner)
        case Looks(name):
            return OF_POSITION if name in POSITIONS else OF_PIXELS
        case Shows(concepts, _):
            return min(CLEARNESS[Concept.of(text).kind] for text in concepts)
    return TOGETHER
