"""What else `glossator bench programs` tells of real neurons: of how much of the activation headline, modes and program
account for, whether programs transfer to other sources, and how far the same architecture gets with random weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from glossator.evidence import Evidence
from glossator.explainers import Abstained
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation, Mode
from glossator.recording import Recording
from glossator.scorers import firing
from glossator.scorers.correlation import pooled
from glossator.scorers.headline import graded, modes_of, predicted
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.peak import hits, hits_of
from glossator.statistics import mean_over_units

LEAST_TOKENS = 4_000
"""A source takes part with so many tokens in the explain split; the largest ones first."""
SOURCES = 4

Shares = dict[str, float | None]


def shares(evidence: Evidence, explanation: Explanation | None, lab: Lab) -> Shares:
    """On random windows of the test split: of all activation, and of all tokens, the part on tokens that the headline,
    the modes and the program (above its threshold) name; and how often each finds the peaks of top windows."""
    found: Shares = {}
    trial = lab.trial(evidence, "random-only")
    top = lab.trial(evidence, "top")
    nothing = np.zeros(len(top.test.truth))
    modes = modes_of(explanation)
    headline = explanation.headline if explanation else None
    first = (Mode(headline, 1.0, 1.0),) if headline and headline.named else ()
    for name, of in (("headline", first), ("modes", modes if first else ())):
        chosen = predicted(trial, of) > 0 if of else np.zeros(len(trial.test.truth), bool)
        found |= {f"{name}_activation": _held(trial, chosen), f"{name}_tokens": float(chosen.mean())}
        found[f"{name}_peak_hit"] = hits_of(top, predicted(top, of) if of else nothing).value
    found["peaks_hit"] = hits_of(top, graded(top, explanation) if explanation else nothing).value
    found |= {"program_activation": 0.0, "program_tokens": 0.0, "program_peak_hit": 0.0}
    if explanation is not None and explanation.program is not None:
        called = firing.named(trial, explanation)
        if not isinstance(called, str):
            found["program_activation"] = _held(trial, called)
            found["program_tokens"] = float(called.mean())
        found["program_peak_hit"] = hits(top, explanation).value
    return found


def _held(trial: Trial, chosen: np.ndarray) -> float | None:
    above = np.maximum(trial.test.truth, 0.0)
    return float(above[chosen].sum() / above.sum()) if above.sum() > 0 else None


def means_of(rows: Sequence[Shares]) -> Shares:
    """Means over neurons."""
    return {name: mean_over_units([row[name] for row in rows]).value for name in rows[0]}


def transfer(
    recording: Recording, pairs: Sequence[tuple[Any, Evidence]], explainer: ProgramExplainer
) -> dict[str, Any]:
    """Mean correlation of programs that were found in one source alone, on test documents of that source and of others,
    over neurons and over the largest sources."""
    source_of = np.array([name.rpartition(":")[0] for name in recording.group_ids])
    explain = pairs[0][1].explain.exemplars
    tokens = {s: int(explain.valid[source_of[explain.groups] == s].sum()) for s in sorted(set(source_of.tolist()))}
    sources = [s for s in sorted(tokens, key=lambda s: -tokens[s]) if tokens[s] >= LEAST_TOKENS][:SOURCES]
    lab, rows = Lab(explainer.lexicon), []
    for source in sources:  # one after the other, since an explainer keeps what it knows of one text at a time
        seen = [evidence.explain.exemplars for _, evidence in pairs]
        own = [one.take(np.flatnonzero(source_of[one.groups] == source)) for one in seen]
        shown = [replace(pair[1].explain, exemplars=here) for pair, here in zip(pairs, own, strict=True)]
        for (_, evidence), answer in zip(pairs, explainer.explain(shown, n=1, seed=0), strict=True):
            if isinstance(answer, Abstained) or not answer:
                continue
            there = source_of[evidence.test.groups] == source
            tests = [replace(evidence, test=evidence.test.take(np.flatnonzero(kept))) for kept in (there, ~there)]
            values = [pooled(lab.for_unit({}).trial(test, "random-only"), answer[0]).value for test in tests]
            if None not in values:
                rows.append(values)
    within, across = zip(*rows, strict=True) if rows else ((), ())
    return {
        "sources": sources,
        "programs": len(rows),
        "within": mean_over_units(list(within)).value if rows else None,
        "across": mean_over_units(list(across)).value if rows else None,
    }
