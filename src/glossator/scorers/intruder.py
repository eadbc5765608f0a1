"""Intruder: can the one silent window be found among windows in which the unit fires?

Without an explanation this measures the unit: whether a judge sees what its windows have in common. With one, it shows
how much the explanation helps. Firing tokens are marked; the intruder has marks of the same pattern (see `marking.py`),
and is at every position equally often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import LANGUAGE_MODEL, TOKEN_VALUES, Scorer
from glossator.scorers.asking import AnswerForm, answer_form, ask_all, ask_which
from glossator.scorers.items import IntruderItems, unit_rng
from glossator.scorers.judged import Judged, Verdict, accuracy_of, ask_about, no_text, readable
from glossator.scorers.lab import Lab
from glossator.scorers.marking import INTRUDERS, plan_intruders
from glossator.scorers.prompts import ALONE, ALONE_ONE, INTRUDER, INTRUDER_ONE
from glossator.scores import Score
from glossator.units import Unit


@dataclass(frozen=True)
class IntruderScorer(Scorer):
    """`intruder.accuracy` with the explanation shown and `intruder.unit-accuracy` without any; chance is 1 in 5.

    questions: how many, each about four firing windows and a silent one; answers: as for `LmDetectionScorer`.
    """

    questions: int = 20
    answers: AnswerForm = "auto"
    split: Split = "test"
    name: ClassVar[str] = "intruder"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm, baselines = lab.lm, readable(lab)
        mode, chance = answer_form(lm, self.answers), 1 / (INTRUDERS + 1)
        items: IntruderItems = lab.kept(
            ("intruder items", self.split, self.questions),
            (evidence,),
            lambda: plan_intruders(evidence, self.split, self.questions, unit_rng(unit, lab.seed, "intruders")),
        )
        how = {"split": self.split, "answers": mode, "model": lm.name, "windows": INTRUDERS + 1}
        if items.reason:
            missing = Verdict(None, how=how, why_not=items.reason, chance=chance)
            return [
                missing.score(lab, f"{self.name}.{which}", "accuracy", accuracy_of, chance_baseline=True)
                for which in ("accuracy", "unit-accuracy")
            ]

        alone = lab.kept(
            ("intruder alone", self, lm.name),
            (evidence,),
            lambda: ask_all(lm, [ask_which(ALONE, ALONE_ONE, None, items.texts, mode)])[0],
        )
        told_how = {**how, "prompt": (INTRUDER_ONE if mode == "probability" else INTRUDER).fingerprint}
        if why_not := no_text(explanation):
            told = Verdict(None, how=told_how, why_not=why_not, chance=chance)
        else:
            replies = ask_about(
                lab,
                lm,
                evidence,
                (self,),
                [explanation, *baselines.values()],
                lambda e: ask_which(INTRUDER, INTRUDER_ONE, e.text, items.texts, mode),
            )
            judged = [Judged.of(items, r) for r in replies]
            told = Verdict(judged[0], dict(zip(baselines, judged[1:], strict=True)), told_how, chance=chance)
        alone_how = {**how, "prompt": (ALONE_ONE if mode == "probability" else ALONE).fingerprint}
        untold = Verdict(Judged.of(items, alone), how=alone_how, chance=chance)
        return [
            told.score(lab, f"{self.name}.accuracy", "accuracy", accuracy_of, chance_baseline=True),
            untold.score(lab, f"{self.name}.unit-accuracy", "accuracy", accuracy_of, chance_baseline=True),
        ]
