"""Summaries of studies: best and worst units, means over units with intervals, agreement of the columns.

All of it is asked of the database; of many units only numbers are held, never their explanations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glossator.scorers.baselines import DEFAULT_BASELINES
from glossator.scores import Column, Score, range_of
from glossator.statistics import Estimate, mean_over_units, paired_difference, rank_correlation
from glossator.store.card import COLUMNS
from glossator.store.ranking import RATE, TOLD, Ranked
from glossator.store.results import Chosen, UnitResult

if TYPE_CHECKING:
    from glossator.store.study import Study


def ranked(study: Study, order: str = "best", limit: int = 50) -> list[Ranked]:
    """The first units in an order (`ORDERS` of `glossator.store.lists`), each with its explanation and main scores."""
    rows = study.page(order, limit=limit)
    return [row for found in rows if (row := ranked_of(study, study.result(found.unit))) is not None]


def ranked_of(study: Study, result: UnitResult) -> Ranked | None:
    """A unit as it is ranked among all of its study; None where it has no value of the score that ranks them."""
    chosen, causal = result.best(), study.default_score("causal")
    score = None if chosen is None else named(chosen, study.ranked_by)
    if chosen is None or score is None or score.value is None:
        return None
    return Ranked(result, chosen, score, named(chosen, causal) if score.name != causal else None)


def named(chosen: Chosen, name: str | None) -> Score | None:
    return next((score for score in chosen.scores if score.name == name), None)


@dataclass(frozen=True)
class Values:
    """One score of one method over the units of one site and side, in the study's order; None is a missing value.

    first: orders such groups as they come up in the study; index: of the units; baselines, q: by baseline, q None where
    it was not tested.
    """

    column: Column
    site: str
    polarity: str
    method: str
    score: str
    measure: str
    first: int
    index: list[int] = field(default_factory=list)
    value: list[float | None] = field(default_factory=list)
    baselines: dict[str, list[float | None]] = field(default_factory=dict)
    q: dict[str, list[float | None]] = field(default_factory=dict)


def values_of(study: Study, score: str) -> list[Values]:
    """The values of one score, in the order in which they come up in the study."""
    rows = study.stream(
        """SELECT scores.id, "column", measure, scores.value, explanations.method, site, "index", polarity, baseline,
        comparisons.value, comparisons.q
        FROM scores NOT INDEXED JOIN explanations ON explanations.id = scores.explanation
        JOIN units ON units.id = explanations.unit LEFT JOIN comparisons ON comparisons.score = scores.id
        WHERE scores.name = ? ORDER BY scores.id, baseline""",
        score,
    )
    groups: dict[tuple[str, ...], Values] = {}
    last = None
    for number, column, measure, value, method, site, index, polarity, baseline, beside, q in rows:
        key = (column, site, polarity, method)
        if (group := groups.get(key)) is None:
            group = groups[key] = Values(column, site, polarity, method, score, measure, number)
        if number != last:
            group.index.append(index)
            group.value.append(value)
            last = number
        if baseline is not None:
            for own, given in ((group.baselines, beside), (group.q, q)):
                so_far = own.setdefault(baseline, [])
                so_far += [None] * (len(group.value) - 1 - len(so_far))
                so_far.append(given)
    for group in groups.values():
        for values in (*group.baselines.values(), *group.q.values()):
            values += [None] * (len(group.value) - len(values))
    return [*groups.values()]


@dataclass(frozen=True)
class Mean:
    """Means over the units of one site and side that one method explained.

    baselines: by name, over the same units; over: the score minus each baseline, paired by unit; above: for each
    baseline, how many units are called above it and how many were tested, see `glossator.store.ranking`.
    """

    site: str
    polarity: str
    method: str
    score: str
    measure: str
    units: int
    value: Estimate
    baselines: dict[str, Estimate]
    column: Column = "observational"
    over: dict[str, Estimate] = field(default_factory=dict)
    above: dict[str, tuple[int, int]] = field(default_factory=dict)


def means(study: Study) -> list[Mean]:
    """Means of the scores of `told` by column, site, side and method, in the study's order."""
    units = units_of_sites(study)
    found = [(v.first, mean_of(v, units)) for name in told(study) for v in values_of(study, name)]
    return in_order(found)


