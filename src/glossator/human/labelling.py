"""Human explanations: annotators see the explain split and write what the unit responds to, as text or a program.

An answer is an explanation of the method `human:NAME` and is scored like any other, on held-out text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from glossator.errors import UserError
from glossator.explainers.labels import of_images
from glossator.explanations import Explanation, Provenance
from glossator.human.sources import Source, evidence_to_read, shown_exemplars, shown_of
from glossator.human.tasks import Drawn, LabellingItem, TaskSet
from glossator.programs import Program, english, parse_program
from glossator.scores import Score
from glossator.store.results import as_stored
from glossator.study.context import StudyContext
from glossator.study.stages import score_one
from glossator.units import Unit, parse_unit

UNITS = 10
PREFIX = "human:"


@dataclass(frozen=True)
class LabellingSettings:
    """top, random: passages shown of the explain split."""

    top: int = 12
    random: int = 6


def draw_labelling(source: Source, units: Sequence[Unit], settings: LabellingSettings) -> Drawn:
    items = []
    for unit in units:
        seen = source.context.evidence(unit).explain
        shown = shown_exemplars(seen.exemplars, settings.top, settings.random, source.rng("passages", unit))
        item = LabellingItem("", shown_of(shown))
        items.append((item, {"unit": str(unit), "evidence": seen.fingerprint}))
    return source.drawn("labelling", vars(settings), items)


def read_program(text: str) -> tuple[Program | None, str | None]:
    """(the program, None) if the text is one; (None, why) if it looks like one but is not; else (None, None).

    A bare number is a program in the grammar, but nobody means it as one.
    """
    try:
        program = parse_program(text)
    except UserError as error:
        return None, str(error) if any(mark in text for mark in ("*token(", "*word(", "*like(", '("')) else None
    return (program, None) if program.clauses else (None, None)


def label_of(key: Mapping[str, Any], rater: str, text: str, tasks: TaskSet) -> tuple[Explanation, str | None]:
    """An annotator's explanation, and why a text that looks like a program is taken as words."""
    program, why_not = read_program(text)
    provenance = Provenance(
        PREFIX + rater, {"tasks": tasks.id, **tasks.settings}, evidence=key["evidence"], seed=tasks.seed
    )
    said = text if program is None else english(program)
    return Explanation(parse_unit(key["unit"]), said, provenance, program), why_not


@dataclass(frozen=True)
class LabelResult:
    """One annotator's explanation of one unit with all scores that the study's simulator can give it."""

    unit: str
    method: str
    text: str
    program: str | None
    bits: float | None
    note: str | None
    provenance: dict[str, Any]
    scores: tuple[Score, ...]


def score_label(label: Explanation, note: str | None, context: StudyContext) -> LabelResult:
    """Score a label on the test split, beside the baselines that every explanation is set beside.

    A program that the subject's vocabulary cannot execute gives a missing value with the reason.
    """
    if label.program is None and context.recording.inputs.kind == "images":
        label, note = _of_images(label, context)
    stored = as_stored(label, context.resources.lexicon, 0, None)
    try:
        read = evidence_to_read if label.program is None else StudyContext.evidence
        scores = score_one(stored, label.unit, read(context, label.unit), None, context)
    except UserError as error:
        scores = [Score("correlation.top-and-random", None, "Pearson r", reason=str(error))]
    return LabelResult(
        str(label.unit),
        stored.method,
        stored.text,
        stored.program,
        stored.bits,
        note,
        stored.provenance,
        tuple(scores),
    )


def _of_images(label: Explanation, context: StudyContext) -> tuple[Explanation, str | None]:
    """Words about images as a test of them, where all of them are understood; else why not."""
    evidence = context.evidence(label.unit).explain
    made, unknown = of_images(evidence, label.text, label.provenance.method, {**label.provenance.settings})
    if made is None:
        said = ", ".join(unknown) if unknown else "nothing that could be tested"
        return label, f"not understood: {said}"
    return replace(made, provenance=label.provenance), None
