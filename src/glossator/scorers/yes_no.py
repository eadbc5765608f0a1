"""Scores from yes-or-no questions about items, shared by the scorers that ask them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.language_models import LanguageModel
from glossator.scorers.asking import Mode, ask_yes_no, mode_for
from glossator.scorers.items import WindowItems
from glossator.scorers.judged import Judged, Verdict, ask_about, auroc_of, balanced_accuracy_of, no_text
from glossator.scorers.lab import Lab
from glossator.scorers.marking import MarkedItems
from glossator.scorers.prompts import Question
from glossator.scores import Score


@dataclass(frozen=True)
class YesNo:
    """name: of the scorer; many, one: the question about several texts and about one; answers, batch: see
    `LmDetectionScorer`."""

    name: str
    many: Question
    one: Question
    answers: Mode
    batch: int

    def scores(
        self,
        lab: Lab,
        lm: LanguageModel,
        evidence: Evidence,
        items: WindowItems | MarkedItems,
        explanations: Sequence[Explanation],
        baselines: Sequence[str],
        how: Mapping[str, Any],
    ) -> list[Score]:
        """AUROC and balanced accuracy of the first explanation; the others are its baselines, by these names."""
        mode = mode_for(lm, self.answers)
        question = self.one if mode == "probability" else self.many
        how = {**how, "items": items.counts, "answers": mode, "model": lm.name, "prompt": question.fingerprint}
        if why_not := items.reason or no_text(explanations[0]):
            verdict = Verdict(None, how=how, why_not=why_not)
        else:
            texts = items.texts
            replies = ask_about(
                lab,
                lm,
                evidence,
                (self, items),
                explanations,
                lambda e: ask_yes_no(self.many, self.one, e.text, texts, mode, self.batch),
            )
            judged = [Judged.of(items, r) for r in replies]
            verdict = Verdict(judged[0], dict(zip(baselines, judged[1:], strict=True)), how)
        return [
            verdict.score(lab, f"{self.name}.auroc", "AUROC", auroc_of),
            verdict.score(lab, f"{self.name}.balanced-accuracy", "balanced accuracy", balanced_accuracy_of),
        ]
