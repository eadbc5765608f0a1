"""`glossator bench spurious`: are units that do not depend on the background found, and does keeping only them help?

After Spawrious (Lynch et al. 2023) and its use by MAIA (Shaham et al. 2024), on rendered scenes: four nouns, each of
which stands before its own background in 97 % of the training images and before a fifth one otherwise; in the test
images the backgrounds have changed places. An agent asks of each unit of the last layer whether it follows the noun or
the background. A linear layer is then fitted to the biased training data again, on the units that follow a noun alone,
beside all units, as many chosen by an L1 penalty, and as many at random. The clean control is trained on images in
which noun and background are independent.

Nothing out of distribution is used to choose: the pictures of the experiments hold a noun of the classes before
backgrounds that are in no training or test image, or a training background with things that belong to no class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.scene_classifiers import SIDE, Classifier, drawn, portrait, train
from glossator.agents import Budget, FunctionUnderTest, Makers, SceneStudio, experiment
from glossator.agents.answers import Answer, Conclusion
from glossator.agents.tools import Tools
from glossator.fitting.logistic import path
from glossator.scenes import Scene
from glossator.scenes.pictures import Picture, Renderer
from glossator.statistics import mean_over_units, paired_difference
from glossator.statistics.sequential import rate_above

DEFAULTS: dict[str, Any] = {"models": 10, "images": 1600, "epochs": 1, "correlation": 0.97, "random": 5, "seed": 0}
QUICK = {"models": 2, "images": 400, "random": 2}
NOUNS = ("wolf", "fox", "raccoon", "bear")
PLACES, FILLER = ("jungle", "mountain", "snow", "desert"), "beach"
MOVED = ("mountain", "snow", "desert", "jungle")
"""The background of each noun in training (most of the time, else the filler) and in the test."""
NEUTRAL_PLACES = ("grass", "city", "room", "water", "wood", "brick wall")
STAND_INS = ("pig", "cow", "hedgehog", "lion", "kangaroo", "turtle")
HELD_OUT, POOL, TRIALS = 400, 100, 24
ARMS = ("all", "agent", "l1", "random", "oracle")
QUESTION, FOLLOWS = "Does it follow the noun or the background?", "the noun more than the background"


Labelled = tuple[list[Scene], np.ndarray]
Read = tuple[np.ndarray, np.ndarray]
"""Scenes, or what the last layer reads of them, with their labels."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Accuracy out of distribution and in it of each way to choose units, with 95 % intervals over models, for biased
    and clean models; paired differences from the agent's; each model."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    rows = [of_model(chosen, chosen["seed"] + i, biased) for i in range(chosen["models"]) for biased in (True, False)]
    found: dict[str, Any] = {"options": chosen | {"quick": quick}}
    for name, truth in (("biased", True), ("clean", False)):
        own = [row for row in rows if row["biased"] is truth]
        found[name] = {
            "accuracy": {arm: {kind: _interval([row[kind][arm] for row in own]) for kind in ("moved", "same")}
                         for arm in ARMS},
            "agent_minus": {arm: _difference([row["moved"]["agent"] for row in own],
                                             [row["moved"][arm] for row in own]) for arm in ARMS if arm != "agent"},
            "network": _interval([row["network"] for row in own]),
            "units_chosen": _interval([row["units"]["chosen"] for row in own], own[0]["units"]["all"]),
            "units": own[0]["units"]["all"],
        }  # fmt: skip
    found["images_per_unit"] = float(np.mean([row["images_per_unit"] for row in rows]))
    found["models"] = rows
    return found


