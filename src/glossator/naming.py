"""Explain any function of text in three lines: `explain_module(f, corpus)`.

The SASC method (Singh et al. 2023) with what its score lacks: n-grams -> responses -> candidate names -> texts with and
without each concept -> a score in sigma, with an interval. Names are proposed from some n-grams and ranked on others
and on texts of their own; what is reported comes from texts that neither step has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from glossator.corpora.ngrams.extract import CorpusLike, NgramSpec
from glossator.errors import UserError
from glossator.explainers.naming.candidates import CandidateSpec, Proposed, propose_all
from glossator.explainers.naming.halves import Halves
from glossator.explainers.naming.reference import NGRAMS, Reference
from glossator.explainers.naming.selection import rank
from glossator.explainers.naming.task import Task, answers_of
from glossator.explainers.naming.vocabulary import general_names
from glossator.explanations import Explanation
from glossator.files import plain
from glossator.language_models import LanguageModel
from glossator.recording.responses import UnitResponses, respond
from glossator.scorers.written_texts import RandomNames, report_on
from glossator.scores import Score
from glossator.subjects.embedders import Embedder
from glossator.subjects.modules import as_module
from glossator.units import Polarity, Unit


@dataclass(frozen=True)
class SascSpec:
    """candidates: how names are found. reported: so many of the best are scored on the reporting half.

    fit_weight: candidates are ranked by their score on the selection texts, as a share of the best one's, plus so much
    of the share of variance that holding (or nearness to) the concept explains of the responses to held-out n-grams.
    sentences: most sentences of the corpus that a reported name is tested on.
    """

    candidates: CandidateSpec = field(default_factory=CandidateSpec)
    reported: int = 3
    fit_weight: float = 2.0
    sentences: int = 24


@dataclass(frozen=True)
class Candidate:
    """A name with how it ranked and, for the best ones, its scores on texts that nothing before has seen.

    sources: the lists that proposed it; selection: difference of means in sigma on the selection texts; fit: how well
    the concept predicts responses to held-out n-grams (r); None where undefined. proposed: its rank before the module
    was asked about any name; kinds: whether phrases around kinds of it did better than phrases around itself.
    scores: `sasc.corpus`, `sasc.written`, `sasc.sentences`, empty where not reported; texts: of the reporting half,
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

    def score(self, name: str = "sasc.corpus") -> Score | None:
        return next((score for score in self.scores if score.name == name), None)


@dataclass(frozen=True)
class Explained:
    """What one unit of a module responds to. candidates: best first; none, with the `problem`, for a unit that cannot
    be explained (dead, constant, without a finite value); top: (n-gram, response) of those that respond more than half
    of all, largest first; failures: answers of a language model that gave nothing, by reason."""

    unit: Unit
    responses: UnitResponses
    top: tuple[tuple[str, float], ...]
    candidates: tuple[Candidate, ...]
    problem: str | None = None
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def best(self) -> Candidate | None:
        return self.candidates[0] if self.candidates else None


def explain_module(module: Any, corpus: CorpusLike | Reference, **settings: Any) -> Explained:
    """What a function of text responds to, as ranked names with scores.

    module: any callable from a list of strings to as many numbers. corpus: "embedded", a path, strings, a `Reference`.
    Settings as in `explain_modules`. Raises `UserError` for a module with several outputs.
    """
    found = explain_modules([module], corpus, **settings)
    if len(found) != 1:
        raise UserError("the module has several outputs", value=len(found), fix="Use explain_modules")
    return found[0]


