"""The objective of the search: correlation of the directions' values with fixed simulated activations.

A direction is v = W u with W = Sigma^(-1/2) of the activations, Sigma shrunk towards a multiple of the identity. A step
in u weighs all directions of variation equally; a step in v would follow the few of largest variance (Bills et al.
2023, section "Finding explainable directions"). A penalty on pairs whose |cosine| exceeds a limit keeps directions from
collapsing into one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glossator.errors import UserError

LATE = 3  # iterations without a gain on the select split after which a direction's steps have ended


def whitening(covariance: np.ndarray, shrinkage: float) -> np.ndarray:
    """W (d, d) float64 = ((1 - s) Sigma + s tr(Sigma) / d I)^(-1/2), symmetric; s = `shrinkage`, 0 < s <= 1.

    Raises `UserError` for a shrinkage out of bounds and a covariance without variance.
    """
    if not 0 < shrinkage <= 1:
        raise UserError("bad shrinkage", value=shrinkage, allowed="above 0, at most 1")
    mean = float(np.trace(covariance)) / len(covariance)
    if not mean > 0:
        raise UserError("the site has zero variance", fix="Directions need activations that vary")
    variances, vectors = np.linalg.eigh(covariance)
    shrunk = (1 - shrinkage) * np.maximum(variances, 0.0) + shrinkage * mean
    return (vectors / np.sqrt(shrunk)) @ vectors.T


class Objective:
    """The loss of k directions together, as a function of u (k, d).

    tokens (d, T) float32, centred; simulated (k, T), NaN where a simulator gave nothing; whiten (d, d); rectified:
    whether values below 0 count as 0, which is what scores compare; apart, limit: strength of the pull between
    directions, and the |cosine| from which it acts, both on u (values that go together) and on v (vectors that do).
    A direction whose simulation does not vary has no correlation to raise, and only keeps apart from the others.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        simulated: np.ndarray,
        whiten: np.ndarray,
        *,
        rectified: bool = True,
        apart: float = 1.0,
        limit: float = 0.3,
    ):
        self.tokens, self.whiten, self.rectified, self.apart, self.limit = tokens, whiten, rectified, apart, limit
        known = np.isfinite(simulated)
        self._known = None if known.all() else known
        self._count = np.maximum(known.sum(axis=1, keepdims=True), 1)
        filled = np.where(known, simulated, 0.0).astype(np.float64)
        target = self._centred(filled)
        size = np.linalg.norm(target, axis=1, keepdims=True)
        varies = size > 1e-7 * np.linalg.norm(filled, axis=1, keepdims=True)
        self._target = np.divide(target, size, out=np.zeros_like(target), where=varies)

    def _centred(self, values: np.ndarray) -> np.ndarray:
        """Values (k, T) minus their mean over the tokens that have a simulation, 0 at the others."""
        if self._known is None:
            return values - values.mean(axis=1, keepdims=True)
        values = np.where(self._known, values, 0.0)
        return np.where(self._known, values - values.sum(axis=1, keepdims=True) / self._count, 0.0)

    def correlations(self, u: np.ndarray) -> np.ndarray:
        """(k,) Pearson r of each direction's values with its simulation; 0 where either does not vary."""
        return self._correlate(u)[0]

    def merits(self, u: np.ndarray) -> np.ndarray:
        """(k,) each direction's share of -loss: its correlation minus half of the pulls that it is part of."""
        pulls = [(excess(vectors, self.limit) ** 2).sum(axis=1) for vectors in (u, u @ self.whiten)]
        return self.correlations(u) - self.apart / 2 * (pulls[0] + pulls[1])

    def loss(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        """-sum of correlations plus the pull, and its gradient (k, d)."""
        r, slope = self._correlate(u)
        gradient = -((slope.astype(self.tokens.dtype) @ self.tokens.T).astype(np.float64) @ self.whiten)
        value = -float(r.sum())
        if self.apart:
            for back in (None, self.whiten):
                pull, pull_slope = keep_apart(u if back is None else u @ back, self.limit)
                value += self.apart * pull
                gradient += self.apart * (pull_slope if back is None else pull_slope @ back)
        return value, gradient

    def _correlate(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """r (k,) and its derivative by the values (k, T)."""
        values = ((u @ self.whiten).astype(self.tokens.dtype) @ self.tokens).astype(np.float64)
        centred = self._centred(np.maximum(values, 0.0) if self.rectified else values)
        size = np.linalg.norm(centred, axis=1, keepdims=True)
        unit = np.divide(centred, size, out=np.zeros_like(centred), where=size > 0)
        r = (unit * self._target).sum(axis=1)
        slope = np.divide(self._target - r[:, None] * unit, size, out=np.zeros_like(unit), where=size > 0)
        if self.rectified:
            slope = slope * (values > 0)
        return r, slope


def keep_apart(vectors: np.ndarray, limit: float) -> tuple[float, np.ndarray]:
    """Sum over pairs of max(0, |cosine| - limit)^2 of vectors (k, d) of any length, and its gradient (k, d)."""
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    unit = vectors / norms
    over = excess(vectors, limit)
    by_unit = 2 * over @ unit
    along = (by_unit * unit).sum(axis=1, keepdims=True)
    return float((over**2).sum() / 2), (by_unit - along * unit) / norms


def excess(vectors: np.ndarray, limit: float) -> np.ndarray:
    """(k, k) by how much each |cosine| is above the limit, with the cosine's sign; 0 on the diagonal."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0.0)
    return np.sign(cosines) * np.maximum(np.abs(cosines) - limit, 0.0)


def climb(
    loss: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    held_out: Callable[[np.ndarray], np.ndarray],
    steps: int,
) -> np.ndarray:
    """At most `steps` steps of L-BFGS on the loss, all rows together; for each row the iterate, the start included,
    that is best by `held_out`, rows scaled to norm 1. Steps end when no row has gained there for a few of them."""
    from scipy.optimize import minimize

    best, score = start.copy(), held_out(start)
    late = 0

    def flat_loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = loss(flat.reshape(start.shape))
        return value, gradient.ravel()

    def look(intermediate_result: Any) -> None:
        nonlocal late
        now = intermediate_result.x.reshape(start.shape)
        reached = held_out(now)
        better = reached > score
        best[better], score[better] = now[better], reached[better]
        late = 0 if better.any() else late + 1
        if late >= LATE:
            raise StopIteration

    minimize(flat_loss, start.ravel(), jac=True, method="L-BFGS-B", callback=look, options={"maxiter": steps})
    return best / np.linalg.norm(best, axis=1, keepdims=True)
