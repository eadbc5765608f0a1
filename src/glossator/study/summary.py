"""Studies at a glance: the headline scores of a unit, the best and the worst, means over units with intervals."""

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
CAUSAL_HEADLINES = ("ablation",)
"""Names of causal scores, or what they begin with, that stand for their column."""
FIRST: dict[Column, tuple[str, ...]] = {"observational": HEADLINES, "causal": CAUSAL_HEADLINES}


@dataclass(frozen=True)
class Headline:
    """A unit with its first explanation and the scores that stand for its two columns; causal: None where there is
    none."""

    result: UnitResult
    chosen: Chosen
    score: Score
    causal: Score | None = None


def headline(chosen: Chosen, column: Column = "observational") -> Score | None:
    """The score that stands for a column: the first of its headlines that has a value, else its first one with a
    value, else its first one; None where the column is empty."""
    scores = [score for score in chosen.scores if score.column == column]
    known = [score for score in scores if score.value is not None]
    named = [s for name in FIRST[column] for s in known if s.name == name or s.name.startswith(f"{name}.")]
    return next(iter([*named, *known, *scores]), None)


def ranked(results: Iterable[UnitResult]) -> list[Headline]:
    """Units that have a score, best first by their observational headline (by the causal one where that column is
    empty); equal ones in the study's order."""
    found = []
    for result in results:
        chosen = result.best()
        if chosen is None:
            continue
        causal = headline(chosen, "causal")
        score = headline(chosen) or causal
        if score is not None and score.value is not None:
            found.append(Headline(result, chosen, score, None if causal is score else causal))
    return sorted(found, key=lambda h: -(h.score.value or 0.0))


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

    names: None for every causal score and the observational headlines, or every observational score where a study has
    none of these; discoveries: of the results, where they are at hand.
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
    return {name for column, name in there if column == "causal"} | (observational & {*HEADLINES} or observational)


def agreement_of_columns(results: Iterable[UnitResult]) -> Estimate | None:
    """Rank correlation over units of the causal headline with the observational one, both of each unit's first
    explanation; None where no unit has both columns. Whether what predicts also acts is found out, not assumed."""
    rows = ranked(results)
    pairs = [(score.value, causal.value) for _, score, causal in with_both_columns(rows)]
    if not pairs:
        return Estimate(None, reason="no unit has both values") if any(r.causal is not None for r in rows) else None
    return rank_correlation([a for a, _ in pairs], [b for _, b in pairs])


def with_both_columns(rows: Sequence[Headline]) -> list[tuple[Headline, Score, Score]]:
    """Units with a value in both columns, beside these two scores: the same two for all, those that most units have,
    as another score that stands in where one is missing cannot be compared."""
    both = [(r, r.score, r.causal) for r in rows if r.causal is not None and r.causal.value is not None]
    names = Counter((score.name, causal.name) for _, score, causal in both)
    most = max(names, key=lambda name: names[name], default=None)
    return [row for row in both if (row[1].name, row[2].name) == most]


def nulls_of_scores(scores: Iterable[Score]) -> list[str]:
    """The nulls that stand beside any of these scores, the usual ones first."""
    found = {name for score in scores for name in score.nulls}
    return [*(n for n in NULLS if n in found), *sorted(found - {*NULLS})]


def nulls_of(rows: Iterable[Headline]) -> list[str]:
    return nulls_of_scores(row.score for row in rows)
