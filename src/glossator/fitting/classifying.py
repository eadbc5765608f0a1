"""Linear classifiers of labelled texts on the latents of a dictionary, beside bag of words and full embeddings.

As for transformer factors in Singh et al. 2023 (SASC): a text's features are the means of the latents over its tokens.
The classifiers are fitted to some of the texts and compared on the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.corpora.labelled import LabelledTexts
from glossator.errors import UserError
from glossator.fitting.comparison import not_a_point
from glossator.fitting.logistic import Logistic, Penalty, fit
from glossator.readouts.dictionary import Dictionary
from glossator.statistics import compare, constant, document_index, ratio, sums_by

HELD_OUT = 0.3
WORDS = 2000
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, eq=False)
class Classified:
    """The classifier on latents and how it does on texts that none was fitted to.

    accuracy: value and interval over groups; baselines: accuracy of the most frequent label, bag of words and full
    embeddings; over: the classifier's margin over each, with interval and p; model, names: whose coefficients are
    `largest`; train, test: numbers of texts.
    """

    accuracy: Any
    baselines: dict[str, float | None]
    over: dict[str, Any]
    model: Logistic
    names: tuple[str, ...]
    train: int
    test: int

    def largest(self, number: int = 25) -> list[dict[str, Any]]:
        """The largest coefficients by size: latent, label that it speaks for (of two labels the second one), and the
        coefficient, with its sign; those that are 0 are left out."""
        contrasts = self.model.contrasts
        order = np.argsort(-np.abs(contrasts), axis=None, kind="stable")[:number]
        found = []
        for latent, label in zip(*np.unravel_index(order, contrasts.shape), strict=True):
            if value := float(contrasts[latent, label]):
                name = self.names[int(label) if contrasts.shape[1] > 1 else 1]
                found.append({"latent": int(latent), "label": name, "coefficient": value})
        return found


def classify(
    labelled: LabelledTexts, latents: np.ndarray, embeddings: np.ndarray, penalty: Penalty = "l1", *, seed: int = 0
) -> Classified:
    """latents (n, p), embeddings (n, d): of the texts, NaN where a text has none, which are left out."""
    known = np.isfinite(latents).all(axis=1) & np.isfinite(embeddings).all(axis=1)
    groups = np.unique(labelled.groups, return_inverse=True)[1]
    held = np.random.default_rng([seed, 9]).permutation(int(groups.max()) + 1) < HELD_OUT * (groups.max() + 1)
    train, test = known & ~held[groups], known & held[groups]
    labels = labelled.labels
    if set(labels[train]) != set(range(len(labelled.names))) or not test.any():
        raise UserError("a label has no text to fit or to test", fix="Give more texts of each label")
    words = bag_of_words([labelled.texts[i] for i in np.flatnonzero(train)])
    features = {
        "latents": latents,
        "bag of words": np.stack([words(text) for text in labelled.texts]),
        "embeddings": embeddings,
    }
    index, documents = document_index(groups[test])
    right, model = {}, None
    for name, values in features.items():
        found = fit(values[train], labels[train], groups[train], penalty, seed=seed)
        model = model or found
        hits = found.predict(values[test]) == labels[test]
        sums = sums_by(index, documents, hits, np.ones(len(hits)))
        right[name] = ratio(sums[:, 0], sums[:, 1], bounds=(0.0, 1.0))
    frequent = float((labels[test] == np.bincount(labels[train]).argmax()).mean())
    ours = right.pop("latents")
    accuracy, baselines, over = compare(ours, {"most frequent": constant(frequent, documents), **right})
    accuracy = not_a_point(accuracy, documents)
    assert model is not None
    return Classified(accuracy, baselines, over, model, labelled.names, int(train.sum()), int(test.sum()))


def features_of(
    subject: Any,
    dictionary: Dictionary,
    texts: tuple[str, ...],
    longest: int,
    note: Callable[[int], None] = lambda n: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Means over the first `longest` tokens of each text: of the latents (n, latents), and of the site (n, width)."""
    from glossator.subjects.text_readouts import PooledSubject

    whole = PooledSubject(subject, dictionary.reads_at)
    tokens = [ids[: min(longest, whole.longest)] for ids in subject.tokenizer.encode(list(texts))]
    latents = np.full((len(texts), dictionary.width), np.nan, np.float32)
    sites = np.full((len(texts), int(whole._units or 1)), np.nan, np.float32)
    import torch

    step = 64
    for start in range(0, len(texts), step):
        for row, values in enumerate(whole.token_values(tokens[start : start + step]), start=start):
            values = values[np.isfinite(values).all(axis=1)]
            if len(values):
                sites[row] = values.mean(axis=0)
                with torch.inference_mode():
                    latents[row] = dictionary.encode(torch.from_numpy(values)).mean(0).numpy()
        note(min(start + step, len(texts)))
    return latents, sites


def bag_of_words(texts: list[str]) -> Callable[[str], np.ndarray]:
    """The log of 1 + how often a text has each of the `WORDS` words that most of these texts have, case left out."""
    counts = Counter(word for text in texts for word in set(_WORD.findall(text.lower())))
    # Words of one count by their letters: sets are walked in another order in each process.
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))[:WORDS]
    place = {word: i for i, (word, count) in enumerate(ranked) if count > 1}

    def vector(text: str) -> np.ndarray:
        found = np.zeros(max(len(place), 1), np.float32)
        for word in _WORD.findall(text.lower()):
            if word in place:
                found[place[word]] += 1
        return np.log1p(found)

    return vector
