"""Texts about a name that no language model writes, and other names to write of in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from glossator.corpora.ngrams.concepts import Concept, likely
from glossator.corpora.wordnet import WordNet
from glossator.explainers.naming.reference import stable_order

SELECTING = ("{}", "about {}", "more on {}", "the subject is {}")
REPORTING = (
    "a text about {}",
    "it is all about {}",
    "{} and the like",
    "an example of {}",
    "what I know of {}",
    "they spoke of {} yesterday",
)
"""Phrases around a name: those that candidates are ranked by, and those that the chosen one is reported on."""


@dataclass(frozen=True)
class Text:
    """A text that a name is tested on. kind: template, definition, example, written (by a language model), corpus."""

    text: str
    kind: str


def from_templates(name: str, templates: Iterable[str]) -> list[Text]:
    return [Text(template.format(name), "template") for template in templates]


def definitions(name: str, wordnet: WordNet, most: int = 2) -> list[Text]:
    """`name: definition` of its likely meanings."""
    base = wordnet.base(name)
    return [Text(f"{name}: {meaning.definition}", "definition") for meaning in likely(base, wordnet)[:most]]


def examples(name: str, wordnet: WordNet, most: int = 6) -> list[Text]:
    """WordNet's examples of the likely meanings, those that hold a form of the name."""
    base = wordnet.base(name)
    forms = set(wordnet.forms(base)) if base in wordnet else {base}
    found = [
        Text(example, "example")
        for meaning in likely(base, wordnet)
        for example in meaning.examples
        if any(f" {form} " in f" {' '.join(example.lower().split())} " for form in forms)
    ]
    return found[:most]


def other_names(concept: Concept, vocabulary: Sequence[str], count: int, salt: object) -> list[str]:
    """Names drawn at random of those that do not stand for the concept, for negatives written like the positives."""
    drawn: list[str] = []
    rng = np.random.default_rng(stable_order("names", salt))
    while len(drawn) < min(count, len(vocabulary)):
        name = vocabulary[int(rng.integers(len(vocabulary)))]
        if concept.members.get(name, 0.0) == 0 and name not in drawn and name != concept.name:
            drawn.append(name)
    return drawn
