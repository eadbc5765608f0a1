"""The WordNet classes of n-grams, and texts about a name that are written without a language model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from glossator.corpora.ngrams.held_words import Concept, WordTable, likely
from glossator.corpora.wordnet import WordNet


@dataclass(frozen=True, eq=False)
class Classes:
    """synsets: numbers of those that stand above at least `LEAST` words of the table, and are nouns; held: CSR
    (synsets, n-grams), the greatest share of uses of a word of the n-gram that mean something below the synset."""

    synsets: list[int]
    held: sparse.csr_array
    sums: np.ndarray
    squares: np.ndarray

    LEAST: ClassVar[int] = 2

    def only(self, columns: np.ndarray) -> Classes:
        """Over these n-grams alone."""
        return _classes(self.synsets, self.held[:, columns].tocsr())


def word_classes(table: WordTable, wordnet: WordNet) -> Classes:
    """The classes of a table's words."""
    shares: dict[tuple[int, int], float] = {}
    for column, name in enumerate(table.names):
        meanings = wordnet.meanings(name)
        uses = wordnet.shares(name)
        for meaning in meanings:
            if meaning.part == "n":
                for number in wordnet.above(meaning.number):
                    key = (number, column)
                    shares[key] = shares.get(key, 0.0) + uses[meaning.number]
    words: dict[int, int] = {}
    for number, _ in shares:
        words[number] = words.get(number, 0) + 1
    synsets = sorted(number for number, count in words.items() if count >= Classes.LEAST)
    row = {number: place for place, number in enumerate(synsets)}
    entries = [(row[number], column, share) for (number, column), share in shares.items() if number in row]
    rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    shape = (len(synsets), len(table.names))
    held = sparse.csr_array((np.array(values, np.float32), (rows, columns)), shape=shape) @ table.holds
    held.data = np.minimum(held.data, 1.0)
    return _classes(synsets, held.tocsr())


def _classes(synsets: list[int], held: sparse.csr_array) -> Classes:
    return Classes(synsets, held, np.asarray(held.sum(1)), np.asarray(held.multiply(held).sum(1)))


def correlations(classes: Classes, z: np.ndarray) -> np.ndarray:
    """Pearson r of each class with z, which has mean 0 and variance 1; 0 for a class that all or none hold."""
    n = len(z)
    variance = np.maximum(classes.squares / n - (classes.sums / n) ** 2, 0)
    products = classes.held @ z / n
    return np.divide(products, np.sqrt(variance), out=np.zeros(len(products)), where=variance > 1e-12)


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


def stable_order(text: str, salt: object = "") -> int:
    """A number that depends on the text (and salt) alone: sorts, splits and draws that need no state."""
    return int.from_bytes(hashlib.blake2b(f"{salt}\0{text}".encode("utf-8", "replace"), digest_size=8).digest())
