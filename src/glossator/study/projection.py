"""Estimating the cost of a run before it is paid: one unit is processed with a language model that writes stand-ins.

Its requests are counted and multiplied by the number of units that have enough evidence, as far as the first ones show.
That is an estimate: tokens are guessed from characters and from how much of their room answers take, and each answer is
taken to be unlike the others. What follows from answers
is asked about the stand-ins: revisions by new sentences, a simulation of each candidate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from glossator.evidence import Evidence
from glossator.explainers import Abstained
from glossator.explainers.namer import LEAD as NAMER_LEAD
from glossator.explainers.sentences import LEAD as SENTENCES_LEAD
from glossator.explainers.sentences import TOKENS_A_SENTENCE
from glossator.explanations import Explanation, Provenance
from glossator.files import fingerprint
from glossator.inputs import Grid, Inputs, token_windows
from glossator.language_models import NOTHING_USED, Answer, LanguageModel, Request, Usage
from glossator.language_models.costs import in_words
from glossator.language_models.projection import PICO, likely
from glossator.scorers import simulates
from glossator.simulators import ACTIVATION, Simulation, Simulator
from glossator.store.results import UnitResult
from glossator.study.context import StudyContext
from glossator.study.models import StudyModels
from glossator.study.simulator import WRITE_PROGRAMS, StudySimulator
from glossator.study.stages import other_unit, rows_ranked_on
from glossator.study.work import Work
from glossator.units import Unit

SOMETHING = "words about animals, and about people who keep them, mostly in the plural"
"""Stands for an explanation that is not yet there; about as long as explanations are."""
SENTENCE = "The old farmer and both of his sisters keep seventeen goats behind the red barn"
"""Stands for a sentence that is not yet written."""
LEAST_TOKENS = 16
"""Where an answer has less room, it is no explanation."""
TRIED = 20
"""Units looked at for one with enough evidence to stand for all."""


@dataclass
class Unanswering(LanguageModel):
    """Has the name and the powers of a language model; keeps what it is asked, and writes stand-ins: sentences where it
    is asked for them, else an explanation. JSON is made up where it is lists of strings; single tokens are not
    answered."""

    name: str
    powers: frozenset[str]
    context: int | None = None
    asked: dict[str, Request] = field(default_factory=dict)
    computed: dict[str, int] = field(default_factory=dict)

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked.update((repr(request), request) for request in requests)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Answer:
        if request.schema is not None and (made_up := strings_for(request.schema, request.sample)) is not None:
            return Answer("", value=made_up)
        if request.schema is not None or request.max_tokens < LEAST_TOKENS:
            return Answer("", finish="error", failure="rehearsals have no answers")
        last = request.prompt if request.prompt is not None else request.messages[-1].content
        if last.rstrip().endswith(NAMER_LEAD):
            return Answer(f"words of kind {request.sample}")
        if last.rstrip().endswith(SENTENCES_LEAD):
            lines = request.max_tokens // TOKENS_A_SENTENCE
            return Answer("\n".join(f"{SENTENCE}, and {number} more." for number in range(lines)))
        return Answer(f"{SOMETHING}, number {request.sample}")


def strings_for(schema: Mapping[str, Any], sample: int) -> dict[str, list[str]] | None:
    """Lists of stand-ins for an answer that is lists of strings, as names and texts are; None for any other."""
    found = {}
    for key, entry in schema.get("properties", {}).items():
        if entry.get("type") != "array" or entry.get("items", {}).get("type") != "string":
            return None
        found[key] = [f"things of kind {sample}.{number}" for number in range(entry.get("maxItems", 1))]
    return found or None


class Rehearsal(StudyModels):
    """The study's models with nobody behind them."""

    def __init__(self, models: StudyModels):
        super().__init__(tuple(models), models.access)
        self._real = models
        self._stand_ins: dict[str, Unanswering] = {}

    def open(self, name: str) -> Unanswering:  # type: ignore[override]
        if name not in self._stand_ins:
            real = self._real.open(name)
            self._stand_ins[name] = Unanswering(real.name, real.powers, real.context)
        return self._stand_ins[name]

    def compute(self, model: str, what: str, tokens: int) -> None:
        """Count what a model in this process would compute without being asked; model: its name as opened."""
        stand_in = next(s for s in map(self.open, self._names) if s.name == model)
        stand_in.computed[what] = tokens

    def used(self, kept_are_free: bool = False) -> Usage:
        """About what everything asked so far would cost; kept_are_free: but for what was answered before."""
        total = NOTHING_USED
        for name, model in self._stand_ins.items():
            price = self.access.ledger.price(model.name)
            total += Usage(len(model.computed), sum(model.computed.values()), 0, 0.0)
            asked = [*model.asked.values()]
            for request in self._real.open(name).model.missing(asked) if kept_are_free else asked:
                tokens = likely(request)
                total += Usage(1, *tokens, None if price is None else price.pico(*tokens) / PICO)
        return total