def in_order(found: Iterable[tuple[int, Mean]]) -> list[Mean]:
    """By column, then as they come up in the study."""
    return [mean for _, mean in sorted(found, key=lambda f: (COLUMNS.index(f[1].column), f[0]))]


def units_of_sites(study: Study) -> dict[tuple[str, str], int]:
    """How many units there are by site and polarity."""
    rows = study.query("SELECT site, polarity, count(*) FROM units GROUP BY site, polarity")
    return {(site, polarity): count for site, polarity, count in rows}


def mean_of(v: Values, units: Mapping[tuple[str, str], int]) -> Mean:
    """units: how many there are by site and polarity, with this score or without."""
    baselines = usual_first(v.baselines)
    bounds = range_of(v.measure)
    tested = {baseline: [q for q in v.q[baseline] if q is not None] for baseline in baselines}
    return Mean(
        v.site,
        v.polarity,
        v.method,
        v.score,
        v.measure,
        units[v.site, v.polarity],
        mean_over_units(v.value, bounds=bounds),
        {baseline: mean_over_units(v.baselines[baseline], bounds=bounds) for baseline in baselines},
        v.column,
        {baseline: paired_difference(v.value, v.baselines[baseline], bounds=bounds) for baseline in baselines},
        {baseline: (sum(q <= RATE for q in found), len(found)) for baseline, found in tested.items() if found},
    )


def range_in(study: Study, score: str) -> tuple[float, float]:
    """The least and greatest value that a score of a study can have."""
    return range_of(next((measure for (measure,) in study.query(_MEASURE, score)), ""))


_MEASURE = "SELECT measure FROM scores WHERE name = ? AND value IS NOT NULL LIMIT 1"


def told(study: Study) -> list[str]:
    """The scores whose means are told: every causal one and the observational ones of `TOLD`, or every observational
    one where the study has none of these."""
    column = study.score_names
    causal, observational = ([name for name in column if column[name] == one] for one in ("causal", "observational"))
    return [*causal, *([name for name in observational if name in TOLD] or observational)]


def agreement_of_columns(study: Study) -> Estimate | None:
    """Rank correlation over units of the causal headline with the observational one, both of each unit's best
    explanation; None where no unit has both columns. Whether what predicts also acts is found out, not assumed."""
    if study.default_score("causal") in (None, study.ranked_by):
        return None
    pairs = study.query(f"SELECT score, causal FROM units WHERE {_BOTH}")
    if not pairs:
        return Estimate(None, reason="no unit has both values")
    return rank_correlation([a for a, _ in pairs], [b for _, b in pairs])


_BOTH = "score IS NOT NULL AND causal IS NOT NULL ORDER BY score DESC, id"


def baselines_of_scores(scores: Iterable[Score]) -> list[str]:
    """The baselines that stand beside any of these scores, the usual ones first."""
    return usual_first({name for score in scores for name in score.baselines})


def usual_first(baselines: Iterable[str]) -> list[str]:
    found = {*baselines}
    return [*(n for n in DEFAULT_BASELINES if n in found), *sorted(found - {*DEFAULT_BASELINES})]


def baselines_of(study: Study, score: str | None) -> list[str]:
    """The baselines that stand beside this score of the units' best explanations."""
    rows = study.query(
        """SELECT DISTINCT baseline FROM units JOIN scores ON scores.explanation = units.best AND scores.name = ?
        JOIN comparisons ON comparisons.score = scores.id WHERE units.score IS NOT NULL""",
        score,
    )
    return usual_first(name for (name,) in rows)
