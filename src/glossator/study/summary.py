"""Studies at a glance: the headline score of a unit, the best and the worst, means over units with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from glossator.scores import Score
from glossator.statistics import Estimate, mean_over_units
from glossator.study.results import Chosen, UnitResult
from glossator.study.score import NULLS

HEADLINES = ("correlation.top-and-random", "correlation.random-only")


@dataclass(frozen=True)
class Headline:
    """A unit with its first explanation and the score that ranks it."""

    result: UnitResult
    chosen: Chosen
    score: Score


def headline(chosen: Chosen) -> Score | None:
    """The first of `HEADLINES` that has a value, else the first score; None for an explanation without scores."""
    by_name = {score.name: score for score in chosen.scores}
    found = [by_name[name] for name in HEADLINES if name in by_name and by_name[name].value is not None]
    return next(iter([*found, *chosen.scores]), None)


def ranked(results: Iterable[UnitResult]) -> list[Headline]:
    """Units that have a score, best first; equal ones in the study's order."""
    found = []
    for result in results:
        chosen = result.best()
        score = None if chosen is None else headline(chosen)
        if chosen is not None and score is not None and score.value is not None:
            found.append(Headline(result, chosen, score))
    return sorted(found, key=lambda h: -(h.score.value or 0.0))


@dataclass(frozen=True)
class Mean:
    """Means over the units of one site and side that one method explained. nulls: by name, over the same units."""

    site: str
    polarity: str
    method: str
    score: str
    measure: str
    units: int
    value: Estimate
    nulls: dict[str, Estimate]


def means(results: Sequence[UnitResult], names: Sequence[str] = HEADLINES) -> list[Mean]:
    """Means of the named scores by site, side and method, in the study's order."""
    groups: dict[tuple[str, str, str, str], list[Score]] = {}
    units: dict[tuple[str, str], int] = {}
    for result in results:
        place = (result.unit.site, result.unit.polarity)
        units[place] = units.get(place, 0) + 1
        for chosen in result.explanations:
            for score in chosen.scores:
                if score.name in names:
                    groups.setdefault((*place, chosen.method, score.name), []).append(score)
    found = []
    for (site, polarity, method, name), scores in groups.items():
        estimates = {n: mean_over_units([s.nulls.get(n) for s in scores]) for n in nulls_of_scores(scores)}
        value = mean_over_units([s.value for s in scores])
        found.append(Mean(site, polarity, method, name, scores[0].measure, units[site, polarity], value, estimates))
    return found


def nulls_of_scores(scores: Iterable[Score]) -> list[str]:
    """The nulls that stand beside any of these scores, the usual ones first."""
    found = {name for score in scores for name in score.nulls}
    return [*(n for n in NULLS if n in found), *sorted(found - {*NULLS})]


def nulls_of(rows: Iterable[Headline]) -> list[str]:
    return nulls_of_scores(row.score for row in rows)
