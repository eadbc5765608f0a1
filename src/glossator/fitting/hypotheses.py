"""Data sets as questions: which units, and what their headlines say, separate two sets of texts (after HypotheSAEs).

Candidates are chosen on one half of the texts and tested on the other, where nothing is chosen any more: each has an
effect, an interval over groups of texts and a false-discovery rate. Texts that share a run of words are of one half.
Movva et al. 2025 (arXiv 2502.04382) have a language model check hypotheses; here a headline is executed as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from glossator.corpora.labelled import LabelledTexts
from glossator.corpora.splits import group_by_shared_runs
from glossator.errors import UserError
from glossator.fitting.classifying import bag_of_words
from glossator.fitting.comparison import not_a_point
from glossator.fitting.logistic import fit, path
from glossator.statistics import (
    Estimate,
    Resampled,
    adjusted,
    compare,
    document_index,
    estimate_of,
    jackknife,
    p_of_zero,
    ratio,
    sums_by,
)

Choice = Literal["lasso", "effect"]
SHARED_WORDS = 12
"""Texts that have so many words in a row in common are near-duplicates."""
MOST_FEATURES = 1000
"""That the lasso is given: those with the largest effects on the same half."""
LEAST_GROUPS = 10
"""Of each set in each half."""


@dataclass(frozen=True, eq=False)
class Halves:
    """Two halves of labelled texts that share no group: row numbers; groups (n,): near-duplicates together."""

    choose: np.ndarray
    test: np.ndarray
    groups: np.ndarray


@dataclass(frozen=True)
class Tested:
    """A feature on the held-out half. effect: mean in the second set minus mean in the first, in deviations on the
    other half (or in shares of texts), with its interval; p, q: two-sided, that it is 0, and the false-discovery rate
    among all that were tested, None where they are undefined."""

    feature: int
    chosen_by: float
    effect: Estimate
    p: float | None
    q: float | None


def halves(labelled: LabelledTexts, seed: int = 0) -> Halves:
    """Deal groups of texts to two halves, both sets alike. Raises `UserError` for other than two labels and for too few
    groups."""
    if len(labelled.names) != 2:
        raise UserError(
            "two sets of texts are compared",
            value=f"{len(labelled.names)} labels: {', '.join(labelled.names[:6])}",
            allowed="2 labels",
            fix="Choose two of them: --labels FIRST,SECOND",
        )
    groups = near_duplicates(labelled)
    rng, choosing = np.random.default_rng([seed, 11]), np.zeros(len(groups), bool)
    for label in (1, 0):  # a group with texts of both sets goes with those of the second
        mine = np.setdiff1d(np.unique(groups[labelled.labels == label]), [] if label else groups[labelled.labels == 1])
        choosing |= np.isin(groups, rng.permutation(mine)[: (len(mine) + 1) // 2])
    for half in (choosing, ~choosing):
        for label, name in enumerate(labelled.names):
            if (count := len(np.unique(groups[half & (labelled.labels == label)]))) < LEAST_GROUPS:
                raise UserError(
                    f"too few different texts of {name} in one half",
                    value=count,
                    allowed=f"{LEAST_GROUPS} or more",
                    fix="Give more texts",
                )
    return Halves(np.flatnonzero(choosing), np.flatnonzero(~choosing), groups)


def near_duplicates(labelled: LabelledTexts) -> np.ndarray:
    """The group of each text: those of a group before that share a run of words are one."""
    number: dict[str, int] = {}
    rows = [
        np.array([number.setdefault(word, len(number)) for word in text.lower().split()], np.int32)
        for text in labelled.texts
    ]
    runs = group_by_shared_runs(rows, SHARED_WORDS)
    found = runs
    while True:  # joined by either, until nothing moves
        before = found.copy()
        for keys in (labelled.groups, runs):
            order = np.full(int(keys.max()) + 1, len(found))
            np.minimum.at(order, keys, found)
            found = np.minimum(found, order[keys])
        if (found == before).all():
            return found


def chosen(
    values: np.ndarray, labelled: LabelledTexts, split: Halves, number: int, how: Choice = "lasso"
) -> list[tuple[int, float]]:
    """Features (columns of values) that separate the sets on the first half, best first, with the coefficient or effect
    that they were chosen by."""
    if how not in get_args(Choice):
        raise UserError("unknown way to choose", value=how, allowed=", ".join(get_args(Choice)))
    x, y = values[split.choose].astype(np.float64), labelled.labels[split.choose]
    spread = x.std(axis=0)
    effects = np.divide(x[y == 1].mean(0) - x[y == 0].mean(0), spread, out=np.zeros(x.shape[1]), where=spread > 0)
    order = np.argsort(-np.abs(effects), kind="stable")
    if how == "effect":
        return [(int(i), float(effects[i])) for i in order[:number] if effects[i]]
    some = order[:MOST_FEATURES]
    for model in path(x[:, some].astype(np.float32), y, 2, "l1"):
        strengths = model.contrasts[:, 0]
        if np.count_nonzero(strengths) >= number:
            break
    best = np.argsort(-np.abs(strengths), kind="stable")[:number]
    return [(int(some[i]), float(strengths[i])) for i in best.tolist() if strengths[i]]


def on_test_half(
    values: np.ndarray,
    features: Sequence[tuple[int, float]],
    labelled: LabelledTexts,
    split: Halves,
    *,
    in_deviations: bool = True,
) -> list[Tested]:
    """Each of these features (columns) on the held-out half; in_deviations: of values on the first half, else as they
    are."""
    found: list[tuple[int, float, Estimate, float | None]] = []
    y, groups = labelled.labels[split.test], split.groups[split.test]
    index, documents = document_index(groups)
    for feature, by in features:
        x = values[split.test, feature].astype(np.float64)
        size = float(values[split.choose, feature].astype(np.float64).std()) if in_deviations else 1.0
        one, two = y == 0, y == 1
        sums = sums_by(index, documents, one * x, one, two * x, two)
        statistic = _difference(sums, size, documents, x)
        jack = jackknife(statistic)
        found.append((feature, by, estimate_of(jack), None if jack.value is None else p_of_zero(jack)))
    known = [p for *_, p in found if p is not None]
    q = iter(adjusted(np.array(known)).tolist()) if known else iter(())
    return [Tested(feature, by, effect, p, None if p is None else next(q)) for feature, by, effect, p in found]


def _difference(sums: np.ndarray, size: float, documents: int, x: np.ndarray) -> Resampled:
    if x.min() == x.max() or size == 0:
        return Resampled(documents, lambda w: np.full(len(w), np.nan), "the same for all texts")

    def under(weights: np.ndarray) -> np.ndarray:
        first, n, second, m = (weights @ sums).T
        with np.errstate(invalid="ignore", divide="ignore"):
            return (second / m - first / n) / size

    return Resampled(documents, under)


def beside_words(
    values: np.ndarray, features: Sequence[int], labelled: LabelledTexts, split: Halves, seed: int = 0
) -> dict[str, Any]:
    """Held-out accuracy of a classifier on these features, beside one on bag of words: estimates and their margin."""
    texts = [labelled.texts[row] for row in split.choose.tolist()]
    vector = bag_of_words(texts)
    words = np.stack([vector(text) for text in labelled.texts])
    y, groups = labelled.labels, np.unique(split.groups, return_inverse=True)[1]
    index, documents = document_index(split.groups[split.test])
    right = {}
    for name, given in (("candidates", values[:, list(features)]), ("bag of words", words)):
        model = fit(given[split.choose], y[split.choose], groups[split.choose], "l1", seed=seed)
        hits = model.predict(given[split.test]) == y[split.test]
        sums = sums_by(index, documents, hits, np.ones(len(hits)))
        right[name] = ratio(sums[:, 0], sums[:, 1], bounds=(0.0, 1.0))
    ours = right.pop("candidates")
    accuracy, baselines, over = compare(ours, dict(right))
    return {"accuracy": not_a_point(accuracy, documents), "baselines": baselines, "over": over}
