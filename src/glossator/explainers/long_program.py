"""The unlimited program: a short program's clauses plus a table of what each token does beyond them."""

from __future__ import annotations

import numpy as np

from glossator.explainers.token_means import rounded, shrinkage
from glossator.programs import Clause, Program, Table
from glossator.programs.problem import Problem

ROUNDS = 3


def with_table(problem: Problem, program: Program) -> Program:
    """Everything that the explain split tells of single tokens, on top of a program.

    A token's entry is its mean residual, shrunk to 0 as the lookup table shrinks to the overall mean, so that rare and
    unseen tokens fall back on the clauses.
    """
    linear = np.full(len(problem.target), program.bias / problem.scale)
    for clause in program.clauses:
        linear += clause.strength / problem.scale * problem.column(clause.test)
    bank = problem.bank
    total = np.zeros(len(problem.seen))
    counts = problem.sums(problem.weight, 0)
    seen = counts > 0
    prior: float | None = None
    for _ in range(ROUNDS):  # the model is rectified at 0, so one round leaves a residual
        now = linear + np.append(total, 0.0)[problem.back[0]]
        residual = problem.target - np.maximum(now, 0.0)
        sums = problem.sums(problem.weight * residual, 0)
        if prior is None:
            squares = problem.sums(problem.weight * residual**2, 0)
            prior = shrinkage(counts[seen], sums[seen], squares[seen])
        total[seen] += sums[seen] / (counts[seen] + prior)
    texts = bank.lexicon.vocabulary.texts
    values = zip(bank.types[problem.seen], rounded(problem.scale * total), strict=True)
    table = Table(tuple((texts[token], float(value)) for token, value in values if value), 0.0)
    return Program(program.bias, (*program.clauses, Clause(1.0, table)))
