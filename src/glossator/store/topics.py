"""Topics of many explanations, and whether groups of units (layers, sites, subjects, regions) differ in them.

Headlines and sentences become bags of words; the field of meaning of each word stands in them as a word of its own
(WordNet's lexicographer files: food, animal, ...), since two short explanations seldom share a word. Non-negative
matrix factorisation of their TF-IDF (Lee and Seung 1999) finds the topics, without the groups; a permutation of the
groups over the units says which topics have different shares in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glossator.corpora.ngrams.held_words import FUNCTION_WORDS
from glossator.corpora.ngrams.words import words
from glossator.corpora.wordnet import WordNet, load_wordnet
from glossator.errors import UserError
from glossator.statistics import adjusted

if TYPE_CHECKING:
    from scipy import sparse

KEPT_TOPICS = "topics.json"
"""Where `glossator topics` leaves what it found, in the (first) study's folder."""
LEAST = 8
"""Explanations; of fewer nothing is said."""
ROUNDS, STARTS = 200, 4
PERMUTATIONS = 1999
FIELD = "about "
"""Before the name of a field of meaning among the words."""
VAGUE = frozenset({"Tops", "all", "pert", "ppl", "stative", "change", "cognition", "communication", "attribute", "act"})
NOT_CONTENT = frozenset({"also", "such", "token", "tokens", "text", "word", "words", "unit", "like", "often", "near"})
"""Words of explanations that say nothing of what they are about."""


@dataclass(frozen=True)
class Topic:
    """words: those that say most of it; example: the explanation that is most about it; shares: of each group, with the
    95 % interval of a mean over units (None for a single unit); p: of no difference between groups, None for one
    group; q: with all topics tested."""

    words: tuple[str, ...]
    example: str
    share: float
    shares: tuple[tuple[float, float | None, float | None], ...]
    p: float | None
    q: float | None


@dataclass(frozen=True)
class Topics:
    """Topics by their share of all units, largest first; groups: their names, with how many units each has; p: that no
    topic differs, None for one group."""

    topics: tuple[Topic, ...]
    groups: tuple[tuple[str, int], ...]
    p: float | None


