"""Explanations that a file of another tool holds, scored as all others are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from glossator.errors import MissingPower
from glossator.evidence import ExplainEvidence
from glossator.explainers import Abstained, Explained, Explainer
from glossator.explanations import Explanation, Provenance
from glossator.formats import Said
from glossator.subjects.base import BaseSubject, Subject

METHOD = "imported"


@dataclass(frozen=True)
class ImportedExplainer(Explainer):
    """What the file says of a unit; its provenance keeps the file's own method, model and score.

    subject: of an imported file, or a cache of delphi.
    """

    subject: Subject
    ranks: ClassVar[bool] = True

    def explain(self, evidence: Sequence[ExplainEvidence], *, n: int, seed: int) -> list[Explained]:
        if not isinstance(self.subject, BaseSubject):
            raise MissingPower("this subject brings no explanations", value=self.subject.name, allowed="imported files")
        return [self._of(one, self.subject.said(one.unit.site, one.unit.index)[:n]) for one in evidence]

    def _of(self, one: ExplainEvidence, said: Sequence[Said]) -> Explained:
        if not said:
            return Abstained("the file says nothing of this unit")
        return [Explanation(one.unit, text.text, self._made(one, text), rank=rank) for rank, text in enumerate(said)]

    def _made(self, one: ExplainEvidence, said: Said) -> Provenance:
        settings = {"by": said.method} if said.method else {}
        if said.score is not None:
            settings |= {said.score_name or "score": f"{said.score:.4g}"}
        return Provenance(METHOD, settings, one.fingerprint, model=said.model)
