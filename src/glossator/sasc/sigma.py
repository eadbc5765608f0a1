"""The score of SASC: how much more a module gives texts with a concept than texts without, in sigma of its corpus.

Singh et al. 2023, section 3: (mean f(Text+) - mean f(Text-)) / sigma, where sigma is the standard deviation of f over
the n-grams of the reference corpus.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glossator.scores import Score

RESAMPLES = 1000
PERMUTATIONS = 2000
LEAST = 3
"""Fewer texts on one side give no score."""


def in_sigma(
    name: str,
    positive: np.ndarray,
    negative: np.ndarray,
    sigma: float,
    *,
    seed: int = 0,
    how: dict[str, Any] | None = None,
) -> Score:
    """The difference of means in sigma, with a 95 % bootstrap interval over texts and a one-sided permutation p.

    positive, negative (n,): responses, NaN where there is none; those are left out and counted in `how`. p: how often
    texts dealt at random to the two sides differ as much, (1 + hits) / (1 + permutations).
    """
    known = [values[np.isfinite(values)] for values in (positive, negative)]
    details = {
        "positive": len(known[0]),
        "negative": len(known[1]),
        "missing": len(positive) + len(negative) - len(known[0]) - len(known[1]),
        "sigma": sigma,
        "interval": "bootstrap over texts",
        **(how or {}),
    }
    n = len(known[0]) + len(known[1])
    if min(map(len, known)) < LEAST:
        reason = f"fewer than {LEAST} texts with a response on one side ({len(known[0])} with, {len(known[1])} without)"
        return Score(name, None, "sigma", n=n, reason=reason, how=details)
    if not sigma > 0:
        return Score(name, None, "sigma", n=n, reason="the module is constant on the corpus", how=details)
    rng = np.random.default_rng(seed)
    draws = [v[rng.integers(0, len(v), (RESAMPLES, len(v)))].mean(1) for v in known]
    low, high = np.quantile((draws[0] - draws[1]) / sigma, [0.025, 0.975])
    value = float((known[0].mean() - known[1].mean()) / sigma)
    details["p"] = permutation_p(known[0], known[1], rng)
    return Score(name, value, "sigma", float(low), float(high), n, how=details)


def permutation_p(positive: np.ndarray, negative: np.ndarray, rng: np.random.Generator) -> float:
    """One-sided p of the difference of means under random labels."""
    both = np.concatenate([positive, negative])
    shuffled = rng.permuted(np.tile(both, (PERMUTATIONS, 1)), axis=1)[:, : len(positive)]
    total = both.sum()
    means = shuffled.mean(1)
    differences = means - (total - means * len(positive)) / len(negative)
    observed = positive.mean() - negative.mean()
    hits = int((differences >= observed - 1e-12 * max(1.0, abs(observed))).sum())
    return (1 + hits) / (1 + PERMUTATIONS)
