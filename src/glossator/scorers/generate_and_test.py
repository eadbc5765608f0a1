"""Generate and test: write texts that should fire the unit, and near misses, and run the subject on both.

Huang et al. 2023, *Rigorously assessing natural language explanations of neurons*, observational mode: an explanation
claims that the unit fires on everything it describes, and on nothing else. A language model writes the texts; or, for a
program, they come from executing it on held-out windows (see `program_texts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np

from glossator.errors import MissingPower, UserError
from glossator.evidence import Evidence, Split
from glossator.explanations import Explanation
from glossator.language_models import Request
from glossator.programs import execute
from glossator.scorers import SUBJECT, TOKEN_VALUES, Scorer, prompts
from glossator.scorers.items import unit_rng
from glossator.scorers.judged import no_text, readable
from glossator.scorers.lab import Lab
from glossator.scorers.program_texts import program_texts
from glossator.scorers.threshold import PROGRAM_RULE, program_cut
from glossator.scores import Score, quoted
from glossator.statistics import Resampled, document_index, estimate, evenly, in_words, sums_by
from glossator.units import Unit

Writer = Literal["auto", "lm", "program"]
WRITERS: tuple[Writer, ...] = ("auto", "lm", "program")
TOKENS_A_TEXT = 80
LEAST = 2
"""Texts of each sort below which there is no score."""
SHOWN = 3
"""Texts of each outcome that a score names."""
MEASURES = ("precision", "recall", "f1", "balanced-accuracy")


@dataclass(frozen=True, eq=False)
class Tested:
    """Texts and the unit's responses: meant (t,) bool, should it fire; fired (t,) bool; sources (t,): which texts
    belong together; how: of the making; why_not: a reason why there are no texts."""

    meant: np.ndarray
    fired: np.ndarray
    sources: np.ndarray
    how: Mapping[str, Any] = field(default_factory=dict)
    why_not: str | None = None


@dataclass(frozen=True)
class GenerateAndTestScorer(Scorer):
    """`generate-and-test.precision`, `.recall`, `.f1` and `.balanced-accuracy`.

    texts: of each sort; writer: lm, program, or auto for the language model where there is one; fires_above: a text
    fires when any token is above this share of the unit's largest activation in the explain split, None for the firing
    threshold of the evidence.
    """

    texts: int = 12
    writer: Writer = "auto"
    fires_above: float | None = None
    split: Split = "test"
    name: ClassVar[str] = "generate-and-test"
    needs: ClassVar[frozenset[str]] = frozenset({TOKEN_VALUES, SUBJECT})

    def __post_init__(self) -> None:
        if self.writer not in WRITERS:
            raise UserError("unknown writer", value=self.writer, allowed=", ".join(WRITERS))

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        by_program = self.writer == "program" or (self.writer == "auto" and not lab.has("lm"))
        if by_program and explanation.program is None:
            raise MissingPower(
                "without a language model texts come from a program, and this explanation has none",
                value=explanation.text,
                fix="Name a language model with --lm",
            )
        baselines = {n: e for n, e in lab.baselines.items() if e.program} if by_program else readable(lab)
        together = [explanation, *baselines.values()]
        why_not = None if by_program else no_text(explanation)
        if evidence.status != "ok":
            why_not = f"insufficient evidence: {evidence.reason}"
        if why_not:
            nothing = np.empty(0, bool)
            tested = [Tested(nothing, nothing, nothing, why_not=why_not)]
            baselines = {}
        elif by_program:
            tested = [self._by_program(unit, e, evidence, lab) for e in together]
        else:
            tested = self._by_reader(unit, together, evidence, lab)
        how = {
            "writer": "program" if by_program else "lm",
            "fires": f"any token above {self._threshold(evidence):g}",
            "threshold_rule": evidence.statistics.firing_rule
            if self.fires_above is None
            else f"{self.fires_above:g} of the largest activation in the explain split",
            "interval": in_words(lab.level, "documents" if by_program else "texts"),
            "seed": lab.seed,
            **tested[0].how,
        }
        return [self._score(lab, m, tested[0], dict(zip(baselines, tested[1:], strict=True)), how) for m in MEASURES]

    def _score(
        self, lab: Lab, measure: str, tested: Tested, baselines: Mapping[str, Tested], how: Mapping[str, Any]
    ) -> Score:
        values = {n: None if t.why_not else statistic_of(t, measure).value for n, t in baselines.items()}
        name, n = f"{self.name}.{measure}", len(np.unique(tested.sources))
        if tested.why_not:
            return Score(name, None, measure, n=n, baselines=values, reason=tested.why_not, how=dict(how))
        found = estimate(statistic_of(tested, measure), level=lab.level)
        settings = dict(how)
        if found.no_interval is not None:
            settings["no_interval"] = found.no_interval
        return Score(
            name, found.value, measure, found.low, found.high, n, baselines=values, reason=found.reason, how=settings
        )

    def _threshold(self, evidence: Evidence) -> float:
        if self.fires_above is None:
            return evidence.statistics.firing_threshold
        return self.fires_above * evidence.explain.statistics.maximum

    def _by_program(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> Tested:
        return lab.kept(
            ("program texts", self), (explanation, evidence), lambda: self._made(unit, explanation, evidence, lab)
        )

    def _made(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> Tested:
        program, windows = explanation.program, evidence.split(self.split).windows
        assert program is not None
        cut = program_cut(program, evidence, lab.required_lexicon)
        if isinstance(cut, str):
            nothing = np.empty(0, bool)
            return Tested(nothing, nothing, nothing, {"program_fires": PROGRAM_RULE}, f"no texts can be made: {cut}")
        rng = unit_rng(unit, lab.seed, "program texts")
        written = program_texts(program, windows, lab.required_lexicon, self.texts, cut, rng)
        sources = np.array([*written.sources, *written.silent_sources], int)
        intended = np.arange(len(sources)) < len(written.active)

        def meant(tokens: Any) -> np.ndarray:
            """What the program says of the texts as the subject cuts them into tokens."""
            return np.asarray((execute(program, tokens, lab.required_lexicon) > cut).any(axis=1))

        tested = self._run(unit, [*written.active, *written.silent], intended, sources, evidence, lab, meant)
        return replace(tested, how={**tested.how, "program_fires": PROGRAM_RULE, "program_cut": cut})

    def _by_reader(self, unit: Unit, explanations: list[Explanation], evidence: Evidence, lab: Lab) -> list[Tested]:
        lm = lab.lm
        done: dict[str, Tested] = lab.kept(("written texts", self, lm.name), (evidence,), dict)
        new = [e for e in explanations if e.fingerprint not in done]
        schema = prompts.written_schema(self.texts)
        room = 2 * self.texts * TOKENS_A_TEXT
        requests = [Request(prompts.WRITE.messages(e.text, n=self.texts), schema=schema, max_tokens=room) for e in new]
        for explanation, answer in zip(new, lm.ask(requests) if requests else [], strict=True):
            how: dict[str, Any] = {
                "model": lm.name,
                "prompt": prompts.WRITE.fingerprint,
                "cost": answer.usage.as_dict(),
            }
            texts = read_written(answer.value, self.texts)
            reason = answer.why_unusable() or (texts if isinstance(texts, str) else None)
            if reason is not None or isinstance(texts, str):
                nothing = np.empty(0, bool)
                how |= {"asked": 1, "answered": 0, "failed": {reason: 1}}
                tested = Tested(nothing, nothing, nothing, how, f"no texts were written: {reason}")
            else:
                intended = np.repeat([True, False], self.texts)
                tested = self._run(unit, texts, intended, np.arange(len(texts)), evidence, lab, None)
                tested = replace(tested, how={**how, "asked": 1, "answered": 1, "failed": {}, **tested.how})
            done[explanation.fingerprint] = tested
        return [done[e.fingerprint] for e in explanations]

    def _run(
        self,
        unit: Unit,
        texts: list[str],
        intended: np.ndarray,
        sources: np.ndarray,
        evidence: Evidence,
        lab: Lab,
        meant: Callable[[Any], np.ndarray] | None,
    ) -> Tested:
        """Runs the texts through the subject; texts that give no token are left out."""
        from glossator.recording.texts import text_windows, unit_activations

        subject = lab.subject
        width = evidence.test.windows.width
        readouts = lab.readouts if lab.has("readouts") else None
        found = unit_activations(subject, unit, texts, width=width, readouts=readouts)
        fired = np.array([bool((a.activations > self._threshold(evidence)).any()) for a in found], bool)
        kept = np.array([len(a.tokens) > 0 for a in found], bool)
        should = intended
        if meant is not None and len(texts):
            windows = text_windows(subject, texts, width)
            should = np.zeros(len(texts), bool)
            np.logical_or.at(should, windows.documents, meant(windows))
        active, silent = int(should[kept].sum()), int((~should)[kept].sum())
        how = {
            "texts": {"active": active, "silent": silent},
            "distinct": len(set(texts)),
            "relabelled": int((should != intended)[kept].sum()),
            "shown": _shown([text for text, has in zip(texts, kept, strict=True) if has], should[kept], fired[kept]),
        }
        few = f"{active} texts that should fire and {silent} near misses, {LEAST} of each needed"
        return Tested(should[kept], fired[kept], sources[kept], how, few if min(active, silent) < LEAST else None)


def _shown(texts: Sequence[str], meant: np.ndarray, fired: np.ndarray) -> list[str]:
    """Some texts of each of the four outcomes."""
    found = []
    for should, does, said in (
        (True, True, "fires, as it should"),
        (True, False, "should fire and does not"),
        (False, True, "fires and should not"),
        (False, False, "stays silent, as it should"),
    ):
        rows = np.flatnonzero((meant == should) & (fired == does))
        found += [f"{quoted(texts[rows[place]])}: {said}" for place in evenly(len(rows), SHOWN).tolist()]
    return found


def read_written(value: Any, n: int) -> list[str] | str:
    """The n active texts, then the n silent ones; or why the answer cannot be used."""
    active, silent = (value.get("active"), value.get("silent")) if isinstance(value, dict) else (None, None)
    if not isinstance(active, list) or not isinstance(silent, list):
        return "not two lists of texts"
    lists = (active, silent)
    if not all(isinstance(text, str) and text.strip() for texts in lists for text in texts):
        return "an empty text, or none at all"
    return [*lists[0], *lists[1]] if all(len(texts) == n for texts in lists) else "fewer texts than requested"


def statistic_of(tested: Tested, measure: str) -> Resampled:
    """precision: of the texts meant to fire, the share that fires; recall: of the texts that fire, the share that was
    meant to; f1: 2 hits / (2 hits + misses of both kinds); balanced accuracy: mean of the share of texts meant to fire
    that do and of near misses that do not."""
    index, documents = document_index(tested.sources)
    meant, fired = tested.meant, tested.fired
    sums = sums_by(index, documents, meant & fired, meant & ~fired, ~meant & fired, ~meant & ~fired)

    def under(weights: np.ndarray) -> np.ndarray:
        hits, unfired, unmeant, quiet = (weights @ sums).T
        with np.errstate(divide="ignore", invalid="ignore"):
            if measure == "precision":
                return hits / (hits + unfired)
            if measure == "recall":
                return hits / (hits + unmeant)
            if measure == "f1":
                return 2 * hits / (2 * hits + unfired + unmeant)
            return (hits / (hits + unfired) + quiet / (quiet + unmeant)) / 2

    reason = "no text fires" if measure == "recall" and not fired.any() else None
    return Resampled(documents, under, reason, bounds=(0.0, 1.0))