def announce(units: Sequence[Unit], again: Sequence[UnitResult], context: StudyContext, work: Work) -> None:
    """Say what the study will ask of its language models; nothing where there are none.

    units: those to be explained and scored; again: those that are explained and only scored, under other scorers.
    """
    if not tuple(context.models) or not (everyone := len(units) + len(again)):
        return
    left = everyone - work.finished("score")
    names = ", ".join(context.models.open(name).name for name in context.models)
    foreseen = foresee(units, context) if units else foresee_scores(again, context)
    if foreseen is None:
        work.say(f"No unit of the first {TRIED} has enough evidence to estimate what {names} will be asked.")
        return
    one, share = foreseen
    working = min(left, max(1, round(left * len(units or again) / everyone * share)))
    usage = times(one, working)
    if units and again and (scored := foresee_scores(again, context)) is not None:
        usage += times(scored[0], round(left * len(again) / everyone * scored[1]))
    work.say(
        f"Estimated cost for {left} unit{'' if left == 1 else 's'} with {names}: about {in_words(usage)}. "
        "An estimate from one unit; cached answers are free."
    )


def times(usage: Usage, n: int) -> Usage:
    money = None if usage.money is None else usage.money * n
    return Usage(usage.calls * n, usage.prompt_tokens * n, usage.completion_tokens * n, money)


def project(units: Sequence[Unit], context: StudyContext) -> Usage | None:
    """What one unit takes; see `foresee`."""
    found = foresee(units, context)
    return None if found is None else found[0]


def foresee(units: Sequence[Unit], context: StudyContext) -> tuple[Usage, float] | None:
    """(What one unit takes in all: of the first units, that with the most windows to read; the share of
    these that have enough evidence to ask about.) None when none of them has."""
    drawn = [(unit, context.evidence(unit)) for unit in units[:TRIED]]
    enough = [(unit, evidence) for unit, evidence in drawn if evidence.status == "ok"]
    if not enough:
        return None
    unit, evidence = max(enough, key=lambda pair: len(pair[1].test) + len(pair[1].select) + len(pair[1].calibrate))
    dry = _DryRun(context)
    dry.all_stages(unit, evidence)
    return dry.models.used(), len(enough) / len(drawn)


def foresee_scores(results: Sequence[UnitResult], context: StudyContext) -> tuple[Usage, float] | None:
    """The same of units that are explained: what scoring the first of them takes beyond the answers that are there."""
    ok = [result for result in results if result.status == "ok"]
    if not ok:
        return None
    dry, unit = _DryRun(context), ok[0].unit
    site = [r for r in results if (r.unit.site, r.unit.polarity) == (unit.site, unit.polarity)]
    for chosen in ok[0].explanations:
        if chosen.rank == 0:
            dry.score(chosen.explanation(unit), other_unit(unit, chosen.method, site, context), context.evidence(unit))
    return dry.models.used(kept_are_free=True), len(ok) / len(results)


def project_explanation(
    explanation: Explanation, other: Explanation | None, evidence: Evidence, context: StudyContext
) -> Usage:
    """What scoring one explanation takes that is already there. other: the baseline that another unit's is."""
    dry = _DryRun(context)
    dry.score(explanation, other, evidence)
    return dry.models.used()


