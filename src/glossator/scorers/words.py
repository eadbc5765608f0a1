"""Do a language model's words for a headline say the same as the class that they stand for?

Words cannot be executed, so the model that wrote them is asked of marked tokens of the select split, half of them in
the class, whether the words fit. Of the others every second one is among the unit's strongest. Words that order these
tokens as the class does replace its name; otherwise both are shown. The class's own name is asked about as a control: a
model that does not know the class by its own name cannot say whether other words mean it. Words without a class are
held against the unit itself, its peaks and other tokens, and go where they do not tell these apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from glossator.evidence import Exemplars
from glossator.explainers.excerpts import excerpt
from glossator.explanations import UNNAMEABLE, Explanation, Headline
from glossator.language_models import NOTHING_USED, LanguageModel, Usage
from glossator.programs import Lexicon, Program, execute
from glossator.scorers.asking import answer_form, ask_all, ask_yes_no
from glossator.scorers.prompts import FUZZ, FUZZ_ONE
from glossator.units import unit_rng

ITEMS = 12
"""Tokens asked about, half of them in the class."""
LEAST = 4
"""So many of either half must be there, and be answered."""
AGREES = 0.8
"""The area under the ROC curve from which on words say the same: with six of each, chance gets there one time in
twenty (Mann-Whitney)."""


@dataclass(frozen=True)
class Checked:
    """auroc: of the words' answers, for being in the class (or, without one, a peak); control: the same of the class's
    own name; reason: why nothing is known."""

    auroc: float | None
    control: float | None = None
    reason: str = ""
    usage: Usage = NOTHING_USED

    @property
    def agrees(self) -> bool:
        return not self.reason and self.auroc is not None and self.auroc >= AGREES


def check_words(
    explanations: Sequence[Explanation], select: Exemplars, lm: LanguageModel, lexicon: Lexicon, seed: int
) -> list[Explanation]:
    """The candidates of one unit, which share their words, after these were held against the select split. What was
    found out stands in the settings (`words`), its cost with the first candidate."""
    first = explanations[0]
    known = [first.headline, *(mode.headline for mode in first.modes)]
    found: dict[Headline, Checked] = {}
    for place, headline in enumerate(dict.fromkeys(h for h in known if h is not None and h.beside)):
        found[headline] = _checked(headline, select, lm, lexicon, unit_rng(seed, first.unit, 3, place))
    if not found:
        return list(explanations)
    told = [
        {"words": headline.text, "class": headline.beside, "auroc": one.auroc, "control": one.control,
         "reason": one.reason, "agrees": one.agrees}
        for headline, one in found.items()
    ]  # fmt: skip
    usage = sum((one.usage for one in found.values()), NOTHING_USED)
    return [_settled(explanation, found, told, usage) for explanation in explanations]


def _checked(
    headline: Headline, select: Exemplars, lm: LanguageModel, lexicon: Lexicon, rng: np.random.Generator
) -> Checked:
    positive, negative = _items(headline.program, select, lexicon, rng)
    if min(len(positive), len(negative)) < LEAST:
        what = "peaks" if headline.program is None else "tokens of the class"
        reason = f"{len(positive)} {what} and {len(negative)} others in the select split, {LEAST} needed"
        return Checked(None, reason=reason)
    places = np.concatenate([positive, negative])
    order = rng.permutation(len(places))
    texts = [excerpt(select.windows, int(row), int(place)).marked for row, place in places[order]]
    names = [headline.text, *([headline.beside] if headline.program is not None else [])]
    mode = answer_form(lm, "auto")
    replies = ask_all(lm, [ask_yes_no(FUZZ, FUZZ_ONE, name, texts, mode, batch=len(texts)) for name in names])
    usage = sum((one.usage for one in replies), NOTHING_USED)
    aurocs = [_auroc(one.values, order < len(positive)) for one in replies]
    if None in aurocs:
        return Checked(None, reason=f"too few usable answers: {[one.failed for one in replies]}", usage=usage)
    control = aurocs[1] if len(aurocs) > 1 else None
    unknown = control is not None and control < AGREES
    reason = "the model does not know the class by its own name either" if unknown else ""
    return Checked(aurocs[0], control, reason, usage)


def _auroc(answers: np.ndarray, positive: np.ndarray) -> float | None:
    """Of answers (n,), NaN where there is none; None where too few of either kind were answered."""
    above, below = (answers[np.isfinite(answers) & side] for side in (positive, ~positive))
    if min(len(above), len(below)) < LEAST:
        return None
    gaps = above[:, None] - below[None, :]
    return round(float((gaps > 0).mean() + 0.5 * (gaps == 0).mean()), 4)


def _items(
    program: Program | None, select: Exemplars, lexicon: Lexicon, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(row, place) of tokens in the class and of others, up to half of `ITEMS` each; without a class, of peaks and of
    tokens at which the unit is silent."""
    windows, half = select.windows, ITEMS // 2
    valid = np.asarray(windows.valid)
    values = np.where(valid, select.activations, -np.inf)
    peak = values.argmax(axis=1)
    top = np.flatnonzero(values.max(axis=1, initial=-np.inf) > 0)
    strongest = top[np.argsort(-values[top, peak[top]], kind="stable")]
    peaks = np.stack([strongest, peak[strongest]], axis=1)
    if program is None:
        return peaks[:half], _drawn(np.argwhere(valid & (select.activations <= 0)), half, rng)
    holds = (np.asarray(execute(program, windows, lexicon)) > 0) & valid
    missed = peaks[~holds[peaks[:, 0], peaks[:, 1]]][: half // 2]
    outside = valid & ~holds
    outside[missed[:, 0], missed[:, 1]] = False
    others = _drawn(np.argwhere(outside), half - len(missed), rng)
    return _drawn(np.argwhere(holds), half, rng), np.concatenate([missed, others])


def _drawn(places: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    return places[rng.permutation(len(places))[:most]]


def _settled(
    explanation: Explanation, found: dict[Headline, Checked], told: list[dict[str, Any]], usage: Usage
) -> Explanation:
    before = explanation.provenance
    cost = dict(before.cost)
    if explanation.rank == 0:
        for name, value in usage.as_dict().items():
            cost[name] = cost.get(name, 0) + value
    made_by = replace(before, settings={**before.settings, "words": told}, cost=cost)
    headline = None if explanation.headline is None else _after(explanation.headline, found)
    modes = tuple(replace(mode, headline=_after(mode.headline, found)) for mode in explanation.modes)
    return replace(explanation, provenance=made_by, headline=headline, modes=modes)


def _after(headline: Headline, found: dict[Headline, Checked]) -> Headline:
    """The words alone where they agree; else beside the name of their class; no words where they were found not to
    hold and have no class."""
    if (checked := found.get(headline)) is None or checked.reason:
        return headline
    if checked.agrees:
        return replace(headline, beside="")
    return headline if headline.program is not None else Headline(UNNAMEABLE, Program(0.0))
