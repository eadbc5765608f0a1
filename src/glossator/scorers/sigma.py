"""The SASC score: how much more a unit responds to texts with a concept than to texts without, in sigma of its
responses.

Singh et al. 2023, section 3: (mean f(Text+) - mean f(Text-)) / sigma, where sigma is the standard deviation of f over
the n-grams of the reference corpus. Texts around one name are not independent: the unit's response to the name moves
all of them. So the name is the unit of sampling: p is the rank of a score among those of random names, tested in the
same way on their own texts, and the interval is as wide as their scores vary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from glossator.corpora.wordnet import load_wordnet
from glossator.errors import MissingPower
from glossator.evidence import Evidence, Exemplars
from glossator.explainers.naming.candidates import Proposed
from glossator.explainers.naming.classes import REPORTING, Text, from_templates
from glossator.explainers.naming.naming_split import NamingSplit
from glossator.explainers.naming.proposing import Name
from glossator.explainers.naming.selection import Ranked, ask_once, readings
from glossator.explainers.naming.task import Reference, Responses, Task, asker
from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import WHOLE, text_of
from glossator.recording.texts import token_model
from glossator.scorers import SUBJECT, Scorer
from glossator.scorers.written_texts import LEAST, RANDOM, SCORES, ConceptTexts, HeldOut, Sides
from glossator.scores import Score, quoted
from glossator.statistics import evenly, permutation_p
from glossator.subjects.base import Power, Subject, check_power
from glossator.subjects.text_readouts import PooledSubject
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.scorers.lab import Lab

SHOWN = 3
"""Texts of each side that a score names."""
LEAST_RANDOM = 39
"""Fewer random names with a score give no interval and no p: the least p would be above 2.5 %."""


def difference(positive: np.ndarray, negative: np.ndarray, sigma: float) -> float | None:
    """Mean of the finite responses of one side minus that of the other, in sigma; None where a side has too few."""
    known = [values[np.isfinite(values)] for values in (positive, negative)]
    if min(map(len, known)) < LEAST or not sigma > 0:
        return None
    return float((known[0].mean() - known[1].mean()) / sigma)


def in_sigma(
    name: str,
    positive: np.ndarray,
    negative: np.ndarray,
    sigma: float,
    *,
    random: np.ndarray | None = None,
    ranked: float | None = None,
    how: dict[str, Any] | None = None,
) -> Score:
    """The difference of means in sigma, with a one-sided p and a 95 % interval from the scores of random names.

    positive, negative (n,): responses, NaN where there is none; those are left out and counted in `how`. random (m,):
    scores of random names, NaN where they have none; p = (1 + those at least as large) / (1 + m), of `ranked` where
    the score itself was not made as theirs were. The interval is the value minus the middle 95 % of the random names'
    scores about their median, which is the baseline `random_name`; without enough of them there is neither, and where
    nearly all score alike there is no interval.
    """
    known = [int(np.isfinite(values).sum()) for values in (positive, negative)]
    details = {
        "positive": known[0],
        "negative": known[1],
        "missing": len(positive) + len(negative) - sum(known),
        "sigma": sigma,
        **(how or {}),
    }
    value = difference(positive, negative, sigma)
    if value is None:
        reason = f"fewer than {LEAST} texts with a response on one side ({known[0]} with, {known[1]} without)"
        reason = reason if min(known) < LEAST else "the unit is constant on the corpus"
        return Score(name, None, "sigma", n=sum(known), reason=reason, how=details)
    drawn = np.empty(0) if random is None else random[np.isfinite(random)]
    details["random_names"] = len(drawn)
    if len(drawn) < LEAST_RANDOM:
        details |= {"interval": f"none: fewer than {LEAST_RANDOM} random names have this score", "p": None}
        return Score(name, value, "sigma", n=sum(known), how=details)
    details |= {"interval": "scatter of random names", "p": permutation_p(value if ranked is None else ranked, drawn)}
    high_end, middle, low_end = np.quantile(drawn, [0.975, 0.5, 0.025], method="weibull").tolist()
    if not high_end > low_end:  # nothing scatters: that is no certainty
        details["interval"] = "none: random names score alike"
        return Score(name, value, "sigma", n=sum(known), baselines={"random_name": middle}, how=details)
    low, high = value - (high_end - middle), value - (low_end - middle)
    return Score(name, value, "sigma", low, high, sum(known), baselines={"random_name": middle}, how=details)


Report = tuple[tuple[Score, ...], tuple[tuple[str, str, float], ...]]


@dataclass(frozen=True, eq=False)
class RandomNames:
    """What names drawn at random score for one unit, each in its better reading and on texts as a reported name has.
    keep_all: as in `readings`."""

    task: Task
    tests: ConceptTexts
    keep_all: bool = False
    _known: dict[bool, dict[str, np.ndarray]] = field(default_factory=dict)

    def scores(self, spoken_of: bool) -> dict[str, np.ndarray]:
        """By score those of random names (m,), NaN where there is none; spoken_of: of names that held-out texts speak
        of, or of names that they do not. Where they speak of too few names, both together."""
        if min(map(len, self.tests.random_names.values())) < RANDOM:
            parts = [self._scores_of(which) for which in (True, False)]
            return {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}
        return self._scores_of(spoken_of)

    def _scores_of(self, spoken_of: bool) -> dict[str, np.ndarray]:
        if spoken_of in self._known:
            return self._known[spoken_of]
        names = Proposed([Name(name) for name in self.tests.random_names[spoken_of]])
        tests = [self.tests.of(row) for row in readings(self.task, names, self.tests.dealt, self.keep_all)]
        answers = ask_once(self.task, [text for each in tests for text in _texts(each)])
        values = [_values(each, self.task, answers) for each in tests]
        found = {kind: np.array([each[kind] for each in values], np.float64) for kind in SCORES}  # None becomes NaN
        self._known[spoken_of] = found
        return found


def _values(tests: dict[str, Sides], task: Task, answers: dict[str, float] | None = None) -> dict[str, float | None]:
    """By score the difference of a name's texts; answers: to these texts, asked for where they are not given."""
    answers = ask_once(task, _texts(tests)) if answers is None else answers
    found = {}
    for kind, sides in tests.items():
        with_it, without = (np.array([answers[text.text] for text in side]) for side in sides)
        found[kind] = difference(with_it, without, task.responses.sigma or 0.0)
    return found


