"""Testing your own explanation of a unit in the way in which a study tests those it found.

A program may leave out its numbers: bias and strengths are then fitted on the calibrate split, which neither explainers
nor scores use. Words are read by a language model where there is one, else judged by a text embedder.
"""

# ruff: noqa: PT028  # `test_hypothesis` is no test case

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from glossator.errors import UserError
from glossator.evidence import Evidence
from glossator.explanations import Explanation, Provenance
from glossator.inputs import WHOLE
from glossator.language_models.costs import Cost, in_words, summed
from glossator.programs import Clause, Lexicon, Program, Table, english
from glossator.programs.parser import Draft, parse_draft, reads_as_program
from glossator.programs.running import run, truths
from glossator.scorers.lab import MOST_TO_FIT
from glossator.scorers.sample import Sample, any_sample
from glossator.scores import Score
from glossator.store.card import DEFAULT_SCORERS, OF_THE_CARD, column_of, columns_of
from glossator.store.ranking import default_of
from glossator.store.results import Chosen, as_stored
from glossator.store.spec import StudySpec, bounded_to_read
from glossator.store.study import Study, open_study, unit_of
from glossator.store.summary import baselines_of_scores
from glossator.study.context import StudyContext
from glossator.study.models import Access, StudyModels
from glossator.study.sources import check_unchanged
from glossator.study.stages import draw_other, score_one
from glossator.units import Unit

BY_HAND = "by-hand"
JUDGE = "embedding"
"""Scores words where there is no language model that could read them."""
ALPHA = 0.05
Hypothesis = str | Program | Explanation


INPUTS = {"tokens": "text", "texts": "text", "stimuli": "scans"}
PLACES = {"tokens": "token", "cells": "cell", "whole": "input"}
"""What inputs of each kind are called, and one place of each kind of grid."""


@dataclass(frozen=True)
class Tested:
    """An explanation with its scores. fitted: whether numbers of its program were; notes: what is to be known of how it
    was tested; costs: what language models were asked, empty where there are none; kind: of the inputs."""

    unit: Unit
    explanation: Chosen
    scores: tuple[Score, ...]
    fitted: bool = False
    notes: tuple[str, ...] = ()
    costs: tuple[Cost, ...] = field(default=())
    kind: str = "tokens"

    @property
    def summary(self) -> str:
        """One line: the default score, and which baselines it is above."""
        score = default_of(replace(self.explanation, scores=self.scores))
        score = score or default_of(replace(self.explanation, scores=self.scores), "causal")
        if score is None:
            return f"{self.unit}: no score"
        if score.value is None:
            return f"{self.unit}: {score.name} is missing: {score.reason}"
        why = score.how.get("no_interval")
        interval = f" (no interval: {why})" if why else ""
        if score.low is not None and score.high is not None:
            interval = f" [{_short(score.low)}, {_short(score.high)}]"
        told = (
            f"{self.unit}: {score.name} {_short(score.value)}{interval} on held-out {INPUTS.get(self.kind, self.kind)}"
        )
        above: list[str] = []
        beside: list[str] = []
        for baseline in baselines_of_scores([score]):
            if (value := score.baselines[baseline]) is not None:
                margin = score.margins.get(baseline)
                is_above = margin is not None and margin.p is not None and margin.p <= ALPHA and margin.value > 0
                (above if is_above else beside).append(f"{baseline} {_short(value)}")
        parts = [f"{words} {', '.join(names)}" for words, names in (("above", above), ("not above", beside)) if names]
        return "; ".join([told, *parts])