class _DryRun:
    """A unit's way through the stages, with the study's context and nobody's language models; what else is open stays
    open."""

    def __init__(self, context: StudyContext):
        lm, models = context.spec.lm, Rehearsal(context.models)
        resources = context.resources if lm is None else replace(context.resources, open_lm=lambda: models.open(lm))
        self.models = models
        self.context = replace(context, resources=resources, models=models, note=lambda _: None)
        self.reading = _AsIfRead(
            context.simulator if _computes_here(context.simulator) else self.context.simulator, models
        )
        self.lab = replace(self.context.lab(), simulator=self.reading)

    def all_stages(self, unit: Unit, evidence: Evidence) -> None:
        """Explain, rank and score; where nobody's answer is an error, the next step is walked through."""
        for name in self.context.spec.explainers:
            if name in WRITE_PROGRAMS and not self.context.simulator.every:
                continue
            candidates = self._candidates(name, unit, evidence)
            for candidate in candidates:
                ranked_on = evidence.select.take(rows_ranked_on(self.lab, evidence))
                self.reading.simulate(candidate, ranked_on.inputs, ranked_on.grid)
            if candidates:
                other = Explanation(unit, f"{name}: {SOMETHING}, elsewhere", Provenance(name))
                self.score(candidates[0], other, evidence)

    def _candidates(self, name: str, unit: Unit, evidence: Evidence) -> list[Explanation]:
        """What the explainer makes of stand-ins; as many stand-ins as it may give where it makes nothing of them."""
        spec = self.context.spec
        with contextlib.suppress(Exception):
            (found,) = self.context.explainers[name].explain([evidence.explain], n=spec.candidates, seed=spec.seed)
            if not isinstance(found, Abstained):
                return list(found)
        texts = (f"{name} {place}: {SOMETHING}" for place in range(spec.candidates))
        return [Explanation(unit, text, Provenance(name)) for text in texts]

    def score(self, explanation: Explanation, other: Explanation | None, evidence: Evidence) -> None:
        """Simulate the explanation and the baseline, another unit's, where they are scored; ask the readers about both.

        A server's answers about the baseline on the random windows, which all units share, are there already; a model
        in this process keeps no answers and computes them anew.
        """
        other = other or explanation
        for split in self.context.splits_read:
            exemplars = evidence.split(split).take(self.lab.rows_scored(evidence, split))
            self.reading.simulate(explanation, exemplars.inputs, exemplars.grid)
            rows = np.arange(len(exemplars)) if self.reading.here else np.flatnonzero(~exemplars.in_random)
            self.reading.simulate(other, exemplars.inputs.take(rows), exemplars.grid)
        for name, scorer in self.context.scorers.items():
            if not simulates(scorer):
                lab = self.context.own(name, self.lab.for_unit({"mismatched": other}))
                with contextlib.suppress(Exception):
                    scorer.score(explanation.unit, explanation, evidence, lab)


def _computes_here(simulator: StudySimulator) -> bool:
    return (
        simulator.model is not None
        and simulator.model.in_process is not None
        and hasattr(simulator.words, "in_process")
    )


@dataclass(frozen=True, eq=False)
class _AsIfRead(Simulator):
    """Asks the reader's questions and goes on with zeros, so that what comes after them is asked as well; counts what
    a model in this process would compute. simulator: the study's own where it computes here, else one that asks
    nobody."""

    simulator: StudySimulator
    models: Rehearsal

    @property
    def here(self) -> bool:
        return _computes_here(self.simulator)

    def executes(self, explanation: Explanation) -> bool:
        return self.simulator.executes(explanation)

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        layout = getattr(self.simulator.words, "in_process", None)
        if layout is not None and self.here and not self.executes(explanation):
            assert self.simulator.model is not None
            windows = token_windows(inputs, grid)
            question = fingerprint([explanation.text, windows.ids.tolist()])
            self.models.compute(self.simulator.model.name, question, layout.tokens_of(explanation.text, windows))
        else:
            with contextlib.suppress(Exception):
                self.simulator.simulate(explanation, inputs, grid)
        places = grid.places if grid is not None else token_windows(inputs).width
        return Simulation(np.zeros((len(inputs), places)), ACTIVATION)
