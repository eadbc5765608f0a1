"""Names without a language model: from a unit's responses, and by asking the unit about names and phrases.

What a unit responds to need not be one word: a stance, a tone or a topic may take several. A beam search combines names
that it responds to and keeps what it responds to more. Whether a phrase says more than its parts is decided on other
texts, in `selection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from glossator.corpora.ngrams.held_words import WordTable
from glossator.corpora.wordnet import WordNet
from glossator.explainers.naming.classes import Classes, correlations
from glossator.explainers.naming.task import Reference
from glossator.statistics import largest


@dataclass(frozen=True)
class ComposingSpec:
    """names: of the vocabulary, by response, that become candidates; parts: of the same list, that phrases are made of,
    each of their words in `repeats` of them at most; beam: phrases that are made longer at each of `steps`; phrases:
    of each step, that become candidates. With 0 names the module is not asked."""

    names: int = 8
    parts: int = 40
    repeats: int = 2
    beam: int = 4
    steps: int = 2
    phrases: int = 4


def loudest(names: Sequence[str], values: np.ndarray, count: int) -> list[str]:
    """Names by the unit's response to them, largest first; those without a response are left out."""
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(-values[known], kind="stable")]
    return [names[row] for row in order[:count]]


def parts_of(names: Sequence[str], spec: ComposingSpec) -> list[str]:
    """The first names of a list in which no word stands more often than `repeats` times."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        words = set(name.split())
        if all(seen[word] < spec.repeats for word in words):
            seen.update(words)
            found.append(name)
            if len(found) == spec.parts:
                break
    return found


def composed(
    parts: Sequence[str], ask: Callable[[Sequence[str]], np.ndarray], spec: ComposingSpec
) -> dict[str, tuple[str, str]]:
    """Phrases of two to `steps` + 1 parts, those of each step by response, best first, with the two that each was put
    together from."""
    beam = list(parts[: spec.beam])
    found: dict[str, tuple[str, str]] = {}
    for _ in range(spec.steps):
        tried = {text: (head, part) for head in beam for part in parts for text in _together(head, part)}
        texts = list(tried)
        best = loudest(texts, ask(texts), max(spec.beam, spec.phrases)) if texts else []
        found |= {text: tried[text] for text in best[: spec.phrases]}
        beam = best[: spec.beam]
    return found


def _together(head: str, part: str) -> tuple[str, ...]:
    """Both orders; none where they share a word."""
    return () if set(head.split()) & set(part.split()) else (f"{part} {head}", f"{head} {part}")


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
