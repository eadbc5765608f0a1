"""Who reads the descriptions of `glossator bench bills`: the same readers, on the same text, for every description.

An embedder predicts each token's activation by how close the description lies to the word there and to its context, so
that descriptions in words have a correlation at hardly any cost. An embedder and a language model say of marked words,
held-out peaks and random tokens, how well the description fits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator.evidence import Evidence
from glossator.explainers.excerpts import Excerpt, excerpt, strongest
from glossator.explanations import Explanation
from glossator.inputs import Grid, Inputs, token_windows
from glossator.language_models import LanguageModel, Message
from glossator.scorers.asking import answer_form, ask_all, ask_yes_no
from glossator.scorers.prompts import Question, quoted
from glossator.simulators import Simulation, Simulator
from glossator.units import unit_rng

CLOSENESS = "cosine"


class EmbeddingReader(Simulator):
    """Predicts, at each token, the mean of the cosines of the description with the word there and with its context."""

    def __init__(self, embedder: Any):
        self.embedder = embedder
        self._known: dict[str, np.ndarray] = {}

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        windows = token_windows(inputs, grid)
        places = np.argwhere(windows.valid)
        shown = [excerpt(windows, int(row), int(place)) for row, place in places]
        found = np.zeros(windows.valid.shape)
        found[windows.valid] = self.closeness(explanation.text, shown)
        return Simulation(found, CLOSENESS)

    def closeness(self, text: str, shown: Sequence[Excerpt]) -> np.ndarray:
        """(n,) how close a text is to each word in its context."""
        texts = [text, *(t for one in shown for t in (one.word, one.context))]
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        self._known.update(zip(new, self.embedder.embed(new), strict=True) if new else ())
        vectors = np.stack([self._known[one.word] + self._known[one.context] for one in shown]) / 2
        return np.asarray(vectors @ self._known[text], np.float64)


@dataclass(frozen=True, eq=False)
class Items:
    """Marked words of the test split; peak (n,) bool: the unit's peaks, and else random tokens."""

    shown: list[Excerpt]
    peak: np.ndarray


def items_of(evidence: Evidence, number: int, seed: int) -> Items:
    """Half of them peaks of the unit's top windows, half tokens of random windows at which it does not fire."""
    rng, test, half = unit_rng(seed, evidence.unit), evidence.test, number // 2
    peaks = strongest(test.of("top"), 2 * half)
    drawn = test.of("random")
    silent = drawn.valid & (drawn.activations <= evidence.statistics.firing_threshold)
    places = rng.permutation(np.argwhere(silent))[:half]
    others = [excerpt(drawn.windows, int(row), int(place)) for row, place in places]
    chosen = [peaks[i] for i in rng.permutation(len(peaks))[:half]]
    order = rng.permutation(len(chosen) + len(others))
    both, peak = [*chosen, *others], np.arange(len(order)) < len(chosen)
    return Items([both[i] for i in order], peak[order])


class Fits(Question):
    """The text before the description, so that what all descriptions share is computed once."""

    def messages(self, explanation: str | None, texts: Sequence[str] = (), n: int | None = None) -> tuple[Message, ...]:
        lines = [f"{number}: {quoted(text)}" for number, text in enumerate(texts, 1)]
        lines += [f"Description: {quoted(explanation or '')}", self.ask.format(n=len(texts))]
        return Message("system", self.system), Message("user", "\n".join(lines))


_WHETHER = "You say whether the word between << and >> in a text is of the kind that a description says."
FITS = Fits(_WHETHER, 'Answer with a JSON object {{"answers": [...]}} of {n} values, true or false.')
FITS_ONE = Fits(_WHETHER, "Answer with a single word: yes or no.")


def asked(lm: LanguageModel, items: Items, descriptions: Sequence[str]) -> np.ndarray:
    """(descriptions, items): how surely a language model says that each fits, NaN where it gave no usable answer."""
    mode = answer_form(lm, "auto")
    found = np.full((len(descriptions), len(items.shown)), np.nan)
    for place, one in enumerate(items.shown):
        askings = [ask_yes_no(FITS, FITS_ONE, text, [one.marked], mode, batch=1) for text in descriptions]
        found[:, place] = [replies.values[0] for replies in ask_all(lm, askings)]
    return found


def auroc(values: np.ndarray, peak: np.ndarray) -> float | None:
    """Area under the ROC curve of peaks against others; None where either has no answer."""
    known = np.isfinite(values)
    above, below = values[known & peak], values[known & ~peak]
    if not len(above) or not len(below):
        return None
    gaps = above[:, None] - below[None, :]
    return float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())
