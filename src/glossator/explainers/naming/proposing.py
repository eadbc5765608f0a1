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

import numpy as np

from glossator.corpora.ngrams.held_words import WordTable
from glossator.corpora.wordnet import WordNet
from glossator.explainers.naming.classes import Classes, correlations
from glossator.explainers.naming.reference import Reference


@dataclass(frozen=True)
class NamingSpec:
    """names: how many come out. doubt: standard errors subtracted from a word's mean response. top: n-grams whose
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
    """A candidate: text; sources: rank (from 0) in each list that holds it; parts: what a phrase was put together
    from; members: of a class that was found by them, words that are as loud as any, the most common first."""

    text: str
    sources: dict[str, int] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


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
    lists["echo"] = [" ".join(reference.texts[row].lower().split()) for row in order[: spec.echoes]]
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
