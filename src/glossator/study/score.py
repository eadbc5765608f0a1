"""The scoring stage: the first-ranked explanation of each method on the test split, beside its baselines."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Container, Sequence
from dataclasses import replace

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import SUBJECT, TOKEN_VALUES, Scorer
from glossator.scorers.baselines import Beside, explanations_of
from glossator.scorers.lab import scores_of
from glossator.scorers.others import company
from glossator.scores import Score
from glossator.store.results import SCORING, Chosen, UnitResult
from glossator.study.tools import Tools, check_subject, reason_of
from glossator.units import Unit, unit_rng

FIT_NOTHING = ("correlation", "specificity")
"""Scorers that simulate and ask nothing of the calibrate split."""


def score_units(some: Sequence[UnitResult], tools: Tools, everyone: Sequence[UnitResult]) -> list[UnitResult]:
    """The same results with scores; everyone: all units of the study, among which each looks for another one."""
    by_site: dict[tuple[str, str], list[UnitResult]] = {}
    for result in everyone:
        by_site.setdefault((result.unit.site, result.unit.polarity), []).append(result)
    tools.scorers, tools.baselines, tools.reader  # noqa: B018 - made before threads ask for them
    return tools.each(lambda r: _scored(r, by_site[r.unit.site, r.unit.polarity], tools), some)


def _scored(result: UnitResult, site: Sequence[UnitResult], tools: Tools) -> UnitResult:
    if result.status != "ok":
        return result
    try:
        evidence = tools.evidence(result.unit)
        explanations = []
        for chosen in result.explanations:
            if chosen.rank == 0:
                other = other_unit(result.unit, chosen.method, site, tools)
                chosen = replace(chosen, scores=tuple(score_one(chosen, result.unit, evidence, other, tools)))
            explanations.append(chosen)
        scored = replace(result, explanations=tuple(explanations))
        if tuple(tools.models) and (reason := _nothing_read(scored)) is not None:
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


def score_one(chosen: Chosen, unit: Unit, evidence: Evidence, other: Explanation | None, tools: Tools) -> list[Score]:
    """All scores of one explanation, beside the baselines that can be had for it."""
    explanation = chosen.explanation(unit)
    check_subject(tools.spec, lambda: tools.resources.get("subject"))
    beside = Beside(explanation, chosen.bits, other)
    lab = tools.lab().for_unit(explanations_of(tools.baselines, evidence.explain, beside))
    if not lab.executes(explanation):
        both = [explanation, *([other] if other is not None else [])]
        evidence = lab.readable(both, evidence, splits_read(tools), lab.rows_scored)
    scores: list[Score] = []
    for name, scorer in tools.scorers.items():
        own = replace(lab, resources=tools.resources_for(name))
        with ONE_AT_A_TIME if SUBJECT in scorer.needs else contextlib.nullcontext():
            found = scores_of(scorer, unit, explanation, evidence, own, name)
        how = lab.how(explanation) if simulates(scorer) else {}
        scores += [replace(score, how={**score.how, **how}) for score in found]
    lab.forget()
    return scores


ONE_AT_A_TIME = threading.RLock()
"""Held while the subject is run: the hooks of two threads on one model would see each other's activations."""


def simulates(scorer: Scorer) -> bool:
    """Whether it scores the simulation of an explanation: observational scorers that ask neither a language model nor
    the subject do, others where they say so."""
    return scorer.needs == {TOKEN_VALUES} if scorer.simulated is None else scorer.simulated


def splits_read(tools: Tools) -> list[Split]:
    """The splits whose windows are simulated to score: `calibrate` only for scorers that fit something there."""
    simulating = [name for name, scorer in tools.scorers.items() if simulates(scorer)]
    fitting = [name for name in simulating if name not in FIT_NOTHING]
    return ["test", "calibrate"] if fitting else ["test"] if simulating else []


def other_unit(unit: Unit, method: str, site: Sequence[UnitResult], tools: Tools) -> Explanation | None:
    """What the method says of another unit of the same site and side, drawn by the seed; None when there is none."""
    explained = {r.unit.index: (r.unit, best) for r in site if (best := r.best(method)) is not None}
    index = draw_other(unit, explained, tools)
    if index is None:
        return None
    other, chosen = explained[index]
    return chosen.explanation(other)


def draw_other(unit: Unit, explained: Container[int], tools: Tools) -> int | None:
    """The index of another unit of the site that is explained, drawn by the seed; None when there is none."""
    others = company(unit.index, [i for i in tools.order(unit.site) if i in explained or i == unit.index], 1)
    return others[int(unit_rng(tools.spec.seed, unit).integers(len(others)))] if others else None
