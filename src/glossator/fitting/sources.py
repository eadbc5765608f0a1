"""Directions without a search: from groups of texts, variance or chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from glossator.errors import UserError
from glossator.fitting.captured import SiteValues
from glossator.readouts.directions import DirectionSet, direction_set
from glossator.recording.texts import WIDTH, site_values, text_windows
from glossator.subjects.base import known_width

if TYPE_CHECKING:
    from glossator.subjects.transformer import TransformerSubject

Pool = Literal["mean", "last"]
POOLS: tuple[Pool, ...] = ("mean", "last")
Kind = Literal["isotropic", "covariance"]
KINDS: tuple[Kind, ...] = ("isotropic", "covariance")


def text_vectors(
    subject: TransformerSubject, site: str, texts: Sequence[str], *, pool: Pool = "mean", width: int = WIDTH
) -> np.ndarray:
    """One activation a text, (texts, d) float32: the mean over its tokens, or that of its last token.

    Positions that recordings leave out do not count. Raises `UserError` for an empty list and for a text in which no
    token counts.
    """
    if pool not in POOLS:
        raise UserError("unknown pooling", value=pool, allowed=", ".join(POOLS))
    texts = list(texts)
    if not texts:
        raise UserError("a group of texts is empty", fix="Provide at least one text per group")
    windows = text_windows(subject, texts, width)
    found = np.zeros((len(texts), known_width(subject.site(site))), np.float64)
    counts = np.bincount(windows.documents, windows.valid.sum(axis=1), minlength=len(texts))
    if not counts.all():
        raise UserError("a text has no valid token", value=texts[int(counts.argmin())][:60])
    values = site_values(subject, site, range(found.shape[1]), windows)
    for row in range(len(windows)):  # windows of a text stand in order, so that the last one decides for "last"
        if (places := np.flatnonzero(windows.valid[row])).size:
            text = windows.documents[row]
            if pool == "mean":
                found[text] += values[row, places].sum(axis=0, dtype=np.float64) / counts[text]
            else:
                found[text] = values[row, places[-1]]
    return found.astype(np.float32)


def difference_of_means(
    name: str, site: str, positive: np.ndarray, negative: np.ndarray, *, subject: str = ""
) -> DirectionSet:
    """The direction from the mean of one group of activations (n, d) to that of another, centred between them.

    Raises `UserError` for an empty group, groups of different widths, and equal means.
    """
    positive, negative = check_groups(positive, negative)
    high, low = positive.mean(axis=0), negative.mean(axis=0)
    spread = max(float(np.abs(positive).max()), float(np.abs(negative).max()), 1e-30)
    if np.abs(high - low).max() <= 1e-7 * spread:
        raise UserError("the two groups have the same mean", fix="There is no direction between them; use other texts")
    made = {"method": "difference of means", "positive": len(positive), "negative": len(negative)}
    return direction_set(name, site, high - low, (high + low) / 2, subject=subject, made=made)


def check_groups(positive: np.ndarray, negative: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both groups as float64 (n, d); `UserError` when one is empty or they do not fit each other."""
    groups = []
    for which, given in (("positive", positive), ("negative", negative)):
        group = np.asarray(given, np.float64)
        if group.ndim != 2 or not group.size:
            raise UserError(f"the {which} group is empty or no matrix", value=group.shape, allowed="(n, d) with n > 0")
        if not np.isfinite(group).all():
            raise UserError(f"the {which} group has values that are not finite")
        groups.append(group)
    if groups[0].shape[1] != groups[1].shape[1]:
        raise UserError("the groups have different widths", value=f"{groups[0].shape[1]} and {groups[1].shape[1]}")
    return groups[0], groups[1]


def centre_and_covariance(values: SiteValues) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d), float64, over the tokens of the explain split.

    Raises `UserError` when nothing varies.
    """
    centre, covariance, _ = moments_of_tokens(values.tokens("explain"))
    return centre, covariance


def moments_of_tokens(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (d,) and covariance (d, d) of (d, T) float32, and the centred tokens, which take the place of those given.

    Raises `UserError` when nothing varies.
    """
    centre = tokens.mean(axis=1, dtype=np.float64)
    tokens -= centre.astype(np.float32)[:, None]
    covariance = (tokens @ tokens.T).astype(np.float64) / tokens.shape[1]
    if np.trace(covariance) <= 1e-12 * max(float(centre @ centre), 1e-300):
        raise UserError("the site has zero variance: its values are the same at every token of the explain split")
    return centre, covariance, tokens


def principal_directions(name: str, values: SiteValues, n: int) -> DirectionSet:
    """The n principal components of the explain split, largest first; made["variance"] holds their shares.

    The sign, which means nothing, makes the largest entry positive.
    """
    centre, covariance = centre_and_covariance(values)
    _check_count(n, values.width)
    variances, vectors = np.linalg.eigh(covariance)
    chosen = vectors[:, ::-1][:, :n].T
    chosen = chosen * np.sign(chosen[np.arange(n), np.abs(chosen).argmax(axis=1)])[:, None]
    shares = variances[::-1][:n] / variances.sum()
    explained = [round(float(share), 6) for share in shares]
    made = {"method": "principal components", "variance": explained, **values.origin}
    return direction_set(name, values.site, chosen, centre, subject=values.subject, made=made)


def random_directions(
    name: str, values: SiteValues, n: int, *, kind: Kind = "isotropic", seed: int = 0
) -> DirectionSet:
    """n random directions about the explain split's mean: isotropic, or normal with the activations' own covariance
    (these lie where the activations vary)."""
    if kind not in KINDS:
        raise UserError("unknown kind of random direction", value=kind, allowed=", ".join(KINDS))
    _check_count(n, None)
    drawn = np.random.default_rng([seed, KINDS.index(kind)]).normal(size=(n, values.width))
    if kind == "covariance":
        centre, covariance = centre_and_covariance(values)
        variances, vectors = np.linalg.eigh(covariance)
        drawn = drawn * np.sqrt(np.maximum(variances, 0.0)) @ vectors.T
    else:
        centre = values.tokens("explain").mean(axis=1, dtype=np.float64)
    made: dict[str, Any] = {"method": "random", "kind": kind, "seed": seed}
    if kind == "covariance":
        made |= values.origin
    return direction_set(name, values.site, drawn, centre, subject=values.subject, made=made)


def _check_count(n: int, most: int | None) -> None:
    if n < 1 or (most is not None and n > most):
        raise UserError("bad number of directions", value=n, allowed="1 or more" if most is None else f"1 to {most}")
