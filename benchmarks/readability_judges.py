"""Who reads: judges that know only a description of a unit and say which of five units' exemplars it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from glossator.evidence import Exemplars
from glossator.explainers.excerpts import Excerpt, excerpt
from glossator.inputs.tokens import CLOSE, OPEN
from glossator.language_models import LanguageModel
from glossator.scorers.asking import answer_form, ask_all, ask_which
from glossator.scorers.prompts import DATA, UNIT, Question


@dataclass(frozen=True, eq=False)
class Question5:
    """unit: place of the unit described; candidates: places of five units; shown: of each, which of its excerpts."""

    unit: int
    candidates: tuple[int, ...]
    shown: tuple[tuple[int, ...], ...]


class Judge(Protocol):
    """Answers every question under one description of each unit: True, False, or None where it gave no answer."""

    name: str

    def right(
        self, descriptions: Sequence[str], questions: Sequence[Question5], excerpts: Sequence[Sequence[Excerpt]]
    ) -> list[bool | None]: ...


def excerpts_of(exemplars: Exemplars, rows: Sequence[int]) -> list[Excerpt]:
    """One excerpt for each row, around its largest activation."""
    values = np.where(exemplars.valid, exemplars.activations, -np.inf)
    return [excerpt(exemplars.windows, int(row), int(values[row].argmax())) for row in rows]


class EmbeddingJudge:
    """The candidate whose excerpts lie closest to the description: the mean cosine with the word at the peak and with
    its context. It never abstains."""

    def __init__(self, embedder: Any):
        self.name, self.embedder = f"embedding:{embedder.name}", embedder
        self._known: dict[str, np.ndarray] = {}

    def right(
        self, descriptions: Sequence[str], questions: Sequence[Question5], excerpts: Sequence[Sequence[Excerpt]]
    ) -> list[bool | None]:
        self._embed([*descriptions, *(t for of_unit in excerpts for e in of_unit for t in (e.word, e.context))])
        vectors = [
            np.stack([self._known[e.word] + self._known[e.context] for e in of_unit]) / 2 for of_unit in excerpts
        ]
        found: list[bool | None] = []
        for question in questions:
            description = self._known[descriptions[question.unit]]
            fits = [
                float((vectors[unit][list(shown)] @ description).mean())
                for unit, shown in zip(question.candidates, question.shown, strict=True)
            ]
            found.append(question.candidates[int(np.argmax(fits))] == question.unit)
        return found

    def _embed(self, texts: Sequence[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(new, self.embedder.embed(new), strict=True) if new else ())


_WHICH = (
    f"{UNIT} You are given the description and excerpts in which five units are strongest, a numbered group for each;"
    f" the token at which a unit is strongest stands between {OPEN} and {CLOSE}. Say which group belongs to the unit"
    f" that the description is of. {DATA}"
)
WHICH = Question(_WHICH, 'Answer with a JSON object {{"group": N}} where N is the number of that group, from 1 to {n}.')
WHICH_ONE = Question(_WHICH, "Answer with a single number from 1 to {n}: the number of that group.")


class LanguageModelJudge:
    """A language model of any server; refusals and unreadable answers are missing."""

    def __init__(self, lm: LanguageModel):
        self.name, self.lm = f"lm:{lm.name}", lm

    def right(
        self, descriptions: Sequence[str], questions: Sequence[Question5], excerpts: Sequence[Sequence[Excerpt]]
    ) -> list[bool | None]:
        mode = answer_form(self.lm, "auto")
        askings = []
        for question in questions:
            groups = [
                " ... ".join(excerpts[unit][i].marked for i in shown)
                for unit, shown in zip(question.candidates, question.shown, strict=True)
            ]
            askings.append(ask_which(WHICH, WHICH_ONE, descriptions[question.unit], [groups], mode, key="group"))
        found: list[bool | None] = []
        for question, replies in zip(questions, ask_all(self.lm, askings), strict=True):
            place = replies.values[0]
            found.append(question.candidates[int(place)] == question.unit if np.isfinite(place) else None)
        return found
