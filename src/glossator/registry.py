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
        "sasc": "glossator.explainers.naming.explainer:SascExplainer",
        "token-list": "glossator.explainers.token_list:TokenListExplainer",
        "token-space": "glossator.explainers.token_space:TokenSpaceExplainer",
    },
    "simulators": {
        "program": "glossator.simulators.program:ProgramSimulator",
        "name": "glossator.simulators.name:NameSimulator",
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
        "sigma": "glossator.scorers.sigma:SigmaScorer",
        "agreement": "glossator.scorers.agreement:AgreementScorer",
        "ablation": "glossator.scorers.ablation:AblationScorer",
        "output-side": "glossator.scorers.output_side:OutputSideScorer",
        "interchange": "glossator.scorers.interchange:InterchangeScorer",
    },
    "engines": {
        "local": "glossator.engines.local:LocalEngine",
        "ray": "glossator.engines.ray:RayEngine",
        "slurm": "glossator.engines.slurm:SlurmEngine",
    },
    "readouts": {
        "directions": "glossator.readouts.directions:load_directions",
    },
    "reports": {
        "html": "glossator.explorer.report:write_report",
    },
    "benchmarks": {
        "recording": "benchmarks.recording:run",
        "programs": "benchmarks.programs:run",
        "planted": "benchmarks.planted:run",
        "sasc": "benchmarks.sasc:run",
        "simulation": "benchmarks.simulation:run",
        "scorers": "benchmarks.scorers:run",
        "directions": "benchmarks.directions:run",
        "causal": "benchmarks.causal:run",
        "coverage": "benchmarks.coverage:run",
        "engines": "benchmarks.engines:run",
        "store": "benchmarks.store:run",
    },
}

ABOUT: dict[str, dict[str, str]] = {
    "explainers": {
        "program": "a small program of tests on tokens and context, by search; needs no language model",
        "token-list": "the tokens at which the unit is strongest, a list",
        "lookup": "the mean activation of every token, a table: the baseline to beat",
        "bills": "a sentence that a language model writes from the records of top windows (Bills et al. 2023)",
        "revised": "the same, put to the test on new sentences and revised by them",
        "token-space": "a sentence by a language model on what the unit's strongest tokens have in common",
        "output-weights": "the next tokens that the unit's output weights raise and lower",
        "output-effect": "the next tokens that holding the unit at its largest value raises and lowers",
        "sasc": "a name for what a unit of whole texts responds to; needs no language model (Singh et al. 2023)",
        "ensemble": "what an explainer of the input side found, with an output side added",
    },
    "simulators": {
        "program": "executes programs, lists and tables; reads no words",
        "name": "reads names: does a text hold the concept, by WordNet",
        "lm-all-at-once": "a language model's log-probabilities at every token of one prompt",
        "lm-one-at-a-time": "a language model in this process, one branch for each token",
        "lm-json": "a language model that writes a number for each token, for any server",
    },
    "scorers": {
        "correlation": "Pearson r of predicted with true activations",
        "explained-variance": "share of the variance that calibrated predictions explain",
        "detection": "do firing windows get higher predictions than silent ones (AUROC)",
        "firing": "precision, recall and F1 of firing tokens",
        "peak": "does the prediction peak where the unit does, and how high is it there",
        "specificity": "does it fit its own unit better than other units",
        "embedding": "are firing windows nearer to the words than silent ones, for a text embedder",
        "lm-detection": "a language model tells firing windows from silent ones",
        "fuzzing": "a language model tells rightly marked tokens from wrongly marked ones",
        "intruder": "a language model finds the one silent window among firing ones",
        "surprisal": "does the explanation make firing windows likelier to a language model than silent ones",
        "generate-and-test": "a language model writes texts that should fire the unit; do they",
        "sigma": "do texts about it make the unit respond more than texts without it; writes none by a language model",
        "agreement": "does a language model that reads the English understand what the program does",
        "ablation": "does the model go on as before with predicted values in the unit's place (causal)",
        "output-side": "does steering the unit make the tokens likelier that the explanation names (causal)",
        "interchange": "does the model's answer follow the unit's value, on minimal pairs (causal)",
    },
    "engines": {
        "local": "processes on this machine, one a core",
        "ray": "a Ray cluster, running or started here; needs glossator[ray]",
        "slurm": "job arrays of a SLURM cluster, by submitit; needs glossator[slurm]",
    },
    "readouts": {
        "directions": "directions of a site, as `glossator directions` writes them",
    },
    "reports": {
        "html": "one page that opens from the disk and asks no network; a study ends with it",
    },
    "benchmarks": {
        "recording": "recording against the bare forward pass",
        "programs": "real neurons: programs against lookup tables and token lists",
        "planted": "units with a known answer: recovered, and falsely claimed",
        "sasc": "is the keyphrase of a module of text found",
        "simulation": "simulating against the bare forward pass",
        "scorers": "do scorers rank explanations from true to wrong as they should",
        "directions": "found directions against neurons",
        "causal": "real neurons acted upon, and what it costs",
        "engines": "the same study by every engine: bytes, killed workers, speed, overhead",
        "coverage": "how often intervals hold the value that a large text gives",
        "store": "writing and asking a study of 100,000 units",
    },
}
"""What the built-in ones are, in a line each; `--help` prints it."""


def described(kind: str) -> list[tuple[str, str]]:
    """Every name of a kind with its line: the built-in ones in the order of `ABOUT`, then what plug-ins add."""
    known = ABOUT[kind]
    return [*known.items(), *((name, "of a plug-in") for name in sorted(table(kind)) if name not in known)]


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
