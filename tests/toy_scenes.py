"""A tiny world of pictures that are sets of concepts, with exact truth, for experiments that need no renderer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from glossator.agents.under_test import FunctionUnderTest

CLASSES = {
    "dog": ("mammal", "animal"), "cat": ("mammal", "animal"), "horse": ("mammal", "animal"), "cow": ("mammal",
    "animal"), "duck": ("bird", "animal"), "owl": ("bird", "animal"), "parrot": ("bird", "animal"), "eagle": ("bird",
    "animal"), "car": ("vehicle",), "bus": ("vehicle",), "train": ("vehicle",), "bicycle": ("vehicle",), "apple":
    ("fruit",), "pear": ("fruit",), "grapes": ("fruit",), "lemon": ("fruit",), "snow": (), "night": (), "ball": (),
    "tree": (), "house": (), "red": (), "hat": (), "book": (),
}  # fmt: skip
VOCABULARY = tuple(CLASSES)


@dataclass(frozen=True)
class Toy:
    has: frozenset[str]
    prompt: str
    seed: int
    backend: str = "toy"
    missing: tuple[str, ...] = ()

    @property
    def pixels(self):
        return np.zeros((8, 8, 3), np.uint8)


def toy(concepts, seed=0):
    return Toy(frozenset(concepts), ", ".join(sorted(concepts)), seed)


class ToyStudio:
    backend, vocabulary, relations = "toy", VOCABULARY, ()

    def draw(self, prompts, seed):
        return [toy([c for c in prompt.split(", ") if c in CLASSES], seed) for prompt in prompts]

    def edit(self, pictures, instructions, seed):
        edited = []
        for picture, instruction in zip(pictures, instructions, strict=True):
            verb, concept = instruction.split(" ", 1)
            edited.append(toy(picture.has - {concept} if verb == "remove" else picture.has | {concept}, picture.seed))
        return edited

    def describe(self, picture, mask):
        return ", ".join(sorted(picture.has))

    def contents(self, picture):
        return picture.has

    def broader(self, concept):
        return CLASSES.get(concept, ())

    def slot(self, concept):
        return ""

    def related(self, picture, first, second):
        return frozenset()

    def prompt(self, concepts, arranged=None):
        return ", ".join(concepts)

    def removal(self, concept, picture):
        return f"remove {concept}"

    def addition(self, concept, picture):
        return f"add {concept}"

    def program(self, rule):
        return None

    def said(self, alternative):
        absent = alternative.get("none", ())
        return " with ".join(alternative["all"]) + (f" without {' or '.join(absent)}" if absent else "")


def pool(n, seed):
    rng = np.random.default_rng(seed)
    return [toy([str(c) for c in rng.choice(VOCABULARY, rng.integers(2, 6), replace=False)], i) for i in range(n)]


def toy_unit(rule, *, noise=0.05, n=1500, seed=0):
    """A unit of pictures. rule: from the set of concepts to a number; noise is fixed for each picture."""

    def respond(items):
        values = []
        for item in items:
            rng = np.random.default_rng(list(f"{item.prompt}/{item.seed}/{seed}".encode()))
            values.append(rule(item.has) + noise * rng.normal())
        return values

    return FunctionUnderTest("toy", "images", respond, pool(n, seed))


def dog(seed=0):
    """A unit that responds to dogs where there is no snow."""
    return toy_unit(lambda has: float("dog" in has and "snow" not in has), seed=seed)
