"""Explain any function of text in three lines: `explain_module(f, corpus)`.

The SASC method (Singh et al. 2023) with what its score lacks: n-grams -> responses -> candidate names -> texts with and
without each concept -> a score in sigma, with an interval. Names are proposed from some n-grams and ranked on others
and on their own texts; reported scores come from texts that neither step has seen. `glossator sasc` makes a study of
the same steps, with splits of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from glossator.corpora import Corpus, open_corpus
from glossator.corpora.ngrams import CorpusLike, Ngrams, NgramSpec, extract_ngrams
from glossator.corpora.wordnet import general_names
from glossator.errors import UserError
from glossator.explainers.naming.candidates import Proposed
from glossator.explainers.naming.explainer import Named, SascSpec, name_units
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.proposing import Name
from glossator.explainers.naming.selection import readings
from glossator.explainers.naming.space import open_space
from glossator.explainers.naming.task import Reference, Responses, Task, asker
from glossator.explanations import Explanation
from glossator.inputs import Texts
from glossator.language_models import LanguageModel
from glossator.recording.texts import responses
from glossator.scorers.sigma import RandomNames, report_on
from glossator.scorers.written_texts import ConceptTexts, HeldOut
from glossator.scores import Score
from glossator.subjects.base import BaseSubject, Subject, only_site, width_of
from glossator.subjects.embedders import Embedder
from glossator.subjects.functions import FunctionSubject
from glossator.units import POLARITIES, Polarity, Unit

NGRAMS = NgramSpec(n=3, fold_case=True, punctuation="none", most=100_000)


@dataclass(frozen=True, eq=False)
class ReferenceCorpus:
    """A corpus prepared for naming: n-grams, and sentences that no name comes from. Made once and shared by any number
    of functions."""

    corpus: Corpus
    ngrams: Ngrams
    reference: Reference
    _held_out: dict[int, HeldOut] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, corpus: CorpusLike, spec: NgramSpec = NGRAMS, *, embedder: Embedder | None = None) -> ReferenceCorpus:
        """Read a corpus. embedder: of the space for naming; without one names come from n-grams and WordNet alone."""
        opened = corpus if isinstance(corpus, Corpus) else open_corpus(corpus)
        ngrams = extract_ngrams(opened, spec)
        return cls(opened, ngrams, Reference.of(ngrams.texts, embedder=embedder))

    def held_out(self, seed: int) -> HeldOut:
        """Sentences of half of the documents."""
        if seed not in self._held_out:
            self._held_out[seed] = HeldOut.sentences(self.corpus, self.reference.wordnet, seed)
        return self._held_out[seed]


@dataclass(frozen=True)
class Candidate:
    """A name with how it ranked and, for the best ones, its scores on texts that nothing before has seen.

    sources: the lists that proposed it; selection: difference of means in sigma on the selection texts; fit: how well
    the concept predicts responses to held-out n-grams (r); None if undefined. proposed: its rank before the module
    was asked about any name; kinds: whether phrases around kinds of it did better than phrases around itself.
    scores: `sigma.corpus`, `sigma.written`, `sigma.held-out`, empty if not reported; texts: of the reporting half,
    (kind, text, response).
    """

    explanation: Explanation
    sources: tuple[str, ...]
    selection: float | None
    fit: float | None
    proposed: int = 0
    kinds: bool = False
    scores: tuple[Score, ...] = ()
    texts: tuple[tuple[str, str, float], ...] = ()

    @property
    def name(self) -> str:
        return self.explanation.text

    def score(self, name: str = "sigma.corpus") -> Score | None:
        return next((score for score in self.scores if score.name == name), None)


@dataclass(frozen=True)
class Explained:
    """What one unit of a module responds to. candidates: best first; none, with the `problem`, for a unit that cannot
    be explained (dead, constant, without a finite value); top: (n-gram, response) of those that respond more than half
    of all, largest first; failures: answers of a language model that gave nothing, by reason; given: the scores of a
    name that was given for it, as those of candidates."""

    unit: Unit
    responses: Responses
    top: tuple[tuple[str, float], ...]
    candidates: tuple[Candidate, ...]
    problem: str | None = None
    failures: dict[str, int] = field(default_factory=dict)
    given: tuple[Score, ...] = ()

    @property
    def best(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None


def explain_module(module: Any, corpus: CorpusLike | ReferenceCorpus, **settings: Any) -> Explained:
    """Explain what a function of text responds to by ranked names with scores.

    module: any callable from a list of strings to as many numbers, or a subject with one unit. corpus: "embedded", a
    path, strings, a `ReferenceCorpus`. Settings as in `explain_modules`. Raises `UserError` for several outputs.
    """
    found = explain_modules([module], corpus, **settings)
    if len(found) != 1:
        raise UserError(
            "the module has several outputs", value=len(found), fix="Use explain_modules, or choose one with units"
        )
    return found[0]


def explain_modules(
    modules: Sequence[Any],
    corpus: CorpusLike | ReferenceCorpus,
    *,
    units: Sequence[int] | None = None,
    lm: LanguageModel | None = None,
    embedder: Embedder | str | None = "smollm2-135m",
    ngrams: NgramSpec = NGRAMS,
    spec: SascSpec | None = None,
    polarity: Polarity = "+",
    seed: int = 0,
    reported: int = 3,
    held_out: int = 24,
    cache: str | Path | None = None,
    given: Mapping[Unit, str] | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Explained]:
    """Explain what each output of each module responds to; n-grams are run once.

    modules: callables, or subjects of texts with one site. units: outputs of each that are explained, None for all.
    lm: a language model that names and writes texts; without one both are done by word lists, WordNet and vectors.
    embedder: of the space in which names are looked for, an `Embedder`, the alias of one (`smollm2-135m`: token
    vectors, no model is run; `minilm`), or None for no space. polarity: "-" explains what makes responses small.
    reported: so many of the best names are scored; held_out: most sentences that a name is tested on. cache: folder
    for vectors. given: names that are scored beside, such as those of people, by unit. say: told what a language model
    will be asked, before it is. A response that is not a finite number is left out and counted.
    """
    if polarity not in POLARITIES:
        raise UserError("unknown polarity", value=polarity, allowed=", ".join(POLARITIES))
    spec = spec or SascSpec()
    if not isinstance(corpus, ReferenceCorpus):
        space = open_space(embedder, cache) if isinstance(embedder, str) else embedder
        corpus = ReferenceCorpus.of(corpus, ngrams, embedder=space)
    tasks: list[Task] = []
    for module in modules:
        subject = module if isinstance(module, BaseSubject) else FunctionSubject(module)
        tasks += _tasks(
            subject, corpus.reference, units, polarity, asked=lm is None and spec.candidates.composing.names
        )
    names = [task.unit for task in tasks]
    if len(set(names)) < len(names):
        raise UserError(
            "two units have the same name", value=[str(name) for name in names][:5], fix="Name the functions"
        )
    dealt = NamingSplit(corpus.reference, spec.candidates.naming_share, seed)
    found = []
    for named in name_units(tasks, dealt, spec, lm, say):
        best, name = min(reported, len(named.rows)), (given or {}).get(named.task.unit)
        wanted = best or (name and named.task.responses.problem is None)
        random = RandomNames(named.task, ConceptTexts(dealt, corpus.held_out(seed), held_out)) if wanted else None
        one = _explained(named, random, best, corpus.reference)
        if name and random is not None:
            row = readings(named.task, Proposed([Name(name)]), dealt, keep_all=True)[0]
            echo = corpus.reference.texts[named.task.order[0]]
            one = replace(one, given=report_on(row, named.task, random, echo)[0])
        found.append(one)
    return found


def _tasks(
    subject: Subject, reference: Reference, units: Sequence[int] | None, polarity: Polarity, asked: object
) -> list[Task]:
    """One task for each unit of a subject's only site; asked: whether it is asked about the general vocabulary."""
    site = only_site(subject)
    indices = range(width_of(subject, site, Texts.of(reference.texts))) if units is None else units
    values = responses(subject, site, indices, reference.texts)
    named = responses(subject, site, indices, general_names(reference.wordnet)) if asked else None
    tasks = []
    for column, index in enumerate(indices):
        unit, mine = Unit(subject.name, site, index, polarity), values[:, column].astype(np.float64)
        beside = None if named is None else unit.sign * named[:, column].astype(np.float64)
        tasks.append(Task(unit, Responses.of(mine), asker(subject, unit), unit.sign * mine, beside))
    return tasks


def _explained(named: Named, random: RandomNames | None, reported: int, reference: Reference) -> Explained:
    task, candidates = named.task, []
    if task.responses.problem is not None:
        return Explained(task.unit, task.responses, (), (), task.responses.problem)
    for place, row in enumerate(named.rows):
        report: Any = ((), ())
        if random is not None and place < reported:
            report = report_on(row, task, random, reference.texts[task.order[0]])
        before = named.place_before[row.name.text]
        told = tuple(row.name.sources), row.selection, row.fit, before, row.kinds
        candidates.append(Candidate(named.explanation(place), *told, *report))
    top = tuple((reference.texts[row], float(task.values[row])) for row in task.loudest[:75])
    problem = None if candidates else "no candidate name was found"
    return Explained(task.unit, task.responses, top, tuple(candidates), problem, dict(named.proposed.bill.failures))


__all__ = ["NGRAMS", "Candidate", "Explained", "ReferenceCorpus", "SascSpec", "explain_module", "explain_modules"]
