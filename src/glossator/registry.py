"""Every extension point on one screen: name -> "module:object", and one entry-point group for plug-ins.

A plug-in declares entry points in the group `glossator` named `kind:name`, for example
`explainers:mine = "my_package:MyExplainer"`; built-ins are in the tables below and load in the same way.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from glossator.errors import UserError, near_matches

BUILT_IN: dict[str, dict[str, str]] = {
    "explainers": {
        "bills": "glossator.explainers.bills:BillsExplainer",
        "clip-dissect": "glossator.explainers.clip_dissect:ClipDissectExplainer",
        "dissection": "glossator.explainers.dissection:DissectionExplainer",
        "ensemble": "glossator.explainers.output_side:EnsembleExplainer",
        "imported": "glossator.explainers.imported:ImportedExplainer",
        "labels": "glossator.explainers.labels:LabelsExplainer",
        "lookup": "glossator.explainers.lookup:LookupExplainer",
        "milan": "glossator.explainers.milan:MilanExplainer",
        "namer": "glossator.explainers.namer:NamerExplainer",
        "one-shot": "glossator.explainers.one_shot:OneShotExplainer",
        "output-effect": "glossator.explainers.output_side:OutputEffectExplainer",
        "input-weights": "glossator.explainers.input_weights:InputWeightsExplainer",
        "output-weights": "glossator.explainers.output_side:OutputWeightsExplainer",
        "program": "glossator.explainers.program:ProgramExplainer",
        "revised": "glossator.explainers.revision:RevisedExplainer",
        "sasc": "glossator.explainers.naming.explainer:SascExplainer",
        "token-list": "glossator.explainers.token_list:TokenListExplainer",
        "token-space": "glossator.explainers.token_space:TokenSpaceExplainer",
    },
    "simulators": {
        "program": "glossator.simulators.program:ProgramSimulator",
        "name": "glossator.simulators.program:NameSimulator",
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
        "headline": "glossator.scorers.headline:HeadlineScorer",
        "weights-agreement": "glossator.scorers.weights_agreement:WeightsAgreementScorer",
        "specificity": "glossator.scorers.specificity:SpecificityScorer",
        "lm-detection": "glossator.scorers.yes_no:LmDetectionScorer",
        "fuzzing": "glossator.scorers.yes_no:FuzzingScorer",
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
    "baselines": {
        "lookup": "glossator.scorers.baselines:LookupBaseline",
        "token-list": "glossator.scorers.baselines:TokenListBaseline",
        "mismatched": "glossator.scorers.baselines:MismatchedBaseline",
        "random-weights": "glossator.scorers.baselines:RandomWeightsBaseline",
    },
    "readouts": {
        "directions": "glossator.readouts.directions:load_directions",
        "dictionary": "glossator.readouts.formats:load_dictionary",
        "voxels": "glossator.readouts.encoding_model:load_encoding_model",
    },
    "reports": {
        "html": "glossator.explorer.export:write_report",
        "notebook-study": "glossator.explorer.notebook:study_frame",
        "notebook-unit": "glossator.explorer.notebook:unit_frame",
    },
    "benchmarks": {
        "recording": "benchmarks.recording:run",
        "images": "benchmarks.images:run",
        "channels": "benchmarks.channels:run",
        "programs": "benchmarks.programs:run",
        "planted": "benchmarks.planted:run",
        "agent": "benchmarks.agent:run",
        "spurious": "benchmarks.spurious:run",
        "bias": "benchmarks.bias:run",
        "sasc": "benchmarks.sasc:run",
        "sasc-factors": "benchmarks.sasc_factors:run",
        "simulation": "benchmarks.simulation:run",
        "scorers": "benchmarks.scorers:run",
        "directions": "benchmarks.directions:run",
        "dictionaries": "benchmarks.dictionaries:run",
        "latents": "benchmarks.latents:run",
        "causal": "benchmarks.causal:run",
        "coverage": "benchmarks.coverage:run",
        "metrics": "benchmarks.metrics:run",
        "readability": "benchmarks.readability:run",
        "bills": "benchmarks.bills:run",
        "headlines": "benchmarks.headlines:run",
        "engines": "benchmarks.engines:run",
        "store": "benchmarks.store:run",
        "explorer": "benchmarks.explorer:run",
        "voxels": "benchmarks.voxels:run",
    },
}

ABOUT: dict[str, dict[str, str]] = {
    "explainers": {
        "program": "a small program of tests on tokens and context, by search; needs no language model",
        "token-list": "a list of the tokens at which the unit fires most",
        "imported": "what the file says of the unit, in a study of another tool's files",
        "lookup": "a table of every token's mean activation: the baseline to beat",
        "bills": "a sentence that a language model writes from the top windows (Bills et al. 2023)",
        "namer": "the program explainer's headline and modes in a language model's words, checked on held-out text",
        "revised": "an explanation tested on new sentences, then revised by a language model",
        "token-space": "a language model's summary of the unit's strongest tokens",
        "input-weights": "a program of what the neuron's input weights alone say of tokens; reads no activation",
        "output-weights": "the next tokens that the unit's output weights promote and suppress",
        "output-effect": "the next tokens promoted and suppressed when the unit is clamped at its maximum",
        "sasc": "a name for what a unit of whole texts responds to; needs no language model (Singh et al. 2023)",
        "ensemble": "another explainer's program with an output side added",
        "dissection": "the concept whose masks the unit's strongest cells overlap the most (Network Dissection)",
        "clip-dissect": "the words that an image-text model finds most in the strongest images (CLIP-Dissect)",
        "one-shot": "what the strongest images share, said in one step; nothing is tested",
        "labels": "what a file says of each unit: labels by people or by another tool",
        "milan": "what is frequent in the unit's regions and rare elsewhere, in the manner of MILAN",
    },
    "simulators": {
        "program": "executes programs, token lists and tables; cannot simulate text",
        "name": "does a text contain the concept that is named, by WordNet",
        "lm-all-at-once": "a language model's log-probabilities, one prompt per window",
        "lm-one-at-a-time": "a language model's log-probabilities, one prompt per token",
        "lm-json": "a language model writes a number for each token; works with any server",
    },
    "scorers": {
        "correlation": "Pearson r of predicted and true activations",
        "explained-variance": "share of the variance explained by calibrated predictions",
        "detection": "do firing windows get higher predictions than silent ones (AUROC)",
        "firing": "AUPRC, F1, IoU, precision and recall of firing tokens",
        "peak": "does the prediction peak where the unit does, and how high",
        "headline": "do the tokens that the headline names fire, and how much of the activation do they account for",
        "weights-agreement": "does it predict what the neuron's input weights alone say of tokens",
        "specificity": "does it fit its own unit better than other units",
        "embedding": "are firing windows closer to the explanation than silent ones, in a text embedder",
        "lm-detection": "a language model tells firing windows from silent ones",
        "fuzzing": "a language model tells correctly marked tokens from wrongly marked ones",
        "intruder": "a language model finds the one silent window among firing ones",
        "surprisal": "does the explanation make firing windows more likely to a language model than silent ones",
        "generate-and-test": "do texts written to make the unit fire do so",
        "sigma": "does the unit respond more to texts about the concept than to others; needs no language model",
        "agreement": "does the English convey the program, as judged by a language model",
        "ablation": "are the outputs preserved when predictions replace the unit's activations (causal)",
        "output-side": "does steering the unit promote the tokens that the explanation names (causal)",
        "interchange": "does the model's answer follow the unit's activation, on minimal pairs (causal)",
    },
    "engines": {
        "local": "processes on this machine, one per core",
        "ray": "a Ray cluster, running or started here; needs glossator[ray]",
        "slurm": "job arrays of a SLURM cluster, by submitit; needs glossator[slurm]",
    },
    "baselines": {
        "lookup": "the mean activation of every token, a table",
        "token-list": "the best list of exact tokens that costs no more bits than the program",
        "mismatched": "the explanation of another unit of the site",
        "random-weights": "the same architecture with random weights, recorded, explained and scored alike",
    },
    "readouts": {
        "directions": "a set of directions written by `glossator directions`",
        "dictionary": "latents of a sparse autoencoder or transcoder: SAELens, sparsify, Gemma Scope, ...",
        "voxels": "measured responses through an encoding model: see `glossator voxels fit`",
    },
    "reports": {
        "html": "the study in one file, written at its end",
        "notebook-study": "the study in a notebook, as the value of a cell",
        "notebook-unit": "one of its units in a notebook",
    },
    "benchmarks": {
        "recording": "recording against the bare forward pass",
        "channels": "channels of an image model: who describes them well, on images that nobody saw",
        "images": "recording an image model against the bare forward pass",
        "programs": "real neurons: programs against lookup tables and token lists",
        "planted": "units with a known answer: recovery and false claims",
        "sasc": "are the keyphrases of text modules recovered",
        "sasc-factors": "transformer factors of a BERT named and scored layer by layer, beside labels of people",
        "simulation": "simulating against the bare forward pass",
        "scorers": "do scorers rank explanations correctly, from true to wrong",
        "directions": "found directions against neurons",
        "dictionaries": "dictionaries beside the packages that wrote them, and what recording latents costs",
        "latents": "latents of a sparse autoencoder beside neurons, components, directions, random weights",
        "causal": "interventions on real neurons, and their cost",
        "engines": "the same study by every engine: bytes, killed workers, speed, overhead",
        "coverage": "how often intervals cover the value on a large text",
        "headlines": "units with known reasons to fire: are they named, and counted, and is nothing invented",
        "explorer": "pages of a study of 100,000 units: starting, asking, painting, memory; a report of 2,048 units",
        "store": "writing and querying a study of 100,000 units",
        "agent": "functions with a known definition: is it found out, by questions chosen or asked at random",
        "spurious": "units that do not depend on the background, chosen by experiments: accuracy where it changes",
        "bias": "classifiers that do worse on a subgroup, found by edits; clean twins left alone",
        "voxels": "simulated voxels: predicted and named right, null ones left alone; topics of explanations",
        "metrics": "does each score fall when an explanation misses half, or claims as much again that is wrong",
        "bills": "explanations by a real language model of 1.5B parameters beside the program: scores, costs, examples",
        "readability": "is a neuron recognised among five from its headline, its former English, a token list",
    },
}
"""One line about each built-in, printed by `--help`."""


def described(kind: str) -> list[tuple[str, str]]:
    """Every name of a kind with its line: built-ins in the order of `ABOUT`, then plug-ins."""
    known = ABOUT[kind]
    return [*known.items(), *((name, "from a plug-in") for name in sorted(table(kind)) if name not in known)]


def table(kind: str) -> dict[str, str]:
    """All names of a kind, built-in and installed, with their "module:object" targets."""
    return BUILT_IN[kind] | {name: target for of, name, target in installed() if of == kind}


@cache
def installed() -> tuple[tuple[str, str, str], ...]:
    """(kind, name, target) of every plug-in; looking for them reads what every installed package says of itself."""
    return tuple((*point.name.partition(":")[::2], point.value) for point in entry_points(group="glossator"))


def load(kind: str, name: str) -> Any:
    """The object registered under `name`; `UserError` with near matches for an unknown name."""
    targets = table(kind)
    if name not in targets:
        raise UserError(f"unknown {kind.rstrip('s')}", value=name, allowed=near_matches(name, targets))
    module, _, attribute = targets[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package that imports none of its modules before one of their names is asked for.

    homes: the names that each module gives the package, none of which may be a module of the package itself.
    """
    home = {name: module for module, names in homes.items() for name in names.split()}

    def exported(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(home[name], package), name)

    return exported
