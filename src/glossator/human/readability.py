"""Is a unit recognised from its description? Annotators read one description and pick its unit's passages among those
of five units; chance is one in five.

Descriptions (`KINDS`): headline, modes and words at the peaks; the sentence; a list of tokens as long as the first.
Passages are from the select split, cut to the surroundings of the peak. A number of units is an importance sample
(after arXiv:2506.07985): units whose answers are expected to vary are drawn more often, by the score of their
headline, and every unit counts by one over its chance of being drawn, so that the means are those of all units.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from glossator.errors import UserError
from glossator.evidence import Exemplars, ExplainEvidence
from glossator.explainers.token_list import best_tokens
from glossator.explainers.token_means import token_means
from glossator.explanations import Explanation
from glossator.human.agreement import Judgement, agreement
from glossator.human.preference import means
from glossator.human.sources import Source, passages_of
from glossator.human.tasks import PLACES, Drawn, GroupsItem, Passage
from glossator.statistics import Estimate, estimate, ratio
from glossator.units import Unit

UNITS = 12
SPLIT: Final = "select"
KINDS = ("headline", "sentence", "token-list")
CHANCE = 1 / len(PLACES)
BEFORE, AFTER = 14, 4
"""Tokens shown on either side of the peak."""
KNOWN_BY = ("headline.auprc.random-only", "firing.auprc.random-only")
"""Scores that say how likely a reader is to be right; without them all units are equally likely to be drawn."""
LEAST_SIZE = 0.05
EXAMPLES = re.compile(r" \([^)]*\)$")
SAMPLING = "importance sample: each unit counts by one over its chance of being drawn; intervals over units"


@dataclass(frozen=True)
class ReadabilitySettings:
    """passages: shown of each unit; methods: whose explanations are described, none named: the best of each unit."""

    passages: int = 4
    methods: tuple[str, ...] = ()


def draw_readability(source: Source, units: Sequence[Unit], settings: ReadabilitySettings) -> Drawn:
    """One question for each description of a unit; its other units and passages are the same for all of them."""
    if len(source.results) < len(PLACES):
        raise UserError(
            "the study has fewer units than a question shows",
            value=len(source.results),
            allowed=f"{len(PLACES)} or more",
        )
    items = []
    for unit in units:
        rng = source.rng("readability", unit)
        own = _passages(source, unit, settings.passages)
        others = _others(source, unit, settings.passages, rng)
        if not own or len(others) < len(PLACES) - 1:
            continue
        place = int(rng.integers(len(PLACES)))
        groups = [*others[:place], own, *others[place:]]
        for method, explanation in _described(source, unit, settings):
            told = descriptions(explanation, source.context.evidence(unit).explain)
            lacks = [kind for kind in KINDS if told[kind] is None]
            for kind, text in told.items():
                if text is None:
                    continue
                key = {"unit": str(unit), "method": method, "kind": kind, "right": PLACES[place], "lacks": lacks,
                       "weight": 1 / source.chances.get(unit, 1.0)}  # fmt: skip
                items.append((GroupsItem("", text, tuple(p for group in groups for p in group), len(groups)), key))
    return source.drawn("readability", vars(settings), items)


def _described(source: Source, unit: Unit, settings: ReadabilitySettings) -> list[tuple[str, Explanation]]:
    result = source.results[unit]
    found = [result.best(method) for method in settings.methods or (None,)]
    return [(chosen.method, chosen.explanation(unit)) for chosen in found if chosen is not None]


def _others(source: Source, unit: Unit, number: int, rng: np.random.Generator) -> list[tuple[Passage, ...]]:
    """Passages of four other units of the study that have them."""
    found: list[tuple[Passage, ...]] = []
    names = sorted((str(u), u) for u, result in source.results.items() if u != unit and result.status != "failed")
    for place in rng.permutation(len(names)).tolist():
        if passages := _passages(source, names[place][1], number):
            found.append(passages)
        if len(found) == len(PLACES) - 1:
            break
    return found


def _passages(source: Source, unit: Unit, number: int) -> tuple[Passage, ...]:
    """Around the peaks of some of the unit's top windows; nothing where it has too few."""
    exemplars: Exemplars = source.context.evidence(unit).split(SPLIT)
    top = np.flatnonzero((exemplars.kinds == "top") & (exemplars.maxima > 0))
    if len(top) < number:
        return ()
    rows = source.rng("passages", unit).choice(top, number, replace=False)
    return tuple(_cut(passage) for passage in passages_of(exemplars.take(rows), levels=True))


def _cut(passage: Passage) -> Passage:
    levels = passage.levels or ()
    peak = int(np.argmax([level if counts else -1 for level, counts in zip(levels, passage.counts, strict=True)]))
    shown = slice(max(peak - BEFORE, 0), peak + AFTER + 1)
    return Passage(passage.tokens[shown], passage.counts[shown], levels[shown])