def _short(value: float) -> str:
    text = f"{value:.2f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def test_hypothesis(
    study: Study | str | Path,
    unit: Unit | str,
    hypothesis: Hypothesis | None,
    *,
    words: bool | None = None,
    lm: str | None = None,
    simulator: str | None = None,
    card: str | None = None,
    scorers: Sequence[str] | None = None,
    access: Access | None = None,
    progress: bool | None = False,
    say: Callable[[str], Any] = lambda line: None,
) -> Tested:
    """Score an explanation of one's own on the test split of a finished study, beside the study's baselines.

    study: a folder, or an open study; unit: its name or the end of it; hypothesis: a program, as text too
    (`word(months)`, `0.1 + 2.0*token(" keep")`), or words, or an explanation; None for the study's own best one.
    words: whether a text is words, where that is not to be found out from how it begins. lm, simulator: who reads
    words, the study's by default; without a language model an embedder judges them. card, scorers: what is scored, by
    default as in the study. access: how a language model is paid for. progress: a bar on stderr while windows are read;
    None shows it on a terminal only. say: is told what it will cost before it is paid. It is `glossator score UNIT`.
    Raises `UserError` for what cannot be read.
    """
    with contextlib.nullcontext(study) if isinstance(study, Study) else open_study(study) as opened:
        found = unit_of(opened, unit)
        result = opened.result(found)
        draft, asked = _understood(hypothesis, found, words)
        if asked is None and draft is None and result.best() is None:
            raise UserError(
                f"the study has no explanation of {found} ({result.status})", fix="Pass one with --program or --text"
            )
        spec = _spec(opened.spec, lm, simulator, card, scorers)
        if asked is not None and asked.program is None and not scorers:
            spec = judged(spec)
        with _context(opened, spec, access, progress) as context:
            evidence, fitted = context.evidence(found), False
            notes: tuple[str, ...] = ()
            if draft is not None:
                fitted = draft.bias is None
                program, notes = fit(draft, evidence, context.lab().lexicon, spec.seed)
                said = english(program, whole=evidence.test.grid == WHOLE)
                asked = Explanation(found, said, Provenance(BY_HAND), program)
            chosen = result.best() if asked is None else as_stored(asked, context.resources.lexicon, 0, None)
            assert chosen is not None
            explanation = chosen.explanation(found)
            if not context.simulator.executes(explanation) and not opened.spec.language_models:
                evidence = replace(context, spec=replace(spec, evidence=bounded_to_read(spec.evidence))).evidence(found)
            own = asked is None or chosen.method in spec.explainers
            method = chosen.method if own else next(iter(spec.explainers))
            site = {u.index: u for u in opened.explained(method, found.site, found.polarity)}
            drawn = draw_other(found, site, context)
            best = None if drawn is None else opened.result(site[drawn]).best(method)
            other = None if drawn is None or best is None else best.explanation(site[drawn])
            if tuple(context.models):
                _foresee(explanation, other, evidence, context, say)
            scores = score_one(chosen, found, evidence, other, context)
            costs = summed([("score", context.meter.take())])
    return Tested(found, chosen, tuple(scores), fitted, notes, tuple(costs), evidence.test.inputs.kind)


test_hypothesis.__test__ = False  # type: ignore[attr-defined]  # not a test case, whatever the name says to test runners


def _understood(
    hypothesis: Hypothesis | None, unit: Unit, words: bool | None
) -> tuple[Draft | None, Explanation | None]:
    """A program as it was written, or an explanation that is complete."""
    if hypothesis is None:
        return None, None
    if isinstance(hypothesis, Explanation):
        return None, replace(hypothesis, unit=unit)
    if isinstance(hypothesis, Program):
        return None, Explanation(unit, english(hypothesis), Provenance(BY_HAND), hypothesis)
    if not hypothesis.strip():
        raise UserError("an empty explanation", fix="Pass a program such as 'word(months)', or text")
    if words is False or (words is None and reads_as_program(hypothesis)):
        return parse_draft(hypothesis), None
    return None, Explanation(unit, hypothesis.strip(), Provenance(BY_HAND))


def _spec(
    spec: StudySpec, lm: str | None, simulator: str | None, card: str | None, scorers: Sequence[str] | None
) -> StudySpec:
    """The study's spec with what is to differ: of the columns asked for the study's own scorers, else default ones."""
    changes: dict[str, Any] = {k: v for k, v in {"lm": lm, "simulator": simulator}.items() if v is not None}
    if card is not None or scorers:
        columns = columns_of(card or spec.card)
        named = tuple(scorers) if scorers else tuple(name for name in spec.scorers if column_of(name) in columns)
        changes |= {"card": card or spec.card, "scorers": named or OF_THE_CARD}
    return replace(spec, **changes) if changes else spec


def judged(spec: StudySpec) -> StudySpec:
    """The spec under which words can be scored: nobody reads them without a language model, so an embedder judges them
    in the place of the scorers that simulate."""
    if spec.language_models:
        return spec
    unread = {*DEFAULT_SCORERS["observational"], "specificity"}
    kept = [name for name in spec.scorers if name not in unread and column_of(name) in columns_of(spec.card)]
    is_judged = "observational" not in columns_of(spec.card) or JUDGE in kept
    return replace(spec, scorers=(*([] if is_judged else [JUDGE]), *kept))


