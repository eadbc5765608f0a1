"""Planted units of images as a benchmark sees them: one set of scenes, what is recorded of each unit, and its label by
several methods that are all shown equally many images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from glossator.agents import Budget, ImageUnderTest, Makers, SceneStudio, experiment
from glossator.agents.answers import Answer
from glossator.agents.predictive import Label
from glossator.evidence import Exemplars, ExplainEvidence, UnitStatistics
from glossator.explainers import Abstained, Explainer
from glossator.image_programs.reading import read
from glossator.inputs import WHOLE, Concept
from glossator.planted.images import CELLS, NOUNS, SITE, WORLD, PlantedImageUnit
from glossator.programs import Clause, Program, parse_program
from glossator.scenes import SceneImages, random_scenes
from glossator.scenes.pictures import Renderer
from glossator.scenes.words import BACKGROUNDS
from glossator.units import Unit

SCENES, SIDE, REFERENCE = 6000, 64, 1000
"""Recorded scenes; their side in pixels; how many random ones give a unit's quantiles and levels."""
FIRES = 0.9


@dataclass(frozen=True, eq=False)
class World:
    """Recorded scenes; the first `REFERENCE` are the random sample, which was chosen without looking at any unit."""

    images: SceneImages

    @classmethod
    def drawn(cls, seed: int, scenes: int = SCENES) -> World:
        return cls(SceneImages.of_scenes(random_scenes(scenes, seed, among=NOUNS), side=SIDE))


@dataclass(frozen=True, eq=False)
class Case:
    """One unit to explain with at most `images` images; number: among all units, for its name and seed."""

    planted: PlantedImageUnit
    world: World
    number: int
    images: int
    seed: int

    @property
    def unit(self) -> Unit:
        return Unit("planted-images", SITE, self.number)

    @cached_property
    def values(self) -> np.ndarray:
        return self.planted.values(self.world.images, CELLS)

    def evidence(self, top: int, random: int) -> ExplainEvidence:
        """The images with the largest responses and the first of the random sample; statistics are of the sample."""
        rows = np.unique(np.r_[np.argsort(-self.values.max(axis=1), kind="stable")[:top], np.arange(random)])
        kinds = np.full(len(rows), "top", dtype="<U9")
        kinds[rows < random] = "random"
        best = set(np.argsort(-self.values.max(axis=1), kind="stable")[:top].tolist())
        kinds[[row in best for row in rows.tolist()]] = "top"
        exemplars = Exemplars(self.world.images.take(rows), self.values[rows], kinds, rows < random, CELLS)
        return ExplainEvidence(self.unit, exemplars, self._statistics, exemplars.fingerprint)

    @property
    def _statistics(self) -> UnitStatistics:
        sample = self.values[:REFERENCE]
        maxima = sample.max(axis=1)
        threshold = float(np.quantile(sample, 0.99))
        return UnitStatistics(
            sample.size, float(sample.mean()), float(sample.var()), None, None, float(self.values.max()), threshold,
            float((sample > threshold).mean()), "0.99 quantile of cells",
            input_threshold=float(np.quantile(maxima, FIRES)),
        )  # fmt: skip

    def under_test(self) -> ImageUnderTest:
        def respond(images: Any) -> np.ndarray:
            return self.planted.values(images, CELLS)

        return ImageUnderTest(self.unit, self.evidence(self.images, REFERENCE), respond)


@dataclass(frozen=True, eq=False)
class Labelled:
    """What a method says of a unit, None for nothing; images: how many it was shown; answer: the agent's."""

    label: Label | None
    images: int
    answer: Answer | None = None


Method = Callable[[Case], Labelled]


def agent(case: Case) -> Labelled:
    """The scripted experimenter, all of whose images count: exemplars, random ones, and those that it draws."""
    studio = SceneStudio(Renderer(side=SIDE))
    answer = experiment(case.under_test(), Makers(studio), "scripted", Budget(inputs=case.images), case.seed)
    used = int(answer.spent["inputs"])
    if answer.headline is None or answer.program is None:
        return Labelled(None, used, answer)
    return Labelled(Label(answer.headline, parse_program(answer.program), method="agent"), used, answer)


def explained(explainer: Explainer, *, pooled: bool) -> Method:
    """An explainer that is given half of the images as strongest exemplars and half as random ones. pooled: one value
    an image, for those that have no use for places."""

    def label(case: Case) -> Labelled:
        evidence = case.evidence(case.images // 2, case.images // 2)
        if pooled:
            evidence = replace(evidence, exemplars=evidence.exemplars.pooled())
        found = explainer.explain([evidence], n=1, seed=case.seed)[0]
        shown = len(evidence.exemplars)
        if isinstance(found, Abstained) or not found:
            return Labelled(None, shown)
        grid = WHOLE if pooled else CELLS
        told = Label.of(found[0], grid)
        if told.program is None and (test := read(found[0].text, grid, every=True).whole) is not None:
            told = replace(told, program=Program(0.0, (Clause(1.0, test),)))
        return Labelled(told, shown)

    return label


def random_label(case: Case) -> Labelled:
    """A concept that is drawn without looking at the unit."""
    rng = np.random.default_rng([case.seed, case.number, 41])
    known = [Concept("noun", noun) for noun in NOUNS] + [Concept("class", kind) for kind in WORLD]
    known += [Concept("background", name) for name in BACKGROUNDS]
    chosen = known[int(rng.integers(len(known)))]
    return Labelled(Label(chosen.name, said(chosen), method="random"), 0)


def said(concept: Concept) -> Program:
    return parse_program(f'0.0 + 1.0*shows("{concept}")')
