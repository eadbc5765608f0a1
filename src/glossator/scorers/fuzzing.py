"""Fuzzing: does the explanation tell tokens at which the unit fires from tokens at which it does not?

The judge sees windows with a few marked tokens: in half of them the firing ones, in the other half the same pattern of
marks on silent tokens of another firing window (see `marking.py`). All windows hold firing tokens, so their topic does
not help; the explanation must say which tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import LANGUAGE_MODEL, TOKEN_VALUES, Scorer
from glossator.scorers.asking import Mode
from glossator.scorers.items import unit_rng
from glossator.scorers.judged import readable
from glossator.scorers.lab import Lab
from glossator.scorers.marking import MOST_MARKED, MarkedItems, plan_marked
from glossator.scorers.prompts import FUZZ, FUZZ_ONE
from glossator.scorers.yes_no import YesNo
from glossator.scores import Score
from glossator.units import Unit


@dataclass(frozen=True)
class FuzzingScorer(Scorer):
    """`fuzzing.auroc` and `fuzzing.balanced-accuracy` (yes above probability 0.5).

    items: marked windows asked about, half of them rightly marked; answers, batch: as for `LmDetectionScorer`.
    """

    items: int = 40
    answers: Mode = "auto"
    batch: int = 5
    split: Split = "test"
    name: ClassVar[str] = "fuzzing"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm, baselines = lab.resources.get("lm", self.name), readable(lab)
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
