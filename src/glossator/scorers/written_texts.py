"""Scores of a chosen name on the reporting half: other phrases, examples, held-out documents, other negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glossator.corpora.ngrams.words import words
from glossator.explainers.naming.candidates import Proposed
from glossator.explainers.naming.concepts import (
    REPORTING,
    Text,
    corpus_negatives,
    examples,
    from_corpus,
    from_templates,
)
from glossator.explainers.naming.halves import RANDOM, Halves
from glossator.explainers.naming.proposing import Name
from glossator.explainers.naming.selection import LEAST_KINDS, Ranked, ask_once, members_of, readings
from glossator.explainers.naming.task import Task
from glossator.scorers.sigma import difference, in_sigma
from glossator.scores import Score

Report = tuple[tuple[Score, ...], tuple[tuple[str, str, float], ...]]
Sides = tuple[Sequence[Text], Sequence[Text]]
"""Texts with the concept, and texts without."""


def report_on(
    row: Ranked, task: Task, halves: Halves, most_sentences: int, random: RandomNames | None = None
) -> Report:
    """Three scores and the texts behind them. random: what the scores are ranked against, made where it is not given.

    `sasc.corpus`: all texts with the concept against stretches of the corpus without it, of the same lengths in words.
    `sasc.written`: texts written with the concept against texts written in the same way without it.
    `sasc.sentences`: sentences of held-out documents with the concept against such without it, the strictest.
    The baseline `echo` is the same score with the top n-gram in place of the name, in phrases; `random_name` is the
    median of random names. These have phrases alone, so where a language model wrote, p is that of phrases around the
    name.
    """
    random = random or RandomNames(task, halves, most_sentences)
    tests = _tests(row, halves, most_sentences, row.written)
    in_phrases = _tests(row, halves, most_sentences) if row.written[0] else tests
    echo = from_templates(halves.reference.ngrams.texts[task.order[0]], REPORTING)
    answers = ask_once(task, [*_texts(tests), *_texts(in_phrases), *(t.text for t in echo)])
    sigma = task.responses.sigma or 0.0
    drawn = random.scores(halves.spoken_of(row.concept))

    def values(texts: Sequence[Text]) -> np.ndarray:
        return np.array([answers[text.text] for text in texts])

    scores = []
    for kind, (positive, negative) in tests.items():
        ranked, how = None, {}
        if tests is not in_phrases:
            ranked = difference(values(in_phrases[kind][0]), values(in_phrases[kind][1]), sigma)
            how = {"p_of": "phrases around the name"}
        made = in_sigma(kind, values(positive), values(negative), sigma, random=drawn[kind], ranked=ranked, how=how)
        if made.value is not None and kind != "sasc.sentences":
            beside = difference(values(echo), values(negative), sigma)
            made = Score(**{**made.__dict__, "baselines": {"echo": beside, **made.baselines}})
        scores.append(made)
    return tuple(scores), tuple((text.kind, text.text, answers[text.text]) for text in tests["sasc.corpus"][0])


@dataclass(frozen=True, eq=False)
class RandomNames:
    """What names drawn at random score for one unit, each in its better reading and on texts as a reported name has."""

    task: Task
    halves: Halves
    most_sentences: int
    _known: dict[bool, dict[str, np.ndarray]] = field(default_factory=dict)

    def scores(self, spoken_of: bool) -> dict[str, np.ndarray]:
        """By score those of random names (m,), NaN where there is none; spoken_of: of names that held-out documents
        speak of, or of names that they do not. Where a corpus speaks of too few names, both together."""
        names = self.halves.random_names
        if min(map(len, names.values())) < RANDOM:
            parts = [self._scores_of(which) for which in (True, False)]
            return {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}
        return self._scores_of(spoken_of)

    def _scores_of(self, spoken_of: bool) -> dict[str, np.ndarray]:
        if spoken_of in self._known:
            return self._known[spoken_of]
        rows = readings(self.task, Proposed([Name(name) for name in self.halves.random_names[spoken_of]]), self.halves)
        tests = [_tests(row, self.halves, self.most_sentences) for row in rows]
        answers = ask_once(self.task, [text for each in tests for text in _texts(each)])
        sigma = self.task.responses.sigma or 0.0
        found: dict[str, list[float]] = {kind: [] for kind in ("sasc.corpus", "sasc.written", "sasc.sentences")}
        for each in tests:
            for kind, sides in each.items():
                with_it, without = (np.array([answers[text.text] for text in side]) for side in sides)
                value = difference(with_it, without, sigma)
                found[kind].append(np.nan if value is None else value)
        self._known[spoken_of] = {kind: np.array(values) for kind, values in found.items()}
        return self._known[spoken_of]


def _tests(
    row: Ranked, halves: Halves, most_sentences: int, by_model: tuple[Sequence[str], Sequence[str]] = ((), ())
) -> dict[str, Sides]:
    """The texts of each score; by_model: what a language model wrote with and without the concept."""
    sentences, documents = halves.reference.sentences, halves.reporting_documents
    held = row.concept.held(sentences.table)
    written = _written(by_model[0]) or _phrases(row, halves)
    others = _written(by_model[1]) or [
        text
        for other in halves.others(row.concept, True)
        for text in (*from_templates(other, REPORTING), *examples(other, halves.reference.wordnet))
    ]
    found = from_corpus(held, sentences, documents, most_sentences, halves.seed)
    lengths = [len(words(text.text)) for text in (*written, *found)]
    # In one order for all names, so that most of these texts are run once for all of them.
    apart = corpus_negatives(held, sentences, documents, lengths, halves.seed, words)
    return {
        "sasc.corpus": ([*written, *found], apart),
        "sasc.written": (written, others),
        "sasc.sentences": (found, apart[len(written) :]),
    }


def _texts(tests: dict[str, Sides]) -> list[str]:
    return [text.text for sides in tests.values() for side in sides for text in side]


def _phrases(row: Ranked, halves: Halves) -> list[Text]:
    if row.kinds:
        members = members_of(row.name, reporting=True)
        kinds = members if len(members) >= LEAST_KINDS else halves.kinds(row.concept, reporting=True)
        return [text for kind in kinds for text in from_templates(kind, REPORTING[:2])]
    return [*from_templates(row.name.text, REPORTING), *examples(row.name.text, halves.reference.wordnet)]


def _written(texts: Sequence[str]) -> list[Text]:
    return [Text(text, "written") for text in texts]


__all__ = ["RandomNames", "Report", "report_on"]