def report_on(row: Ranked, task: Task, random: RandomNames, echo: str) -> Report:
    """Three scores of a name and the texts behind them. echo: the text that the unit responds to most.

    `sigma.corpus`: all texts with the concept against stretches of held-out texts without it, of the same lengths.
    `sigma.written`: texts written with the concept against texts written in the same way without it.
    `sigma.held-out`: held-out texts with the concept against such without it, the strictest.
    The baseline `echo` is the same score with the top text in place of the name, in phrases; `random_name` is the
    median of random names. These have phrases alone, so where a language model wrote, p is that of phrases around the
    name.
    """
    tests = random.tests.of(row, row.written)
    in_phrases = random.tests.of(row) if row.written[0] else tests
    echoes = from_templates(echo, REPORTING)
    answers = ask_once(task, [*_texts(tests), *_texts(in_phrases), *(t.text for t in echoes)])
    sigma = task.responses.sigma or 0.0
    drawn = random.scores(random.tests.spoken_of(row.concept))

    def values(texts: Sequence[Text]) -> np.ndarray:
        return np.array([answers[text.text] for text in texts])

    scores = []
    for kind, (positive, negative) in tests.items():
        shown = [*_shown(positive, answers, "with it"), *_shown(negative, answers, "without it")]
        ranked, how = None, dict[str, Any](shown=shown) if shown else {}
        if tests is not in_phrases:
            ranked = difference(values(in_phrases[kind][0]), values(in_phrases[kind][1]), sigma)
            how |= {"p_of": "phrases around the name"}
        made = in_sigma(kind, values(positive), values(negative), sigma, random=drawn[kind], ranked=ranked, how=how)
        if made.value is not None and kind != "sigma.held-out":
            made = replace(
                made, baselines={"echo": difference(values(echoes), values(negative), sigma), **made.baselines}
            )
        scores.append(made)
    return tuple(scores), tuple((text.kind, text.text, answers[text.text]) for text in tests["sigma.corpus"][0])


def _shown(texts: Sequence[Text], answers: Mapping[str, float], side: str) -> list[str]:
    """Some texts of one side, from the largest response to the smallest; those without a response at the end."""
    ordered = sorted(
        dict.fromkeys(text.text for text in texts), key=lambda text: -np.nan_to_num(answers[text], nan=-np.inf)
    )
    return [
        f"{side}: {quoted(text)} {f'{answers[text]:.3g}' if np.isfinite(answers[text]) else 'no response'}"
        for text in (ordered[place] for place in evenly(len(ordered), SHOWN).tolist())
    ]


