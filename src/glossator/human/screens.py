"""Two screens for explanations that only models can read.

Gibberish: is it readable English? Some texts have shuffled letters, which no attentive annotator would accept.
Paraphrase: a rewrite with the same meaning must keep the score; a code in the exact words would not survive. One
simulator of text simulates both sides of that comparison, never the program executor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glossator.explanations import Explanation
from glossator.human.agreement import Judgement, agreement
from glossator.human.preference import means
from glossator.human.sources import PLACEBO, Source, evidence_to_read, sealed
from glossator.human.tasks import READINGS, Drawn, TextItem
from glossator.scorers.lab import score_explanations
from glossator.scores import Score
from glossator.statistics import SHARE, Estimate, mean_over_units, paired_difference, paired_ratio
from glossator.store.ranking import DEFAULT_SCORES
from glossator.study.context import StudyContext
from glossator.units import Unit

UNITS = 20
SCRAMBLED = "scrambled"
VALUE = {"yes": 1.0, "partly": 0.5, "no": 0.0}
PARAPHRASE_RULE = (
    "flagged: the rewrites score lower (the interval of the mean difference over units is above 0) and keep less than "
    "half of the score"
)


@dataclass(frozen=True)
class ScreenSettings:
    """methods: whose explanations are screened; none named: all first candidates."""

    methods: tuple[str, ...] = ()


def _chosen(source: Source, unit: Unit, settings: ScreenSettings) -> list[tuple[str, Explanation]]:
    arms = source.arms(unit)
    return [(n, arms[n]) for n in settings.methods or [n for n in arms if n != PLACEBO and "#" not in n] if n in arms]


def draw_gibberish(source: Source, units: Sequence[Unit], settings: ScreenSettings) -> Drawn:
    """Each explanation's text, and for one unit in three a copy with the letters of its words shuffled."""
    items = []
    for place, unit in enumerate(units):
        chosen = _chosen(source, unit, settings)
        items += [(TextItem("", e.text), {"unit": str(unit), "method": method}) for method, e in chosen]
        if chosen and place % 3 == 0:
            text = scrambled(chosen[0][1].text, source.rng("scramble", unit))
            items.append((TextItem("", text), {"unit": str(unit), "method": SCRAMBLED}))
    return source.drawn("gibberish", vars(settings), items)


def scrambled(text: str, rng: np.random.Generator) -> str:
    """The text with the letters of all its words shuffled among each other: same lengths, no words."""
    letters = re.findall(r"[^\W\d_]", text)
    shuffled = iter([letters[i] for i in rng.permutation(len(letters))])
    return re.sub(r"[^\W\d_]", lambda _: next(shuffled), text)


def score_gibberish(answers: Iterable[tuple[Mapping[str, Any], str, str]]) -> dict[str, Any]:
    """(key, rater, answer) -> how readable each method's texts are (yes 1, partly 0.5, no 0), means over units.

    `scrambled` is the control: near 0 when people read what they judge.
    """
    by_method: dict[str, dict[str, list[float]]] = {}
    judgements = []
    for key, rater, answer in answers:
        by_method.setdefault(key["method"], {}).setdefault(key["unit"], []).append(VALUE[answer])
        judgements.append(Judgement(key["unit"], (key["unit"], key["method"]), rater, READINGS.index(answer)))
    return {
        "readable": {m: mean_over_units(means(units.values()), bounds=SHARE) for m, units in sorted(by_method.items())},
        "agreement": agreement(judgements, "nominal"),
    }


def draw_paraphrase(source: Source, units: Sequence[Unit], settings: ScreenSettings) -> Drawn:
    items = []
    for unit in units:
        for method, explanation in _chosen(source, unit, settings):
            key = {"unit": str(unit), "method": method, "explanation": sealed(explanation)}
            items.append((TextItem("", explanation.text), key))
    return source.drawn("paraphrase", vars(settings), items)


@dataclass(frozen=True)
class Rewrite:
    """A paraphrased explanation; by: a person or a language model."""

    explanation: Explanation
    method: str
    text: str
    by: str


@dataclass(frozen=True)
class RewriteResult:
    """One rewrite beside its original, both as words alone, under one simulator and on the same windows."""

    unit: str
    method: str
    by: str
    original_text: str
    text: str
    original: Score
    rewritten: Score


@dataclass(frozen=True)
class Kept:
    """How much of a method's score its rewrites keep. drop: mean of original minus rewritten; kept: ratio of the means;
    over units, paired."""

    method: str
    rewrites: int
    drop: Estimate
    kept: Estimate
    flagged: bool | None
    rule: str = PARAPHRASE_RULE


def score_rewrites(
    rewrites: Sequence[Rewrite], context: StudyContext, score: str = DEFAULT_SCORES[0]
) -> list[RewriteResult]:
    """Score rewrites and originals as English; where the study has no simulator of English, both are missing values."""
    results = []
    for rewrite in rewrites:
        unit = rewrite.explanation.unit
        original = replace(rewrite.explanation, program=None)
        both = [original, replace(original, text=rewrite.text)]
        scored = score_explanation_pair(unit, both, context, score)
        results.append(
            RewriteResult(str(unit), rewrite.method, rewrite.by, original.text, rewrite.text, scored[0], scored[1])
        )
    return results


def score_explanation_pair(unit: Unit, both: Sequence[Explanation], context: StudyContext, score: str) -> list[Score]:
    """The named score of each explanation, or the missing value that says why there is none.

    Windows that a language model could not read for one of them count for neither.
    """
    evidence, lab = evidence_to_read(context, unit), context.lab()
    evidence = lab.readable(both, evidence, ["test"])
    found = []
    several = score_explanations(unit, both, evidence, lab, [score.partition(".")[0]])
    for explanation, scores in zip(both, several, strict=True):
        chosen = next((s for s in scores if s.name == score), scores[0])
        found.append(replace(chosen, how={**chosen.how, **lab.how(explanation)}))
    return found


def keep_rates(results: Sequence[RewriteResult]) -> list[Kept]:
    """By method: how much of the score rewrites keep; several rewrites of one explanation are averaged first."""
    by_method: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for r in results:
        units = by_method.setdefault(r.method, {})
        if r.original.value is not None and r.rewritten.value is not None:
            units.setdefault(r.unit, []).append((r.original.value, r.rewritten.value))
    found = []
    for method, units in sorted(by_method.items()):
        ours = means([o for o, _ in pairs] for pairs in units.values())
        theirs = means([r for _, r in pairs] for pairs in units.values())
        drop = paired_difference(ours, theirs)
        kept = paired_ratio(theirs, ours)
        flagged = None if drop.low is None or kept.value is None else drop.low > 0 and kept.value < 0.5
        found.append(Kept(method, sum(map(len, units.values())), drop, kept, flagged))
    return found
