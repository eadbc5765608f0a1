"""Who makes inputs for experiments: protocols of image tools, and a plain writer of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

APART = "apart"
"""The arrangement in which two things stand far from each other."""


class Studio(Protocol):
    """Draws, edits and describes pictures: scenes and their renderer, or diffusion and vision language models.

    backend: its name; vocabulary: concepts that it can draw, most common first. A picture has `prompt`, `seed` and
    `missing`: what was asked and is not in it.
    """

    backend: str
    vocabulary: tuple[str, ...]

    def draw(self, prompts: Sequence[str], seed: int) -> list[Any]: ...

    def edit(self, pictures: Sequence[Any], instructions: Sequence[str], seed: int) -> list[Any]: ...

    def describe(self, picture: Any, mask: np.ndarray | None) -> str:
        """One picture, where the mask is; never told anything of hypotheses."""
        ...

    def contents(self, picture: Any) -> frozenset[str]:
        """The concepts in a picture, of `vocabulary` or broader ones."""
        ...

    def slot(self, concept: str) -> str:
        """What of a picture a concept takes up, such as its background; "" for things, which can stand together."""
        ...

    def broader(self, concept: str) -> tuple[str, ...]:
        """Classes that a concept belongs to, narrow ones first: dog -> mammal, animal."""
        ...

    relations: tuple[str, ...]
    """How two things can stand to each other; none where that cannot be asked for."""

    def prompt(self, concepts: Sequence[str], arranged: str | None = None) -> str:
        """What to draw so that these concepts, and nothing else of the vocabulary, are in the picture. arranged: how
        the first two things stand to each other, one of `relations` or `APART`."""
        ...

    def related(self, picture: Any, first: str, second: str) -> frozenset[str]:
        """How things of the first concept stand to things of the second in a picture."""
        ...

    def removal(self, concept: str, picture: Any) -> str:
        """The instruction that takes a concept out of this picture and leaves the rest."""
        ...

    def addition(self, concept: str, picture: Any) -> str: ...

    def program(self, rule: Sequence[dict[str, Any]]) -> str | None:
        """A rule as a program (`answers.Answer`), None without a language for it."""
        ...

    def said(self, alternative: dict[str, Any]) -> str:
        """One alternative of a rule as a plural noun phrase: "dogs on grass"."""
        ...


class Writer(Protocol):
    """Writes texts about something; a language model, or sentences around it."""

    name: str

    def write(self, about: str, n: int, seed: int) -> list[str]: ...


CARRIERS = (
    "This is about {}", "They said {}", "It was then {}", "In the end there was {}", "We looked at {}",
    "Some people know {}", "The next one is {}", "There is also {}", "She thought of {}", "He wrote down {}",
    "Nobody here knew {}", "Later on we saw {}",
)  # fmt: skip


class CarrierWriter:
    """Plain sentences that end with the words asked for; needs no language model."""

    name = "carriers"

    def write(self, about: str, n: int, seed: int) -> list[str]:
        order = np.random.default_rng(seed).permutation(len(CARRIERS))
        return [CARRIERS[order[i % len(CARRIERS)]].format(about.strip()) for i in range(n)]


@dataclass(frozen=True)
class Makers:
    """What tools make inputs with; a studio is needed for units of images."""

    studio: Studio | None = None
    writer: Writer = field(default_factory=CarrierWriter)
