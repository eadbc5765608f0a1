"""How units rank: the scores that stand for them, and which of them beat their baselines.

The default score of a column is the same for all units of a study, since different scores cannot be ranked together. It
is stored with each unit, so that the best units are found without a look at the others.

Which units beat a baseline is said at a false-discovery rate over all tested units. A family is what is tested
together: one score of one method against one baseline, over all units of the study. The q-values of a family are stored
beside its p-values, and all of them are made anew when scores are added to it.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from glossator.scores import Column, Score
from glossator.statistics import adjusted
from glossator.store.results import Chosen, UnitResult

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


DEFAULT_SCORES = ("correlation.random-only", "correlation.top-and-random")
"""The first is of natural text and falls in both sanity tests of `glossator bench metrics`; the second is that of Bills
et al. 2023, on windows chosen for the unit."""
TOLD = (
    *DEFAULT_SCORES, "firing.auprc.random-only", "headline.auprc.random-only", "headline.share.random-only",
    "modes.share.random-only", "modes.peak-hit", "peak.hit", "peak.share",
)  # fmt: skip
"""Observational scores whose means over units are told."""
CAUSAL_DEFAULT_SCORES = ("ablation",)
"""Names of causal scores, or what they begin with, that stand for their column."""
FIRST: dict[Column, tuple[str, ...]] = {"observational": DEFAULT_SCORES, "causal": CAUSAL_DEFAULT_SCORES}
DEFAULT: dict[Column, str] = {"observational": "default score, observational", "causal": "default score, causal"}
RANKED_BY = "ranked by"
"""Keys of `meta`: the name of the score that stands for each column, and of the one that units are ranked by."""


@dataclass(frozen=True)
class Ranked:
    """A unit with its best explanation (`UnitResult.best`) and the scores that stand for its two columns; causal: None
    where there is none."""

    result: UnitResult
    chosen: Chosen
    score: Score
    causal: Score | None = None


def default_of(chosen: Chosen, column: Column = "observational") -> Score | None:
    """The score that stands for a column of one explanation: the first of `FIRST` that has a value, else its
    first one with a value, else its first one; None where the column is empty."""
    scores = [score for score in chosen.scores if score.column == column]
    known = [score for score in scores if score.value is not None]
    return next(iter((*_named(known, column), *known, *scores)), None)


def _named(scores: list[Score], column: Column) -> list[Score]:
    return [score for first in FIRST[column] for score in scores if _is(score.name, first)]


def _is(name: str, first: str) -> bool:
    return name == first or name.startswith(f"{first}.")


def default_score(connection: sqlite3.Connection, column: Column) -> str | None:
    """The score that stands for a column: the first of `FIRST` that half as many of the units' best explanations
    have a value of as of any score, else the commonest; None where the column is empty."""
    counts = dict(
        connection.execute(
            """SELECT scores.name, count(value) FROM units CROSS JOIN scores ON scores.explanation = units.best
            WHERE "column" = ? GROUP BY scores.name ORDER BY min(iif(value IS NULL, 9e999, scores.id))""",
            (column,),
        )
    )
    most = max(counts.values(), default=0)
    named = [name for first in FIRST[column] for name in counts if _is(name, first)]
    return next((name for name in (*named, *counts) if counts[name] >= (most / 2 if name in named else most)), None)


def store_ranking(connection: sqlite3.Connection, changed: Collection[str] | None = None) -> None:
    """Store which score stands for each column, and its value with each unit.

    changed: the scores of which there are new values; None where all are new.

    Units are ranked by the causal one where none has a value of the other. q of a unit is the largest over the
    baselines: at this false-discovery rate it is called above each of them.
    """
    if changed is not None and _unmoved(connection, changed):
        return
    names = {column: default_score(connection, column) for column in DEFAULT}
    connection.execute("UPDATE units SET score = NULL, low = NULL, high = NULL, causal = NULL, q = NULL")
    _store(connection, names["causal"], "causal = value")
    ranked_by = next((name for name in names.values() if name is not None and _store(connection, name)), None)
    connection.executemany("DELETE FROM meta WHERE key = ?", [(key,) for key in (*DEFAULT.values(), RANKED_BY)])
    told = [*((DEFAULT[column], name) for column, name in names.items()), (RANKED_BY, ranked_by)]
    connection.executemany("INSERT INTO meta VALUES (?, ?)", [(key, name) for key, name in told if name is not None])


def _unmoved(connection: sqlite3.Connection, changed: Collection[str]) -> bool:
    """Whether new values of these scores leave all default scores as they are: none of them is one, and what stands for
    their column is, known of half of the units, so that none can be so common that it takes its place."""
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    ((units, ranked, acted),) = connection.execute("SELECT count(best), count(score), count(causal) FROM units")
    for name in changed:
        column = connection.execute('SELECT "column" FROM scores WHERE name = ? LIMIT 1', (name,)).fetchone()[0]
        default = meta.get(DEFAULT[column], "")
        known = ranked if default == meta.get(RANKED_BY) else acted
        firsts = [first for first in FIRST[column] if _is(default, first)]
        if not firsts or any(_is(name, first) for first in FIRST[column]) or 2 * known < units:
            return False
    return True


def _store(
    connection: sqlite3.Connection,
    name: str | None,
    what: str = """score = value, low = scores.low, high = scores.high,
    q = (SELECT max(comparisons.q) FROM comparisons WHERE comparisons.score = scores.id)""",
) -> bool:
    """Set columns of units from this score of their best explanations; whether any of them has a value."""
    connection.execute(
        f"""UPDATE units SET {what} FROM scores
        WHERE scores.explanation = units.best AND scores.name = ? AND value IS NOT NULL""",
        (name,),
    )
    return bool(connection.execute("SELECT changes()").fetchone()[0])
