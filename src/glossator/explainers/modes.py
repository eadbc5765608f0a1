"""Modes: unrelated reasons for one unit to fire, separated by what their tests mean and when they hold."""

from __future__ import annotations

import numpy as np

from glossator.programs.candidates import Single
from glossator.programs.language import Test
from glossator.programs.problem import Problem

RELATED = 0.35
"""Tests whose tokens are this close in meaning (cosine) or hold together this often belong to one mode."""
LEAST_SHARE = 0.12
"""A mode accounts for at least this share of the tokens on which the unit fires."""


def separate_modes(problem: Problem, singles: tuple[Single, ...], threshold: float, most: int = 3) -> list[list[Test]]:
    """Groups of tests, largest share of the firing tokens first; empty when there are not at least two modes."""
    firing = problem.target > max(threshold, 0.0)
    if not firing.any():
        return []
    weight = problem.weight.astype(np.float32)
    truths = np.stack([s.truth[firing] for s in singles])
    on_firing = np.average(truths, axis=1, weights=problem.weight[firing])
    everywhere = np.array([s.truth @ weight for s in singles]) / problem.weight.sum()
    helpful = np.flatnonzero(on_firing > 2 * everywhere)
    if len(helpful) < 2:
        return []
    truths = truths[helpful]
    groups = _linked(_related(problem, [singles[i].truth for i in helpful], weight))
    shares = [np.average(truths[group].max(axis=0), weights=problem.weight[firing]) for group in groups]
    order = sorted(range(len(groups)), key=lambda g: -shares[g])
    modes = [[singles[helpful[i]].test for i in groups[g]] for g in order if shares[g] >= LEAST_SHARE][:most]
    return modes if len(modes) > 1 else []


def _related(problem: Problem, found: list[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """(m, m) bool for tests with truths m times (T,): close in meaning, or true of the same tokens."""
    places = np.flatnonzero(np.logical_or.reduce([truth != 0 for truth in found]))
    truths = np.stack([truth[places] for truth in found])
    weighted = truths * weight[places]
    both = weighted @ truths.T
    alone = np.sqrt(np.maximum(np.diag(both), 1e-9))
    related = both / np.outer(alone, alone) > RELATED
    if problem.bank.lexicon.directions is not None:
        masses = np.stack(
            [problem.sums(row[rows], 0, places[rows]) for row in weighted for rows in [np.flatnonzero(row != 0)]]
        )
        seen = np.flatnonzero(masses.any(axis=0))
        meanings = masses[:, seen].astype(np.float32) @ problem.reading.directions[seen]
        lengths = np.linalg.norm(meanings, axis=1, keepdims=True)
        meanings /= np.maximum(lengths, 1e-9)
        related |= meanings @ meanings.T > RELATED
    return related


def _linked(related: np.ndarray) -> list[list[int]]:
    """Connected groups."""
    left, groups = set(range(len(related))), []
    while left:
        group, todo = [], [min(left)]
        while todo:
            i = todo.pop()
            if i in left:
                left.discard(i)
                group.append(i)
                todo += [j for j in sorted(left) if related[i, j]]
        groups.append(sorted(group))
    return groups