def descriptions(explanation: Explanation | None, evidence: ExplainEvidence) -> dict[str, str | None]:
    """The descriptions of a unit, by `KINDS`; None where there is none."""
    named, sentence = headline_and_modes(explanation), explanation.text if explanation else None
    length = len(named or sentence or "")
    return {"headline": named, "sentence": sentence or None, "token-list": token_list(evidence, length)}


def headline_and_modes(explanation: Explanation | None) -> str | None:
    """Headline, words at the peaks and further modes in one line; None where there is nothing. Words at the peaks stand
    in place of a headline's own examples."""
    if explanation is None or explanation.headline is None:
        return None
    headlines = dict.fromkeys(
        one for one in (explanation.headline, *(m.headline for m in explanation.modes)) if one.named
    )
    words = () if explanation.peaks is None else explanation.peaks.words
    texts = [EXAMPLES.sub("", one.text) if words else one.text for one in headlines]
    said = set(re.findall(r"\w+", " ".join(texts[:1]).lower()))
    shown = ", ".join(word for word in words if word.lower() not in said)
    first = ": ".join(filter(None, [*texts[:1], shown]))
    return "; also ".join(filter(None, [first, *texts[1:]])) or None


def token_list(evidence: ExplainEvidence, length: int) -> str | None:
    """The tokens with most activation above the mean, as many as fit into so many characters, at least one."""
    found = token_means(evidence)
    texts = evidence.exemplars.windows.vocabulary.texts
    best = [row for row in best_tokens(found, 200) if found.means[row] > found.overall]
    words = list(dict.fromkeys(texts[found.tokens[row]].strip() or repr(texts[found.tokens[row]]) for row in best))
    kept = 1
    while kept < len(words) and len(", ".join(words[: kept + 1])) <= length:
        kept += 1
    return ", ".join(words[:kept]) or None


def importance(source: Source) -> Callable[[Unit], float]:
    """How informative questions about a unit are: the expected distance of its answers from the mean of all units."""
    likely = {unit: _likely(source, unit) for unit in source.results}
    mean = float(np.mean(list(likely.values()))) if likely else 0.0
    return lambda unit: max(LEAST_SIZE, float(np.sqrt(likely[unit] * (1 - likely[unit]) + (likely[unit] - mean) ** 2)))


def _likely(source: Source, unit: Unit) -> float:
    """The chance that a reader is right, if the headline names all that the unit does as well as it scores."""
    best = source.results[unit].best()
    values = {} if best is None else {score.name: score.value for score in best.scores}
    known = next((value for name in KNOWN_BY if (value := values.get(name)) is not None), None)
    return CHANCE + (1 - CHANCE) * (0.5 if known is None else known)


def score_readability(answers: Iterable[tuple[Mapping[str, Any], str, str]]) -> dict[str, Any]:
    """(key, rater, answer) -> the share of right answers of each kind of description, and by how much headlines are
    above the others.

    Annotators of one question are averaged first. A unit that lacks a kind of description counts as chance there.
    """
    given: dict[tuple[str, str], dict[str, list[float]]] = {}
    weights: dict[tuple[str, str], float] = {}
    lacking: dict[tuple[str, str], Sequence[str]] = {}
    judgements = []
    for key, rater, answer in answers:
        unit = (key["method"], key["unit"])
        given.setdefault(unit, {}).setdefault(key["kind"], []).append(float(answer == key["right"]))
        weights[unit], lacking[unit] = key["weight"], key["lacks"]
        judgements.append(Judgement(key["unit"], (*unit, key["kind"]), rater, PLACES.index(answer)))
    rows = []
    for method in sorted({method for method, _ in given}):
        of_method = {unit: kinds for unit, kinds in given.items() if unit[0] == method}
        shares = {
            unit: dict(zip(kinds, means(kinds.values()), strict=True)) | dict.fromkeys(lacking[unit], CHANCE)
            for unit, kinds in of_method.items()
        }
        for kind in KINDS:
            own = {unit: share[kind] for unit, share in shares.items() if kind in share}
            gain = {u: share["headline"] - own[u] for u, share in shares.items() if "headline" in share and u in own}
            asked = sum(len(kinds.get(kind, ())) for kinds in of_method.values())
            row = {"method": method, "kind": kind, "answers": asked, "right": weighted(own, weights)}
            rows.append(row if kind == "headline" else {**row, "headline_above": weighted(gain, weights)})
    return {"chance": CHANCE, "sampling": SAMPLING, "kinds": rows, "agreement": agreement(judgements, "nominal")}


def weighted(values: Mapping[Any, float], weights: Mapping[Any, float]) -> Estimate:
    """The weighted mean with its interval over units."""
    if not values:
        return Estimate(None, reason="no answers")
    weight = np.array([weights[unit] for unit in values])
    return estimate(ratio(weight * np.array(list(values.values())), weight))
