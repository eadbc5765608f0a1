"""Candidate names for many units at once: by a language model if there is one, else without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glossator.corpora.wordnet import general_names
from glossator.explainers.naming.by_language_model import (
    NAMES,
    PROMPT,
    Bill,
    LmSpec,
    name_requests,
    read_names,
    read_texts,
    text_requests,
)
from glossator.explainers.naming.members import classes_of, loud_words
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.proposing import ComposingSpec, Name, NamingSpec, composed, loudest, parts_of, propose
from glossator.explainers.naming.task import Task
from glossator.explanations import Provenance
from glossator.language_models import LanguageModel, OpenModel, Projection, Request


@dataclass(frozen=True)
class CandidateSpec:
    """naming_share: share of the n-grams that names are proposed from; the others are kept for ranking."""

    naming: NamingSpec = field(default_factory=NamingSpec)
    composing: ComposingSpec = field(default_factory=ComposingSpec)
    lm: LmSpec = field(default_factory=LmSpec)
    naming_share: float = 2 / 3


@dataclass
class Proposed:
    """Names of one unit; written: for each name, texts with and without the concept, by a language model."""

    names: list[Name]
    bill: Bill = field(default_factory=Bill)
    written: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    def provenance(self, settings: dict[str, Any], evidence: str, seed: int, lm: LanguageModel | None) -> Provenance:
        """settings: those of the whole method, as plain values."""
        settings = {**settings, "candidates": dict(settings["candidates"])}
        if lm is None:
            settings["candidates"].pop("lm")
            return Provenance("sasc", settings, evidence, seed)
        settings["candidates"].pop("naming")
        settings["candidates"].pop("composing")
        return Provenance("sasc", settings, evidence, seed, lm.name, PROMPT, self.bill.cost)


def propose_all(
    tasks: Sequence[Task],
    dealt: NamingSplit,
    spec: CandidateSpec,
    lm: LanguageModel | None,
    say: Callable[[str], None] | None = None,
) -> list[Proposed]:
    """Names of each unit from its responses to the naming part of the n-grams; say: told what `lm` will be asked."""
    if lm is not None and tasks:
        return _by_language_model(tasks, dealt, spec.lm, lm, say)
    found = []
    for task in tasks:
        values = without_gaps(task.values[dealt.naming_rows])
        names = [] if values is None else propose(values, dealt.naming, spec.naming)
        found.append(Proposed(_with(names, _asked(task, dealt, spec.composing))))
    return found


def _asked(task: Task, dealt: NamingSplit, spec: ComposingSpec) -> list[Name]:
    """Names by the module's responses to the vocabulary: single ones, phrases put together from them, and the class of
    those that are alike loud."""
    if task.named is None or not spec.names:
        return []
    wordnet = dealt.reference.wordnet
    names = general_names(wordnet)
    loud = loudest(names, task.named, 10 * spec.parts)
    single = [Name(name, {"asked": place}) for place, name in enumerate(loud[: spec.names])]
    phrases = composed(parts_of(loud, spec), task.ask, spec)
    words = loud_words(names, task.named)
    classes = classes_of(words, wordnet) if words else []
    return [
        *single,
        *(Name(text, {"composed": place}, parts) for place, (text, parts) in enumerate(phrases.items())),
        *(Name(text, {"members": place}, (), members) for place, (text, members) in enumerate(classes)),
    ]


def _with(names: Sequence[Name], further: Sequence[Name]) -> list[Name]:
    """Both lists; a name of both keeps its place in the first and all of its sources."""
    found = {name.text: name for name in names}
    for name in further:
        known = found.get(name.text)
        found[name.text] = name if known is None else replace(name, sources=known.sources | name.sources)
    return list(found.values())


def without_gaps(values: np.ndarray) -> np.ndarray | None:
    """Responses with the mean in place of missing ones; None when they are constant or none is there."""
    known = np.isfinite(values)
    if not known.any():
        return None
    whole = np.where(known, values, values[known].mean())
    return None if whole.std() <= 1e-12 * max(1.0, float(np.abs(whole).max())) else whole


def _by_language_model(
    tasks: Sequence[Task], dealt: NamingSplit, spec: LmSpec, lm: LanguageModel, say: Callable[[str], None] | None
) -> list[Proposed]:
    """Two rounds of questions, each for all units in one call: names, then texts for every name."""
    texts = dealt.reference.texts
    naming = np.zeros(len(texts), dtype=bool)
    naming[dealt.naming_rows] = True
    asked = []
    for task in tasks:
        top = task.order[naming[task.order]][: spec.top]
        asked.append(name_requests([texts[row] for row in top], spec, dealt.seed))
    if say is not None and isinstance(lm, OpenModel):
        units = f"{len(tasks)} unit{'' if len(tasks) == 1 else 's'}"
        say(f"Estimated cost for {units} with {lm.name}: {foreseen(asked, spec, lm)}")
    answers = iter(lm.ask([request for requests in asked for request in requests]))
    found = []
    for requests in asked:
        bill = Bill()
        names = read_names([next(answers) for _ in requests], bill)
        found.append(Proposed([Name(name, {"lm": place}) for place, name in enumerate(names)], bill))
    answers = iter(lm.ask([r for proposed in found for name in proposed.names for r in text_requests(name.text, spec)]))
    for proposed in found:
        for name in proposed.names:
            two = [next(answers), next(answers)]
            proposed.written[name.text] = read_texts(two, proposed.bill, spec)
    return found


def foreseen(asked: Sequence[Sequence[Request]], spec: LmSpec, lm: OpenModel) -> Projection:
    """The expected usage of both rounds if every sample yields as many new names as are used."""
    names = [f"name {place} of unit {unit}" for unit in range(len(asked)) for place in range(spec.samples * NAMES)]
    texts = [request for name in names for request in text_requests(name, spec)]
    return lm.project([*(request for requests in asked for request in requests), *texts])
