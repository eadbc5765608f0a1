"""Ranking candidate names on the selection half: texts around each name, and n-grams that naming has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glossator.corpora.ngrams.held_words import Concept, concept_of
from glossator.explainers.naming.candidates import Proposed, without_gaps
from glossator.explainers.naming.classes import SELECTING, definitions, from_templates
from glossator.explainers.naming.naming_split import KINDS, NamingSplit
from glossator.explainers.naming.proposing import Name
from glossator.explainers.naming.task import Task

LEAST_KINDS = 2
"""A class with fewer common kinds (in one half) is not tried by its kinds."""
MORE = 1.1
"""A phrase must score so many times as much as its parts."""
AS_LOUD = 0.5
"""Members of a class must score so much of the best candidate's score."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """A candidate after ranking.

    selection: difference of means in sigma on the selection texts; fit: how well the concept predicts responses to
    held-out n-grams (see `fit_of`); both None if undefined. kinds: whether it was tried on phrases around the kinds
    below it and not around itself. written: the texts that a language model wrote, those kept for reporting, with and
    without the concept.
    """

    name: Name
    concept: Concept
    selection: float | None
    fit: float | None
    kinds: bool = False
    written: tuple[Sequence[str], Sequence[str]] = ((), ())


def rank(task: Task, proposed: Proposed, dealt: NamingSplit, fit_weight: float) -> list[Ranked]:
    """Candidates, best first; those without a selection score come last."""
    z = without_gaps(task.values[dealt.ranking_rows])
    near = dealt.nearness([name.text for name in proposed.names])
    found = []
    for row in readings(task, proposed, dealt):
        fit = None if z is None else fit_of(row.concept, z, dealt, near.get(row.name.text))
        found.append(replace(row, fit=fit))
    return in_order(found, fit_weight)


def readings(task: Task, proposed: Proposed, dealt: NamingSplit, keep_all: bool = False) -> list[Ranked]:
    """Each name with its selection score, in the order given, without a fit.

    A name of a class is tried in two readings, the word itself and the kinds below it, and keeps the better one; the
    kinds of a class that was found by its members are these. A phrase stays where it scores `MORE` times what any part
    of it does, said once or twice: otherwise a unit that adds up its words would be named by many of them. keep_all:
    phrases stay all the same, for explanations that are there already.
    """
    trials = [trial for name in proposed.names for trial in _trials(name, proposed, dealt)]
    texts = [text for trial in trials for side in (trial.positive, trial.negative, *trial.parts) for text in side]
    answers = ask_once(task, texts)
    sigma = task.responses.sigma or 0.0

    def score_of(positive: Sequence[str], negative: Sequence[str]) -> float | None:
        with_it, without = (mean([answers[text] for text in side]) for side in (positive, negative))
        return None if with_it is None or without is None or sigma <= 0 else (with_it - without) / sigma

    best: dict[str, Ranked] = {}
    for trial in trials:
        score = score_of(trial.positive, trial.negative)
        text = trial.name.text
        parts = [score_of(part, trial.negative) or 0.0 for part in trial.parts]
        if parts and not keep_all and (score is None or score <= 0 or score < MORE * max(parts)):
            continue
        if text not in best:
            kept = proposed.written.get(text, ((), ()))
            best[text] = Ranked(trial.name, trial.concept, score, None, trial.kinds, (kept[0][1::2], kept[1][1::2]))
        elif score is not None and score > (best[text].selection or 0.0):
            best[text] = replace(best[text], selection=score, kinds=trial.kinds)
    return list(best.values())


@dataclass(frozen=True, eq=False)
class _Trial:
    name: Name
    concept: Concept
    kinds: bool
    positive: list[str]
    negative: list[str]
    parts: tuple[list[str], ...] = ()


def _trials(name: Name, proposed: Proposed, dealt: NamingSplit) -> list[_Trial]:
    wordnet = dealt.reference.wordnet
    concept = concept_of(name.text, wordnet)
    with_it, without = (list(written[::2]) for written in proposed.written.get(name.text, ((), ())))
    if not without:
        others = dealt.others(concept, reporting=False)
        without = [text.text for other in others for text in from_templates(other, SELECTING)]
    if with_it:
        return [_Trial(name, concept, False, with_it, without)]
    said = name.parts or tuple(part for part in name.text.split() if part != name.text)
    parts = tuple(
        [text.text for text in from_templates(text, SELECTING)] for part in said for text in (part, f"{part} {part}")
    )
    itself = from_templates(name.text, SELECTING)
    if not parts:  # phrases are compared with their parts, which have no definitions beside them
        itself += definitions(name.text, wordnet)
    found = [_Trial(name, concept, False, [text.text for text in itself], without, parts)]
    if len(name.members) >= 2 * LEAST_KINDS:
        below = [text.text for kind in members_of(name, False) for text in from_templates(kind, SELECTING[:2])]
        return [*found, _Trial(name, concept, True, below, without)]
    kinds = dealt.kinds(concept, reporting=False)
    if min(len(kinds), len(dealt.kinds(concept, reporting=True))) >= LEAST_KINDS:
        below = [text.text for kind in kinds for text in from_templates(kind, SELECTING[:2])]
        found.append(_Trial(name, concept, True, below, without))
    return found


def members_of(name: Name, reporting: bool) -> tuple[str, ...]:
    """Members of a class that phrases are made around; those for reporting are others."""
    return name.members[: 2 * KINDS][int(reporting) :: 2]


def in_order(candidates: Sequence[Ranked], fit_weight: float) -> list[Ranked]:
    """By selection score, as a share of the best one's, plus weighted share of variance explained.

    The square of the fit lets a good prediction decide, and a poor one say little. A class that was found by its
    members goes before them, each of which is but one of several, unless a phrase scores more than its members do; it
    is as loud as they are by phrases around them, or because its own name is one of them.
    """
    scored = [c for c in candidates if c.selection is not None]
    scale = max((c.selection or 0.0 for c in scored), default=0.0)

    phrase = max((c.selection or 0.0 for c in scored if c.name.parts), default=0.0)

    def value(c: Ranked) -> float:
        share = (c.selection or 0.0) / scale if scale > 0 else c.selection or 0.0
        whole = 0.0
        loud = c.name.members and (c.kinds or c.name.text in c.name.members)
        if loud and share >= AS_LOUD and (c.selection or 0.0) >= phrase:
            whole = (1.0 + fit_weight) * (2.0 + 1.0 / (1 + c.name.sources["members"]))
        return share + fit_weight * max(c.fit or 0.0, 0.0) ** 2 + whole

    return [*sorted(scored, key=lambda c: -value(c)), *(c for c in candidates if c.selection is None)]


def fit_of(concept: Concept, z: np.ndarray, dealt: NamingSplit, near: np.ndarray | None) -> float | None:
    """Correlation over the held-out n-grams of responses with holding the concept's words, or with nearness to the
    name in the naming space (near), whichever is larger; None if neither is defined."""
    found = [correlation(concept.partly_held(dealt.ranking), z), None if near is None else correlation(near, z)]
    known = [value for value in found if value is not None]
    return max(known) if known else None


def ask_once(task: Task, texts: Sequence[str]) -> dict[str, float]:
    """Responses by text, each text asked for once."""
    distinct = list(dict.fromkeys(texts))
    return dict(zip(distinct, task.ask(distinct).tolist(), strict=True)) if distinct else {}


def mean(values: Sequence[float]) -> float | None:
    """The mean of the finite values; None if there is none."""
    known = np.array([value for value in values if np.isfinite(value)])
    return float(known.mean()) if len(known) else None


def correlation(held: np.ndarray, z: np.ndarray) -> float | None:
    """Pearson r; None if nothing, or everything, holds the concept alike."""
    if held.max(initial=0.0) == held.min(initial=0.0):
        return None
    return float(np.corrcoef(held, z)[0, 1])