def explain_modules(
    modules: Sequence[Any],
    corpus: CorpusLike | Reference,
    *,
    lm: LanguageModel | None = None,
    embedder: Embedder | str | None = "smollm2-135m",
    ngrams: NgramSpec = NGRAMS,
    spec: SascSpec | None = None,
    polarity: Polarity = "+",
    seed: int = 0,
    cache: str | Path | None = None,
    progress: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[Explained]:
    """What each output of each module responds to; n-grams are run once for all modules.

    lm: a language model that names and writes texts; without one both are done by word lists, WordNet and vectors.
    embedder: of the space in which names are looked for, an `Embedder`, the alias of one (`smollm2-135m`: token
    vectors, no model is run; `minilm`), or None for no space. polarity: "-" explains what makes responses small.
    cache: folder for responses and vectors. say: told what a language model will be asked, before it is.
    """
    if polarity not in ("+", "-"):
        raise UserError("unknown polarity", value=polarity, allowed="+ or -")
    spec = spec or SascSpec()
    reference = corpus
    if not isinstance(reference, Reference):
        from glossator.explainers.naming.space import open_space

        space = open_space(embedder, cache) if isinstance(embedder, str) else embedder
        reference = Reference.of(reference, ngrams, embedder=space)
    faces = [as_module(module) for module in modules]
    responses = respond(faces, reference.ngrams, cache=cache, keep_values=True, progress=progress)
    assert responses.values is not None
    named = None
    if lm is None and spec.candidates.composing.names:
        names = general_names(reference.wordnet)
        named = respond(faces, names, cache=cache, keep_values=True, progress=progress).values
    sign = 1 if polarity == "+" else -1
    answering = {face.name: answers_of(face) for face in faces}
    tasks = []
    for column, unit in enumerate(responses.units):
        name = Unit(unit.module, "output", unit.column, polarity)
        ask = _asker(answering[unit.module], unit.column, sign)
        mine = None if named is None else sign * named[:, column]
        tasks.append(Task(name, unit, ask, sign * responses.values[:, column], mine))
    return explain_tasks(tasks, reference, spec=spec, lm=lm, seed=seed, say=say)


def _asker(answers: Callable[[Sequence[str]], np.ndarray], column: int, sign: int) -> Callable[..., np.ndarray]:
    def ask(texts: Sequence[str]) -> np.ndarray:
        return sign * answers(texts)[:, column].astype(np.float64)

    return ask


def explain_tasks(
    tasks: Sequence[Task],
    reference: Reference,
    *,
    spec: SascSpec | None = None,
    lm: LanguageModel | None = None,
    seed: int = 0,
    halves: Halves | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Explained]:
    """The steps after the n-grams' responses, for units on one reference; a language model is asked for all at once.

    halves: how the reference was dealt to naming and ranking, where that is known already.
    """
    spec = spec or SascSpec()
    sound = [task for task in tasks if task.responses.problem is None]
    names = [task.unit for task in tasks]
    if len(set(names)) < len(names):
        raise UserError("two units have the same name", value=[str(name) for name in names][:5], fix="Name the modules")
    halves = halves or Halves(reference, spec.candidates.naming_share, seed)
    proposed = propose_all(sound, halves, spec.candidates, lm, say)
    found = {}
    for task, proposals in zip(sound, proposed, strict=True):
        found[task.unit] = _explained(task, proposals, halves, spec, lm)
    return [found.get(task.unit) or _unexplained(task) for task in tasks]


def _unexplained(task: Task) -> Explained:
    return Explained(task.unit, task.responses, (), (), task.responses.problem)


def _explained(task: Task, proposed: Proposed, halves: Halves, spec: SascSpec, lm: LanguageModel | None) -> Explained:
    ngrams = halves.reference.ngrams
    ranked = rank(task, proposed, halves, spec.fit_weight)
    provenance = proposed.provenance(plain(spec), halves.reference.fingerprint, halves.seed, lm)
    before = {name.text: place for place, name in enumerate(proposed.names)}
    random = RandomNames(task, halves, spec.sentences)
    candidates = []
    for place, row in enumerate(ranked):
        explanation = Explanation(task.unit, row.name.text, provenance, rank=place)
        report = report_on(row, task, halves, spec.sentences, random) if place < spec.reported else ((), ())
        candidates.append(
            Candidate(
                explanation, tuple(row.name.sources), row.selection, row.fit, before[row.name.text], row.kinds, *report
            )
        )
    top = tuple((ngrams.texts[row], float(task.values[row])) for row in task.loudest[:75])
    problem = None if candidates else "no candidate name was found"
    return Explained(task.unit, task.responses, top, tuple(candidates), problem, dict(proposed.bill.failures))


__all__ = ["Candidate", "Explained", "SascSpec", "Task", "explain_module", "explain_modules", "explain_tasks"]
