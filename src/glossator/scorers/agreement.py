"""Agreement: does the English convey the program?

The program is executed on windows of the scored split; a language model that sees only the sentence judges in which of
them the unit is active. The unit itself plays no part: this compares the sentence with the program.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from glossator.errors import MissingPower
from glossator.evidence import Evidence, Exemplars, Split
from glossator.explanations import Explanation
from glossator.programs import execute
from glossator.scorers import LANGUAGE_MODEL, TOKEN_VALUES, Scorer
from glossator.scorers.asking import AnswerForm
from glossator.scorers.items import WindowItems, balanced_windows, unit_rng
from glossator.scorers.judged import Verdict, auroc_of, balanced_accuracy_of
from glossator.scorers.lab import Lab
from glossator.scorers.prompts import DETECT, DETECT_ONE
from glossator.scorers.threshold import PROGRAM_RULE, program_cut
from glossator.scorers.yes_no import YesNo
from glossator.scores import Score
from glossator.statistics import document_index, estimate, pearson
from glossator.units import Unit


@dataclass(frozen=True)
class AgreementScorer(Scorer):
    """`agreement.auroc` and `agreement.balanced-accuracy` of a reader's answers about windows, half of which the
    program calls firing; with `per_token`, `agreement.correlation` of the lab's simulator, reading the sentence, with
    the program's values at every token of the split.

    items, answers, batch: as for `LmDetectionScorer`.
    """

    items: int = 40
    answers: AnswerForm = "auto"
    batch: int = 5
    per_token: bool = False
    split: Split = "test"
    name: ClassVar[str] = "agreement"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm = lab.lm
        how: dict[str, Any] = {"split": self.split, "truth": "the program", "positive": PROGRAM_RULE}
        cut: float | str = "the explanation is not both a sentence and a program"
        if explanation.program is not None and explanation.text.strip():
            cut = program_cut(explanation.program, evidence, lab.required_lexicon)
        if isinstance(cut, str):
            verdict = Verdict(None, how=how, why_not=cut)
            return [
                verdict.score(lab, f"{self.name}.auroc", "AUROC", auroc_of),
                verdict.score(lab, f"{self.name}.balanced-accuracy", "balanced accuracy", balanced_accuracy_of),
            ]
        executed = lab.kept(
            ("executed", self.split),
            (explanation, evidence),
            partial(_executed, explanation, evidence.split(self.split), lab),
        )
        items: WindowItems = lab.kept(
            ("program items", self.items),
            (executed,),
            lambda: balanced_windows(executed, cut, self.items, unit_rng(unit, lab.seed, "agreement")),
        )
        asked = YesNo(self.name, DETECT, DETECT_ONE, self.answers, self.batch)
        scores = asked.scores(lab, lm, evidence, items, [explanation], [], {**how, "program_cut": cut})
        return [*scores, self._per_token(explanation, executed, lab)] if self.per_token else scores

    def _per_token(self, explanation: Explanation, executed: Exemplars, lab: Lab) -> Score:
        """Pearson r between what a simulator makes of the sentence and what the program says."""
        name, measure = f"{self.name}.correlation", "Pearson r"
        how = {"split": self.split, "truth": "the program", "windows": len(executed)}
        sentence = replace(explanation, program=None)
        try:
            simulated = lab.simulate(sentence, executed).expected
        except MissingPower as error:
            return Score(name, None, measure, reason=str(error), how=how)
        valid = executed.windows.valid
        index, documents = document_index(np.repeat(executed.windows.documents, valid.sum(axis=1)))
        truth, read = (values[valid].astype(np.float64) for values in (executed.activations, simulated))
        found = estimate(pearson(truth, read, index, documents), level=lab.level)
        return Score(name, found.value, measure, found.low, found.high, documents, reason=found.reason, how=how)


def _executed(explanation: Explanation, exemplars: Exemplars, lab: Lab) -> Exemplars:
    """The split's windows with the program's values in place of the unit's."""
    assert explanation.program is not None
    return replace(exemplars, activations=execute(explanation.program, exemplars.windows, lab.required_lexicon))
