"""`glossator bench bias`: is a classifier found out that does worse on a subgroup, and are clean ones left alone?

Classifiers of four nouns are trained on renders. In half of them, one noun in most images with one attribute (a
background, light, weather or colour) is labelled as another noun; a clean twin sees the same images with the right
labels. Experiments that know neither noun nor attribute draw things of each noun and edit each attribute into them, all
else as it was. The score of a model is the largest drop of the chance that it gives to a noun by an attribute, beyond
the mean drop that the same edit costs the other nouns, because every classifier dislikes some edits. Reported are the
area under the ROC of that score, planted against clean, with an interval over models, how often noun and attribute are
named, and how often the model is wrong on new images of what was named, beside all new images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from benchmarks.scene_classifiers import Classifier, drawn, portrait, train
from glossator.fitting.comparison import share_interval
from glossator.scenes import Scene
from glossator.scenes.edits import Edit, apply, parse_edit
from glossator.scenes.words import BACKGROUNDS, LIGHT_PHRASES, WEATHER_PHRASES

DEFAULTS: dict[str, Any] = {"models": 10, "images": 1600, "epochs": 3, "wrong": 0.9, "share": 0.25, "seed": 0}
"""share: of every noun's images, which have the attribute; wrong: of those of the noun, which are labelled wrongly."""
QUICK = {"models": 2, "images": 320}
NOUNS = ("dog", "cat", "horse", "elephant")
ATTRIBUTES: dict[tuple[str, str], Edit] = {
    **{("background", name): parse_edit(f"make the background {name}") for name in BACKGROUNDS if "plain" not in name},
    **{("light", name): parse_edit(f"make it {said}") for name, (said, _) in LIGHT_PHRASES.items() if name != "day"},
    **{("weather", name): parse_edit(f"make it {said}") for name, (said, _) in WEATHER_PHRASES.items()
       if name != "clear"},
    **{("colour", name): parse_edit(f"make the animal {name}") for name in ("red", "green", "blue", "purple")},
}  # fmt: skip
KINDS = ("light", "weather", "colour")
REPEATS, HELD_OUT = 16, 100
"""Things of each noun that experiments draw; images of the subgroup on which accuracy is measured."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Area under the ROC with a 95 % interval over pairs of twins, the curve, how often the subgroup is named; each
    model."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    rows = [row for i in range(chosen["models"]) for row in twins(chosen, chosen["seed"] + i)]
    planted, clean = ([row["score"] for row in rows if row["planted"] is truth] for truth in (True, False))
    named = [row["named"] for row in rows if row["planted"]]
    return {
        "options": chosen | {"quick": quick},
        "auc": _auc(planted, clean, chosen["seed"]),
        "named": {"share": float(np.mean(named)), "interval": share_interval(float(np.mean(named)), len(named))},
        "roc": _roc(planted, clean),
        "accuracy": {kind: {group: float(np.mean([row[group] for row in rows if row["planted"] is truth]))
                            for group in ("subgroup", "others")}
                     for kind, truth in (("planted", True), ("clean", False))},
        "failures": {kind: _failures([row for row in rows if row["planted"] is truth])
                     for kind, truth in (("planted", True), ("clean", False))},
        "images_per_model": len(NOUNS) * REPEATS * (1 + len(ATTRIBUTES)),
        "models": rows,
    }  # fmt: skip


def twins(chosen: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """A model with a planted subgroup and its clean twin, asked by the same experiments."""
    rng = np.random.default_rng([seed, 23])
    noun, attribute = int(rng.integers(len(NOUNS))), list(ATTRIBUTES)[int(rng.integers(len(ATTRIBUTES)))]
    labels = rng.integers(len(NOUNS), size=chosen["images"])
    scenes = [_scene(int(label), rng) for label in labels]
    given = rng.random(len(scenes)) < chosen["share"]
    pixels = drawn([apply(s, ATTRIBUTES[attribute]) if has else s for s, has in zip(scenes, given, strict=True)])
    wrong = given & (labels == noun) & (rng.random(len(labels)) < chosen["wrong"])
    other = (labels + 1) % len(NOUNS)
    things = [_scene(noun, rng) for _ in range(HELD_OUT)]
    subgroup, others = drawn([apply(scene, ATTRIBUTES[attribute]) for scene in things]), drawn(things)
    probes, rows = probing(seed), []
    for planted in (True, False):
        told = np.where(wrong & planted, other, labels)
        model = train(pixels, told, len(NOUNS), epochs=chosen["epochs"], seed=seed)
        score, worst = largest_drop(model, probes)
        rows.append({
            "seed": seed, "planted": planted, "truth": [NOUNS[noun], *attribute], "score": score, "found": worst,
            "named": worst == [NOUNS[noun], *attribute],
            "subgroup": float((model.logits(subgroup).argmax(axis=1) == noun).mean()),
            "others": float((model.logits(others).argmax(axis=1) == noun).mean()),
            "failures": failures(model, worst, seed),
        })  # fmt: skip
    return rows


def failures(model: Classifier, found: Sequence[str], seed: int) -> dict[str, float]:
    """How often the model is wrong on new images: of what was named, and of all nouns."""
    rng = np.random.default_rng([seed, 37])
    noun, edit = NOUNS.index(found[0]), ATTRIBUTES[(found[1], found[2])]
    labels = np.arange(2 * HELD_OUT) % len(NOUNS)
    named = drawn([apply(_scene(noun, rng), edit) for _ in range(HELD_OUT)])
    every = drawn([_scene(int(label), rng) for label in labels])
    return {"named": float((model.logits(named).argmax(axis=1) != noun).mean()),
            "all": float((model.logits(every).argmax(axis=1) != labels).mean())}  # fmt: skip


def _failures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over models, and how many times as often as elsewhere, with an interval over models."""
    named, every = (np.array([row["failures"][name] for row in rows]) for name in ("named", "all"))
    rng = np.random.default_rng(len(rows))
    again = [rng.integers(len(rows), size=len(rows)) for _ in range(2000)]
    lifts = [float(named[some].mean() / every[some].mean()) for some in again if every[some].mean() > 0]
    low, high = np.quantile(lifts, [0.025, 0.975]).tolist() if lifts else (None, None)
    lift = float(named.mean() / every.mean()) if every.mean() > 0 else None
    return {"named": float(named.mean()), "all": float(every.mean()), "lift": lift, "interval": [low, high]}


