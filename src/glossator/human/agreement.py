"""Do raters agree beyond chance? Krippendorff's alpha, with an interval over units.

alpha = 1 - D_o / D_e, disagreement observed within items over that expected when all values are paired at random
(Krippendorff 2011, "Computing Krippendorff's alpha-reliability"). It allows any number of raters and missing values.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glossator.statistics import LEVEL, Estimate, Resampled, estimate

Metric = Literal["nominal", "interval"]


@dataclass(frozen=True)
class Judgement:
    """One value that one rater gave one item; items of one cluster (a unit) are resampled together."""

    cluster: str
    item: Hashable
    rater: str
    value: float


@dataclass(frozen=True)
class Agreement:
    """alpha with its interval over clusters; raters in all; items that two raters or more have judged."""

    alpha: Estimate
    raters: int
    items: int
    metric: str


def agreement(
    judgements: Iterable[Judgement],
    metric: Metric,
    *,
    level: float = LEVEL,
) -> Agreement:
    """Krippendorff's alpha of the judgements; None with a reason if no item has two raters or nothing varies.

    nominal: values are the same or not; interval: disagreement is the squared difference.
    """
    items: dict[Hashable, dict[str, Judgement]] = {}
    raters = set()
    for judgement in judgements:
        items.setdefault(judgement.item, {})[judgement.rater] = judgement
        raters.add(judgement.rater)
    shared = [list(by_rater.values()) for by_rater in items.values() if len(by_rater) > 1]

    def found(alpha: Estimate) -> Agreement:
        return Agreement(alpha, len(raters), len(shared), metric)

    clusters = {c: i for i, c in enumerate(dict.fromkeys(group[0].cluster for group in shared))}
    if not shared:
        return found(Estimate(None, reason=f"no item has answers of two raters ({len(raters)} in all)"))
    values = sorted({j.value for group in shared for j in group})
    if len(values) < 2:
        return found(Estimate(None, n=len(clusters), reason="every answer is the same, so chance would agree as well"))
    if len(clusters) < 2:
        return found(Estimate(None, n=len(clusters), reason="fewer than 2 units have answers of two raters"))
    place = {value: i for i, value in enumerate(values)}
    counts = np.zeros((len(clusters), len(values), len(values)))
    for group in shared:
        held = np.bincount([place[j.value] for j in group], minlength=len(values))
        pairs = np.outer(held, held) - np.diag(held)
        counts[clusters[group[0].cluster]] += pairs / (len(group) - 1)
    distance = _distances(np.array(values), metric)
    statistic = Resampled(len(clusters), lambda weights: alpha_of(weights, counts, distance))
    return found(estimate(statistic, level=level))


def alpha_of(weights: np.ndarray, counts: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """alpha (b,) from weights (b, clusters), coincidences (clusters, k, k) and squared distances (k, k); NaN where all
    values are equal."""
    together = np.einsum("bc,cij->bij", weights, counts)
    of_value = together.sum(axis=2)
    n = of_value.sum(axis=1)
    observed = (together * distance).sum(axis=(1, 2))
    expected = np.einsum("bi,bj,ij->b", of_value, of_value, distance)
    return 1 - (n - 1) * np.divide(observed, expected, out=np.full(len(n), np.nan), where=expected > 0)


def _distances(values: np.ndarray, metric: Metric) -> np.ndarray:
    apart = values[:, None] - values[None, :]
    return (apart != 0).astype(float) if metric == "nominal" else apart.astype(float) ** 2