def topics_of(
    explanations: Sequence[str],
    groups: Sequence[str],
    *,
    topics: int = 8,
    seed: int = 0,
    wordnet: WordNet | None = None,
) -> Topics:
    """The topics of explanations (one for each unit), and their shares in the units' groups.

    topics: how many, fewer where there are few explanations. Raises `UserError` for fewer than `LEAST` with content.
    """
    if topics < 2:
        raise UserError("too few topics", value=topics, allowed="2 or more")
    names, weights = tf_idf([terms_of(text, wordnet or load_wordnet()) for text in explanations])
    full = np.flatnonzero(np.diff(weights.indptr))
    if len(full) < LEAST:
        fix = "Explain more units, or give several studies"
        raise UserError("too few explanations for topics", value=len(full), allowed=f"{LEAST} or more", fix=fix)
    loadings, parts = nmf(weights[full], min(topics, len(full) // 4, len(names)), seed)
    shares = _shares(loadings, parts)
    chosen = [groups[place] for place in full.tolist()]
    labels = sorted(dict.fromkeys(chosen), key=_natural)
    number = np.array([labels.index(group) for group in chosen])
    p, overall = permuted(shares, number, seed)
    q = None if p is None else adjusted(p)
    found = []
    for topic in np.argsort(-shares.mean(axis=0), kind="stable").tolist():
        strongest = np.argsort(-parts[topic], kind="stable")[:4]
        said = tuple(names[term] for term in strongest.tolist() if parts[topic, term] > 0)
        example = explanations[int(full[np.argmax(loadings[:, topic] * shares[:, topic])])]
        found.append(
            Topic(
                said,
                example,
                float(shares[:, topic].mean()),
                tuple(_mean(shares[number == group, topic]) for group in range(len(labels))),
                None if p is None else float(p[topic]),
                None if q is None else float(q[topic]),
            )
        )
    counted = tuple((label, int((number == place).sum())) for place, label in enumerate(labels))
    return Topics(tuple(found), counted, overall)


def terms_of(text: str, wordnet: WordNet) -> list[str]:
    """Content words of a text by lemma, and the fields of meaning of its nouns, verbs and adjectives."""
    found = []
    for begin, end in words(text):
        form = text[begin:end].lower()
        if not form[0].isalpha() or form in FUNCTION_WORDS or form in NOT_CONTENT:
            continue
        lemma = wordnet.base(form)
        found.append(lemma)
        meanings = wordnet.meanings(lemma)
        if meanings and (field := meanings[0].topic.partition(".")[2]) not in VAGUE:
            found.append(FIELD + field)
    return found


def tf_idf(documents: Sequence[Sequence[str]]) -> tuple[list[str], sparse.csr_array]:
    """Terms, and their weights (documents, terms) in rows of length 1, or 0 for an empty document.

    A term that a single document has counts only if that document has no other.
    """
    from scipy import sparse

    spread = Counter(term for document in documents for term in set(document))
    alone = {term for document in documents if all(spread[term] == 1 for term in document) for term in document}
    names = sorted(term for term, count in spread.items() if count > 1 or term in alone)
    place = {term: column for column, term in enumerate(names)}
    rows, columns, values = [], [], []
    for row, document in enumerate(documents):
        for term, count in Counter(document).items():
            if term in place:
                rows.append(row)
                columns.append(place[term])
                values.append((1 + np.log(count)) * (1 + np.log((1 + len(documents)) / (1 + spread[term]))))
    found = sparse.csr_array((values, (rows, columns)), shape=(len(documents), len(names)), dtype=np.float64)
    lengths = np.sqrt(np.asarray(found.multiply(found).sum(axis=1)).ravel())
    return names, sparse.csr_array(sparse.diags_array(1 / np.where(lengths > 0, lengths, 1)) @ found)


def nmf(weights: sparse.csr_array, topics: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Non-negative loadings (documents, topics) and topics (topics, terms) with the least squared error of `STARTS`
    random starts, by multiplicative updates."""
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    size, tiny = float(weights.multiply(weights).sum()), 1e-12
    for start in range(STARTS):
        rng = np.random.default_rng([seed, start])
        scale = np.sqrt(weights.sum() / weights.shape[0] / weights.shape[1] / topics)
        w, h = (rng.random(shape) * scale + tiny for shape in ((weights.shape[0], topics), (topics, weights.shape[1])))
        for _ in range(ROUNDS):
            w *= (weights @ h.T) / (w @ (h @ h.T) + tiny)
            h *= (weights.T @ w).T / ((w.T @ w) @ h + tiny)
        error = size - 2 * float(((weights @ h.T) * w).sum()) + float(((w.T @ w) * (h @ h.T)).sum())
        if best is None or error < best[0]:
            best = error, w, h
    assert best is not None
    return best[1], best[2]


def permuted(shares: np.ndarray, group: np.ndarray, seed: int = 0) -> tuple[np.ndarray | None, float | None]:
    """p of each topic (columns of shares), and of all together, that groups do not differ; None for one group.

    The statistic is the variance of the groups' means about that of all, each group weighing as many units as it has;
    over all topics it is the sum of these in units of each topic's variance. One-sided, never 0.
    """
    counts = np.bincount(group)
    if len(counts) < 2:
        return None, None
    centred = shares - shares.mean(axis=0)
    size = np.where(centred.std(axis=0) > 1e-12, centred.std(axis=0), np.inf)
    centred = centred / size
    rng = np.random.default_rng([seed, 1])

    def between(order: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(counts), shares.shape[1]))
        np.add.at(sums, group, centred[order])
        found: np.ndarray = (sums**2 / counts[:, None]).sum(axis=0)
        return found

    observed = between(np.arange(len(group)))
    hits, overall = np.ones(shares.shape[1]), 1
    for _ in range(PERMUTATIONS):
        drawn = between(rng.permutation(len(group)))
        hits += drawn >= observed - 1e-12
        overall += drawn.sum() >= observed.sum() - 1e-12
    return hits / (1 + PERMUTATIONS), float(overall / (1 + PERMUTATIONS))


def _shares(loadings: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """(documents, topics): how much of each document's weight each topic accounts for; rows sum to 1, or 0."""
    weighted = loadings * parts.sum(axis=1)
    return weighted / np.maximum(weighted.sum(axis=1, keepdims=True), 1e-12)


def _mean(values: np.ndarray) -> tuple[float, float | None, float | None]:
    """The mean with a 95 % interval over units (Student's t), within 0 and 1."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None, None
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975)) * float(values.std(ddof=1)) / np.sqrt(len(values))
    return mean, float(max(0.0, mean - half)), float(min(1.0, mean + half))


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """`mlp.2` before `mlp.12`."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in name.replace("@", ".").split("."))
