"""The two stages of a study. Explaining: methods see the explain split, and the select split ranks their candidates.
Scoring: the first-ranked explanation of each method meets the test split, beside its baselines.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Container, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, ExplainEvidence, Split
from glossator.explainers import Abstained, Explained
from glossator.explanations import Explanation
from glossator.files import plain
from glossator.recording.alone import told_statistics
from glossator.scorers import SUBJECT, simulates
from glossator.scorers.baselines import Beside, explanations_of
from glossator.scorers.correlation import pooled
from glossator.scorers.lab import Lab, scores_of
from glossator.scorers.other_units import comparison_pool
from glossator.scorers.sample import SETTINGS
from glossator.scorers.words import check_words
from glossator.scores import Score
from glossator.store.results import CLOCK, SCORING, Chosen, UnitResult, as_stored
from glossator.study.context import StudyContext, check_subject, reason_of
from glossator.units import Unit, unit_rng


def explain_units(units: Sequence[Unit], context: StudyContext) -> list[UnitResult]:
    """Explanations of some units, not yet scored."""
    context.simulator  # noqa: B018 - made before threads ask for it
    drawn = {unit: _draw(unit, context) for unit in units}
    ready = {u: e for u, e in drawn.items() if isinstance(e, Evidence) and e.status == "ok"}
    answers = {name: _ask(name, ready, context) for name in context.spec.explainers}
    return context.each(
        lambda unit: _result(unit, drawn[unit], {n: a[unit] for n, a in answers.items() if unit in a}, context), units
    )


def _draw(unit: Unit, context: StudyContext) -> Evidence | str:
    try:
        return context.evidence(unit)
    except Exception as error:
        return f"evidence: {reason_of(error)}"


def _ask(name: str, ready: dict[Unit, Evidence], context: StudyContext) -> dict[Unit, Explained]:
    """Ask a method about all units together; where that fails, about each alone, so that no unit spoils the others."""
    explainer, n, seed = context.explainers[name], context.spec.candidates, context.spec.seed
    shown = [evidence.explain for evidence in ready.values()]
    if not shown:
        return {}
    try:
        return dict(zip(ready, explainer.explain(shown, n=n, seed=seed), strict=True))
    except Exception as error:
        context.note(f"{name} on {len(shown)} units together: {reason_of(error)}; now each alone")

    def alone(evidence: ExplainEvidence) -> Explained:
        try:
            (answer,) = explainer.explain([evidence], n=n, seed=seed)
            return answer
        except Exception as error:
            return Abstained(f"{name}: {reason_of(error)}", failed=True)

    return dict(zip(ready, context.each(alone, shown), strict=True))


def _result(unit: Unit, evidence: Evidence | str, answers: dict[str, Explained], context: StudyContext) -> UnitResult:
    if isinstance(evidence, str):
        return UnitResult(unit, "failed", evidence)
    statistics = told_statistics(context.recording, unit, plain(evidence.statistics))
    if evidence.status != "ok":
        return UnitResult(unit, "insufficient", evidence.reason, statistics)
    chosen: list[Chosen] = []
    failures: list[str] = []
    abstentions: list[str] = []
    for name, answer in answers.items():
        if isinstance(answer, Abstained) and answer.failed:
            failures.append(answer.reason)
        elif isinstance(answer, Abstained):
            abstentions.append(f"{name}: {answer.reason}")
        elif not answer:
            abstentions.append(f"{name}: no explanation and no reason")
        else:
            try:
                chosen += rank(
                    _words_checked(name, answer, evidence, context), evidence, context, context.explainers[name].ranks
                )
            except Exception as error:
                failures.append(f"{name}: {reason_of(error)}")
    if chosen:
        return UnitResult(unit, "ok", "; ".join(failures + abstentions), statistics, tuple(chosen))
    if failures:
        return UnitResult(unit, "failed", "; ".join(failures + abstentions), statistics)
    return UnitResult(unit, "abstained", "; ".join(abstentions), statistics)


def _words_checked(
    name: str, candidates: Sequence[Explanation], evidence: Evidence, context: StudyContext
) -> Sequence[Explanation]:
    """The candidates, after words that a language model gave a class were held against it on the select split."""
    first, own = candidates[0], context.own(name, context.resources)
    headlines = [first.headline, *(mode.headline for mode in first.modes)]
    if own.lexicon is None or not any(headline is not None and headline.beside for headline in headlines):
        return candidates
    return check_words(candidates, evidence.select, own.lm, own.lexicon, context.spec.seed)


def rank(
    candidates: Sequence[Explanation], evidence: Evidence, context: StudyContext, ranked: bool = False
) -> list[Chosen]:
    """The candidates of one method, best first by correlation on the select split, undefined ones last; ranked: the
    method has put them in order itself."""
    lab = context.lab()
    valued = [(_on_select(candidate, evidence, lab), place, candidate) for place, candidate in enumerate(candidates)]
    if not ranked:
        valued.sort(key=lambda v: (v[0] is None, -(v[0] or 0.0), v[1]))
    for _, _, candidate in valued:
        if seconds := candidate.provenance.cost.get(CLOCK):
            context.note(f"{candidate.provenance.method} on {candidate.unit}: {seconds:.3f} s")
    lexicon = context.resources.lexicon
    return [as_stored(candidate, lexicon, place, value) for place, (value, _, candidate) in enumerate(valued)]


def _on_select(candidate: Explanation, evidence: Evidence, lab: Lab) -> float | None:
    """Pearson r on the select split's top and random windows, on its random ones where it has no top windows."""
    evidence = lab.readable([candidate], evidence, ["select"], partial(rows_ranked_on, lab))
    for setting in SETTINGS:
        trial = lab.trial(evidence, setting, "select")
        if len(trial.test):
            try:
                return pooled(trial, candidate).value
            except MissingPower:
                return None
    return None


