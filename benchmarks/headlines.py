"""`glossator bench headlines`: do headlines name what units do, and nothing where there is nothing?

Forty units with one to three known reasons to fire (`headline_cases`) are explained on the explain split. A unit is
named rightly when each of its modes has the words of a true reason and the class, executed on the test split, is that
reason (F1 of at least `ALIKE`), the headline's among them. For the other half of the question the activations are
shuffled among all tokens; whatever is named then is invented. Headlines are asked for without the claim that programs
have to pass first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.headline_cases import Case, cases
from benchmarks.planted import corpus_of, evidence_of, shuffle
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Mode
from glossator.programs import Program, execute
from glossator.units import Unit

DEFAULTS: dict[str, Any] = {"subject": "smollm2-135m", "tokens": 200_000, "width": 64, "units": 40, "seed": 0}
QUICK = {"tokens": 60_000, "units": 6}
ALIKE = 0.6


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Shares of units named rightly, of mode counts that are right, of shuffled units that stay silent; each unit."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    explain, test, lexicon = corpus_of(chosen)
    explainer = ProgramExplainer(lexicon=lexicon)
    rows = []
    planted = cases(chosen["seed"])
    step = max(1, len(planted) // chosen["units"])
    for number, case in enumerate(planted[::step][: chosen["units"]]):
        rng = np.random.default_rng([chosen["seed"], number])
        unit = Unit("planted", "headlines", number)
        activations = case.activations(case.truths(explain), explain, rng)
        headline, modes, _ = explainer.name(evidence_of(unit, explain, activations))
        shuffled, *_ = explainer.name(evidence_of(unit, explain, shuffle(activations, explain, rng)))
        truths = case.truths(test)[:, test.valid]
        classes = [mode.headline.program or Program(0.0) for mode in modes]
        matched = [
            _reason(case, mode, truths, execute(of_mode, test, lexicon)[test.valid])
            for mode, of_mode in zip(modes, classes, strict=True)
        ]
        rows.append(
            {
                "name": case.name,
                "reasons": len(case.reasons),
                "headline": str(headline),
                "modes": [str(mode.headline) for mode in modes],
                "named": bool(matched) and None not in matched and _different(matched),
                "headline_named": bool(matched) and matched[0] is not None,
                "count": len(modes) == len(case.reasons),
                "silent_on_shuffled": not shuffled.named,
                "invented": str(shuffled) if shuffled.named else None,
            }
        )
    return {"options": chosen | {"quick": quick}, **_shares(rows), "units": rows}


def _reason(case: Case, mode: Mode, truths: np.ndarray, holds: np.ndarray) -> int | None:
    """Which reason a mode names, in words and by its class; None for none."""
    for number, (reason, truth) in enumerate(zip(case.reasons, truths, strict=True)):
        both = float((holds * truth).sum())
        f1 = 2 * both / max(float(holds.sum() + truth.sum()), 1.0)
        if f1 >= ALIKE and any(word in mode.headline.text.lower() for word in reason.said):
            return number
    return None


def _different(matched: list[int | None]) -> bool:
    return len(set(matched)) == len(matched)


def _shares(rows: list[dict[str, Any]]) -> dict[str, float]:
    keys = ("headline_named", "named", "count", "silent_on_shuffled")
    return {key: sum(row[key] for row in rows) / len(rows) for key in keys}
