"""Studies at a glance: the headline score of each column, the best and the worst, means over units with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from glossator.scores import Column, Score
from glossator.statistics import Estimate, mean_over_units, paired_difference, rank_correlation
from glossator.study.card import COLUMNS
from glossator.study.discoveries import Discoveries, margins_in
from glossator.study.results import Chosen, UnitResult
from glossator.study.score import NULLS

HEADLINES = ("correlation.top-and-random", "correlation.random-only")
TOLD = (*HEADLINES, "peak.hit", "peak.share")
"""Observational scores whose means over units are told."""
CAUSAL_HEADLINES = ("ablation",)
"""Names of causal scores, or what they begin with, that stand for their column."""
FIRST: dict[Column, tuple[str, ...]] = {"observational": HEADLINES, "causal": CAUSAL_HEADLINES}


@dataclass(frozen=True)
class Headline:
    """A unit with its best explanation (`UnitResult.best`) and the scores that stand for its two columns; causal: None
    where there is none."""

    result: UnitResult
    chosen: Chosen
    score: Score
    causal: Score | None = None


def headline(chosen: Chosen, column: Column = "observational") -> Score | None:
    """The score that stands for a column of one explanation: the first of its headlines that has a value, else its
    first one with a value, else its first one; None where the column is empty."""
    return next(iter(_by_rank(chosen, column)), None)


def _by_rank(chosen: Chosen, column: Column) -> list[Score]:
    """The scores of a column, those first that stand for it."""
    scores = [score for score in chosen.scores if score.column == column]
    known = [score for score in scores if score.value is not None]
    named = [s for name in FIRST[column] for s in known if s.name == name or s.name.startswith(f"{name}.")]
    return list({score.name: score for score in (*named, *known, *scores)}.values())


def kind_of_headline(results: Iterable[UnitResult], column: Column = "observational") -> str | None:
    """The name of the one score that stands for a column of many units, as different scores cannot be ranked together:
    the first headline that half as many of their best explanations have a value of as of any, else the commonest."""
    counts: Counter[str] = Counter()
    for result in results:
        if (chosen := result.best()) is not None:
            counts.update({score.name: int(score.value is not None) for score in _by_rank(chosen, column)})
    most = max(counts.values(), default=0)
    named = [name for first in FIRST[column] for name in counts if name == first or name.startswith(f"{first}.")]
    return next((name for name in (*named, *counts) if counts[name] >= (most / 2 if name in named else most)), None)


def ranked(results: Sequence[UnitResult]) -> list[Headline]:
    """Units by their best explanations, best first, all by the same score: the observational headline of the study, the
    causal one where no unit has any other. Units without a value of it are left out; equal ones keep their order."""
    acted = kind_of_headline(results, "causal")
    told = [(result, chosen) for result in results if (chosen := result.best()) is not None]
    for kind, beside in ((kind_of_headline(results), acted), (acted, None)):
        rows = [
            Headline(r, chosen, score, _named(chosen, beside)) for r, chosen in told if (score := _named(chosen, kind))
        ]
        if rows := [row for row in rows if row.score.value is not None]:
            return sorted(rows, key=lambda row: -(row.score.value or 0.0))
    return []


def _named(chosen: Chosen, name: str | None) -> Score | None:
    return next((score for score in chosen.scores if score.name == name), None)


@dataclass(frozen=True)
class Mean:
    """Means over the units of one site and side that one method explained.

    nulls: by name, over the same units; over: the score minus each null, paired by unit; above: for each null, how many
    units are called above it and how many were tested, see `glossator.study.discoveries`.
    """

    site: str
    polarity: str
    method: str
    score: str
    measure: str
    units: int
    value: Estimate
    nulls: dict[str, Estimate]
    column: Column = "observational"
    over: dict[str, Estimate] = field(default_factory=dict)
    above: dict[str, tuple[int, int]] = field(default_factory=dict)


def means(
    results: Sequence[UnitResult], names: Sequence[str] | None = None, discoveries: Discoveries | None = None
) -> list[Mean]:
    """Means of the named scores by column, site, side and method, in the study's order.

    names: None for every causal score and the observational ones of `TOLD`, or every observational score where a study
    has none of these; discoveries: of the results, where they are at hand.
    """
    told = _told(results) if names is None else set(names)
    groups: dict[tuple[Column, str, str, str, str], list[tuple[str, Score]]] = {}
    units: dict[tuple[str, str], int] = {}
    for result in results:
        place = (result.unit.site, result.unit.polarity)
        units[place] = units.get(place, 0) + 1
        for chosen in result.explanations:
            for score in chosen.scores:
                if score.name in told:
                    key = (score.column, *place, chosen.method, score.name)
                    groups.setdefault(key, []).append((str(result.unit), score))
    discoveries = Discoveries.of(margins_in(results)) if discoveries is None else discoveries
    found = []
    for (column, site, polarity, method, name), named in sorted(groups.items(), key=lambda g: COLUMNS.index(g[0][0])):
        scores = [score for _, score in named]
        values, nulls = [score.value for score in scores], nulls_of_scores(scores)
        above = {null: discoveries.above(method, name, null, [unit for unit, _ in named]) for null in nulls}
        found.append(
            Mean(
                site,
                polarity,
                method,
                name,
                scores[0].measure,
                units[site, polarity],
                mean_over_units(values),
                {null: mean_over_units([s.nulls.get(null) for s in scores]) for null in nulls},
                column,
                {null: paired_difference(values, [s.nulls.get(null) for s in scores]) for null in nulls},
                {null: counts for null, counts in above.items() if counts is not None},
            )
        )
    return found


def _told(results: Sequence[UnitResult]) -> set[str]:
    there = {(s.column, s.name) for result in results for chosen in result.explanations for s in chosen.scores}
    observational = {name for column, name in there if column == "observational"}
    return {name for column, name in there if column == "causal"} | (observational & {*TOLD} or observational)


def agreement_of_columns(results: Sequence[UnitResult]) -> Estimate | None:
    """Rank correlation over units of the causal headline with the observational one, both of each unit's best
    explanation; None where no unit has both columns. Whether what predicts also acts is found out, not assumed."""
    rows = ranked(results)
    pairs = [(score.value, causal.value) for _, score, causal in with_both_columns(rows)]
    if not pairs:
        return Estimate(None, reason="no unit has both values") if any(r.causal is not None for r in rows) else None
    return rank_correlation([a for a, _ in pairs], [b for _, b in pairs])


def with_both_columns(rows: Sequence[Headline]) -> list[tuple[Headline, Score, Score]]:
    """Units with a value in both columns, beside these two scores."""
    return [(r, r.score, r.causal) for r in rows if r.causal is not None and r.causal.value is not None]


def nulls_of_scores(scores: Iterable[Score]) -> list[str]:
    """The nulls that stand beside any of these scores, the usual ones first."""
    found = {name for score in scores for name in score.nulls}
    return [*(n for n in NULLS if n in found), *sorted(found - {*NULLS})]


def nulls_of(rows: Iterable[Headline]) -> list[str]:
    return nulls_of_scores(row.score for row in rows)
