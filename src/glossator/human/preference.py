"""Blinded pairs: two explanations beside the unit's activations; which one is better?

The passages are from the select split: no explainer saw them, and no score is computed on them, so annotators may see
the truth there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from glossator.human.agreement import Judgement, agreement
from glossator.human.sources import PLACEBO, Source, sealed, shown_exemplars, shown_of
from glossator.human.tasks import Drawn, PreferenceItem
from glossator.statistics import SHARE, Estimate, mean_over_units
from glossator.units import Unit

UNITS = 20
SPLIT: Final = "select"
OF_FIRST = {"first": 1.0, "equal": 0.5, "second": 0.0}


@dataclass(frozen=True)
class PreferenceSettings:
    """top, random: passages shown; pairs: maximum per unit; methods: whose explanations are compared, by default all,
    including the placebo."""

    top: int = 6
    random: int = 3
    pairs: int = 6
    methods: tuple[str, ...] = ()


def draw_preference(source: Source, units: Sequence[Unit], settings: PreferenceSettings) -> Drawn:
    """Pairs of explanations with different words, in an order that the seed and the study's secret decide."""
    items = []
    for unit in units:
        arms = {n: e for n, e in source.arms(unit).items() if not settings.methods or n in settings.methods}
        pairs = [(a, b) for a, b in combinations(arms, 2) if arms[a].text != arms[b].text]
        if not pairs:
            continue
        rng = source.rng("pairs", unit)
        exemplars = source.context.evidence(unit).split(SPLIT)
        passages = shown_of(shown_exemplars(exemplars, settings.top, settings.random, rng))
        for place in sorted(rng.permutation(len(pairs))[: settings.pairs].tolist()):
            first, second = pairs[place] if rng.random() < 0.5 else pairs[place][::-1]
            item = PreferenceItem("", arms[first].text, arms[second].text, passages)
            key = {"unit": str(unit), "first": first, "second": second}
            items.append((item, key | {"explanations": {n: sealed(arms[n]) for n in (first, second)}}))
    return source.drawn("preference", vars(settings), items)


@dataclass(frozen=True)
class Choice:
    """One annotator's answer about one pair, with its names in alphabetical order: `a` before `b`.

    win: 1 where a was preferred, 0.5 where both were called equal, 0 where b was; first: the same for whichever was
    shown first.
    """

    unit: str
    a: str
    b: str
    rater: str
    win: float
    first: float


def choice_of(key: Mapping[str, Any], rater: str, value: str) -> Choice:
    first = OF_FIRST[value]
    a, b = sorted((key["first"], key["second"]))
    return Choice(key["unit"], a, b, rater, first if a == key["first"] else 1 - first, first)


@dataclass(frozen=True)
class WinRate:
    """How often annotators prefer a method to another one (ties count half): the mean over units with its interval."""

    method: str
    against: str
    answers: int
    rate: Estimate


def win_rates(choices: Iterable[Choice]) -> list[WinRate]:
    """For each ordered pair of methods, the answers on one unit averaged first; units are resampled."""
    by_pair: dict[tuple[str, str], dict[str, list[float]]] = {}
    for c in choices:
        for method, against, win in ((c.a, c.b, c.win), (c.b, c.a, 1 - c.win)):
            by_pair.setdefault((method, against), {}).setdefault(c.unit, []).append(win)
    return [
        WinRate(method, against, sum(map(len, units.values())), mean_over_units(means(units.values()), bounds=SHARE))
        for (method, against), units in sorted(by_pair.items())
    ]


def means(groups: Iterable[Sequence[float]]) -> list[float]:
    return [sum(group) / len(group) for group in groups]


def score_preference(choices: Sequence[Choice]) -> dict[str, Any]:
    """Win rates, agreement between raters, and two checks of attention: the placebo and the order on the page."""
    by_unit: dict[str, list[float]] = {}
    for c in choices:
        by_unit.setdefault(c.unit, []).append(c.first)
    judgements = [Judgement(c.unit, (c.unit, c.a, c.b), c.rater, int(2 * c.win)) for c in choices]
    placebo: dict[str, list[float]] = {}
    for c in choices:
        if PLACEBO in (c.a, c.b):
            placebo.setdefault(c.unit, []).append(c.win if c.b == PLACEBO else 1 - c.win)
    return {
        "win_rates": win_rates(choices),
        "over_placebo": mean_over_units(means(placebo.values()), bounds=SHARE),
        "first_shown": mean_over_units(means(by_unit.values()), bounds=SHARE),
        "agreement": agreement(judgements, "nominal"),
    }
