"""What one score was computed from: its windows with truth and prediction, or what a judge was asked and answered.

Nothing of this is stored: windows are drawn again as the scorer drew them, and judges repeat the answers that were
kept. Of an intervention the score itself says how it was made.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import MissingPower, UserError, near_matches
from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.explorer.exemplars import shown_input
from glossator.explorer.pages.parts import all_rounded, rounded
from glossator.explorer.pages.windows import WindowShown, window_shown
from glossator.scorers import LANGUAGE_MODEL, SUBJECT, Scorer, WindowsRun, simulates
from glossator.scorers.asking import Replies
from glossator.scorers.lab import Lab, scores_of
from glossator.scorers.sample import SETTINGS, Setting
from glossator.store.results import Chosen, UnitResult

if TYPE_CHECKING:
    from glossator.study.context import StudyContext

MOST_SHOWN, MOST_KEPT = 24, 6
"""Windows that are drawn below a score, where a server draws them and where they are written into an export."""


@dataclass(frozen=True)
class ScoreEvidence:
    """One dot for each input that counts.

    what: windows or answers, empty where there is nothing to show; why: the reason then, else what was done in the
    windows beyond comparing them; kinds, groups: how each input was drawn (of answers: what is right), and its
    document; true, said: its largest activation and the largest prediction, or the right answer and the given one,
    None where none was given; shown: which dots the windows are, those first where the explanation errs most;
    signed, largest, threshold, pieces: as in `UnitWindows`.
    """

    unit: str
    method: str
    score: str
    what: str
    why: str
    kinds: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    true: list[float | None] = field(default_factory=list)
    said: list[float | None] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    windows: list[WindowShown] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    signed: bool = False
    largest: float = 1.0
    threshold: float = 0.0


@dataclass(frozen=True)
class EvidenceKept:
    """The evidence of all scores of one explanation. of: the place in `some` of each score's; scores of the same
    windows share one."""

    of: dict[str, int]
    some: list[ScoreEvidence]


def all_evidence(result: UnitResult, context: StudyContext, most: int = MOST_KEPT) -> dict[str, EvidenceKept]:
    """By method, of its best explanation; most: windows of each."""
    kept = {}
    for chosen in result.explanations:
        if chosen.rank or chosen.method in kept:
            continue
        of: dict[str, int] = {}
        some: dict[str, ScoreEvidence] = {}
        for score in (one.name for one in chosen.scores if one.value is not None):
            same = _same_for(score, context)
            if same not in some:
                some[same] = score_evidence(result, chosen.method, score, context, most)
            of[score] = [*some].index(same)
        kept[chosen.method] = EvidenceKept(of, [*some.values()])
    return kept


def _same_for(score: str, context: StudyContext) -> str:
    """What is the same for scores with the same evidence: their windows; of answers and interventions the scorer."""
    name, scorer = _scorer_of(score, context)
    if scorer is None or SUBJECT in scorer.needs or (LANGUAGE_MODEL in scorer.needs and not simulates(scorer)):
        return f"{name} {score if scorer is not None and LANGUAGE_MODEL in scorer.needs else ''}"
    return _setting(score)


def _setting(score: str) -> Setting:
    return next((one for one in SETTINGS if score.endswith(f".{one}")), "top")


def score_evidence(
    result: UnitResult, method: str, score: str, context: StudyContext, most: int = MOST_SHOWN
) -> ScoreEvidence:
    """most: windows that are drawn; all count. Raises `UserError` for a method or score that the unit has not got."""
    chosen = result.best(method)
    if chosen is None:
        allowed = sorted({one.method for one in result.explanations})
        raise UserError(
            "the unit has no explanation by this method", value=method, allowed=near_matches(method, allowed)
        )
    known = {one.name: one for one in chosen.scores}
    if score not in known:
        raise UserError("the explanation has no such score", value=score, allowed=near_matches(score, known))
    nothing = ScoreEvidence(result.unit.short, method, score, "", "")
    name, scorer = _scorer_of(score, context)
    if scorer is None or result.statistics is None:
        return _because(nothing, "the study no longer says how this score was made")
    if SUBJECT in scorer.needs:
        ran = scorer.windows_run(context.evidence(result.unit), context.lab())
        if ran is None:
            return _because(nothing, "the model itself was run: the text and the interventions are those named above")
        return _windows(result, chosen, context, nothing, most, ran)
    if LANGUAGE_MODEL in scorer.needs:
        return _answers(result, chosen, scorer, name, context, nothing, most)
    return _windows(result, chosen, context, nothing, most)


def _because(nothing: ScoreEvidence, why: str) -> ScoreEvidence:
    return ScoreEvidence(nothing.unit, nothing.method, nothing.score, "", why)


def _scorer_of(score: str, context: StudyContext) -> tuple[str, Scorer | None]:
    """The study's scorer that a score is of: the longest name with which it begins."""
    fitting = [name for name in context.spec.scorers if score == name or score.startswith((f"{name}.", f"{name}s."))]
    name = max(fitting, key=len, default="")
    return name, context.scorers[name] if name else None


