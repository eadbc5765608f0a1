"""Streaming statistics of responses: exact top and bottom k, ties settled by row; moments; what cannot be ranked."""

from __future__ import annotations

import numpy as np


class TopK:
    """The k largest values of each unit over all that came in; of equal values the lower row ranks first.

    Values that are not finite never enter. What stands at the end does not depend on how rows came in.
    """

    def __init__(self, units: int, k: int):
        self.k = k
        self.values = np.full((units, k), -np.inf)
        self.rows = np.full((units, k), -1, np.int64)

    def add(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Take in values (n, units) of these distinct rows (n,), in any order."""
        if not self.k or not len(rows):
            return
        order = np.argsort(rows)
        rows, values = rows[order], np.where(np.isfinite(values[order]), values[order], -np.inf)
        last = self.values[:, -1]
        hopeful = np.flatnonzero(values.max(0) >= last)
        if not len(hopeful):
            return
        block = values[:, hopeful]
        need = min(self.k, len(block))
        kth = np.partition(block, len(block) - need, axis=0)[len(block) - need]
        kth = np.maximum(kth, last[hopeful])
        above, equal = block > kth, block == kth
        # Of the values at the border, as many of the first rows as may be needed; blocks stand in order of rows.
        chosen = above | (equal & (np.cumsum(equal, axis=0) <= need))
        row, unit = np.nonzero(chosen & np.isfinite(block))
        self._merge(hopeful[unit], rows[row], block[row, unit])

    def _merge(self, unit: np.ndarray, row: np.ndarray, value: np.ndarray) -> None:
        touched = np.unique(unit)
        units = np.concatenate([unit, np.repeat(touched, self.k)])
        rows = np.concatenate([row, self.rows[touched].ravel()])
        values = np.concatenate([value, self.values[touched].ravel()])
        # Empty places (row -1, value -inf) are behind every finite value.
        order = np.lexsort((rows, -values, units))
        units, rows, values = units[order], rows[order], values[order]
        starts = np.searchsorted(units, touched)
        place = np.arange(len(units)) - np.repeat(starts, np.diff(np.append(starts, len(units))))
        kept = place < self.k
        self.rows[touched] = rows[kept].reshape(-1, self.k)
        self.values[touched] = values[kept].reshape(-1, self.k)


def rank(values: np.ndarray, k: int, *, largest: bool = True) -> np.ndarray:
    """Rows of the k largest (or smallest) values of each column, best first: int64 (units, k), -1 where there is none.

    values (n,) or (n, units); of equal values the lower row comes first; NaN and inf are never ranked.
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    top = TopK(values.shape[1], k)
    top.add(np.arange(len(values)), values if largest else -values)
    return top.rows


LARGEST = 1e100
"""Responses beyond this, or within its inverse of 0, have no variance in double precision."""


class Moments:
    """Count, mean, variance, extremes of the finite values of each unit, and how many were NaN or infinite.

    Blocks are joined by the formulas of Chan, Golub and LeVeque (1983), in float64.
    """

    def __init__(self, units: int):
        self.count = np.zeros(units, np.int64)
        self.missing = np.zeros(units, np.int64)
        self.infinite = np.zeros(units, np.int64)
        self.mean, self._squares = np.zeros(units), np.zeros(units)
        self.low, self.high = np.full(units, np.inf), np.full(units, -np.inf)
        self.epsilon = 0.0

    def add(self, values: np.ndarray) -> None:
        """Take in values (n, units), float32 or float64."""
        if not len(values):
            return
        self.epsilon = max(self.epsilon, float(np.finfo(values.dtype).eps))
        values = values.astype(np.float64)
        known = np.isfinite(values)
        self.missing += np.isnan(values).sum(0)
        self.infinite += np.isinf(values).sum(0)
        n = known.sum(0)
        safe = np.where(known, values, 0)
        with np.errstate(over="ignore", invalid="ignore"):  # see `problem`
            mean = safe.sum(0) / np.maximum(n, 1)
            squares = (np.where(known, values - mean, 0) ** 2).sum(0)
            total = np.maximum(self.count + n, 1)
            shift = np.where(n > 0, mean - self.mean, 0)
            self.mean = self.mean + shift * n / total
            self._squares = self._squares + squares + shift**2 * self.count * n / total
        self.count = self.count + n
        self.low = np.minimum(self.low, np.where(known, values, np.inf).min(0))
        self.high = np.maximum(self.high, np.where(known, values, -np.inf).max(0))

    @property
    def sigma(self) -> np.ndarray:
        """Standard deviation over the n-grams (divisor n, as NumPy's `std`)."""
        return np.sqrt(self._squares / np.maximum(self.count, 1))

    def problem(self, unit: int) -> str | None:
        """Why a unit cannot be ranked, None when it can.

        Constant means: to within 8 roundings of its type.
        """
        low, high = float(self.low[unit]), float(self.high[unit])
        if not self.count[unit]:
            return "no finite value"
        if low == high == 0:
            return "dead: 0 on every n-gram"
        if not 1 / LARGEST < max(abs(low), abs(high)) < LARGEST:
            return f"out of range: its values lie between {low:.3g} and {high:.3g}; scale them, 1e-100 to 1e100 will do"
        if high - low <= 8 * self.epsilon * max(abs(low), abs(high)):
            return f"constant: {self.mean[unit]:.6g} on every n-gram"
        return None
