"""`glossator bench causal`: do programs that predict real neurons also do what these do in the model?

For each layer, neurons drawn at random; a program is induced on the explain split, and its calibrated simulation put in
the neuron's place on random windows of the test split: the ablation score of Bills et al. 2023. Beside it the same
programs in the place of random other neurons of the layer, and the rank correlation, over neurons, of the ablation
score with the correlation score, which is reported and not assumed. Cost: the time of all interventions, the clean pass
and the comparing of distributions included, against as many bare forward passes with logits, timed in turns with them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.programs import EXPLAIN, recorded
from glossator.evidence import Evidence
from glossator.explainers import Abstained
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation
from glossator.programs import Lexicon
from glossator.recording import Recording, draw
from glossator.scorers.ablation import AblationScorer
from glossator.scorers.ablation_trial import RANDOM_UNIT, Planned
from glossator.scorers.correlation import pooled as correlation
from glossator.scorers.lab import Lab
from glossator.scorers.other_units import GivenOthers
from glossator.scorers.sample import SETTINGS, Setting
from glossator.scores import Score, range_of
from glossator.statistics import Estimate, mean_over_units, paired_difference, rank_correlation
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.causal.running import CleanPasses

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "sites": ("mlp.2", "mlp.7", "mlp.12", "mlp.17", "mlp.22", "mlp.28"),
    "units": 10,
    "windows": 24,
    "tokens_each": 32,
    "recorded_units": 100,
    "tokens": 131072,
    "width": 64,
    "seed": 0,
    "folder": None,
}
QUICK = {"sites": ("mlp.2", "mlp.12"), "units": 3, "recorded_units": 6, "tokens": 16384, "windows": 8}


@dataclass(frozen=True, eq=False)
class Scored:
    """One neuron: its explanation, its ablation score and its correlation score by setting."""

    unit: Unit
    explanation: Explanation
    ablation: Score
    correlation: Mapping[Setting, float | None]


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """One entry a site, the same figures over all sites, and one entry a unit.

    Means and rank correlations with 95 % intervals over units, single scores with 95 % intervals over documents.
    options: `quick`, and any name of `DEFAULTS`; units: a site, tokens_each: of each window that is run.
    """
    from glossator.subjects import load_subject

    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    recording = recorded({**chosen, "units": chosen["recorded_units"]})
    subject = load_subject(chosen["subject"])
    bench = _Bench(recording, subject, chosen)
    sites = [bench.site(site) for site in recording.sites]
    scored = [one for site in sites for one in site.scored]
    return {
        "options": chosen | {"quick": quick},
        "sites": [{"site": site.name, **site.figures} for site in sites],
        **_figures(scored, sum(s.seconds for s in sites), sum(s.floor for s in sites), sum(s.passes for s in sites)),
        "abstained": sum(site.abstained for site in sites),
        "units": [_row(one) for one in scored],
    }


@dataclass(frozen=True, eq=False)
class Site:
    """scored neurons; abstained: those looked at for which no program was found; passes: interventions run; seconds
    they took; floor: seconds that as many bare forward passes would have taken."""

    name: str
    scored: list[Scored]
    abstained: int
    passes: int
    seconds: float
    floor: float

    @property
    def figures(self) -> dict[str, Any]:
        return {**_figures(self.scored, self.seconds, self.floor, self.passes), "abstained": self.abstained}


class _Bench:
    def __init__(self, recording: Recording, subject: Any, chosen: dict[str, Any]):
        self.recording, self.subject, self.chosen, self.warm = recording, subject, chosen, False
        self.lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
        self.explainer = ProgramExplainer(lexicon=self.lexicon)
        self.scorer = AblationScorer(windows=chosen["windows"], tokens=chosen["tokens_each"])

    def site(self, name: str) -> Site:
        explained, abstained = self._explained(name)
        if not explained:
            return Site(name, [], abstained, 0, 0.0, 0.0)
        units = [unit for unit, _, _ in explained]
        lab = Lab(self.lexicon, open_subject=lambda: self.subject, others=self._others(units))
        labs = [lab.for_unit({}) for _ in units]
        trials = [self.scorer.trial(u, evidence, own) for (u, evidence, _), own in zip(explained, labs, strict=True)]
        planned: dict[Planned, Any] = {}
        for trial, (_, _, explanation) in zip(trials, explained, strict=True):
            if trial.why_not is None:
                planned |= trial.planned(explanation)  # a unit's mean ablation serves all that are compared with it
        windows = trials[0].windows
        assert all(np.array_equal(trial.windows.ids, windows.ids) for trial in trials)
        if not self.warm:
            bare_pass(self.subject, windows)  # the first pass of all is slower
            self.warm = True
        found, seconds, floor = timed_divergences(self.subject, windows, planned)
        scored = [
            Scored(unit, e, self.scorer.scores(trial, e, found)[0], _correlations(e, evidence, own))
            for (unit, evidence, e), trial, own in zip(explained, trials, labs, strict=True)
        ]
        return Site(name, scored, abstained, len(planned), seconds, floor)

    def _explained(self, site: str) -> tuple[list[tuple[Unit, Evidence, Explanation]], int]:
        """The first neurons, in a seeded order, for which a program is found; how many were passed over."""
        found: list[tuple[Unit, Evidence, Explanation]] = []
        indices = np.random.default_rng(self.chosen["seed"]).permutation(self.recording.units(site))
        looked_at = 0
        while len(found) < self.chosen["units"] and looked_at < len(indices):
            some = indices[looked_at : looked_at + self.chosen["units"] - len(found)]
            units = [Unit(self.recording.spec.subject, site, int(i)) for i in some]
            pairs = [(unit, draw(self.recording, unit, EXPLAIN)) for unit in units]
            looked_at += len(units)
            answers = self.explainer.explain([e.explain for _, e in pairs], n=1, seed=self.chosen["seed"])
            found += [
                (u, e, answer[0])
                for (u, e), answer in zip(pairs, answers, strict=True)
                if not isinstance(answer, Abstained)
            ]
        return found, looked_at - len(found)

    def _others(self, units: Sequence[Unit]) -> GivenOthers:
        """The neurons scored here are each other's random units, so that one mean ablation of each serves all."""
        rows = self.recording.panel
        order = np.argsort(self.recording.windows.ids[rows], kind="stable")
        values = {unit: self.recording.panel_values(unit)[order] for unit in units}
        return GivenOthers(values, self.recording.windows.ids[rows][order])


