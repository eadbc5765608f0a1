"""Names for what a module responds to, from its responses to n-grams alone and without a language model.

Its sources, each a ranked list over names that anyone might use (no list of answers):

- words and phrases of the n-grams, by a lower bound of the mean response of all n-grams that hold them, so that many
  noisy responses count for what they are worth;
- hypernyms of those words, by the correlation of responses with "holds a word of this class" (specific enough, because
  a class that is too wide holds words without a response);
- the top n-grams themselves, a few;
- words of a general vocabulary that lie, by the vectors of a text embedder, where responses are large: along the ridge
  regression of responses on the vectors of n-grams, and near the centre of the top n-grams.

The lists are merged by reciprocal ranks (Cormack, Clarke and Buettcher 2009).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import sparse

from glossator.sasc.vocabulary import Vocabulary
from glossator.sasc.wordnet import WordNet
from glossator.sasc.words_in_ngrams import WordTable

if TYPE_CHECKING:
    from glossator.sasc.reference import Reference


@dataclass(frozen=True)
class NamingSpec:
    """names: how many come out. doubt: standard errors that are taken off a word's mean response. top: n-grams whose
    centre is looked at. ridge: strength, as a share of the mean variance of a dimension times the number of n-grams.
    fusion: the constant of reciprocal rank fusion.
    echoes: top n-grams that are candidates as they stand."""

    names: int = 24
    doubt: float = 1.5
    top: int = 50
    ridge: float = 0.3
    fusion: float = 5.0
    echoes: int = 3


@dataclass(frozen=True)
class Name:
    """A candidate: text; sources: rank (from 0) in each list that holds it."""

    text: str
    sources: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Space:
    """N-grams (n, width) and vocabulary in an embedder's space, centred on the n-grams; what modules share.

    gram: the n-grams' sums of products (width, width).
    """

    ngrams: np.ndarray
    vocabulary: Vocabulary
    names: np.ndarray
    gram: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray, vocabulary: Vocabulary) -> Space:
        centre = vectors.mean(0)
        ngrams = _scaled(vectors - centre)
        return cls(ngrams, vocabulary, _scaled(vocabulary.vectors - centre), ngrams.T @ ngrams)

    def only(self, rows: np.ndarray) -> Space:
        """With these n-grams alone; the centre stays."""
        kept = self.ngrams[rows]
        if 2 * len(rows) < len(self.ngrams):
            return Space(kept, self.vocabulary, self.names, kept.T @ kept)
        left_out = np.delete(self.ngrams, rows, axis=0)
        return Space(kept, self.vocabulary, self.names, self.gram - left_out.T @ left_out)

    def along(self, z: np.ndarray, ridge: float) -> np.ndarray:
        """Of each name, what a ridge regression of z (mean 0) on the n-grams predicts for it."""
        strength = ridge * np.trace(self.gram) / len(self.gram)
        products = self.ngrams.T @ z.astype(np.float32)
        return self.names @ np.linalg.solve(self.gram + strength * np.eye(len(self.gram), dtype=np.float32), products)

    def near(self, rows: np.ndarray) -> np.ndarray:
        """Of each name, how near it is to the centre of these n-grams."""
        return self.names @ self.ngrams[rows].mean(0)


def propose(responses: np.ndarray, reference: Reference, spec: NamingSpec) -> list[Name]:
    """At most `spec.names` names, best first.

    responses (n,): to the reference's n-grams, finite and not constant.
    """
    z = (responses - responses.mean()) / responses.std()
    order = np.argsort(-z, kind="stable")
    lists = {
        "word": by_words(z, reference.table, spec.doubt),
        "class": by_classes(z, reference.classes, reference.wordnet),
    }
    space = reference.space
    if space is not None:
        for source, values in (("along", space.along(z, spec.ridge)), ("near", space.near(order[: spec.top]))):
            lists[source] = [space.vocabulary.names[row] for row in largest(values, 4 * spec.names)]
    lists["echo"] = [" ".join(reference.ngrams.texts[row].lower().split()) for row in order[: spec.echoes]]
    return merged(lists, spec)


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """Rows of the largest values, best first."""
    count = min(count, len(values))
    rows = np.argpartition(-values, count - 1)[:count]
    return rows[np.argsort(-values[rows], kind="stable")]


def by_words(z: np.ndarray, table: WordTable, doubt: float) -> list[str]:
    """Names of the table by the lower bound of their mean response, the mean shrunk towards that of all n-grams."""
    counts = table.counts
    sums = table.holds @ z
    bound = sums / (counts + 1.0) - doubt / np.sqrt(counts + 1.0)
    return [table.names[row] for row in np.argsort(-bound, kind="stable")[:1000] if table.names[row].isascii()]


def by_classes(z: np.ndarray, classes: Classes, wordnet: WordNet, most: int = 200) -> list[str]:
    """Words for synsets of nouns, by the correlation of responses with holding a word below them."""
    values = correlations(classes, z)
    order = np.argsort(-values, kind="stable")[:most]
    return list(dict.fromkeys(common_word(wordnet, classes.synsets[row]) for row in order if values[row] > 0))


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


def common_word(wordnet: WordNet, number: int) -> str:
    """The word of a synset that is most often tagged with it, the first where none is."""
    synset = wordnet.synsets[number]
    return synset.words[int(np.argmax(synset.tagged))].lower()


def merged(lists: dict[str, list[str]], spec: NamingSpec) -> list[Name]:
    """Names by the sum of 1 / (rank + fusion) over the lists; equal sums in the order of the lists."""
    sources: dict[str, dict[str, int]] = {}
    for source, names in lists.items():
        for rank, name in enumerate(dict.fromkeys(names)):
            sources.setdefault(name, {})[source] = rank
    value = {name: sum(1 / (rank + spec.fusion) for rank in ranks.values()) for name, ranks in sources.items()}
    order = sorted(sources, key=lambda name: -value[name])
    return [Name(name, sources[name]) for name in order[: spec.names]]


def _scaled(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0).astype(np.float32)
