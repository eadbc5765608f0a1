"""Sentences that test an explanation: written by a language model, or taken from the explain split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from glossator.evidence import Exemplars
from glossator.explainers.answers import REFUSAL
from glossator.explainers.cleaning import lines_of
from glossator.explainers.prompting import Prompt, Turn, fingerprint_of
from glossator.explainers.refusals import is_refusal
from glossator.language_models import Answer

Intended = Literal["active", "silent", "random"]
WRITTEN: tuple[Intended, ...] = ("active", "silent")
MOST_WORDS, TOKENS_A_SENTENCE = 60, 40
"""Longer lines are no sentences; so many tokens of an answer are allowed for each sentence that is asked for."""

SYSTEM = (
    "A unit of a neural network reads text and is active at some tokens and silent at all others. You are given a"
    " description of what it is active at, which may be wrong, and you write sentences to test it. Write plain,"
    " natural, varied sentences of at most twenty words, one a line, and nothing else."
)
ASKS: dict[Intended, str] = {
    "active": "Write {n} sentences in which the unit must be active somewhere if the description is right.",
    "silent": (
        "Write {n} sentences in which the unit must be silent everywhere if the description is right, although they"
        " look much like sentences in which it would be active: the same topics and style, many of the same words."
    ),
}
DESCRIPTION = "Description: {text}"
LEAD = "Sentences:"
_SHOWN = "words that say how hot or cold something is"
EXAMPLES: dict[Intended, tuple[str, ...]] = {
    "active": ("The soup was still hot at noon.", "Bring a coat, for the cellar is chilly."),
    "silent": ("The soup was still salty at noon.", "Bring a lamp, for the cellar is dark."),
}
FINGERPRINT = fingerprint_of(SYSTEM, ASKS, DESCRIPTION, LEAD, _SHOWN, EXAMPLES)

_MARK = re.compile(r"^(?:\d+\s*[.):]|[-*•])\s*")
_BORDER = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True)
class Sentence:
    """text, and whether the unit was meant to be active in it; `random` ones were not written for a purpose."""

    text: str
    intended: Intended


def writing_prompt(explanation: str, intended: Intended, n: int) -> Prompt:
    """The question for n sentences of one kind, with one worked example of two."""

    def turn(text: str, count: int, answer: str = "") -> Turn:
        return Turn(f"{DESCRIPTION.format(text=text)}\n{ASKS[intended].format(n=count)}", LEAD + "\n", answer)

    shown = EXAMPLES[intended]
    return Prompt(SYSTEM, (turn(_SHOWN, len(shown), "\n".join(shown)),), turn(explanation, n))


def read_sentences(answer: Answer, intended: Intended, n: int) -> tuple[list[Sentence], str | None]:
    """Up to n different sentences, or none and the reason.

    Numbers, list marks and quotation marks around a line are removed; headings and lines without a word are no
    sentences; a line that was cut short is left out.
    """
    if reason := answer.why_unusable(cut_off_counts=True):
        return [], reason
    lines = lines_of(answer.text)
    if len(lines) < 3 and any(map(is_refusal, lines[:1])):  # of more lines, the first may be a sentence about refusing
        return [], REFUSAL
    if answer.finish == "length":
        lines = lines[:-1]
    found: dict[str, Sentence] = {}
    for line in lines:
        text = _MARK.sub("", line.strip()).strip()
        if len(text) > 2 and (text[0], text[-1]) in (('"', '"'), ("“", "”")):
            text = text[1:-1].strip()
        words = text.split()
        if text.endswith(":") or not any(c.isalpha() for c in text) or not 2 <= len(words) <= MOST_WORDS:
            continue
        found.setdefault(text.casefold(), Sentence(text, intended))
    kept = list(found.values())[:n]
    return kept, None if kept else "no sentence in the answer"


def random_sentences(exemplars: Exemplars, n: int, rng: np.random.Generator) -> list[Sentence]:
    """Up to n sentences out of the random draw of the explain split, one a window, in the order of the draw.

    The longest whole sentence of the window, or its text where it has no border.
    """
    windows = exemplars.of("random").windows
    found: dict[str, Sentence] = {}
    for row in rng.permutation(len(windows)).tolist():
        if len(found) == n:
            break
        text = max((part.strip() for part in _inner(windows.text(row))), key=len, default="")
        if len(text.split()) > 1:
            found.setdefault(text.casefold(), Sentence(text, "random"))
    return list(found.values())


def halves(sentences: Sequence[Sentence], rng: np.random.Generator) -> tuple[list[Sentence], list[Sentence]]:
    """(shown to the reviser, held apart): each kind shuffled and dealt in turn, so that both halves have both kinds."""
    shown: list[Sentence] = []
    held: list[Sentence] = []
    for kind in (*WRITTEN, "random"):
        of_kind = [sentence for sentence in sentences if sentence.intended == kind]
        for place in rng.permutation(len(of_kind)).tolist():
            (shown if len(shown) <= len(held) else held).append(of_kind[place])
    return shown, held


def _inner(text: str) -> list[str]:
    """Sentences that begin and end inside the window; all of the text if there is none."""
    parts = [part for part in _BORDER.split(text) if part.strip()]
    return parts[1:-1] or parts
