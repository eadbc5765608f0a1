"""Linear probes: the direction that separates two groups of activations, and its accuracy on held-out ones."""

from __future__ import annotations

from typing import Literal

import numpy as np

from glossator.errors import UserError
from glossator.fitting.sources import check_groups
from glossator.readouts.directions import DirectionSet, direction_set

Loss = Literal["logistic", "ridge"]
LOSSES: tuple[Loss, ...] = ("logistic", "ridge")


def linear_probe(
    name: str,
    site: str,
    positive: np.ndarray,
    negative: np.ndarray,
    *,
    loss: Loss = "logistic",
    penalty: float = 1.0,
    held_out: float = 0.25,
    seed: int = 0,
    subject: str = "",
) -> DirectionSet:
    """The direction of a probe that is fitted on part of two groups of activations (n, d), one row per text.

    loss: logistic, or ridge regression on +1 and -1; penalty: on the squared weights of standardised activations, a
    share of the mean loss; held_out: share of each group that is not fitted. The centre lies on the boundary, so that
    a positive value means the positive group. made: held-out accuracy with its counts, both groups weighing the same.
    Raises `UserError` for groups of fewer than 4, of different widths, or that do not vary.
    """
    if loss not in LOSSES:
        raise UserError("unknown loss of a probe", value=loss, allowed=", ".join(LOSSES))
    if not 0 < held_out < 1 or penalty <= 0:
        raise UserError("bad settings of a probe", value=f"held_out {held_out}, penalty {penalty}", allowed="above 0")
    groups = check_groups(positive, negative)
    if min(map(len, groups)) < 4:
        raise UserError(
            "too few texts for a probe", value=[len(group) for group in groups], allowed="4 or more in each group"
        )
    rng = np.random.default_rng(seed)
    fitted, kept = zip(*(_deal(group, held_out, rng) for group in groups), strict=True)
    x = np.concatenate(fitted)
    y = np.repeat([1.0, -1.0], [len(group) for group in fitted])
    weight = np.repeat([0.5 / len(group) for group in fitted], [len(group) for group in fitted])
    centre = weight @ x
    scale = np.sqrt(weight @ (x - centre) ** 2)
    if not (varies := scale > 1e-9 * max(float(np.abs(x).max()), 1e-30)).any():
        raise UserError("the activations of both groups have zero variance", fix="Use other texts or another site")
    scale = np.where(varies, scale, 1.0)
    z = (x - centre) / scale * varies
    fit = _logistic if loss == "logistic" else _ridge
    weights, bias = fit(z, y, weight, penalty)
    vector = weights / scale * varies
    if not vector.any():
        raise UserError("the probe found no direction", fix="The groups do not differ; use other texts or another site")
    # a point on the boundary vector . x + bias' = 0, the one next to the mean
    centre = centre - bias * vector / (vector @ vector)
    right = [float(((group - centre) @ vector * sign > 0).mean()) for group, sign in zip(kept, (1, -1), strict=True)]
    made = {
        "method": f"{loss} probe",
        "penalty": penalty,
        "seed": seed,
        "fitted": [len(group) for group in fitted],
        "held_out": [len(group) for group in kept],
        "held_out_accuracy": float(np.mean(right)),
    }
    return direction_set(name, site, vector, centre, subject=subject, made=made)


def _deal(group: np.ndarray, held_out: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit and rows to keep, at least one kept and two fitted."""
    order = rng.permutation(len(group))
    kept = min(max(1, round(held_out * len(group))), len(group) - 2)
    return group[order[kept:]], group[order[:kept]]


def _ridge(z: np.ndarray, y: np.ndarray, weight: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Least squares in closed form, by the rows' own products where there are fewer rows than columns."""
    root = np.sqrt(weight)[:, None]
    mean_z, mean_y = weight @ z, float(weight @ y)
    rows, target = root * (z - mean_z), root[:, 0] * (y - mean_y)
    if len(rows) < rows.shape[1]:
        weights = rows.T @ np.linalg.solve(rows @ rows.T + penalty * np.eye(len(rows)), target)
    else:
        weights = np.linalg.solve(rows.T @ rows + penalty * np.eye(rows.shape[1]), rows.T @ target)
    return weights, mean_y - float(mean_z @ weights)


def _logistic(z: np.ndarray, y: np.ndarray, weight: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    from scipy.optimize import minimize

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        margin = y * (z @ weights + bias)
        value = float(weight @ np.logaddexp(0.0, -margin)) + penalty / 2 * float(weights @ weights)
        slope = -weight * y * np.exp(-np.logaddexp(0.0, margin))
        return value, np.append(z.T @ slope + penalty * weights, slope.sum())

    found = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x[:-1], float(found.x[-1])
