"""Every extension point on one screen: name -> "module:object", and one entry-point group for plug-ins.

A plug-in declares entry points in the group `glossator` named `kind:name`, for example
`explainers:mine = "my_package:MyExplainer"`; built-ins stand in the tables below and load in the same way.
"""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from glossator.errors import UserError, near_matches

BUILT_IN: dict[str, dict[str, str]] = {
    "explainers": {
        "bills": "glossator.explainers.bills:BillsExplainer",
        "ensemble": "glossator.explainers.output_side:EnsembleExplainer",
        "lookup": "glossator.explainers.lookup:LookupExplainer",
        "output-effect": "glossator.explainers.output_side:OutputEffectExplainer",
        "output-weights": "glossator.explainers.output_side:OutputWeightsExplainer",
        "program": "glossator.explainers.program:ProgramExplainer",
        "revised": "glossator.explainers.revision:RevisedExplainer",
        "token-list": "glossator.explainers.token_list:TokenListExplainer",
        "token-space": "glossator.explainers.token_space:TokenSpaceExplainer",
    },
    "simulators": {
        "program": "glossator.simulators.program:ProgramSimulator",
        "lm-all-at-once": "glossator.simulators.all_at_once:AllAtOnceSimulator",
        "lm-one-at-a-time": "glossator.simulators.one_at_a_time:OneAtATimeSimulator",
        "lm-json": "glossator.simulators.sampled:JsonSimulator",
    },
    "scorers": {
        "correlation": "glossator.scorers.correlation:CorrelationScorer",
        "explained-variance": "glossator.scorers.explained_variance:ExplainedVarianceScorer",
        "detection": "glossator.scorers.detection:DetectionScorer",
        "firing": "glossator.scorers.firing:FiringScorer",
        "peak": "glossator.scorers.peak:PeakScorer",
        "specificity": "glossator.scorers.specificity:SpecificityScorer",
        "lm-detection": "glossator.scorers.lm_detection:LmDetectionScorer",
        "fuzzing": "glossator.scorers.fuzzing:FuzzingScorer",
        "intruder": "glossator.scorers.intruder:IntruderScorer",
        "surprisal": "glossator.scorers.surprisal:SurprisalScorer",
        "embedding": "glossator.scorers.embedding:EmbeddingScorer",
        "generate-and-test": "glossator.scorers.generate_and_test:GenerateAndTestScorer",
        "agreement": "glossator.scorers.agreement:AgreementScorer",
        "ablation": "glossator.scorers.ablation:AblationScorer",
        "output-side": "glossator.scorers.output_side:OutputSideScorer",
        "interchange": "glossator.scorers.interchange:InterchangeScorer",
    },
    "benchmarks": {
        "recording": "glossator.benchmarks.recording:run",
        "programs": "glossator.benchmarks.programs:run",
        "planted": "glossator.benchmarks.planted:run",
        "sasc": "glossator.benchmarks.sasc:run",
        "simulation": "glossator.benchmarks.simulation:run",
        "scorers": "glossator.benchmarks.scorers:run",
        "directions": "glossator.benchmarks.directions:run",
        "causal": "glossator.benchmarks.causal:run",
    },
}


@cache
def table(kind: str) -> dict[str, str]:
    """All names of a kind, built-in and installed, with their "module:object" targets."""
    found = dict(BUILT_IN[kind])
    for point in entry_points(group="glossator"):
        point_kind, _, name = point.name.partition(":")
        if point_kind == kind:
            found[name] = point.value
    return found


def load(kind: str, name: str) -> Any:
    """The object registered under `name`; an unknown name is a `UserError` that lists the near matches."""
    targets = table(kind)
    if name not in targets:
        raise UserError(f"unknown {kind.rstrip('s')}", value=name, allowed=near_matches(name, targets))
    module, _, attribute = targets[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
