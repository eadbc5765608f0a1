"""`glossator bench scorers`: does each scorer rank explanations as it should, at what cost, and is it fooled?

Planted units over the embedded corpus, five explanations of each (`scorer_levels.py`). Scorers that ask a language
model get the program-executing reader of `reader.py`, so no key is needed and what is tested are the scorers, not a
model; `lm=` puts a real one in its place. A missing score counts as the baseline in the ranking, and is counted.

For each scorer:
- `levels`: mean over units for true, partial, vague, wrong and coded explanations; `steps`: paired differences of
  neighbouring levels with 95 % intervals over units.
- `order_ok`: true above partial, partial above vague and true above wrong with the interval above 0, and no step with
  its interval below 0. Neither a wrong nor a coded explanation knows anything of the unit, so both belong at the
  baseline and no step between them is asked for; `order_strict` says whether all five means fall all the same.
- `auroc`: the chance that a true explanation's score is above a wrong one's, over all pairs of units.
- `tokens`: read and written by the language model for one explanation, baselines not counted.
- `constant_answer`: the mean score of true explanations when every answer is the same; it should be the baseline.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.reader import ProgramReader
from benchmarks.scorer_levels import LEVELS, Levels, levels_of, usable
from benchmarks.scorer_units import PlantedWorld
from glossator import registry
from glossator.errors import UserError
from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.language_models import LanguageModel
from glossator.planted import planted_units
from glossator.programs import Program
from glossator.scorers import EMBEDDER, LANGUAGE_MODEL
from glossator.scorers.lab import Lab, score_explanations
from glossator.scores import Score
from glossator.statistics import Estimate, auroc, estimate, mean_over_units, paired_difference

DEFAULTS: dict[str, Any] = {
    "subject": "smollm2-135m",
    "tokens": 150_000,
    "width": 32,
    "units": 24,
    "seed": 0,
    "lm": None,
    "lm_cache": None,
    "budget": None,
    "prices": None,
    "noise": 0.0,
    "embedder": "minilm",
    "only": None,
}
QUICK = {"tokens": 60_000, "units": 6}


@dataclass(frozen=True)
class Row:
    """One scorer as it is measured: its registered name and options, the score that is ranked and what that is worth
    to an explanation that knows nothing."""

    name: str
    scorer: str
    score: str
    baseline: float
    options: dict[str, Any] = field(default_factory=dict)


ROWS = (
    Row("correlation", "correlation", "correlation.top-and-random", 0.0),
    Row("explained-variance", "explained-variance", "explained-variance.centred.top-and-random", 0.0),
    Row("detection", "detection", "detection.auroc.top-and-random", 0.5),
    Row("firing", "firing", "firing.f1.top-and-random", 0.0),
    Row("specificity", "specificity", "specificity.random-only", 0.5),
    Row("lm-detection", "lm-detection", "lm-detection.auroc", 0.5),
    Row("lm-detection.json", "lm-detection", "lm-detection.auroc", 0.5, {"answers": "json"}),
    Row("fuzzing", "fuzzing", "fuzzing.auroc", 0.5),
    Row("intruder", "intruder", "intruder.accuracy", 0.2),
    Row("surprisal", "surprisal", "surprisal.auroc", 0.5),
    Row("embedding", "embedding", "embedding.auroc", 0.5, {"items": 60}),
    Row("generate-and-test", "generate-and-test", "generate-and-test.balanced-accuracy", 0.5, {"writer": "lm"}),
    Row(
        "generate-and-test.program", "generate-and-test", "generate-and-test.balanced-accuracy", 0.5,
        {"writer": "program"},
    ),
    Row("agreement", "agreement", "agreement.auroc", 0.5),
)  # fmt: skip
CONSTANT = Program(1.0)
"""Predicts the same everywhere: the constant answer of scorers that simulate."""


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """One entry a scorer, see above; options: any name of `DEFAULTS`, and `quick`. only: names of scorers; lm: a
    language model's spec, and what it may cost (budget, with prices, and lm_cache, a file of answers)."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    if unknown := sorted(set(options) - set(DEFAULTS)):
        raise UserError("unknown option", value=unknown[0], allowed=", ".join(DEFAULTS))
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    for name in ("tokens", "width", "units"):
        if isinstance(chosen[name], bool) or not isinstance(chosen[name], int) or chosen[name] < 1:
            raise UserError(f"bad {name} of the benchmark", value=chosen[name], allowed="a whole number from 1 on")
    rows = _chosen_rows(chosen["only"])
    world, places, levels = planted_levels(chosen)
    bench = _Bench(world, places, levels, chosen)
    return {
        "options": chosen | {"quick": quick},
        "reader": bench.reader.name,
        "units": [world.units[place].name for place in places],
        "scorers": [bench.measure(row) for row in rows],
    }


