"""Detection by a judge: can a language model with the explanation tell firing windows from silent ones?

The judge sees the explanation and windows of the scored split, half of them firing, in an uninformative order. It
answers with a probability for each window if the model gives log-probabilities, otherwise with true or false for a few
windows at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.scorers import LANGUAGE_MODEL, TOKEN_VALUES, Scorer
from glossator.scorers.asking import Mode
from glossator.scorers.items import WindowItems, plan_windows, unit_rng
from glossator.scorers.judged import readable
from glossator.scorers.lab import Lab
from glossator.scorers.prompts import DETECT, DETECT_ONE
from glossator.scorers.yes_no import YesNo
from glossator.scores import Score
from glossator.units import Unit


@dataclass(frozen=True)
class LmDetectionScorer(Scorer):
    """`lm-detection.auroc` and `lm-detection.balanced-accuracy` (yes above probability 0.5).

    items: windows asked about, half of them firing; answers: probability, json, or auto for the first where it can be
    had; batch: windows a request in json.
    """

    items: int = 40
    answers: Mode = "auto"
    batch: int = 5
    split: Split = "test"
    name: ClassVar[str] = "lm-detection"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, LANGUAGE_MODEL})

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        lm, baselines = lab.resources.get("lm", self.name), readable(lab)
        items = window_items(unit, evidence, lab, self.split, self.items)
        how = {
            "split": self.split,
            "positive": f"a token above {evidence.statistics.firing_threshold:g}",
            "firing_rule": evidence.statistics.firing_rule,
        }
        asked = YesNo(self.name, DETECT, DETECT_ONE, self.answers, self.batch)
        return asked.scores(lab, lm, evidence, items, [explanation, *baselines.values()], list(baselines), how)


def window_items(unit: Unit, evidence: Evidence, lab: Lab, split: Split, most: int) -> WindowItems:
    """The same windows for every scorer that asks for as many, and for every explanation of the unit."""
    return lab.kept(
        ("window items", split, most),
        (evidence,),
        lambda: plan_windows(evidence, split, most, unit_rng(unit, lab.seed, "windows")),
    )
