"""Marking tokens without giving cues: each correct marking has a wrong one that looks the same.

The firing tokens of a window give a pattern of marks. In the correct item the pattern is on these tokens; in the wrong
item it is on silent tokens of another firing window, at the same positions if possible, otherwise moved as little as
possible. Every pattern and every window is used once correctly and once wrongly, so number, lengths and text are
uninformative. Matching patterns to windows is an assignment problem.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from glossator.evidence import Evidence, Exemplars, Split
from glossator.inputs.tokens import CLOSE, OPEN, TokenWindows
from glossator.scorers.items import LEAST, IntruderItems, balanced_places, firing_tokens, spread

MOST_MARKED = 5
"""Tokens marked in one item: of a unit that fires at more, so many neighbouring firing tokens are marked."""
INTRUDERS = 4
"""Firing windows that stand beside each intruder."""

_FORBIDDEN, _LEFT_OUT = 1e6, 1e3
_MOVED, _OTHER_FORM = 1.0, 0.5


@dataclass(frozen=True, eq=False)
class MarkedItems:
    """rows (m,) of `exemplars`; marks (m, width) bool; positive (m,) bool, whether the unit fires at the marked tokens;
    moved: how many wrong patterns stand at other places than the right ones; reason: why there are no items."""

    exemplars: Exemplars
    rows: np.ndarray
    marks: np.ndarray
    positive: np.ndarray
    moved: int = 0
    reason: str | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def documents(self) -> np.ndarray:
        return self.exemplars.windows.documents[self.rows]

    @property
    def texts(self) -> list[str]:
        windows = self.exemplars.windows
        return [windows.marked(int(row), mask) for row, mask in zip(self.rows, self.marks, strict=True)]

    @property
    def counts(self) -> dict[str, int]:
        return {"right": int(self.positive.sum()), "wrong": int((~self.positive).sum()), "moved": self.moved}


def plan_marked(evidence: Evidence, split: Split, most: int, rng: np.random.Generator) -> MarkedItems:
    """Up to `most` items, half of them rightly marked; the same windows and the same patterns in both halves."""
    exemplars, threshold = evidence.split(split), evidence.statistics.firing_threshold
    if evidence.status != "ok":
        return _no_items(exemplars, f"insufficient evidence: {evidence.reason}")
    fires = firing_tokens(exemplars, threshold)
    rows = _markable(exemplars, fires)
    if len(rows) < LEAST:
        return _no_items(exemplars, f"{len(rows)} firing windows in the {split} split, {LEAST} needed")
    rows = spread(_strongest_first(exemplars, rows), min(len(rows), most // 2), rng)
    patterns = np.stack([pattern_of(fires[row], rng) for row in rows])
    cost, moves = _costs(exemplars.windows.take(rows), fires[rows], patterns, rng)
    target = linear_sum_assignment(cost)[1]
    kept = np.flatnonzero(target != np.arange(len(rows)))  # whole cycles: each window once rightly, once wrongly
    if len(kept) < LEAST:
        return _no_items(
            exemplars, f"the marks of only {len(kept)} windows fit silent tokens of another, {LEAST} needed"
        )
    moved = moves[kept, target[kept]]
    wrong = np.stack([_move(patterns[i], by) for i, by in zip(kept, moved, strict=True)])
    order = rng.permutation(2 * len(kept))
    return MarkedItems(
        exemplars,
        np.concatenate([rows[kept], rows[target[kept]]])[order],
        np.concatenate([patterns[kept], wrong])[order],
        (np.arange(2 * len(kept)) < len(kept))[order],
        int((moved != 0).sum()),
    )


def plan_intruders(evidence: Evidence, split: Split, questions: int, rng: np.random.Generator) -> IntruderItems:
    """Questions of `INTRUDERS` firing windows of about equal strength and one silent window.

    The silent window bears the pattern of a firing window that is not shown, so marks are no cue.
    """
    exemplars, threshold = evidence.split(split), evidence.statistics.firing_threshold
    none = np.empty((0, INTRUDERS + 1), int)
    fires = firing_tokens(exemplars, threshold)
    firing = _markable(exemplars, fires)
    silent = np.flatnonzero(exemplars.windows.valid.any(axis=1) & ~fires.any(axis=1) & ~_has_marks(exemplars))
    if evidence.status != "ok" or len(firing) <= INTRUDERS or len(silent) < LEAST:
        reason = f"{len(firing)} firing and {len(silent)} silent windows in the {split} split"
        reason = f"{reason}, {INTRUDERS + 1} and {LEAST} needed" if evidence.status == "ok" else evidence.reason
        return IntruderItems(exemplars, none, np.empty((0, INTRUDERS + 1, 0), bool), np.empty(0, int), reason)
    ranked, place = _strongest_first(exemplars, firing), balanced_places(questions, INTRUDERS + 1, rng)
    strangers = np.concatenate([rng.permutation(silent) for _ in range(-(-questions // len(silent)))])[:questions]
    rows, marks = [], []
    for stranger, where in zip(strangers, place, strict=True):
        # a stretch of the ranking twice as long as needed: neighbours in strength, yet not the same ones each time
        reach = min(len(ranked), 2 * (INTRUDERS + 1))
        first = int(rng.integers(len(ranked) - reach + 1))
        *shown, lender = rng.permutation(ranked[first : first + reach])[: INTRUDERS + 1]
        masks = [pattern_of(fires[row], rng) for row in shown]
        masks.insert(where, _fit(pattern_of(fires[lender], rng), exemplars.windows.valid[stranger]))
        shown.insert(where, stranger)
        rows.append(shown)
        marks.append(masks)
    texts = [
        [exemplars.windows.marked(int(row), mask) for row, mask in zip(some, masks, strict=True)]
        for some, masks in zip(rows, marks, strict=True)
    ]
    return IntruderItems(exemplars, np.array(rows), np.array(marks), place, texts=texts)


def pattern_of(fires: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(width,) bool: the firing tokens of one window, or `MOST_MARKED` of them that follow one another."""
    places = np.flatnonzero(fires)
    first = int(rng.integers(max(len(places) - MOST_MARKED, 0) + 1))
    mask = np.zeros(len(fires), bool)
    mask[places[first : first + MOST_MARKED]] = True
    return mask