def timed_divergences(
    subject: Any, windows: Any, planned: Mapping[Planned, Any], *, turns: int = 2
) -> tuple[dict[Planned, np.ndarray], float, float]:
    """What was planned, run; seconds that took; seconds of as many bare forward passes over the same windows.

    Interventions run in `turns`, each between two bare passes, so that a busy machine slows both; the clean pass, which
    counts as cost, is kept from the first turn on, as the scorer keeps it.
    """
    from glossator.causal.acting import divergences_in_place

    names = list(planned)
    found: dict[Planned, np.ndarray] = {}
    clean: CleanPasses = {}
    seconds = floor = 0.0
    before = bare_pass(subject, windows)
    for part in np.array_split(np.arange(len(names)), max(1, min(turns, len(names)))):
        some = [names[i] for i in part]
        started = time.perf_counter()
        run = divergences_in_place(subject, windows, [planned[n] for n in some], clean_passes=clean)
        found |= zip(some, run, strict=True)
        seconds += time.perf_counter() - started
        after = bare_pass(subject, windows)
        floor += len(some) * (before + after) / 2
        before = after
    return found, seconds, floor


def bare_pass(subject: Any, windows: Any) -> float:
    """Seconds of one forward pass over all windows to the logits, in batches of the same size as interventions."""
    import torch

    from glossator.causal.running import BATCH_TOKENS, batches, forward

    started = time.perf_counter()
    with torch.inference_mode():
        for rows in batches(windows, None, BATCH_TOKENS):
            forward(subject, windows, rows)
    return time.perf_counter() - started


def _correlations(explanation: Explanation, evidence: Evidence, lab: Lab) -> dict[Setting, float | None]:
    return {setting: correlation(lab.trial(evidence, setting), explanation).value for setting in SETTINGS}


def _figures(scored: Sequence[Scored], seconds: float, floor: float, passes: int) -> dict[str, Any]:
    ours = [one.ablation.value for one in scored]
    theirs = [one.ablation.baselines[RANDOM_UNIT] for one in scored]
    result: dict[str, Any] = {
        "scored": sum(value is not None for value in ours),
        "ablation_score": _plain(mean_over_units(ours)),
        "random_unit": _plain(mean_over_units(theirs)),
        "difference": _plain(paired_difference(ours, theirs)),
        "above_zero": sum(one.ablation.low is not None and one.ablation.low > 0 for one in scored),
    }
    for setting in SETTINGS:
        name, values = setting.replace("-", "_"), [one.correlation[setting] for one in scored]
        result[f"correlation_{name}"] = _plain(mean_over_units(values, bounds=range_of("Pearson r")))
        result[f"rank_correlation_{name}"] = _plain(rank_correlation(ours, values))
    result["rank_correlation"] = result["rank_correlation_random_only"]
    cost = {"interventions": passes, "seconds": seconds, "floor_seconds": floor}
    return result | cost | {"cost_ratio": seconds / floor if floor else None}


def _row(one: Scored) -> dict[str, Any]:
    score = one.ablation
    return {
        "unit": str(one.unit),
        "ablation_score": score.value,
        "low": score.low,
        "high": score.high,
        "documents": score.n,
        "random_unit": score.baselines[RANDOM_UNIT],
        "nats_of_mean_ablation": score.how.get("nats_of_mean_ablation"),
        **{f"correlation_{setting.replace('-', '_')}": one.correlation[setting] for setting in SETTINGS},
        "reason": score.reason,
        "text": one.explanation.text,
    }


def _plain(found: Estimate) -> dict[str, float | str | None]:
    plain: dict[str, float | str | None] = {"value": found.value, "low": found.low, "high": found.high}
    return plain if found.reason is None else {**plain, "reason": found.reason}
