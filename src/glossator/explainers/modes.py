"""Modes: unrelated reasons for which one unit fires, told apart by what their tests mean and when they hold."""

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
    weight = problem.weight * firing
    base = problem.weight.sum()
    helpful = [
        s for s in singles
        if (weight @ s.truth) / max(weight.sum(), 1e-9) > 2 * (problem.weight @ s.truth) / max(base, 1e-9)
    ]  # fmt: skip
    if len(helpful) < 2:
        return []
    groups = _linked(_related(problem, helpful))
    shares = [(weight @ np.max([helpful[i].truth for i in group], axis=0)) / weight.sum() for group in groups]
    order = sorted(range(len(groups)), key=lambda g: -shares[g])
    modes = [[helpful[i].test for i in groups[g]] for g in order if shares[g] >= LEAST_SHARE][:most]
    return modes if len(modes) > 1 else []


def _related(problem: Problem, singles: list[Single]) -> np.ndarray:
    """(m, m) bool: close in meaning, or true of the same tokens."""
    truths = np.stack([s.truth for s in singles])
    weighted = truths * problem.weight
    both = weighted @ truths.T
    alone = np.sqrt(np.maximum(np.diag(both), 1e-9))
    related = both / np.outer(alone, alone) > RELATED
    directions = problem.bank.lexicon.directions
    if directions is not None:
        meanings = np.zeros((len(singles), directions.shape[1]), np.float32)
        types = directions[problem.bank.types]
        for i, row in enumerate(weighted):
            meanings[i] = problem.sums(row, 0) @ types
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
