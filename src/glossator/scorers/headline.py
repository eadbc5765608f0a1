"""Headlines as they are read: how far are the tokens that a headline names those at which the unit fires?

A headline's class is executable, so it is scored as itself and not as the program that it was taken from. `headline.*`
scores the first headline alone, `modes.*` all modes together, each predicting its mean activation where it holds. The
class is what the headline names: no threshold is fitted. Baselines have one, as in `firing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glossator.evidence import Evidence, Split
from glossator.explanations import UNNAMEABLE, Explanation, Mode
from glossator.programs import bits
from glossator.programs.running import run
from glossator.scorers import Scorer, firing, peak
from glossator.scorers.firing import Statistic
from glossator.scorers.lab import Lab, Trial
from glossator.scorers.sample import SETTINGS
from glossator.scores import Score
from glossator.statistics import Resampled, share_beyond_chance, sums_by
from glossator.units import Unit

Measure = Callable[[Trial, np.ndarray], Resampled]
NEXT = "the headline names tokens that come next, not tokens at which the unit fires"
SILENT = "the unit is not above 0 here"


@dataclass(frozen=True)
class HeadlineScorer(Scorer):
    """`headline.auprc`, `.f1`, `.iou` and `.share`, the same of all `modes`, each on top-and-random and on random-only
    windows, `headline.peak-hit` and `modes.peak-hit`, and of the graded `peaks` `peaks.hit` and `peaks.share`; nothing
    for an explanation without a headline, or whose headline is a language model's words alone.

    share: of the unit's activation, how much falls on tokens of the class, beyond what as many tokens at random hold.
    """

    split: Split = "test"
    name: ClassVar[str] = "headline"

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        headline = explanation.headline
        if headline is None or headline.program is None:
            return []
        classes = {"headline": (Mode(headline, 1.0, 1.0),), "modes": modes_of(explanation)}
        why_not = None if headline.program.clauses else NEXT if headline.named else UNNAMEABLE
        scores = []
        for name, modes in classes.items():
            for setting in SETTINGS:
                trial = lab.trial(evidence, setting, self.split)
                how = {"firing": f"above {evidence.statistics.firing_threshold:g}", "class": "the tokens that it names",
                       "firing_rule": evidence.statistics.firing_rule}  # fmt: skip
                for measure, (kind, ours, beside) in MEASURES.items():
                    scores.append(
                        trial.score(
                            f"{name}.{measure}", kind, explanation, _of(modes, ours), how=how, why_not=why_not,
                            beside=beside,
                        )
                    )  # fmt: skip
            trial = lab.trial(evidence, "top", self.split)
            scores.append(
                trial.score(
                    f"{name}.peak-hit", "fraction of windows", explanation, _of(modes, peak.hits_of),
                    how={"ties": peak.TIES}, why_not=why_not, beside=("peak.hit", peak.hits),
                )
            )  # fmt: skip
        return scores + _of_peaks(lab.trial(evidence, "top", self.split), explanation)


def _of_peaks(trial: Trial, explanation: Explanation) -> list[Score]:
    """The same two scores that a program has on top windows, of the graded peaks; the price of these beside them."""
    if explanation.peaks is None:
        return []
    price = {"bits": round(bits(explanation.peaks.program, trial.lab.lexicon), 1)}
    return [
        trial.score(
            "peaks.hit", "fraction of windows", explanation, lambda t, e: peak.hits_of(t, graded(t, e)),
            how={"ties": peak.TIES, **price}, beside=("peak.hit", peak.hits),
        ),
        trial.score(
            "peaks.share", "predicted / true", explanation, lambda t, e: peak.shares_of(t, graded(t, e)),
            how={**peak.SHARE, **price}, beside=("peak.share", peak.shares),
        ),
    ]  # fmt: skip


def graded(trial: Trial, explanation: Explanation) -> np.ndarray:
    """What the strengths of words and words before predict at the scored tokens (t,)."""
    if (peaks := explanation.peaks) is None:
        return np.zeros(len(trial.test.truth))
    lab, scored = trial.lab, trial.scored
    return lab.kept(
        ("peaks", peaks),
        (trial,),
        lambda: trial.test.flat(run(peaks.program, scored.inputs, scored.grid, lab.lexicon)),
    )


def modes_of(explanation: Explanation | None) -> tuple[Mode, ...]:
    """The modes; the headline alone where there are none; nothing where there is no class to execute."""
    if explanation is None or explanation.headline is None or explanation.headline.program is None:
        return ()
    return explanation.modes or (Mode(explanation.headline, 1.0, 1.0),)


def predicted(trial: Trial, modes: Sequence[Mode]) -> np.ndarray:
    """What modes predict at the scored tokens (t,): the strongest of those that hold, 0 where none does."""
    inputs, grid, lexicon = trial.scored.inputs, trial.scored.grid, trial.lab.lexicon
    programs = [(mode.strength, mode.headline.program) for mode in modes]
    each = [strength * run(program, inputs, grid, lexicon) for strength, program in programs if program is not None]
    return trial.test.flat(np.max(each, axis=0))


def _of(modes: Sequence[Mode], measure: Measure) -> Statistic:
    def of_modes(trial: Trial, explanation: Explanation) -> Resampled:
        values = trial.lab.kept(("modes", modes), (trial,), lambda: predicted(trial, modes))
        return measure(trial, values)

    return of_modes


def share_of(trial: Trial, chosen: np.ndarray) -> Resampled:
    """Of the sum of all activations, the part at chosen tokens (t,) bool, beyond that at as many tokens at random."""
    sample = trial.test
    above = np.maximum(sample.truth, 0.0)  # of signed values what is above 0: shares need one side
    columns = above * chosen, above, chosen, np.ones(len(chosen))
    return share_beyond_chance(sums_by(sample.group_of_place, sample.groups, *columns), SILENT)


def _of_class(measure: Measure) -> Measure:
    return lambda trial, values: measure(trial, values > 0)


MEASURES: dict[str, tuple[str, Measure, tuple[str, Statistic]]] = {
    "auprc": ("AUPRC", firing.auprc_of, ("firing.auprc", firing.auprc)),
    "f1": ("F1", _of_class(firing.f1_of), ("firing.f1", firing.MEASURES["firing.f1"][1])),
    "iou": ("IoU", _of_class(firing.iou_of), ("firing.iou", firing.MEASURES["firing.iou"][1])),
    "share": ("fraction of activation", _of_class(share_of), ("firing.share", firing.at_threshold(share_of))),
}
"""Of each score its unit of measure, what it is of the modes' prediction, and what baselines have in its place."""