def _costs(
    windows: TokenWindows, fires: np.ndarray, patterns: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What it costs to put pattern i on window j (n, n), and by how many places the pattern is moved for it.

    To leave a window out costs more than any fit. Among fits, unmoved ones come first, then those on tokens that are
    written like the rightly marked ones (a word's start, its continuation, or neither), then chance decides.
    """
    n, width = fires.shape
    free = windows.valid & ~fires
    forms = _forms(windows)
    cost, moves = np.full((n, n), _FORBIDDEN), np.zeros((n, n), int)
    for i, pattern in enumerate(patterns):
        places = np.flatnonzero(pattern)
        shifts = np.arange(-places[0], width - places[-1])
        for by in shifts[np.argsort(np.abs(shifts), kind="stable")]:
            at = places + by
            fits = np.flatnonzero(free[:, at].all(axis=1))
            other = (forms[fits][:, at] != forms[i, places]).mean(axis=1)
            found = _OTHER_FORM * other + (_MOVED + abs(by) / width if by else 0.0)
            better = found < cost[i, fits]
            cost[i, fits[better]], moves[i, fits[better]] = found[better], by
            if cost[i].max() < _FORBIDDEN:
                break
    cost += 1e-3 * rng.random((n, n))
    cost[np.arange(n), np.arange(n)] = _LEFT_OUT
    return cost, moves


def _forms(windows: TokenWindows) -> np.ndarray:
    """(n, width) int8: 0 a token that opens a word, 1 one that continues it, 2 anything else."""
    texts = windows.vocabulary.texts
    used = np.unique(windows.tokens)
    form = np.full(len(texts) + 1, 2, np.int8)
    for token in used[(used >= 0) & (used < len(texts))].tolist():
        if texts[token].strip()[:1].isalpha():
            form[token] = 0 if texts[token][:1].isspace() else 1
    return form[windows.tokens]


def _move(pattern: np.ndarray, by: int) -> np.ndarray:
    mask = np.zeros_like(pattern)
    mask[np.flatnonzero(pattern) + by] = True
    return mask


def _fit(pattern: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The pattern, moved to the left where it would stand beyond the window's end."""
    last, width = np.flatnonzero(valid)[-1], int(np.flatnonzero(pattern)[-1])
    mask = _move(pattern, -min(max(width - int(last), 0), int(np.flatnonzero(pattern)[0]))) & valid
    if not mask.any():
        mask[last] = True
    return mask


def _markable(exemplars: Exemplars, fires: np.ndarray) -> np.ndarray:
    """Rows of firing windows in which the marks cannot be mistaken for text."""
    return np.flatnonzero(fires.any(axis=1) & ~_has_marks(exemplars))


def _has_marks(exemplars: Exemplars) -> np.ndarray:
    texts = (exemplars.windows.text(row) for row in range(len(exemplars)))
    return np.array([OPEN in text or CLOSE in text for text in texts], bool)


def _strongest_first(exemplars: Exemplars, rows: np.ndarray) -> np.ndarray:
    maxima = np.where(exemplars.windows.valid, exemplars.activations, -np.inf).max(axis=1)
    return rows[np.argsort(-maxima[rows], kind="stable")]


def _no_items(exemplars: Exemplars, reason: str) -> MarkedItems:
    empty = np.empty(0, int)
    return MarkedItems(exemplars, empty, np.empty((0, 0), bool), empty.astype(bool), reason=reason)
