"""Logistic regression with an L1 or L2 penalty, for several labels at once, and its strength by cross-validation.

The penalized softmax regression of scikit-learn's `LogisticRegression`, fitted by FISTA, which takes both penalties; on
the path from strong to weak each fit begins at the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from glossator.errors import UserError

Penalty = Literal["l1", "l2"]
STRENGTHS: dict[str, tuple[float, ...]] = {
    "l1": (0.5, 0.2, 0.1, 0.05, 0.02, 0.01),
    "l2": (3.0, 1.0, 0.3, 0.1, 0.03, 0.01),
}
"""Of the smallest strength at which all coefficients are 0 (l1); as they are (l2)."""
FOLDS, MOST_STEPS, CLOSE = 3, 400, 1e-5


@dataclass(frozen=True, eq=False)
class Logistic:
    """scale (p,): what features are divided by, 0 for those that never vary; weights (p, K) of scaled features, bias
    (K,), one for each label; strength of the penalty."""

    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    strength: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """int64 (n,): the most likely label."""
        return np.argmax(_scaled(features, self.scale) @ self.weights + self.bias, axis=1)

    @property
    def contrasts(self) -> np.ndarray:
        """(p, K), or (p, 1) of two labels: what a standard deviation more of a feature adds to a label's log-odds, over
        the mean of the labels, of two labels to those of the second over the first."""
        if self.weights.shape[1] == 2:
            return self.weights[:, 1:] - self.weights[:, :1]
        return self.weights - self.weights.mean(axis=1, keepdims=True)


def fit(
    features: np.ndarray, labels: np.ndarray, groups: np.ndarray, penalty: Penalty = "l1", *, seed: int = 0
) -> Logistic:
    """features (n, p), labels and groups (n,): the strength with the highest accuracy over `FOLDS` folds of groups, of
    equal ones the strongest, then fitted to all."""
    if penalty not in get_args(Penalty):
        raise UserError("unknown penalty", value=penalty, allowed=", ".join(get_args(Penalty)))
    labels, number = np.asarray(labels), int(labels.max()) + 1
    fold = np.random.default_rng([seed, 8]).permutation(int(groups.max()) + 1)[groups] % FOLDS
    right = np.zeros(len(STRENGTHS[penalty]))
    for one in range(FOLDS):
        inside, outside = fold != one, fold == one
        if outside.any() and inside.any():
            for i, found in enumerate(path(features[inside], labels[inside], number, penalty)):
                right[i] += (found.predict(features[outside]) == labels[outside]).sum()
    return path(features, labels, number, penalty)[int(np.argmax(right))]


def path(features: np.ndarray, labels: np.ndarray, number: int, penalty: Penalty) -> list[Logistic]:
    """Fits from the strongest penalty to the weakest; number: of labels."""
    spread = features.std(axis=0, dtype=np.float64)
    scale = np.where(spread > 1e-12 * max(float(spread.max(initial=0.0)), 1e-300), spread, 0.0)
    scaled = _scaled(features, scale)
    target = np.eye(number, dtype=np.float32)[labels]
    strengths: Sequence[float] = STRENGTHS[penalty]
    if penalty == "l1":
        most = float(np.abs(scaled.T @ (target - target.mean(0))).max()) / len(scaled)
        strengths = [share * max(most, 1e-12) for share in strengths]
    weights = np.zeros((scaled.shape[1] + 1, number), np.float32)
    weights[-1] = np.log(target.mean(0) + 1e-6)
    found = []
    for strength in strengths:
        weights = _fitted(scaled, target, weights, strength, penalty)
        found.append(Logistic(scale, weights[:-1].copy(), weights[-1].copy(), strength))
    return found


def _fitted(scaled: np.ndarray, target: np.ndarray, start: np.ndarray, strength: float, penalty: Penalty) -> np.ndarray:
    """Mean cross-entropy + strength x penalty, by FISTA that starts its momentum again where it points uphill; the last
    row of the weights is the bias, which costs nothing."""
    n = len(scaled)
    ridge = strength if penalty == "l2" else 0.0
    rate = 1.0 / (_curvature(scaled) + ridge)
    weights, ahead, momentum = start.copy(), start.copy(), 1.0
    for _ in range(MOST_STEPS):
        logits = scaled @ ahead[:-1] + ahead[-1]
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (chances / chances.sum(axis=1, keepdims=True) - target) / n
        slope = np.vstack([scaled.T @ error + ridge * ahead[:-1], error.sum(0)])
        new = ahead - rate * slope
        if penalty == "l1":
            new[:-1] = np.sign(new[:-1]) * np.maximum(np.abs(new[:-1]) - rate * strength, 0)
        if float(((ahead - new) * (new - weights)).sum()) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        moved = new - weights
        ahead, weights, momentum = new + np.float32((momentum - 1) / following) * moved, new, following
        if float(np.abs(moved).max()) < CLOSE:
            break
    return weights


def _curvature(scaled: np.ndarray) -> float:
    """At most the largest eigenvalue of the Hessian of the mean cross-entropy, the bias with it."""
    side = np.append(np.ones(scaled.shape[1], np.float32), np.float32(1))
    size = 1.0
    for _ in range(20):
        image = scaled @ side[:-1] + side[-1]
        side = np.append(scaled.T @ image, image.sum())
        size = float(np.linalg.norm(side))
        side = side / max(size, 1e-30)
    return max(0.55 * size / len(scaled), 1e-6)


def _scaled(features: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (features * np.where(scale > 0, 1 / np.where(scale > 0, scale, 1), 0)).astype(np.float32)