def _windows(
    result: UnitResult,
    chosen: Chosen,
    context: StudyContext,
    nothing: ScoreEvidence,
    most: int,
    ran: WindowsRun | None = None,
) -> ScoreEvidence:
    """ran: of an intervention, the windows in which it was made."""
    explanation = chosen.explanation(result.unit)
    evidence, lab = context.evidence(result.unit), context.lab()
    setting = _setting(nothing.score)
    try:
        if not lab.executes(explanation):
            evidence = lab.readable([explanation], evidence, context.splits_read, lab.rows_scored)
        trial = lab.trial(evidence, setting) if ran is None else ran.trial
        if not len(trial.test):
            return _because(nothing, f"no windows for {setting}")
        predicted = trial.predicted(explanation)
    except MissingPower as error:
        return _because(nothing, str(error))
    sample = trial.test
    true, said = sample.input_max(sample.truth), sample.input_max(predicted)
    (wrong,) = sample.input_sums((sample.truth - predicted) ** 2).T
    tops = sum(count for kind, count in sample.kinds.items() if kind == "top")
    kinds = ["top" if i < tops else "random" for i in range(len(sample))]
    places = np.full((len(sample), trial.scored.valid.shape[1]), np.nan)
    places[sample.mask] = predicted
    of = np.arange(len(sample)) if ran is None else ran.places
    found = _drawn(
        nothing,
        "windows",
        context,
        evidence,
        sample.rows[of],
        places[of],
        true[of],
        said[of],
        np.argsort(-wrong[of], kind="stable"),
        [kinds[i] for i in of],
        most,
    )
    return found if ran is None else replace(found, why=ran.how)


def _answers(
    result: UnitResult,
    chosen: Chosen,
    scorer: Scorer,
    name: str,
    context: StudyContext,
    nothing: ScoreEvidence,
    most: int,
) -> ScoreEvidence:
    """The scorer is run again with models that repeat what they said; what it asked and was told is left in its lab."""
    explanation = chosen.explanation(result.unit)
    evidence, lab = context.evidence(result.unit), context.lab()
    if simulates(scorer):
        return _windows(result, chosen, context, nothing, most)
    own: Any = context.own(name, lab)
    scores_of(scorer, result.unit, explanation, evidence, own, name)
    replies, items = _asked(own, explanation)
    if replies is None or items is None or not replies.answered.any():
        return _because(nothing, "the answers are not beside the study")
    rows = np.asarray(items.rows)
    if rows.ndim > 1:  # of questions about several windows the one that is asked for
        rows = rows[np.arange(len(rows)), items.place]
    right, given = np.asarray(items.positive, np.float64), np.asarray(replies.values, np.float64)
    wrong = np.argsort(-np.nan_to_num(np.abs(right - given), nan=-1.0), kind="stable")
    kinds = ["firing" if one else "silent" for one in right] if rows is items.rows else ["question"] * len(rows)
    return _drawn(nothing, "answers", context, evidence, rows, None, right, given, wrong, kinds, most)


def _asked(lab: Lab, explanation: Explanation) -> tuple[Replies | None, Any]:
    """What was answered about the explanation, and the items that it was asked about."""
    told = [kept[explanation.fingerprint] for key, kept in lab._kept.items()
            if key[0] == "asked" and explanation.fingerprint in kept]  # fmt: skip
    replies: Replies | None = told[-1] if told else None
    planned = [one for one in lab._kept.values() if hasattr(one, "exemplars") and hasattr(one, "positive")]
    fitting = [one for one in planned if replies is not None and len(one) == len(replies.values)]
    return replies, fitting[-1] if fitting else None


def _drawn(
    nothing: ScoreEvidence,
    what: str,
    context: StudyContext,
    evidence: Evidence,
    rows: np.ndarray,
    predicted: np.ndarray | None,
    true: np.ndarray,
    said: np.ndarray,
    order: np.ndarray,
    kinds: list[str],
    most: int,
) -> ScoreEvidence:
    """predicted: (dots, places), NaN where none; order: of the dots, those first whose windows are shown."""
    first = order[:most]
    some, pieces = evidence.test.take(rows[first]), dict[str, int]()
    drawn = [
        shown_input(some, None if predicted is None else predicted[first], i, "", context) for i in range(len(first))
    ]
    largest = max((float(np.abs(w.true[w.counts]).max(initial=0.0)) for w in drawn), default=0.0) or 1.0
    windows = [window_shown(one, largest, pieces) for one in drawn]
    groups = [context.recording.group_ids[int(group)] for group in evidence.test.groups[rows]]
    known = [None if np.isnan(one) else one for one in said.tolist()]
    return ScoreEvidence(
        nothing.unit, nothing.method, nothing.score, what, "", kinds, groups, all_rounded(true.tolist()),
        all_rounded(known), first.tolist(), windows, [*pieces], evidence.unit.polarity == "±",
        rounded(largest) or 1.0, rounded(evidence.statistics.input_threshold) or 0.0,
    )  # fmt: skip