def planted_levels(chosen: dict[str, Any]) -> tuple[PlantedWorld, list[int], list[Levels]]:
    """The planted units with all five levels, as many as wanted, spread over the library; all others stay beside them
    for the scores that compare units."""
    world = PlantedWorld.of(planted_units(), chosen["subject"], chosen["tokens"], chosen["width"], chosen["seed"])
    found = [(i, levels) for i, unit in enumerate(world.units) if usable(unit) and (levels := levels_of(world, i))]
    spread = np.linspace(0, len(found) - 1, min(chosen["units"], len(found))).round().astype(int)
    return world, [found[i][0] for i in spread], [found[i][1] for i in spread]


def _chosen_rows(only: str | Sequence[str] | None) -> list[Row]:
    names = only.split(",") if isinstance(only, str) else list(only or [])
    for name in names:
        if name not in {row.name for row in ROWS}:
            raise UserError("unknown scorer", value=name, allowed=", ".join(row.name for row in ROWS))
    return [row for row in ROWS if not names or row.name in names]


class _Bench:
    def __init__(self, world: PlantedWorld, places: list[int], levels: list[Levels], chosen: dict[str, Any]):
        self.world, self.places, self.levels, self.chosen = world, places, levels, chosen
        self.evidence: list[Evidence] = [world.evidence(place) for place in places]
        self.reader = self._real() if chosen["lm"] else self._scripted("ideal", chosen["noise"])
        self.constant = self._scripted("constant")
        self._embedder: Any = None

    def measure(self, row: Row) -> dict[str, Any]:
        """The entry of one scorer."""
        target = registry.load("scorers", row.scorer)
        scorer = target(**row.options)
        if EMBEDDER in scorer.needs and (reason := self._no_embedder()):
            return {"name": row.name, "order_ok": None, "auroc": None, "tokens": 0, "constant_answer": None,
                    "reason": reason}  # fmt: skip
        scores: dict[str, list[Score]] = {level: [] for level in LEVELS}
        for place, levels, evidence in zip(self.places, self.levels, self.evidence, strict=True):
            explanations = [self._as_scored(row, e, levels) for e in levels.explanations]
            lab = self._lab(self.reader, self._embedder)
            found = score_explanations(self.world.unit(place), explanations, evidence, lab, [scorer])
            for level, of_level in zip(LEVELS, found, strict=True):
                scores[level].append(_named(of_level, row.score))
        return {"name": row.name, **self._summary(row, scores), "constant_answer": self._constant(row, scorer)}

    def _summary(self, row: Row, scores: dict[str, list[Score]]) -> dict[str, Any]:
        values = {level: [row.baseline if s.value is None else s.value for s in some] for level, some in scores.items()}
        steps = []
        for above, below in [*itertools.pairwise(LEVELS), ("true", "wrong")]:
            steps.append({"above": above, "below": below, **_plain(paired_difference(values[above], values[below]))})
        means = [float(np.mean(values[level])) for level in LEVELS]
        reasons = {s.reason for some in scores.values() for s in some if s.reason}
        return {
            "score": row.score,
            "order_ok": _in_order(steps),
            "order_strict": all(a > b for a, b in itertools.pairwise(means)),
            "levels": {level: _plain(mean_over_units(values[level])) for level in LEVELS},
            "steps": steps,
            "baseline": row.baseline,
            **_discrimination(values["true"], values["wrong"]),
            "tokens": _tokens([s for some in scores.values() for s in some]),
            "missing": {level: sum(s.value is None for s in some) for level, some in scores.items()},
            "reasons": sorted(reasons),
        }

    def _constant(self, row: Row, scorer: Any) -> float | None:
        """Mean score when every answer, or every predicted value, is the same; None where that is undefined."""
        reads, embeds = LANGUAGE_MODEL in scorer.needs or row.options.get("writer") == "lm", EMBEDDER in scorer.needs
        lab, found = self._lab(self.constant, _SameVector() if embeds else None), []
        for place, levels, evidence in zip(self.places, self.levels, self.evidence, strict=True):
            explanation = self._as_scored(row, levels.explanations[0], levels)
            if not reads and not embeds:
                explanation = replace(explanation, program=CONSTANT)
            scores = score_explanations(self.world.unit(place), [explanation], evidence, lab, [scorer])[0]
            found.append(_named(scores, row.score).value)
        values = [value for value in found if value is not None]
        return float(np.mean(values)) if values else None

    @staticmethod
    def _as_scored(row: Row, explanation: Explanation, levels: Levels) -> Explanation:
        """Agreement compares each sentence with the true program; what is scored there is the sentence."""
        return replace(explanation, program=levels.true_program) if row.scorer == "agreement" else explanation

    def _lab(self, reader: LanguageModel, embedder: Any) -> Lab:
        return Lab(
            self.world.lexicon, others=self.world.others, seed=self.chosen["seed"], open_lm=lambda: reader,
            open_subject=lambda: self.world.subject, open_embedder=None if embedder is None else lambda: embedder,
        )  # fmt: skip

    def _scripted(self, manner: Any, noise: float = 0.0) -> ProgramReader:
        readable = {
            e.text: e.program
            for levels in self.levels
            for level, e in zip(LEVELS, levels.explanations, strict=True)
            if level != "coded" and e.program is not None
        }
        pool = self.world.windows["explain"]
        return ProgramReader(
            self.world.tokenizer, self.world.lexicon, readable, pool, manner=manner, noise=noise,
            seed=self.chosen["seed"],
        )  # fmt: skip

    def _real(self) -> LanguageModel:
        from glossator.language_models import open_language_model

        cost = {"cache": self.chosen["lm_cache"], "budget": self.chosen["budget"], "prices": self.chosen["prices"]}
        return open_language_model(self.chosen["lm"], **cost)

    def _no_embedder(self) -> str | None:
        """Loads the embedder once; why it cannot be had, or None."""
        if self._embedder is None:
            from glossator.subjects.embedders import load_embedder

            try:
                self._embedder = load_embedder(self.chosen["embedder"])
            except UserError as error:
                return str(error)
        return None


