"""The program explainer on images: as on tokens, it searches the explain split alone and abstains where a part of it
that the search did not see gives no ground for a claim."""

from __future__ import annotations

from typing import Any

import numpy as np

from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained
from glossator.explanations import Explanation, Provenance
from glossator.image_programs.headline import headline_of
from glossator.image_programs.problem import SceneProblem, make_problem
from glossator.image_programs.search import Fit, fitted, program_of, search
from glossator.inputs import WHOLE
from glossator.programs import Program
from glossator.programs.problem import CLAIM
from glossator.programs.scene.english import sentence
from glossator.statistics import exchange_p


def explain_images(
    evidence: ExplainEvidence, n: int, seed: int, *, most: int, top_share: float, firing: int, alpha: float,
    settings: dict[str, Any],
) -> Explained:  # fmt: skip
    """Up to n programs of one unit: the whole one, and its first test alone.

    most: greatest number of tests; top_share: weight of all top images against the random ones; firing: a claim needs
    so many scenes in which the unit fires; alpha: how often a unit with nothing to claim is claimed.
    """
    problem = make_problem(evidence, top_share, seed)
    if problem.firing_groups < firing:
        return Abstained(
            f"the unit fires in {problem.firing_groups} scenes of the explain split; a claim needs {firing}"
        )
    fit = search(problem, most)
    claim = claim_of(problem, fit)
    if claim is None or claim[1] > alpha or claim[0] <= 0:
        return Abstained("no program predicts the unit better than chance on images held out from the search")
    roles = [("whole", fit)] + ([("brief", fitted(problem, fit.tests[:1]))] if len(fit.tests) > 1 else [])
    programs: dict[str, tuple[str, Program]] = {}
    for role, one in roles:
        if (program := program_of(problem, one)) is not None:
            programs.setdefault(str(program), (role, program))
    if not programs:
        return Abstained("no test of the program has a strength")
    told = {"correlation": round(claim[0], 4), "p": round(claim[1], 4), "firing_scenes": problem.firing_groups}
    headline, modes = headline_of(problem)
    return [
        Explanation(
            evidence.unit,
            sentence(program, whole=evidence.exemplars.grid == WHOLE),
            Provenance("program", {**settings, "claim": told, "role": role}, evidence.fingerprint, seed),
            program,
            rank,
            headline,
            modes,
        )
        for rank, (role, program) in enumerate(list(programs.values())[:n])
    ]


def claim_of(problem: SceneProblem, fit: Fit) -> tuple[float, float] | None:
    """Correlation and its p on the images kept for it; None where either side is constant."""
    kept = problem.part == CLAIM
    if not fit.tests or not kept.any():
        return None
    columns = np.stack([problem.column(test)[kept] for test in fit.tests])
    order = np.lexsort((problem.flat[kept], problem.groups[kept]))
    truth = problem.target[kept][order]
    predicted = np.maximum(fit.values[0] + fit.values[1:] @ columns, 0.0)[order]
    if truth.min() == truth.max() or predicted.min() == predicted.max():
        return None
    return float(np.corrcoef(truth, predicted)[0, 1]), exchange_p(truth, predicted, problem.groups[kept][order])