def rows_ranked_on(lab: Lab, evidence: Evidence, split: Split = "select") -> np.ndarray:
    """Row numbers, ascending, of the windows that candidates are ranked on."""
    samples = [lab.trial(evidence, setting, split).test for setting in SETTINGS]
    return np.sort(next((sample.rows for sample in samples if len(sample)), samples[-1].rows))


def score_units(some: Sequence[UnitResult], context: StudyContext, everyone: Sequence[UnitResult]) -> list[UnitResult]:
    """The same results with scores; everyone: all units of the study, among which each looks for another one."""
    by_site: dict[tuple[str, str], list[UnitResult]] = {}
    for result in everyone:
        by_site.setdefault((result.unit.site, result.unit.polarity), []).append(result)
    context.scorers, context.baselines, context.simulator  # noqa: B018 - made before threads ask for them
    return context.each(lambda r: _scored(r, by_site[r.unit.site, r.unit.polarity], context), some)


def _scored(result: UnitResult, site: Sequence[UnitResult], context: StudyContext) -> UnitResult:
    if result.status != "ok":
        return result
    try:
        evidence = context.evidence(result.unit)
        explanations = []
        for chosen in result.explanations:
            if chosen.rank == 0:
                other = other_unit(result.unit, chosen.method, site, context)
                chosen = replace(chosen, scores=tuple(score_one(chosen, result.unit, evidence, other, context)))
            explanations.append(chosen)
        scored = replace(result, explanations=tuple(explanations))
        if tuple(context.models) and (reason := _nothing_read(scored)) is not None:
            return replace(scored, status="failed", reason=f"{SCORING}{reason}")
        return scored
    except Exception as error:
        return replace(result, status="failed", reason=f"{SCORING}{reason_of(error)}")


def _nothing_read(result: UnitResult) -> str | None:
    """Why no explanation of the unit has any score, which a language model was to read; None where one has."""
    scores = [score for chosen in result.explanations if chosen.rank == 0 for score in chosen.scores]
    reason = next((f"{score.name}: {score.reason}" for score in scores if score.reason), None)
    return (
        None
        if reason is None or any(score.value is not None for score in scores)
        else f"no score has a value: {reason}"
    )


def score_one(
    chosen: Chosen, unit: Unit, evidence: Evidence, other: Explanation | None, context: StudyContext
) -> list[Score]:
    """All scores of one explanation, beside the baselines that can be had for it."""
    explanation = chosen.explanation(unit)
    check_subject(context.spec, context.resources)
    beside = Beside(explanation, chosen.bits, other)
    lab = context.lab(explanations_of(context.baselines, evidence.explain, beside))
    if not lab.executes(explanation):
        both = [explanation, *([other] if other is not None else [])]
        evidence = lab.readable(both, evidence, context.splits_read, lab.rows_scored)
    scores: list[Score] = []
    for name, scorer in context.scorers.items():
        with ONE_AT_A_TIME if SUBJECT in scorer.needs else contextlib.nullcontext():
            found = scores_of(scorer, unit, explanation, evidence, context.own(name, lab), name)
        how = lab.how(explanation) if simulates(scorer) else {}
        scores += [replace(score, how={**score.how, **how}) for score in found]
    lab.forget()
    return scores


ONE_AT_A_TIME = threading.RLock()
"""Held while the subject is run: the hooks of two threads on one model would see each other's activations."""


def other_unit(unit: Unit, method: str, site: Sequence[UnitResult], context: StudyContext) -> Explanation | None:
    """What the method says of another unit of the same site and side, drawn by the seed; None when there is none."""
    explained = {r.unit.index: (r.unit, best) for r in site if (best := r.best(method)) is not None}
    index = draw_other(unit, explained, context)
    if index is None:
        return None
    other, chosen = explained[index]
    return chosen.explanation(other)


def draw_other(unit: Unit, explained: Container[int], context: StudyContext) -> int | None:
    """The index of another unit of the site that is explained, drawn by the seed; None when there is none."""
    others = comparison_pool(unit.index, [i for i in context.order(unit.site) if i in explained or i == unit.index], 1)
    return others[int(unit_rng(context.spec.seed, unit).integers(len(others)))] if others else None