def of_model(chosen: dict[str, Any], seed: int, biased: bool) -> dict[str, Any]:
    """One network: trained, its units asked, and its last layer fitted again on what each way chooses."""
    rng = np.random.default_rng([seed, int(biased), 41])
    correlation = chosen["correlation"] if biased else None
    scenes, labels = labelled_scenes(chosen["images"], rng, correlation)
    pixels = drawn(scenes)
    model = train(pixels, labels, len(NOUNS), epochs=chosen["epochs"], seed=seed)
    answers = asked(model, scenes[:POOL], seed)
    agent = np.array([i for i, answer in enumerate(answers) if answer.headline is not None], int)
    known = model.features(pixels)
    everything, size = np.arange(known.shape[1]), max(1, len(agent))
    sets = {
        "all": [everything], "agent": [agent], "l1": [by_l1(known, labels, size)],
        "random": [rng.permutation(everything)[:size] for _ in range(chosen["random"])],
    }  # fmt: skip
    balanced = _read(model, labelled_scenes(chosen["images"], rng, None))
    tests = {"moved": moved_scenes(HELD_OUT, rng), "same": labelled_scenes(HELD_OUT, rng, correlation)}
    read = {kind: _read(model, test) for kind, test in tests.items()}
    right = {arm: [accuracy((known, labels), units, read) for units in sets[arm]] for arm in sets}
    right["oracle"] = [accuracy(balanced, everything, read)]
    by_network = model.logits(drawn(tests["moved"][0])).argmax(axis=1)
    return {
        "seed": seed, "biased": biased,
        **{kind: {arm: float(np.mean([one[kind] for one in right[arm]])) for arm in ARMS} for kind in read},
        "network": float((by_network == tests["moved"][1]).mean()),
        "units": {"all": len(everything), "chosen": len(agent)},
        "images_per_unit": float(np.mean([answer.spent["inputs"] for answer in answers])),
    }  # fmt: skip


def labelled_scenes(n: int, rng: np.random.Generator, correlation: float | None) -> Labelled:
    """Scenes and their labels; correlation: the share before the noun's own background, the others before the filler;
    None: any of these backgrounds for any noun."""
    labels = rng.integers(len(NOUNS), size=n)
    everywhere = (*PLACES, FILLER)
    if correlation is None:
        places = [everywhere[i] for i in rng.integers(len(everywhere), size=n)]
    else:
        places = [PLACES[i] if usual else FILLER for i, usual in zip(labels, rng.random(n) < correlation, strict=True)]
    return [portrait(NOUNS[i], rng, place) for i, place in zip(labels, places, strict=True)], labels


def moved_scenes(n: int, rng: np.random.Generator) -> Labelled:
    """The test: each noun before the background of another one."""
    labels = rng.integers(len(NOUNS), size=n)
    return [portrait(NOUNS[i], rng, MOVED[i]) for i in labels], labels


def _read(model: Classifier, labelled: Labelled) -> Read:
    return model.features(drawn(labelled[0])), labelled[1]


def accuracy(training: Read, units: np.ndarray, tests: Mapping[str, Read]) -> dict[str, float]:
    """On each test, of a linear layer on some units that was fitted with next to no penalty; without units, of the most
    frequent label."""
    known, labels = training
    if not len(units):
        return {kind: float((truth == np.bincount(labels).argmax()).mean()) for kind, (_, truth) in tests.items()}
    fit = path(known[:, units], labels, len(NOUNS), "l2")[-1]
    return {kind: float((fit.predict(read[:, units]) == truth).mean()) for kind, (read, truth) in tests.items()}


