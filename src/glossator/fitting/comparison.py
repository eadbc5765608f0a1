"""Groups of units explained and scored alike: found directions, neurons, random and principal directions.

Every unit is explained by the same explainer on the explain split and scored on the documents of the test split, which
neither it nor any search has seen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.engines import in_parallel
from glossator.evidence import Evidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explanations import Explanation
from glossator.recording import EvidenceSpec, Recording, draw
from glossator.scorers.baselines import DEFAULT_BASELINES, baselines_beside
from glossator.scorers.lab import Lab, score_explanation
from glossator.scores import Score, range_of
from glossator.statistics import Estimate, mean_over_units
from glossator.units import Unit

ALIKE = EvidenceSpec(test_random=None)
SCORE, AS_IT_COMES = "correlation.top-and-random", "correlation.random-only"
_AT_ONCE = 64  # units whose evidence is held in memory


@dataclass(frozen=True, eq=False)
class Scored:
    """One unit with its best explanation, None if the explainer abstains or fails (`reason` then says which), and
    its scores by name."""

    unit: Unit
    explanation: Explanation | None
    scores: dict[str, Score]
    reason: str = ""

    def value(self, name: str = SCORE) -> float | None:
        """The score; 0 where the explainer abstained, which no explanation deserves more; None if it is undefined
        or the method failed."""
        if self.explanation is None:
            return 0.0 if self.reason == ABSTAINED else None
        return self.scores[name].value

    def baseline(self, baseline: str, name: str = SCORE) -> float | None:
        return self.scores[name].baselines.get(baseline) if name in self.scores else None


ABSTAINED = "the explainer abstained"


def explain_and_score(
    recording: Recording,
    units: Sequence[Unit],
    explainer: Explainer,
    lab: Lab,
    *,
    spec: EvidenceSpec = ALIKE,
    given: Sequence[Explanation | None] | None = None,
    baselines: Sequence[str] = DEFAULT_BASELINES,
    seed: int = 0,
) -> list[Scored]:
    """Units explained and scored by correlation on the test split, beside baselines.

    given: explanations that are there already, one a unit, instead of the explainer's; baselines: `lookup`,
    `token-list` (of the program's bits, where there is a program), `mismatched` (the explanation of the next of these
    units).
    """
    found: list[Scored] = []
    for start in range(0, len(units), _AT_ONCE):
        part = units[start : start + _AT_ONCE]
        evidence = [draw(recording, unit, spec) for unit in part]
        if given is None:
            answers: Sequence[Explained] = explainer.explain([e.explain for e in evidence], n=1, seed=seed)
        else:
            answers = [[e] if e is not None else [] for e in given[start : start + _AT_ONCE]]
        best = [None if isinstance(a, Abstained) or not a else dataclasses.replace(a[0], unit=u)
                for a, u in zip(answers, part, strict=True)]  # fmt: skip
        reasons = [a.reason if isinstance(a, Abstained) and a.failed else ABSTAINED for a in answers]
        wanted = [place for place, explanation in enumerate(best) if explanation is not None]

        def measure(
            place: int,
            evidence: list[Evidence] = evidence,
            best: list[Explanation | None] = best,
            wanted: list[int] = wanted,
        ) -> list[Score]:
            explanation = best[place]
            assert explanation is not None
            others = [best[other] for other in wanted if other > place] + [best[o] for o in wanted if o < place]
            made = baselines_beside(
                explanation, evidence[place].explain, baselines, lexicon=lab.lexicon, other=next(iter(others), None)
            )
            return score_explanation(
                evidence[place].unit, explanation, evidence[place], lab.for_unit(made), ["correlation"]
            )

        # a simulator that holds a model or a connection does not survive a fork
        measured = in_parallel(measure, wanted, workers=None if lab.simulator is None else 1)
        scores = dict(zip(wanted, measured, strict=True))
        for place, unit in enumerate(part):
            by_name = {score.name: score for score in scores.get(place, [])}
            found.append(Scored(unit, best[place], by_name, "" if best[place] is not None else reasons[place]))
    return found


def summary(scored: Sequence[Scored]) -> dict[str, Any]:
    """Mean with interval over units on both samples of windows, the means of the baselines, and counts of what is
    missing.

    n counts the units with a value; a unit for which the explainer abstained has the value 0.
    """
    values = [one.value() for one in scored]
    known = [value for value in values if value is not None]
    names = dict.fromkeys(baseline for one in scored for score in one.scores.values() for baseline in score.baselines)
    return {
        **_mean(values),
        "median": float(np.median(known)) if known else None,
        "n": len(known),
        "abstained": sum(one.reason == ABSTAINED for one in scored),
        "missing": len(values) - len(known),
        "random_only": _mean([one.value(AS_IT_COMES) for one in scored]),
        "baselines": {baseline: _mean([one.baseline(baseline) for one in scored])["mean"] for baseline in names},
    }


def _mean(values: Sequence[float | None]) -> dict[str, float | None]:
    found = mean_over_units(values, bounds=range_of("Pearson r"))
    return {"mean": found.value, "low": found.low, "high": found.high}


def share_below(value: float, others: Sequence[float]) -> float:
    """The share of the others that a value beats; equal ones count half. Raises `ValueError` without others."""
    if not len(others):
        raise ValueError("no values to compare")
    ranked = np.asarray(others, np.float64)
    return float(((ranked < value).sum() + 0.5 * (ranked == value).sum()) / len(ranked))


def share_interval(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % interval of a share of n (Wilson 1927), which is no point even for a share of 0 or 1."""
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low, high = max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)  # exact where rounding is not


def not_a_point(share: Estimate, n: int) -> Estimate:
    """A share of 0 or 1, which leaving out one does not change, with Wilson's interval; others as they are."""
    if share.value not in (0.0, 1.0):
        return share
    low, high = share_interval(share.value, n)
    return dataclasses.replace(share, low=low, high=high, no_interval=None)


def percentiles(scored: Sequence[Scored], among: Sequence[Scored]) -> dict[str, Any]:
    """Which share of `among` the mean of `scored` beats, with its interval, and each of them by itself (None if it
    has no value)."""
    others = [value for one in among if (value := one.value()) is not None]
    values = [one.value() for one in scored]
    known = [value for value in values if value is not None]
    if not others or not known:
        return {"of_mean": None, "low": None, "high": None, "n": len(others), "of_each": [None] * len(values)}
    share = share_below(float(np.mean(known)), others)
    low, high = share_interval(share, len(others))
    each = [None if value is None else share_below(value, others) for value in values]
    return {"of_mean": share, "low": low, "high": high, "n": len(others), "of_each": each}
