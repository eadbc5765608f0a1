"""`glossator bench bills`: explanations by a real language model beside the program that needs none.

Three explainers on the same units: Bills et al.'s (the model reads activations), the namer (it puts a program's
headline and modes into words; `unaided` is its question without the program's guess) and the program explainer's own
headline and modes. Their words are read alike
(`bills_readers.py`), each beside the words of another unit (`mismatched`); what nothing is said of counts as chance.
What can be executed, the class behind a headline, is scored as itself. `--set lm=` names the model, by default
Qwen2.5-Coder-1.5B-Instruct from wheels (`instruct_model.py`). Answers are kept in the cache, so that a run that was
stopped goes on where it was. Intervals are over units.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bills_readers import EmbeddingReader, Items, asked, auroc, items_of
from benchmarks.bills_units import TOKENS, evidence_of, recorded
from benchmarks.instruct_model import DEFAULT, opened
from glossator.evidence import Evidence, ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.bills import BillsExplainer
from glossator.explainers.excerpts import strongest
from glossator.explainers.namer import NamerExplainer, headlines_of
from glossator.explainers.program import ProgramExplainer
from glossator.explanations import Explanation, Provenance
from glossator.files import fingerprint, write_json
from glossator.human.readability import headline_and_modes
from glossator.language_models import LanguageModel
from glossator.programs import Lexicon
from glossator.recording import Recording
from glossator.scorers import headline as of_headline
from glossator.scorers import peak
from glossator.scorers.correlation import pooled
from glossator.scorers.lab import Lab
from glossator.scorers.words import check_words
from glossator.statistics import Estimate, mean_over_units, paired_difference

DEFAULTS: dict[str, Any] = {
    "lm": DEFAULT, "neurons": 8, "directions": 8, "items": 20, "lm_items": 6, "lm_units": None, "tokens": None,
    "at_once": 12,
    "lm_cache": None, "embedder": "minilm", "budget": None, "prices": None, "folder": None, "seed": 0,
}  # fmt: skip
QUICK = {"neurons": 2, "directions": 1, "items": 4, "lm_items": 0, "tokens": 24_000}
ARMS = ("bills", "bills_headline", "unaided", "namer", "program")
LM_ARMS = ("bills", "unaided", "namer", "program", "mismatched namer")
"""What the language model reads: fewer, as every answer takes seconds."""
RECORDS, AROUND = 5, 12
"""What Bills' prompt shows here: fewer tokens of each record than the published one, as small models lose track."""
EXAMPLES = 10
CHANCE = {"correlation": 0.0, "embedding": 0.5, "lm": 0.5}


@dataclass(eq=False)
class Clocked:
    """explanations: by method, one answer a unit; cost: by method, tokens as answers say, seconds as they passed when
    the same explanations were first made, which `kept` remembers."""

    kept: Path
    explanations: dict[str, list[Explained]] = field(default_factory=dict)
    cost: dict[str, dict[str, float]] = field(default_factory=dict)