@contextlib.contextmanager
def _context(study: Study, spec: StudySpec, access: Access | None, progress: bool | None) -> Iterator[StudyContext]:
    """Of a finished study, under another spec. New answers are kept where `access` says, else in the study."""
    check_unchanged(study.spec, study.recording)
    with StudyModels(spec.language_models, access, study.folder) as models:
        context = StudyContext.of(spec, study.recording, models=models)
        if progress is not False and tuple(models):
            with context.simulator.watched(progress):
                yield context
        else:
            yield context


def _foresee(
    explanation: Explanation,
    other: Explanation | None,
    evidence: Evidence,
    context: StudyContext,
    say: Callable[[str], Any],
) -> None:
    from glossator.study.projection import project_explanation

    usage = project_explanation(explanation, other, evidence, context)
    if usage.calls:
        names = ", ".join(context.models.open(name).name for name in context.models)
        say(f"Estimated cost with {names}: about {in_words(usage)}. Cached answers are free.")


def fit(draft: Draft, evidence: Evidence, lexicon: Lexicon | None, seed: int = 0) -> tuple[Program, tuple[str, ...]]:
    """The program with the numbers that were left out, and notes on what could not be fitted.

    Least squares on the top and random windows of the calibrate split. A strength keeps the sign that was written, or a
    wrong hypothesis would be mended: one that the data give the other sign is 0. Where that leaves nothing, strengths
    are 1, so that the scores can say how wrong it is. A draft that begins with its bias is complete.
    """
    if draft.bias is not None or not draft.clauses:
        return draft.program(), ()
    from scipy.optimize import lsq_linear

    sample = any_sample(evidence.calibrate, seed, MOST_TO_FIT)
    if not len(sample):
        return draft.program(), ("the calibrate split has no windows to fit on: strengths are 1",)
    calibrate = evidence.calibrate
    target, free = sample.truth.copy(), []
    columns = [np.ones(len(target))]
    for place, (sign, size, test) in enumerate(draft.clauses):
        if isinstance(test, Table):
            target -= _table_values(test, evidence, lexicon, sample)
            continue
        found = sign * sample.flat(truths(test, calibrate.inputs, calibrate.grid, lexicon))
        if size is not None:
            target -= size * found
        else:
            columns.append(found)
            free.append(place)
    lowest = np.array([-np.inf, *([0.0] * len(free))])
    bias, *sizes = lsq_linear(np.stack(columns, axis=1), target, (lowest, np.inf), method="bvls").x.tolist()
    sizes = [_rounded(size) if column.any() else 0.0 for size, column in zip(sizes, columns[1:], strict=True)]
    notes = []
    for place, size, column in zip(free, sizes, columns[1:], strict=True):
        sign, _, test = draft.clauses[place]
        if not column.any():
            kind = PLACES[calibrate.grid.kind]
            notes.append(f"{test} holds at no {kind} of the calibrate split, so its strength could not be fitted")
        elif not size:
            notes.append(
                f"{test}: the unit is not {'higher' if sign > 0 else 'lower'} where it holds (calibrate split)"
            )
    if free and not any(sizes):
        sizes = [1.0] * len(sizes)
        notes.append("no strength could be fitted: all are 1")
    given = dict(zip(free, sizes, strict=True))
    clauses = tuple(
        Clause(sign * given.get(place, 1.0 if size is None else size), test)
        for place, (sign, size, test) in enumerate(draft.clauses)
        if given.get(place, 1.0)
    )
    return Program(_rounded(bias), clauses, **draft.output), tuple(notes)


def _table_values(test: Table, evidence: Evidence, lexicon: Lexicon | None, sample: Sample) -> np.ndarray:
    calibrate = evidence.calibrate
    return sample.flat(run(Program(0.0, (Clause(1.0, test),)), calibrate.inputs, calibrate.grid, lexicon))


def _rounded(value: float) -> float:
    """Three digits: more would say more than the fit knows, and a strength near 0 is none."""
    return float(f"{value:.3g}") if abs(value) > 1e-9 else 0.0
