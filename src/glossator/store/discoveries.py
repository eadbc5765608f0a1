"""Which units of a study beat their baselines, at a false-discovery rate over all tested units.

A family is what is tested together: one score of one method against one baseline, over all units of the study. The
q-values of a family are stored beside its p-values, and all of them are made anew when scores are added to it.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Collection

import numpy as np

from glossator.statistics import adjusted

RATE = 0.05
"""Units with q at most this are called above a baseline."""
LEAST = 2
"""Tested units below which there is nothing to correct for, and no q."""


def q_of_families(family: np.ndarray, p: np.ndarray, above: np.ndarray) -> np.ndarray:
    """q-values (n,) of comparisons by their families (n,), from two-sided p (n,), NaN where untested, and whether each
    score is above its baseline (n,); NaN where there is no q."""
    q = np.full(len(p), np.nan)
    order = np.argsort(family, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(family[order])) + 1):
        rows = rows[~np.isnan(p[rows])]
        if len(rows) >= LEAST:  # two-sided: what is below its baseline must not count as above it
            q[rows] = adjusted(np.where(above[rows], p[rows], 1.0))
    return q


def store_q_values(connection: sqlite3.Connection, names: Collection[str] | None = None) -> None:
    """Make the q-values of these scores anew from what is stored; of all scores when None."""
    where = "" if names is None else f"AND scores.name IN ({', '.join('?' * len(names))})"
    found = connection.execute(
        f"""SELECT method, scores.name, baseline, score, p, margin FROM scores
        JOIN explanations ON explanations.id = scores.explanation JOIN comparisons ON comparisons.score = scores.id
        WHERE p IS NOT NULL {where} ORDER BY score, baseline""",
        tuple(names or ()),
    )
    families: dict[tuple[str, str, str], int] = {}
    family, scores, p, above, baselines = array("i"), array("q"), array("d"), array("b"), list[str]()
    for method, name, baseline, score, p_value, margin in found:
        family.append(families.setdefault((method, name, baseline), len(families)))
        baselines.append(baseline)
        scores.append(score)
        p.append(p_value)
        above.append(margin > 0)
    q = q_of_families(*(np.array(column) for column in (family, p, above)))
    connection.executemany(
        "UPDATE comparisons SET q = ? WHERE score = ? AND baseline = ?", zip(q.tolist(), scores, baselines, strict=True)
    )
