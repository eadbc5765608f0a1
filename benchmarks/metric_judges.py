"""The sanity tests for scores that ask a judge: an ideal one reads right explanations of planted units, and after a
change misses half of their class or sees as much again that is not there.

The judge sees texts alone. So which tokens it gets wrong is decided by the token and the ones before it, by a hash that
differs from draw to draw; what a unit does is its class, so every token of it is a hit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.reader import ProgramReader
from benchmarks.scorer_levels import Levels
from benchmarks.scorer_units import PlantedWorld
from benchmarks.scorers import planted_levels
from glossator import registry
from glossator.programs import execute
from glossator.scorers.lab import Lab, score_explanations

SCORERS = ("lm-detection", "fuzzing", "intruder", "surprisal", "agreement")
UNTESTED = {
    "embedding.auroc": "it reads the words of an explanation, which have no class to change",
    "sigma": "it reads the words of an explanation, which have no class to change",
    "generate-and-test": "texts are written for an explanation; none is asked where it holds",
}
ALONE = "intruder.unit-accuracy"
"""A score of the unit, which no explanation changes."""
MEMORY = 3
"""Tokens before a token that decide, together with it, whether the judge gets it wrong."""


class ChangedReader(ProgramReader):
    """The ideal reader of the programs, with one of the changes; share: by explanation, how much of the text its class
    is."""

    def __init__(self, *given: Any, test: str | None, draw: int, share: dict[str, float], **named: Any):
        super().__init__(*given, **named)
        self.test, self.draw, self.share = test, draw, share

    def _execute(self, explanation: str, texts: Sequence[np.ndarray]) -> np.ndarray:
        values = super()._execute(explanation, texts)
        if self.test is None:
            return values
        values = values.copy()
        for row, tokens in enumerate(texts):
            chance = self._chances(tokens)
            own = values[row, : len(tokens)]
            if self.test == "missing":
                own[(own > 0) & (chance < 0.5)] = 0.0
            else:
                own[(own == 0) & (chance < self.share[explanation])] = 1.0
        return values

    def _chances(self, tokens: np.ndarray) -> np.ndarray:
        """(t,) evenly spread over 0 to 1, other ones in each draw."""
        seen = np.concatenate([np.full(MEMORY, -1), tokens]).astype(np.uint64)
        mixed = np.full(len(tokens), self.draw + 1, np.uint64)
        for back in range(MEMORY + 1):
            mixed = _mixed(mixed ^ seen[back : back + len(tokens)])
        return np.asarray(mixed / 2.0**64)


def _mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64 (Steele et al. 2014): every bit of the output hangs on every bit of the input."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(values ^ (values >> np.uint64(31)))


def judged_values(
    units: int, draws: int, tests: Sequence[str], seed: int
) -> Iterator[tuple[float, dict[str, float], dict[str, list[dict[str, float]]]]]:
    """(density, values before, values after by test and draw) of each planted unit, by the name of the score."""
    world, places, levels = planted_levels(
        {"subject": "smollm2-135m", "tokens": 150_000, "width": 32, "seed": seed, "units": units}
    )
    for place, of_unit in zip(places, levels, strict=True):
        values = world.activations["test"][place]
        density = float((values > 0)[world.windows["test"].valid].mean())
        before = _values(world, place, of_unit, None, 0, density, seed)
        after = {
            test: [_values(world, place, of_unit, test, draw, density, seed) for draw in range(draws)] for test in tests
        }
        yield density, before, after


def _values(
    world: PlantedWorld, place: int, levels: Levels, test: str | None, draw: int, density: float, seed: int
) -> dict[str, float]:
    explanation = levels.explanations[0]
    assert explanation.program is not None
    pool = world.windows["explain"]
    share = float((execute(explanation.program, pool, world.lexicon) > 0)[pool.valid].mean())
    reader = ChangedReader(
        world.tokenizer, world.lexicon, {explanation.text: explanation.program}, pool, test=test, draw=draw,
        share={explanation.text: share}, seed=seed,
    )  # fmt: skip
    lab = Lab(
        world.lexicon, open_lm=lambda: reader, open_subject=lambda: world.subject,
        others=world.others, seed=seed, intervals=False,
    )  # fmt: skip
    scorers = [registry.load("scorers", name)() for name in SCORERS]
    scores = score_explanations(world.unit(place), [explanation], world.evidence(place), lab, scorers)[0]
    return {s.name: s.value for s in scores if s.value is not None and s.name != ALONE}
