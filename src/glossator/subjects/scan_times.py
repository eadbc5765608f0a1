"""From words to scans: interpolation at the times of scans, delays of the haemodynamic response, slow drift."""

from __future__ import annotations

import numpy as np


def lanczos(onsets: np.ndarray, times: np.ndarray, tr: float, lobes: int = 3) -> np.ndarray:
    """float64 (scans, words): how much each word counts at each scan, by a Lanczos filter that lets pass what is slower
    than two scans (as in Huth et al. 2016). lobes: of the filter, on each side."""
    distance = (times[:, None] - onsets[None, :]) / tr
    inside = np.abs(distance) < lobes
    return np.where(inside, np.sinc(distance) * np.sinc(distance / lobes), 0.0)


def delayed(values: np.ndarray, delays: tuple[int, ...]) -> np.ndarray:
    """(scans, k) -> (scans, delays x k): the values so many scans ago, 0 before the first."""
    found = np.zeros((len(values), len(delays), values.shape[1]))
    for place, delay in enumerate(delays):
        found[delay:, place] = values[: len(values) - delay] if delay else values
    return found.reshape(len(values), -1)


def drift(scans: int, tr: float, slower_than: float) -> np.ndarray:
    """Orthonormal (scans, k): a constant and the discrete cosines of periods above `slower_than` seconds, as in SPM."""
    count = int(2 * scans * tr / slower_than) + 1
    places = (np.arange(scans) + 0.5) / scans
    basis = np.cos(np.pi * places[:, None] * np.arange(count))
    return basis / np.linalg.norm(basis, axis=0)


def without(values: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
    """What least squares on these columns (scans, k) leaves of the values (scans, n)."""
    basis, sizes, _ = np.linalg.svd(nuisance, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(float(sizes[0]), 1e-300)]
    return values - basis @ (basis.T @ values)


def haemodynamic(seconds: np.ndarray) -> np.ndarray:
    """The canonical response to a brief event at these seconds after it: two gammas, as in SPM, at most 1."""
    from scipy.stats import gamma

    fine = np.arange(0, 32, 0.1)
    peak = (gamma.pdf(fine, 6) - gamma.pdf(fine, 16) / 6).max()
    found = gamma.pdf(seconds, 6) - gamma.pdf(seconds, 16) / 6
    return np.where(seconds >= 0, found / peak, 0.0)