def by_l1(known: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """The units with the largest coefficients under the strongest penalty that leaves as many, by the training data."""
    for fit in path(known, labels, len(NOUNS), "l1"):
        weights = np.abs(fit.weights).max(axis=1)
        if (weights > 0).sum() >= size:
            break
    return np.argsort(-weights, kind="stable")[:size]


class OnceDrawn(SceneStudio):
    """The renderer, which draws and edits the same only once: all units of a model are shown the same pictures."""

    def __init__(self) -> None:
        super().__init__(Renderer(side=SIDE))
        self._drawn: dict[Any, list[Picture]] = {}

    def draw(self, prompts: Sequence[str], seed: int) -> list[Picture]:
        key = (*prompts, seed)
        if key not in self._drawn:
            self._drawn[key] = super().draw(prompts, seed)
        return self._drawn[key]

    def edit(self, pictures: Sequence[Picture], instructions: Sequence[str], seed: int) -> list[Picture]:
        key = (*(picture.scene for picture in pictures), *instructions)
        if key not in self._drawn:
            self._drawn[key] = super().edit(pictures, instructions, seed)
        return self._drawn[key]


def asked(model: Classifier, pool: Sequence[Scene], seed: int) -> list[Answer]:
    """The agent's answer about every unit; pool: scenes of the training distribution, which exemplars are from."""
    studio, known = OnceDrawn(), _Remembered(model)
    pictures = [
        Picture(pixels, scene, "", scene.seed, "renderer") for pixels, scene in zip(drawn(pool), pool, strict=True)
    ]
    count = known(pictures).shape[1]
    return [
        experiment(
            FunctionUnderTest(f"unit {i}", "images", partial(known.unit, i), pictures), Makers(studio), follows,
            Budget(inputs=200), seed, question=QUESTION, name="follows",
        )
        for i in range(count)
    ]  # fmt: skip


class _Remembered:
    """Features of pictures, each computed once for all units."""

    def __init__(self, model: Classifier):
        self.model = model
        self._known: dict[Scene, np.ndarray] = {}

    def __call__(self, pictures: Sequence[Picture]) -> np.ndarray:
        new = {p.scene: p.pixels for p in pictures if p.scene is not None and p.scene not in self._known}
        if new:
            self._known |= dict(zip(new, self.model.features(np.stack(list(new.values()))), strict=True))
        return np.stack([self._known[p.scene] for p in pictures if p.scene is not None])

    def unit(self, i: int, pictures: Sequence[Picture]) -> list[float]:
        return [float(value) for value in self(pictures)[:, i]]


def follows(tools: Tools, conclusion: Conclusion) -> None:
    """A policy: does the unit move more if a noun is replaced by another one, before a background of no class, than if
    a background is, behind a thing of no class? In most of `TRIALS` trials, each of two edits: it follows the noun."""
    rng = np.random.default_rng([tools.seed, 43])

    def two(names: Sequence[str]) -> tuple[str, str]:
        first, second = rng.choice(len(names), 2, replace=False)
        return names[first], names[second]

    def one(names: Sequence[str]) -> str:
        return names[int(rng.integers(len(names)))]

    nouns, places = ([two(names) for _ in range(TRIALS)] for names in (NOUNS, (*PLACES, FILLER)))
    of_nouns = _moved(
        tools,
        [[first, f"{one(NEUTRAL_PLACES)} background"] for first, _ in nouns],
        [f"replace the {first} with a {second}" for first, second in nouns],
    )
    of_places = _moved(
        tools,
        [[one(STAND_INS), f"{first} background"] for first, _ in places],
        [f"make the background {second}" for _, second in places],
    )
    more = int((of_nouns > of_places).sum())
    said = f"the noun moves it more than the background in {more} of {TRIALS} trials"
    tools.log_experiment(f"{said}, e-value {rate_above(more, TRIALS):.3g}")
    if 2 * more > TRIALS:
        conclusion.headline = FOLLOWS
    else:
        conclusion.reason = said


def _moved(tools: Tools, concepts: Sequence[Sequence[str]], instructions: Sequence[str]) -> np.ndarray:
    """How much each edit of a newly drawn picture moves the unit, up or down."""
    made = tools.text2image([tools.studio.prompt(c) for c in concepts])
    return np.abs([pair["effect"] for pair in tools.edit_images([one["id"] for one in made], instructions)])


def _interval(values: list[float], most: float = 1.0) -> dict[str, Any]:
    """A mean of shares, or of numbers from 0 to `most`, with its interval."""
    mean = mean_over_units(values, bounds=(0.0, most))
    return {"mean": mean.value, "low": mean.low, "high": mean.high}


def _difference(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    mean = paired_difference(ours, theirs)
    return {"mean": mean.value, "low": mean.low, "high": mean.high}