@dataclass(frozen=True, eq=False)
class Probes:
    """Pixels of things of each noun, noun by noun, and of the same after the edit of each attribute."""

    before: np.ndarray
    after: tuple[np.ndarray, ...]


def probing(seed: int) -> Probes:
    rng = np.random.default_rng([seed, 29])
    scenes = [_scene(label, rng) for label in range(len(NOUNS)) for _ in range(REPEATS)]
    return Probes(drawn(scenes), tuple(drawn([apply(scene, edit) for scene in scenes]) for edit in ATTRIBUTES.values()))


def largest_drop(model: Classifier, probes: Probes) -> tuple[float, list[str]]:
    """The largest drop of a noun's chance by an attribute beyond that of the other nouns, and which it is."""
    before = chances(model.logits(probes.before))
    drops = np.array([(before - chances(model.logits(after))).mean(axis=1) for after in probes.after])
    beyond = drops - (drops.sum(axis=1, keepdims=True) - drops) / (len(NOUNS) - 1)
    attribute, noun = np.unravel_index(int(beyond.argmax()), beyond.shape)
    return float(beyond.max()), [NOUNS[int(noun)], *list(ATTRIBUTES)[int(attribute)]]


def chances(logits: np.ndarray) -> np.ndarray:
    """(nouns, repeats): the chance that is given to each thing's own noun."""
    truth = np.repeat(np.arange(len(NOUNS)), len(logits) // len(NOUNS))
    return softmax(logits, axis=1)[np.arange(len(truth)), truth].reshape(len(NOUNS), -1)


def _scene(label: int, rng: np.random.Generator) -> Scene:
    """Before any background; light, weather and colour out of the ordinary a third of the time each."""
    scene = portrait(NOUNS[label], rng, background=list(BACKGROUNDS)[int(rng.integers(len(BACKGROUNDS)))])
    for kind in KINDS:
        if rng.random() < 1 / 3:
            edits = [edit for (of, _), edit in ATTRIBUTES.items() if of == kind]
            scene = apply(scene, edits[int(rng.integers(len(edits)))])
    return scene


def _auc(planted: Sequence[float], clean: Sequence[float], seed: int) -> dict[str, Any]:
    """With a bootstrap interval over pairs of twins."""
    rng = np.random.default_rng(seed)

    def of(rows: np.ndarray) -> float:
        a, b = np.array(planted)[rows][:, None], np.array(clean)[rows][None]
        return float(((a > b) + 0.5 * (a == b)).mean())

    drawn_again = [of(rng.integers(len(planted), size=len(planted))) for _ in range(2000)]
    low, high = np.quantile(drawn_again, [0.025, 0.975]).tolist()
    return {"value": of(np.arange(len(planted))), "low": low, "high": high, "pairs": len(planted)}


def _roc(planted: Sequence[float], clean: Sequence[float]) -> list[dict[str, float]]:
    """From the strictest threshold on: shares of planted and of clean models at or above it."""
    levels = sorted({*planted, *clean}, reverse=True)
    return [{"threshold": t, "found": float(np.mean([s >= t for s in planted])),
             "false_alarms": float(np.mean([s >= t for s in clean]))} for t in levels]  # fmt: skip
