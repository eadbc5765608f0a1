"""Grading an answer about a unit of images: does its program say what the truth says, on hard scenes?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from glossator.inputs import WHOLE, Grid
from glossator.inputs.annotations import Concept
from glossator.planted.images import DISCOUNT, NOUNS, PlantedImageUnit
from glossator.programs import Program
from glossator.programs.running import run
from glossator.programs.scene.atoms import concepts_of
from glossator.scenes import SceneImages, random_scenes
from glossator.scenes.inputs import relation_of
from glossator.scenes.sampling import holding
from glossator.scenes.scene import LIGHTS, WEATHERS
from glossator.scenes.words import BACKGROUNDS, classes, nouns

SCENES, SIDE = 240, 48
EXACT = 0.95
FEWEST = 5
"""A combination of concepts counts if so many scenes hold it."""
MOST_LEVELS = 40


@dataclass(frozen=True)
class ImageGrade:
    """exact: in every combination of the concepts that truth and answer name, at least `EXACT` of the scenes are told
    rightly; agreement: mean over the combinations; worst: the least."""

    exact: bool
    agreement: float
    worst: float


def grade_images(unit: PlantedImageUnit, program: Program | None, grid: Grid = WHOLE, seed: int = 0) -> ImageGrade:
    """Whether a program is the truth about a planted unit, whatever its words.

    Fresh scenes hold random subsets of the concepts of truth and answer and of near misses of both (other members of a
    class, what is beside it, other settings, the things of a relation apart). The program is executed on the grid that
    it is meant for; its largest values are cut at the levels that fit best, so that neither scale nor strengths matter,
    but order does: of a discounted unit it must tell three levels apart. Raises `ValueError` for a null unit.
    """
    if unit.kind == "null":
        raise ValueError("a null unit has no truth")
    if program is None or not program.clauses:
        return ImageGrade(False, 0.0, 0.0)
    named = tuple(dict.fromkeys(c for clause in program.clauses for c in concepts_of(clause.test)))
    images = hard_scenes((*unit.parts, *named), seed)
    truth = np.searchsorted((DISCOUNT / 2, (1 + DISCOUNT) / 2), unit.level(images))
    strata = _strata(images, (*_atoms(unit.parts), *named))
    return _told(truth, np.asarray(run(program, images, grid, None).max(axis=1), float), strata)


def hard_scenes(concepts: Sequence[Concept], seed: int, n: int = SCENES) -> SceneImages:
    """Scenes of `WORLD` that hold random subsets of the concepts and of their near misses."""
    rng = np.random.default_rng([seed, 31])
    core = tuple(dict.fromkeys(_atoms(concepts)))
    near = tuple(dict.fromkeys(miss for concept in core for miss in _near(concept, rng) if miss not in core))
    made = []
    for scene in random_scenes(n, int(rng.integers(2**31)), among=NOUNS):
        chosen = [c for c in core if rng.random() < 0.5]
        chosen = [chosen[i] for i in rng.permutation(len(chosen))[:4]]
        if near and rng.random() < 0.6:
            chosen.append(near[int(rng.integers(len(near)))])
        made.append(holding(scene, chosen, rng))
    return SceneImages.of_scenes(made, side=SIDE)


def _atoms(concepts: Sequence[Concept]) -> Iterator[Concept]:
    """The concepts, those that a relation is between among them."""
    for concept in concepts:
        yield concept
        if concept.kind == "relation" and (parts := relation_of(concept.name)) is not None:
            for name in (parts[0], parts[2]):
                yield Concept("noun" if name in nouns() else "class", name)


def _near(concept: Concept, rng: np.random.Generator) -> Iterator[Concept]:
    """What is easily taken for a concept."""
    if concept.kind == "noun":
        siblings = [n for n in classes()[nouns()[concept.name].classes[0]] if n != concept.name]
        yield from (Concept("noun", str(n)) for n in rng.permutation(siblings)[:2])
        yield from (Concept("class", name) for name in nouns()[concept.name].classes)
    elif concept.kind == "class":
        wider = {name for noun in classes()[concept.name] for name in nouns()[noun].classes}
        around = [n for name in sorted(wider) for n in classes()[name] if n not in classes()[concept.name]]
        yield from (Concept("noun", str(n)) for n in rng.permutation(around)[:2])
        yield from (Concept("noun", str(n)) for n in rng.permutation(classes()[concept.name])[:2])
    elif concept.kind in ("background", "light", "weather"):
        known = {"background": tuple(BACKGROUNDS), "light": LIGHTS, "weather": WEATHERS}[concept.kind]
        others = [name for name in known if name != concept.name]
        yield from (Concept(concept.kind, str(name)) for name in rng.permutation(others)[:2])


def _strata(images: SceneImages, concepts: Sequence[Concept]) -> np.ndarray:
    """(n,) which combination of the concepts each image shows."""
    shown = np.stack([images.annotations.present(concept) for concept in dict.fromkeys(concepts)], axis=1)
    return np.unique(shown, axis=0, return_inverse=True)[1].reshape(-1)


def _told(truth: np.ndarray, values: np.ndarray, strata: np.ndarray) -> ImageGrade:
    levels = np.unique(np.round(values, 6))
    if len(levels) > MOST_LEVELS:
        levels = np.unique(np.quantile(levels, np.linspace(0, 1, MOST_LEVELS)))
    cuts = (levels[:-1] + levels[1:]) / 2
    present = np.unique(truth)
    counts = np.bincount(strata)
    chosen = np.flatnonzero(counts >= FEWEST)
    best = ImageGrade(False, 0.0, 0.0)
    for some in _cuts(cuts, len(present) - 1):
        right = present[np.searchsorted(some, values)] == truth
        shares = (np.bincount(strata, weights=right) / np.maximum(counts, 1))[chosen]
        grade = ImageGrade(bool(shares.min() >= EXACT), float(shares.mean()), float(shares.min()))
        best = max(best, grade, key=lambda one: (one.worst, one.agreement))
    return best


def _cuts(cuts: np.ndarray, n: int) -> Iterator[np.ndarray]:
    if n == 0:
        yield np.empty(0)
    elif n == 1:
        yield from (np.array([cut]) for cut in cuts)
    else:
        yield from (np.array([low, high]) for i, low in enumerate(cuts) for high in cuts[i + 1 :])
