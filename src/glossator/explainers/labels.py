"""Labels from a file, by people or by another tool, as explanations that are scored as all others are."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from glossator.errors import MissingPower, UserError
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explainers.of_concepts import Shown
from glossator.explanations import MOST_WORDS, Explanation, Headline, Provenance
from glossator.files import fingerprint
from glossator.image_programs.reading import read
from glossator.programs import parse_program
from glossator.programs.parser import reads_as_program
from glossator.units import parse_unit

METHOD = "labels"
COLUMNS = ("unit", "label")


@dataclass(frozen=True)
class LabelsExplainer(Explainer):
    """What a file says of each unit: a CSV with the columns `unit` (`SITE/INDEX`, with or without the subject before)
    and `label`; several rows of a unit are its explanations, in their order.

    A label may be a program (`0.1 + 2.0*word(months)`). Words become a test of images where all of them are understood;
    other words are scored by what reads words.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"tokens", "texts", "images", "stimuli"})
    ranks: ClassVar[bool] = True

    file: str | None = None

    def __post_init__(self) -> None:
        if self.file is None:
            raise MissingPower(
                "labels needs a file", allowed="a CSV with the columns unit and label",
                fix='Name it in the spec: [options.labels] file = "labels.csv"',
            )  # fmt: skip
        self.labels  # noqa: B018 - a bad file is refused before anything is recorded

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        return [self._of(one, n, seed) for one in evidence]

    @classmethod
    def content_of(cls, options: Mapping[str, Any]) -> str | None:
        file = options.get("file")
        return cls(file=file)._content if file is not None and Path(file).exists() else None

    @cached_property
    def _content(self) -> str:
        return fingerprint(self.labels)

    @cached_property
    def labels(self) -> dict[str, list[str]]:
        """By unit, as it is written in the file."""
        assert self.file is not None
        found: dict[str, list[str]] = {}
        try:
            with Path(self.file).open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                if not set(COLUMNS) <= set(reader.fieldnames or ()):
                    raise UserError(
                        "the file of labels lacks a column",
                        value=self.file,
                        allowed=f"the columns {', '.join(COLUMNS)}",
                    )
                for number, row in enumerate(reader, start=2):
                    unit, label = ((row[name] or "").strip() for name in COLUMNS)
                    if not label:
                        raise UserError("a row of the file of labels has no label", value=f"{self.file}, line {number}")
                    found.setdefault(_name(unit, f"{self.file}, line {number}"), []).append(label)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError("the file of labels cannot be read", value=self.file, fix=str(error)) from error
        return found

    def _of(self, one: ExplainEvidence, n: int, seed: int) -> Explained:
        labels = self.labels.get(str(one.unit)) or self.labels.get(one.unit.short)
        if not labels:
            return Abstained("the file has no label for this unit")
        return [self._explanation(one, label, rank, seed) for rank, label in enumerate(labels[:n])]

    def _explanation(self, one: ExplainEvidence, label: str, rank: int, seed: int) -> Explanation:
        settings: dict[str, object] = {"file": Path(str(self.file)).name, "content": self._content}
        program = parse_program(label) if reads_as_program(label) else None
        if program is None and one.exemplars.inputs.kind == "images":
            tested, unknown = of_images(one, label, METHOD, settings, rank=rank, seed=seed)
            if tested is not None:
                return tested
            if unknown:
                settings["not understood"] = list(unknown)
        headline = Headline(label) if program is None and len(label.split()) <= MOST_WORDS else None
        made = Provenance(METHOD, settings, one.fingerprint, seed)
        return Explanation(one.unit, label, made, program, rank, headline)


def of_images(
    evidence: ExplainEvidence, label: str, method: str, settings: dict[str, Any], *, rank: int = 0, seed: int = 0
) -> tuple[Explanation | None, tuple[str, ...]]:
    """A label of a unit of images as a test of what they show, its strength fitted; None where it is not understood
    whole, with the words that are not."""
    annotations = getattr(evidence.exemplars.inputs, "annotations", None)
    found = read(label, evidence.exemplars.grid, () if annotations is None else annotations.concepts)
    if found.whole is None or annotations is None:
        return None, found.unknown
    return Shown(evidence, seed).explanation(found.whole, method, settings, rank=rank, text=label), ()


def _name(unit: str, where: str) -> str:
    """A unit as it is looked up: as it is written where a subject stands before it, else its site and index."""
    try:
        return str(parse_unit(unit)) if unit.count("/") > 1 else parse_unit(f"any/{unit}").short
    except UserError as error:
        raise UserError("a row of the file of labels names no unit", value=f"{unit} ({where})") from error
