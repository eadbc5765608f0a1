"""Scores of a chosen name on the reporting half: other phrases, examples, held-out documents, other negatives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glossator.sasc.concepts import (
    REPORTING,
    Text,
    corpus_negatives,
    examples,
    from_corpus,
    from_templates,
)
from glossator.sasc.halves import Halves
from glossator.sasc.ngrams_words import words
from glossator.sasc.selection import Ranked, ask_once
from glossator.sasc.sigma import in_sigma
from glossator.sasc.task import Task
from glossator.scores import Score

Report = tuple[tuple[Score, ...], tuple[tuple[str, str, float], ...]]


def report_on(row: Ranked, task: Task, halves: Halves, most_sentences: int) -> Report:
    """Three scores and the texts behind them.

    `sasc.corpus`: all texts with the concept against stretches of the corpus without it, of the same lengths in words.
    `sasc.written`: texts written with the concept against texts written in the same way without it.
    `sasc.sentences`: sentences of held-out documents with the concept against such without it, the strictest.
    The null `echo` is the same score with the top n-gram in place of the name, in phrases.
    """
    reference, seed, name = halves.reference, halves.seed, row.name.text
    sentences, documents = reference.sentences, halves.reporting_documents
    held = row.concept.held(sentences.table)
    by_model, without_by_model = row.written
    written = _written(by_model) or _phrases(row, halves)
    others = _written(without_by_model) or [
        text
        for other in halves.others(row.concept, True)
        for text in (*from_templates(other, REPORTING), *examples(other, reference.wordnet))
    ]
    found = from_corpus(held, sentences, documents, most_sentences, seed)
    lengths = [len(words(text.text)) for text in (*written, *found)]
    apart = corpus_negatives(held, sentences, documents, lengths, (seed, name), words)
    echo = from_templates(reference.ngrams.texts[task.order[0]], REPORTING)
    answers = ask_once(task, [t.text for part in (written, others, found, apart, echo) for t in part])
    sigma = task.responses.sigma or 0.0

    def values(texts: Sequence[Text]) -> np.ndarray:
        return np.array([answers[text.text] for text in texts])

    def score(kind: str, positive: Sequence[Text], negative: Sequence[Text]) -> Score:
        made = in_sigma(kind, values(positive), values(negative), sigma, seed=seed)
        if made.value is None or kind == "sasc.sentences":
            return made
        null = in_sigma(kind, values(echo), values(negative), sigma, seed=seed)
        return Score(**{**made.__dict__, "nulls": {"echo": null.value}})

    scores = (
        score("sasc.corpus", [*written, *found], apart),
        score("sasc.written", written, others),
        score("sasc.sentences", found, apart[len(written) :]),
    )
    shown = tuple((text.kind, text.text, answers[text.text]) for text in (*written, *found))
    return scores, shown


def _phrases(row: Ranked, halves: Halves) -> list[Text]:
    if row.kinds:
        kinds = halves.kinds(row.concept, reporting=True)
        return [text for kind in kinds for text in from_templates(kind, REPORTING[:2])]
    return [*from_templates(row.name.text, REPORTING), *examples(row.name.text, halves.reference.wordnet)]


def _written(texts: Sequence[str]) -> list[Text]:
    return [Text(text, "written") for text in texts]


__all__ = ["Report", "report_on"]
