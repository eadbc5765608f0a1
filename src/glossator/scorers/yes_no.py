"""Scores from yes-or-no questions to a judge: which windows fire, and which tokens in them?

Detection: the judge sees the explanation and windows of the scored split, half of them firing, in an uninformative
order. Fuzzing: it sees firing windows with a few marked tokens; in half of them the firing ones, in the other half the
same pattern of marks on silent tokens (see `marking.py`). As all windows fire, their topic does not help; the
explanation must say which tokens. Answers are probabilities if the model gives log-probabilities, otherwise true or
false for a few texts at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.language_models import LanguageModel
from glossator.scorers import LANGUAGE_MODEL, TOKEN_VALUES, Scorer
from glossator.scorers.asking import AnswerForm, answer_form, ask_yes_no
from glossator.scorers.items import WindowItems, plan_windows, unit_rng
from glossator.scorers.judged import Judged, Verdict, ask_about, auroc_of, balanced_accuracy_of, no_text, readable
from glossator.scorers.lab import Lab
from glossator.scorers.marking import MOST_MARKED, MarkedItems, plan_marked
from glossator.scorers.prompts import DETECT, DETECT_ONE, FUZZ, FUZZ_ONE, Question
from glossator.scores import Score
from glossator.units import Unit


@dataclass(frozen=True)
class YesNo:
    """name: of the scorer; many, one: the question about several texts and about one; answers, batch: see
    `LmDetectionScorer`."""

    name: str
    many: Question
    one: Question
    answers: AnswerForm
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
        mode = answer_form(lm, self.answers)
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


@dataclass(frozen=True)
class LmDetectionScorer(Scorer):
    """`lm-detection.auroc` and `lm-detection.balanced-accuracy` (yes above probability 0.5).

    items: windows asked about, half of them firing; answers: probability, json, or auto for the first where it can be
    had; batch: windows a request in json.
    """

    items: int = 40
    answers: AnswerForm = "auto"
    batch: int = 5
    split: Split = "test"
    name: ClassVar[str] = "lm-detection"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm, baselines = lab.lm, readable(lab)
        items = window_items(unit, evidence, lab, self.split, self.items)
        how = {
            "split": self.split,
            "positive": f"a token above {evidence.statistics.firing_threshold:g}",
            "firing_rule": evidence.statistics.firing_rule,
        }
        asked = YesNo(self.name, DETECT, DETECT_ONE, self.answers, self.batch)
        return asked.scores(lab, lm, evidence, items, [explanation, *baselines.values()], list(baselines), how)


def window_items(unit: Unit, evidence: Evidence, lab: Lab, split: Split, most: int) -> WindowItems:
    """The windows to ask about: the same for every scorer that asks for as many, and for every explanation of the
    unit."""
    return lab.kept(
        ("window items", split, most),
        (evidence,),
        lambda: plan_windows(evidence, split, most, unit_rng(unit, lab.seed, "windows")),
    )


@dataclass(frozen=True)
class FuzzingScorer(Scorer):
    """`fuzzing.auroc` and `fuzzing.balanced-accuracy` (yes above probability 0.5).

    items: marked windows asked about, half of them rightly marked; answers, batch: as for `LmDetectionScorer`.
    """

    items: int = 40
    answers: AnswerForm = "auto"
    batch: int = 5
    split: Split = "test"
    name: ClassVar[str] = "fuzzing"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm, baselines = lab.lm, readable(lab)
        items: MarkedItems = lab.kept(
            ("marked items", self.split, self.items),
            (evidence,),
            lambda: plan_marked(evidence, self.split, self.items, unit_rng(unit, lab.seed, "marks")),
        )
        how = {
            "split": self.split,
            "positive": f"the marked tokens are above {evidence.statistics.firing_threshold:g}",
            "firing_rule": evidence.statistics.firing_rule,
            "most_marked": MOST_MARKED,
        }
        asked = YesNo(self.name, FUZZ, FUZZ_ONE, self.answers, self.batch)
        return asked.scores(lab, lm, evidence, items, [explanation, *baselines.values()], list(baselines), how)
