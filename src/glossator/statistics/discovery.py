"""Many units tested at once: which of them beat their baseline, at a false-discovery rate.

Of 1,000 units with worthless explanations, 50 have p < 0.05. Selecting those with q < 0.05 keeps the expected share of
false ones among the selected at 5 %, whatever the number of units (Benjamini & Hochberg 1995). This holds for
independent and positively dependent p-values, as those of units on the same text are assumed to be; `dependence="any"`
assumes nothing (Benjamini & Yekutieli 2001) and costs power.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Dependence = Literal["positive", "any"]


def q_values(p_values: Sequence[float | None], dependence: Dependence = "positive") -> list[float | None]:
    """The smallest false-discovery rate at which each unit is called; None stays None and does not count as tested.

    q of the i-th smallest p = min over j >= i of p_j m / j, at most 1; times 1 + 1/2 + ... + 1/m for `any` dependence.
    """
    tested = [i for i, p in enumerate(p_values) if p is not None]
    found: list[float | None] = [None] * len(p_values)
    q = adjusted(np.array([p_values[i] for i in tested], np.float64), dependence)
    for place, value in zip(tested, q.tolist(), strict=True):
        found[place] = value
    return found


def adjusted(p: np.ndarray, dependence: Dependence = "positive") -> np.ndarray:
    """The q-values (m,) of p-values (m,), all of which were tested; see `q_values`."""
    if np.isnan(p).any() or (p < 0).any() or (p > 1).any():
        raise ValueError("a p-value is not between 0 and 1")
    m = len(p)
    q = np.empty(m)
    if not m:
        return q
    ranks = np.arange(1, m + 1)
    penalty = float((1 / ranks).sum()) if dependence == "any" else 1.0
    order = np.argsort(p, kind="stable")
    # m / rank is at least 1 and rounding must not make q smaller than p.
    steps = np.maximum(p[order] * m * penalty / ranks, p[order])
    q[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return q


def called(p_values: Sequence[float | None], rate: float = 0.05, dependence: Dependence = "positive") -> list[bool]:
    """Which units are called above their baseline at this false-discovery rate; those without a p-value are not."""
    return [q is not None and q <= rate for q in q_values(p_values, dependence)]
