"""`glossator bench readability`: do people, or what stands in for them, recognise a unit from its headline?

A judge knows one description of a neuron and picks its held-out exemplars among those of five neurons; chance is .20.
Descriptions (`ARMS`): headline and modes with the words at the peaks; each of the two alone; the sentence; the sentence
that the program explainer wrote before there were headlines (`data/english_before.json`); a list of the neuron's tokens
as long as the first. All arms get the same questions. A neuron without a description in an arm counts as chance there.

Judges: an embedder (`readability_judges.py`) and, with `--set lm=`, a language model, of which `lm=qwen` is made from
wheels (`instruct_model.py`). For people, `glossator human export --task readability` makes such questions from a study.
Intervals are over neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.instruct_model import opened
from benchmarks.readability_judges import (
    EmbeddingJudge,
    Excerpt,
    Judge,
    LanguageModelJudge,
    Question5,
    excerpts_of,
)
from benchmarks.readability_units import EVIDENCE, SITES, TOKENS, UNITS, english_before, recorded, units_of
from glossator.evidence import Evidence
from glossator.explainers import Abstained
from glossator.explainers.lookup import LookupExplainer
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation, Provenance
from glossator.human.readability import headline_and_modes, token_list
from glossator.programs import Lexicon, parse_program
from glossator.recording import draw
from glossator.scorers import headline, peak
from glossator.scorers.lab import Lab
from glossator.statistics import SHARE, Estimate, mean_over_units, paired_difference, paired_ratio
from glossator.units import unit_rng

DEFAULTS: dict[str, Any] = {
    "units": None, "questions": 20, "lm_questions": 4, "lm_units": None, "exemplars": 4, "lm": None,
    "lm_cache": None, "budget": None, "prices": None, "embedder": "minilm", "tokens": None, "seed": 0, "folder": None,
}  # fmt: skip
QUICK = {"units": 10, "questions": 4, "tokens": 24_000}
ARMS = ("headline", "classes", "peak_words", "sentence", "english_before", "token_list")
PEAK_ARMS = ("headline", "classes", "lookup", "program_before", "program")
CANDIDATES = 5
TOP = 20
"""Exemplars are drawn from so many test windows in which the neuron is strongest."""
LEAST = 4
"""A neuron needs so many."""


@dataclass(frozen=True, eq=False)
class Reader:
    """One neuron with all that is read of it; descriptions: by arm, None where there is none."""

    evidence: Evidence
    explanation: Explanation | None
    before: Explanation | None
    descriptions: dict[str, str | None]
    excerpts: list[Excerpt]


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Shares of right answers by judge and arm, what headlines look like, and peaks; options: `quick`, and any name of
    `DEFAULTS`."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    recording = recorded(SITES, UNITS, chosen["tokens"] or TOKENS, chosen["folder"])
    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    units = units_of(recording)
    spread = np.linspace(0, len(units) - 1, min(chosen["units"] or len(units), len(units))).round().astype(int)
    evidence = [draw(recording, units[i], EVIDENCE) for i in spread]
    found = ProgramExplainer(lexicon=lexicon).explain([e.explain for e in evidence], n=1, seed=chosen["seed"])
    firsts = [None if isinstance(f, Abstained) or not f else f[0] for f in found]
    readers = [reader_of(e, first) for e, first in zip(evidence, firsts, strict=True)]
    readers = [reader for reader in readers if len(reader.excerpts) >= LEAST]
    return {
        "options": chosen | {"quick": quick},
        "units": len(readers),
        "chance": 1 / CANDIDATES,
        "judges": [judged(judge, readers, number, units, chosen) for judge, number, units in judges_of(chosen)],
        **looks(readers),
        **peaks(readers, Lab(lexicon)),
        "headlines": [
            {"unit": str(r.evidence.unit), **{arm: r.descriptions[arm] for arm in ARMS}} for r in readers
        ],
    }  # fmt: skip


def reader_of(evidence: Evidence, explanation: Explanation | None) -> Reader:
    """The neuron with its descriptions and with the excerpts that may be shown."""
    stored = english_before().get(str(evidence.unit), {"text": None, "program": None})
    before = None
    if stored["text"]:
        before = Explanation(
            evidence.unit, stored["text"], Provenance("program"), parse_program(stored["program"])
        )  # fmt: skip
    named = headline_and_modes(explanation)
    length = len(named) if named else len(stored["text"] or "")
    test = evidence.test
    top = np.flatnonzero(test.kinds == "top")
    strongest = top[np.argsort(-test.maxima[top], kind="stable")][:TOP]
    words = explanation.peaks.words if explanation and explanation.peaks else ()
    descriptions = {
        "headline": named,
        "classes": headline_and_modes(replace(explanation, peaks=None)) if explanation else None,
        "peak_words": ", ".join(words) or None,
        "sentence": explanation.text if explanation else None,
        "english_before": stored["text"],
        "token_list": token_list(evidence.explain, length),
    }
    return Reader(evidence, explanation, before, descriptions, excerpts_of(test, strongest.tolist()))


def judges_of(chosen: dict[str, Any]) -> list[tuple[Judge, int, int | None]]:
    """The judges, each with how many questions it gets about a neuron and about how many neurons, None for all."""
    from glossator.subjects.embedders import load_embedder

    reader = EmbeddingJudge(load_embedder(chosen["embedder"]))
    judges: list[tuple[Judge, int, int | None]] = [(reader, chosen["questions"], None)]
    if chosen["lm"]:
        judges.append((LanguageModelJudge(opened(chosen)), chosen["lm_questions"], chosen["lm_units"]))
    return judges


def questions_of(readers: Sequence[Reader], number: int, exemplars: int, seed: int) -> list[Question5]:
    """So many questions about each neuron: other neurons, exemplars and order are drawn by the seed."""
    found = []
    for place, reader in enumerate(readers):
        rng = unit_rng(seed, reader.evidence.unit)
        for _ in range(number):
            others = [i for i in range(len(readers)) if i != place]
            candidates = rng.permutation([place, *rng.choice(others, CANDIDATES - 1, replace=False)])
            shown = [
                tuple(rng.choice(n := len(readers[i].excerpts), min(exemplars, n), replace=False).tolist())
                for i in candidates
            ]
            found.append(Question5(place, tuple(candidates.tolist()), tuple(shown)))
    return found


def judged(
    judge: Judge, readers: Sequence[Reader], number: int, units: int | None, chosen: dict[str, Any]
) -> dict[str, Any]:
    """Mean over neurons of the share of right answers under each arm; gains of the headline over the other arms. units:
    of so many neurons, drawn by the seed; the same ones, and the same questions, under every arm."""
    order = np.random.default_rng(chosen["seed"]).permutation(len(readers)).tolist()
    about = set(order[:units])
    drawn = questions_of(readers, number, chosen["exemplars"], chosen["seed"])
    questions = [question for question in drawn if question.unit in about]
    shares: dict[str, list[float | None]] = {}
    for arm in ARMS:
        told = [reader.descriptions[arm] for reader in readers]
        asked = [q for q in questions if told[q.unit]]
        answers = judge.right([text or "" for text in told], asked, [reader.excerpts for reader in readers])
        of_unit: list[list[bool]] = [[] for _ in readers]
        for question, answer in zip(asked, answers, strict=True):
            if answer is not None:
                of_unit[question.unit].append(answer)
        shares[arm] = [
            None if place not in about else 1 / CANDIDATES if text is None else float(np.mean(right)) if right else None
            for place, (text, right) in enumerate(zip(told, of_unit, strict=True))
        ]
    means = {arm: mean_over_units(shares[arm], bounds=SHARE) for arm in ARMS}
    gains = {arm: _plain(paired_difference(shares["headline"], shares[arm])) for arm in ARMS if arm != "headline"}
    return {
        "judge": judge.name,
        "units": len(about),
        "questions": len(questions),
        **{arm: means[arm].value for arm in ARMS},
        "intervals": {arm: [means[arm].low, means[arm].high] for arm in ARMS},
        "gains": gains,
    }


def looks(readers: Sequence[Reader]) -> dict[str, Any]:
    """How long headlines are, how many modes there are, how many neurons have no name or a weak one."""
    named = [r.explanation.headline for r in readers if r.explanation and r.explanation.headline]
    named = [one for one in named if one.named]
    modes = [len(r.explanation.modes) for r in readers if r.explanation and r.explanation.modes]
    return {
        "median_words": float(np.median([len(one.text.split()) for one in named])) if named else None,
        "unnameable": 1 - len(named) / len(readers),
        "weak": sum(one.weak for one in named) / len(readers),
        "mean_modes": float(np.mean(modes)) if modes else None,
    }


def peaks(readers: Sequence[Reader], lab: Lab) -> dict[str, Any]:
    """Mean over neurons of the share of top test windows in which the prediction peaks where the neuron does, and of
    the predicted share of the peak; `headline` with the graded peaks, `classes` headline and modes without grades."""
    hits: dict[str, list[float | None]] = {arm: [] for arm in PEAK_ARMS}
    shares: dict[str, list[float | None]] = {"headline": [], "lookup": [], "program": []}
    for reader in readers:
        trial = lab.trial(reader.evidence, "top")
        table = LookupExplainer().table_of(reader.evidence.explain)
        for arm, explanation in (("lookup", table), ("program_before", reader.before), ("program", reader.explanation)):
            nothing = np.zeros(len(trial.test.truth))
            predicted = nothing if explanation is None or explanation.program is None else trial.predicted(explanation)
            hits[arm].append(peak.hits_of(trial, predicted).value)
            if arm in shares:
                shares[arm].append(peak.shares_of(trial, predicted).value)
        modes = headline.modes_of(reader.explanation)
        predicted = headline.predicted(trial, modes) if modes else np.zeros(len(trial.test.truth))
        hits["classes"].append(peak.hits_of(trial, predicted).value)
        graded = headline.graded(trial, reader.explanation) if reader.explanation else predicted
        hits["headline"].append(peak.hits_of(trial, graded).value)
        shares["headline"].append(peak.shares_of(trial, graded).value)
    means = {arm: mean_over_units(values, bounds=SHARE) for arm, values in hits.items()}
    over = paired_ratio([v or 0.0 for v in hits["headline"]], [v or 0.0 for v in hits["lookup"]])
    return {
        "peak_hit": {arm: mean.value for arm, mean in means.items()},
        "peak_hit_intervals": {arm: [mean.low, mean.high] for arm, mean in means.items()},
        "peak_hit_over_lookup": {"value": over.value, "low": over.low, "high": over.high},
        "peak_share": {arm: mean_over_units(values).value for arm, values in shares.items()},
    }


def _plain(found: Estimate) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low, "high": found.high}
