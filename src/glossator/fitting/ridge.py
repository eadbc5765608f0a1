"""Ridge regression of many targets at once, each with its own penalty, chosen on runs that were left out.

Banded ridge (Nunez-Elizalde et al. 2019) gives every band of columns its own penalty: columns are scaled by random
weights of the bands, as in himalaya, and each target takes the weights and the penalty that predict it best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glossator.errors import UserError

PENALTIES = tuple(np.logspace(-3, 5, 17).tolist())
"""Of the mean squared error over rows, for columns of variance about 1."""
AT_ONCE = 4096  # targets


@dataclass(frozen=True, eq=False)
class Fitted:
    """weights float64 (columns, targets); penalties (targets,); bands (targets, bands): how the bands were scaled, ones
    without bands; left_out (targets,): r of predictions of runs that were left out, the best of all penalties."""

    weights: np.ndarray
    penalties: np.ndarray
    bands: np.ndarray
    left_out: np.ndarray


def ridge(
    x: np.ndarray,
    y: np.ndarray,
    runs: np.ndarray,
    *,
    penalties: Sequence[float] = PENALTIES,
    bands: np.ndarray | None = None,
    draws: int = 20,
    seed: int = 0,
) -> Fitted:
    """Weights of columns x (rows, columns) for targets y (rows, targets), both with mean 0 in each run.

    runs (rows,): each is left out once to choose a target's penalty; bands (columns,): which band a column is of, None
    for plain ridge; draws: how many weightings of the bands are tried. Raises `UserError` for fewer than 2 runs.
    """
    if len(np.unique(runs)) < 2:
        raise UserError("a penalty is chosen on runs that are left out", value="1 run", allowed="2 or more")
    grid = np.asarray(penalties, np.float64)
    numbers = np.zeros(x.shape[1], np.int64) if bands is None else np.asarray(bands, np.int64)
    scalings = _scalings(int(numbers.max()) + 1, 1 if bands is None else draws, seed)
    targets = y.shape[1]
    best, chosen, penalty = np.full(targets, np.inf), np.zeros(targets, np.int64), np.zeros(targets)
    weights, left_out = np.zeros((x.shape[1], targets)), np.zeros(targets)
    for number, scaling in enumerate(scalings):
        of_column = np.sqrt(scaling)[numbers]
        solver = _Solver(x * of_column, runs)
        for first in range(0, targets, AT_ONCE):
            some = slice(first, first + AT_ONCE)
            errors, r, solve = solver.of(y[:, some].astype(np.float64), grid)
            place = errors.argmin(axis=0)
            column = np.arange(len(place))
            better = np.flatnonzero(errors[place, column] < best[some])
            where = first + better
            best[where], chosen[where] = errors[place, column][better], number
            penalty[where], left_out[where] = grid[place[better]], r[place, column][better]
            weights[:, where] = of_column[:, None] * solve(better, grid[place[better]])
    return Fitted(weights, penalty, scalings[chosen], left_out)


class _Solver:
    """What is computed once for all targets. Columns are rotated to no more than there are rows, which changes no
    prediction."""

    def __init__(self, x: np.ndarray, runs: np.ndarray):
        x = x.astype(np.float64)
        self.back: np.ndarray | None = None
        if x.shape[1] > len(x):
            values, vectors = np.linalg.eigh(x @ x.T)
            kept = values > 1e-10 * max(values[-1], 1e-300)
            roots = np.sqrt(values[kept])
            self.back = x.T @ (vectors[:, kept] / roots)
            x = vectors[:, kept] * roots
        self.x, self.gram = x, x.T @ x
        self.folds = [np.flatnonzero(runs == run) for run in np.unique(runs)]
        self.bases = []
        for fold in self.folds:
            part = self.x[fold]
            values, vectors = np.linalg.eigh(self.gram - part.T @ part)
            self.bases.append((np.maximum(values, 0), vectors, part @ vectors))
        values, vectors = np.linalg.eigh(self.gram)
        self.whole = np.maximum(values, 0), vectors

    def of(self, y: np.ndarray, penalties: np.ndarray):  # type: ignore[no-untyped-def]
        """Squared errors and r (penalties, targets) on runs left out; a function from targets and their penalties to
        weights (columns, targets)."""
        products = self.x.T @ y
        errors = np.zeros((len(penalties), y.shape[1]))
        cross, own = np.zeros_like(errors), np.zeros_like(errors)
        for fold, (values, vectors, part) in zip(self.folds, self.bases, strict=True):
            truth = y[fold]
            along = vectors.T @ (products - self.x[fold].T @ truth)
            for place, penalty in enumerate(penalties):
                predicted = part @ (along / (values + penalty * (len(y) - len(fold)))[:, None])
                errors[place] += ((truth - predicted) ** 2).sum(axis=0)
                cross[place] += (truth * predicted).sum(axis=0)
                own[place] += (predicted**2).sum(axis=0)
        sizes = np.sqrt(own * (y**2).sum(axis=0))
        r = np.divide(cross, sizes, out=np.zeros_like(cross), where=sizes > 0)
        values, vectors = self.whole

        def solve(some: np.ndarray, of_target: np.ndarray) -> np.ndarray:
            along = vectors.T @ products[:, some]
            found = vectors @ (along / (values[:, None] + of_target * len(y)))
            return found if self.back is None else self.back @ found

        return errors, r, solve


def _scalings(bands: int, draws: int, seed: int) -> np.ndarray:
    """(draws, bands): all alike, each band alone, then draws from a Dirichlet distribution; they sum to the number of
    bands."""
    if bands == 1:
        return np.ones((1, 1))
    alone = np.eye(bands) * bands
    drawn = np.random.default_rng(seed).dirichlet(np.ones(bands), max(0, draws - 1 - bands)) * bands
    return np.concatenate([np.ones((1, bands)), alone, drawn])[: max(1, draws)]
