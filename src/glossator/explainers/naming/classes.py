"""Classes of words that n-grams hold: WordNet's synsets of nouns above the words of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from glossator.corpora.ngrams.held_words import WordTable
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