class _SameVector:
    """An embedder to which all texts are the same."""

    name, fingerprint, width = "same-vector", "same-vector", 1

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 1), np.float32)


def _named(scores: Sequence[Score], name: str) -> Score:
    return next((s for s in scores if s.name == name), scores[0])


def _in_order(steps: Sequence[dict[str, Any]]) -> bool:
    needed = {("true", "partial"), ("partial", "vague"), ("true", "wrong")}
    for step in steps:
        low, high = step["low"], step["high"]
        if low is None or high < 0 or ((step["above"], step["below"]) in needed and low <= 0):
            return False
    return True


def _discrimination(right: Sequence[float], wrong: Sequence[float]) -> dict[str, float | None]:
    """AUROC of true against wrong explanations, interval over units."""
    values = np.array([*right, *wrong])
    positive = np.arange(len(values)) < len(right)
    index = np.concatenate([np.arange(len(right)), np.arange(len(wrong))])
    found = estimate(auroc(positive, values, index, len(right)))
    return {"auroc": found.value, "auroc_low": found.low, "auroc_high": found.high}


def _tokens(scores: Sequence[Score]) -> float:
    """Mean tokens that a language model read and wrote for one explanation."""
    found = []
    for score in scores:
        cost = score.how.get("cost") or {}
        found.append(float(cost.get("prompt_tokens", 0)) + float(cost.get("completion_tokens", 0)))
    return float(np.mean(found)) if found else 0.0


def _plain(found: Estimate) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low, "high": found.high}


__all__ = ["LEVELS", "ROWS", "run"]