def run(options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Scores and costs of the three, and examples; options: `quick`, and any name of `DEFAULTS`. neurons: of each of
    two layers; items, lm_items: marked words of each unit that the embedder and the model are asked about; lm_units: of
    so many units, the first of each site in turn, None for all."""
    options = dict(options or {})
    quick = options.pop("quick", False)
    chosen = DEFAULTS | (QUICK if quick else {}) | {k: v for k, v in options.items() if v is not None}
    recording = recorded(chosen["neurons"], chosen["directions"], chosen["tokens"] or TOKENS, chosen["folder"])
    lm = opened(chosen)
    found = compared(recording, lm, chosen) | {"options": chosen | {"quick": quick, "lm": lm.name}}
    return found | ({"warning": "a scripted model answered: no figure here is accuracy"} if is_scripted(lm) else {})


def is_scripted(lm: LanguageModel) -> bool:
    return lm.name.startswith("scripted:")


def compared(recording: Recording, lm: LanguageModel, chosen: dict[str, Any]) -> dict[str, Any]:
    """All of it, on a recording that is there."""
    from glossator.subjects.embedders import load_embedder

    lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
    evidence = evidence_of(recording, chosen["neurons"], chosen["directions"])
    found = explained(evidence, lm, lexicon, chosen, recording.folder.with_suffix(".seconds.json"))
    best = {name: [None if isinstance(a, Abstained) or not a else a[0] for a in answers]
            for name, answers in found.explanations.items()}  # fmt: skip
    texts: dict[str, list[str | None]] = {
        "bills": [e.text if e else None for e in best["bills"]],
        "bills_headline": [e.headline.text if e and e.headline else None for e in best["bills"]],
        "unaided": [e.headline.text if e and e.headline else None for e in best["unaided"]],
        "namer": [headline_and_modes(e) for e in best["namer"]],
        "program": [headline_and_modes(e) for e in best["program"]],
    }
    reader = EmbeddingReader(load_embedder(chosen["embedder"]))
    started = time.perf_counter()
    values = read(evidence, texts, reader, Lab(lexicon, reader, intervals=False), lm, chosen)
    return {
        "units": len(evidence),
        "sites": list(recording.sites),
        "arms": [summary(arm, texts[arm], values) for arm in ARMS],
        "namer_over": {
            other: {measure: _plain(paired_difference(values["namer", measure], values[other, measure]))
                    for measure in _measures(values, "namer", other)}
            for other in ("bills", "unaided", "program")
        },
        "executed": executed(evidence, best["program"], Lab(lexicon, intervals=False)),
        "words": words_against_classes(best["namer"]),
        "copied": sum(bool(e and e.provenance.settings["copied"]) for e in best["bills"]),
        "failed": {name: failures(answers) for name, answers in found.explanations.items()},
        "cost": found.cost,
        "seconds_reading": round(time.perf_counter() - started, 1),
        "examples": examples(evidence, texts, best, values),
    }  # fmt: skip


# explaining


class Given(Explainer):
    """Explanations that are there already, so that they are made, and timed, once."""

    def __init__(self, answers: dict[str, Explained]):
        self.answers = answers

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        return [self.answers[one.fingerprint] for one in evidence]


def explained(
    evidence: Sequence[Evidence], lm: LanguageModel, lexicon: Lexicon, chosen: dict[str, Any], kept: Path
) -> Clocked:
    """Every unit by each explainer, some units at a time, each explainer with its best answer alone."""
    found, seed = Clocked(kept), chosen["seed"]
    shown = [one.explain for one in evidence]
    _timed(found, "program", shown, lambda some: ProgramExplainer(lexicon=lexicon).explain(some, n=1, seed=seed))
    made = Given({one.fingerprint: answer for one, answer in zip(shown, found.explanations["program"], strict=True)})
    bills = BillsExplainer(lm, records=RECORDS, around=AROUND, samples=1, temperature=0.0)
    namer = NamerExplainer(lm, first=made, lexicon=lexicon)
    nothing = {one.fingerprint: [Explanation(one.unit, "", Provenance("nothing"))] for one in shown}
    unaided = NamerExplainer(lm, first=Given(dict(nothing)), lexicon=lexicon)

    def named(some: Sequence[Evidence]) -> list[Explained]:
        answers = namer.explain([one.explain for one in some], n=1, seed=seed)
        return [
            answer if isinstance(answer, Abstained) else check_words(answer, one.select, lm, lexicon, seed)
            for one, answer in zip(some, answers, strict=True)
        ]

    parts = [evidence[start : start + chosen["at_once"]] for start in range(0, len(evidence), chosen["at_once"])]
    for part in parts:
        _timed(found, "bills", part, lambda some: bills.explain([o.explain for o in some], n=1, seed=seed))
        _timed(found, "unaided", part, lambda some: unaided.explain([o.explain for o in some], n=1, seed=seed))
        _timed(found, "namer", part, named)
    return found


def _timed(found: Clocked, name: str, some: Sequence[Any], explain: Callable[[Any], Sequence[Explained]]) -> None:
    started, busy = time.perf_counter(), time.process_time()
    answers = list(explain(some))
    cost = found.cost.setdefault(
        name, {"calls": 0, "prompt_tokens": 0, "completion_tokens": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    )
    passed = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - busy}
    for key, value in first_time(found.kept, name, answers, passed).items():
        cost[key] = round(cost[key] + value, 2)
    for answer in answers:
        for one in [] if isinstance(answer, Abstained) else answer:
            for key in ("calls", "prompt_tokens", "completion_tokens"):
                cost[key] += one.provenance.cost.get(key, 0)
    found.explanations.setdefault(name, []).extend(answers)


def first_time(kept: Path, name: str, answers: Sequence[Explained], passed: dict[str, float]) -> dict[str, float]:
    """How long these explanations took when they were first made: later their answers come from the cache."""
    known: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    key = fingerprint([name, [a.reason if isinstance(a, Abstained) else a[0].fingerprint for a in answers]])
    if key not in known:
        write_json(kept, known | {key: passed})
        return passed
    return known[key]


# reading


Values = dict[tuple[str, str], list[float | None]]


def read(
    evidence: Sequence[Evidence],
    texts: dict[str, list[str | None]],
    reader: EmbeddingReader,
    lab: Lab,
    lm: LanguageModel,
    chosen: dict[str, Any],
) -> Values:
    """(arm, measure) -> a value for each unit; the arm `mismatched ARM` is that of another unit's words."""
    values: Values = {}
    order = mismatches(len(evidence), chosen["seed"])
    read_by_lm = set(in_turn(evidence)[: chosen["lm_units"]]) if chosen["lm_items"] else set()
    for place, one in enumerate(evidence):
        trial = lab.trial(one, "top-and-random")
        items = items_of(one, chosen["items"], chosen["seed"])
        told: dict[str, str | None] = {}
        for arm in ARMS:
            told[arm], told[f"mismatched {arm}"] = texts[arm][place], texts[arm][order[place]]
        for arm, text in told.items():
            r = CHANCE["correlation"] if text is None else pooled(trial, _in_words(one, text)).value
            values.setdefault((arm, "correlation"), []).append(r)
            near = CHANCE["embedding"] if text is None else auroc(reader.closeness(text, items.shown), items.peak)
            values.setdefault((arm, "embedding"), []).append(near)
        answers: dict[str, float | None] = {}
        if place in read_by_lm:
            answers = by_lm(lm, items_of(one, chosen["lm_items"], chosen["seed"]), told)
        for arm in LM_ARMS:
            values.setdefault((arm, "lm"), []).append(answers.get(arm))
    return values


def in_turn(evidence: Sequence[Evidence]) -> list[int]:
    """Places of the units, the first of each site, then the second of each, and so on."""
    by_site: dict[str, list[int]] = {}
    for place, one in enumerate(evidence):
        by_site.setdefault(one.unit.site, []).append(place)
    return [places[i] for i in range(len(evidence)) for places in by_site.values() if i < len(places)]


def by_lm(lm: LanguageModel, items: Items, told: dict[str, str | None]) -> dict[str, float | None]:
    """What the language model makes of some of the arms, and of the namer's words for another unit."""
    here = [arm for arm in LM_ARMS if told[arm] is not None]
    answers = asked(lm, items, [told[arm] or "" for arm in here])
    found = {arm: auroc(row, items.peak) for arm, row in zip(here, answers, strict=True)}
    return {arm: found[arm] if arm in found else CHANCE["lm"] for arm in LM_ARMS}


def _in_words(evidence: Evidence, text: str) -> Explanation:
    return Explanation(evidence.unit, text, Provenance("in words"))


def mismatches(n: int, seed: int) -> list[int]:
    """For each unit another one: a shuffled circle."""
    order = np.random.default_rng(seed).permutation(n).tolist()
    after = dict(zip(order, order[1:] + order[:1], strict=True))
    return [after[place] for place in range(n)]


# results


def summary(arm: str, texts: Sequence[str | None], values: Values) -> dict[str, Any]:
    """Means over units beside another unit's words, what they gain over these, and how long they are."""
    measures = {}
    for measure in ("correlation", "embedding", "lm"):
        mine = values.get((arm, measure), [])
        if not any(value is not None for value in mine):
            continue
        beside: dict[str, Any] = {**_plain(mean_over_units(mine)), "chance": CHANCE[measure]}
        other = values.get((f"mismatched {arm}", measure))
        if other is not None:
            beside["mismatched"] = mean_over_units(other).value
            beside["over_mismatched"] = _plain(paired_difference(mine, other))
        measures[measure] = beside
    words = [len(text.split()) for text in texts if text]
    return {
        "arm": arm,
        "described": sum(text is not None for text in texts),
        "median_words": float(np.median(words)) if words else None,
        **measures,
    }


def _measures(values: Values, *arms: str) -> list[str]:
    known = {key for key, of in values.items() if any(value is not None for value in of)}
    return [m for m in ("correlation", "embedding", "lm") if all((arm, m) in known for arm in arms)]


def executed(evidence: Sequence[Evidence], best: Sequence[Explanation | None], lab: Lab) -> dict[str, Any]:
    """What the classes and programs do when they are executed, which the namer's words leave untouched."""
    found: dict[str, list[float | None]] = {"program": [], "headline_and_modes": [], "peak_hit": [], "share": []}
    for one, explanation in zip(evidence, best, strict=True):
        trial = lab.trial(one, "top-and-random")
        whole = explanation is not None and explanation.program is not None
        found["program"].append(pooled(trial, explanation).value if whole and explanation else 0.0)
        modes, top = of_headline.modes_of(explanation), lab.trial(one, "top")
        silent = np.zeros(len(trial.test.truth))
        predicted = of_headline.predicted(trial, modes) if modes else silent
        varies = modes and predicted.std() > 0
        found["headline_and_modes"].append(
            float(np.corrcoef(predicted, trial.test.truth)[0, 1]) if varies else 0.0
        )  # fmt: skip
        at_top = of_headline.predicted(top, modes) if modes else np.zeros(len(top.test.truth))
        found["peak_hit"].append(peak.hits_of(top, at_top).value)
        found["share"].append(of_headline.share_of(trial, predicted > 0).value)
    return {name: _plain(mean_over_units(values)) for name, values in found.items()}


def words_against_classes(best: Sequence[Explanation | None]) -> dict[str, Any]:
    """How often the namer's words differ from the class's name, and how often these order tokens as it does."""
    told = [one for e in best if e is not None for one in e.provenance.settings.get("words", [])]
    known = [one for one in told if one["auroc"] is not None]
    return {
        "headlines": sum(max(len(e.modes), 1) for e in best if e is not None),
        "other_words": len(told),
        "checked": len(known),
        "agree": sum(one["agrees"] for one in known),
        "mean_auroc": float(np.mean([one["auroc"] for one in known])) if known else None,
    }


def failures(answers: Sequence[Explained]) -> list[str]:
    """Why units have no explanation."""
    return [f"{'failed' if a.failed else 'abstained'}: {a.reason}" for a in answers if isinstance(a, Abstained)]


def examples(
    evidence: Sequence[Evidence],
    texts: dict[str, list[str | None]],
    best: dict[str, list[Explanation | None]],
    values: Values,
) -> list[dict[str, Any]]:
    """The first units of each site in turn, with what each explainer says and the words at the top test peaks."""
    found = []
    for place in in_turn(evidence)[:EXAMPLES]:
        named, unit = best["namer"][place], evidence[place].unit
        scores = {f"{arm} {measure}": of[place] for (arm, measure), of in values.items() if arm in ARMS}
        found.append(
            {
                "unit": str(unit),
                "peaks": [one.word for one in strongest(evidence[place].test.of("top"), 8)],
                **{arm: texts[arm][place] for arm in ARMS},
                "shown": [str(headline) for headline in headlines_of(named)] if named else [],
                "scores": {name: None if value is None else round(value, 3) for name, value in scores.items()},
            }
        )
    return found


def _plain(found: Estimate) -> dict[str, float | None]:
    return {"value": found.value, "low": found.low, "high": found.high}