def _texts(tests: dict[str, Sides]) -> list[str]:
    return [text.text for sides in tests.values() for side in sides for text in side]


class SigmaScorer(Scorer):
    """Do texts about what an explanation says make the unit respond, and do texts without it leave it silent?

    Any explanation in words is tested, by its headline or, where it has none, its text (a name or a sentence), of a
    unit of texts or of tokens (the largest value in a text is then the response). held_out: most texts of the test
    split's random draw that a name is tested on. A subject that cannot be run on new texts gives missing values that
    say so.
    """

    name: ClassVar[str] = "sigma"
    needs: ClassVar[frozenset[str]] = frozenset({SUBJECT})

    def __init__(self, held_out: int = 24):
        self.most = held_out
        self._tests: dict[str, ConceptTexts] = {}
        self._subjects: dict[tuple[str, str], Subject] = {}
        self._random: tuple[str, RandomNames] | None = None

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        if evidence.status != "ok":
            reason = f"insufficient evidence: {evidence.reason}"
            return [Score(kind, None, "sigma", reason=reason) for kind in SCORES]
        try:
            subject = self._of_texts(unit.site, lab)
        except MissingPower as error:
            return [Score(kind, None, "sigma", reason=str(error)) for kind in SCORES]
        tests = self._prepared(evidence.test, lab.seed)
        task, key = self._task(unit, subject, evidence), f"{unit} {evidence.explain.fingerprint} {lab.seed}"
        if self._random is None or self._random[0] != key:
            self._random = key, RandomNames(task, tests, keep_all=True)
        random = self._random[1]
        top = evidence.explain.exemplars
        echo = text_of(top.inputs, int(np.argmax(top.maxima)))
        scores = list(report_on(_reading(explanation, task, tests), task, random, echo)[0])
        scores = [replace(score, how={"tested": _words(explanation), **score.how}) for score in scores]
        for name, baseline in lab.baselines.items():
            if baseline.program is None:
                beside = _values(tests.of(_reading(baseline, task, tests)), task)
                scores = [replace(score, baselines={**score.baselines, name: beside[score.name]}) for score in scores]
        return scores

    def _of_texts(self, site: str, lab: Lab) -> Subject:
        subject = lab.subject
        check_power(subject, Power.RUN, self.name)
        if subject.takes != "tokens":
            return subject
        model = token_model(subject, self.name)
        key = subject.fingerprint, site
        if key not in self._subjects:
            readout = lab.readouts[site] if "@" in site else None
            self._subjects[key] = PooledSubject(model, site, "max", readout=readout)
        return self._subjects[key]

    def _task(self, unit: Unit, subject: Subject, evidence: Evidence) -> Task:
        """sigma: over the whole recording where units have one value a text, else over the random texts of the test
        split."""
        values = _random_part(evidence.test).pooled().maxima.astype(np.float64)
        responses = Responses.of(values)
        if evidence.test.grid == WHOLE:
            responses = replace(responses, sigma=float(evidence.statistics.variance) ** 0.5)
        return Task(unit, responses, asker(subject, unit), values)

    def _prepared(self, test: Exemplars, seed: int) -> ConceptTexts:
        """What all units of a site share: their random texts, and the names that stand beside."""
        part = _random_part(test)
        key = fingerprint([part.inputs.ids.tolist(), part.inputs.kind, seed])
        if key not in self._tests:
            self._tests.clear()
            wordnet = load_wordnet()
            texts = [text_of(part.inputs, row) for row in range(len(part))]
            dealt = NamingSplit(Reference(tuple(texts), wordnet, None), 1.0, seed)
            self._tests[key] = ConceptTexts(dealt, HeldOut(tuple(texts), part.groups, dealt.reference.table), self.most)
        return self._tests[key]


def _reading(explanation: Explanation, task: Task, tests: ConceptTexts) -> Ranked:
    """An explanation as the name of a concept, in the better of its readings."""
    name = Name(_words(explanation))
    return readings(task, Proposed([name]), tests.dealt, keep_all=True)[0]


def _words(explanation: Explanation) -> str:
    """The headline, which is a name; the text where there is none."""
    headline = explanation.headline
    said = headline.text if headline is not None and headline.named else explanation.text
    return " ".join(said.split())


def _random_part(test: Exemplars) -> Exemplars:
    return test.take(np.flatnonzero(test.in_random & test.valid.any(axis=1)))
