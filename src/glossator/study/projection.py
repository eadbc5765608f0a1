"""What a run will cost, before it is paid: one unit is walked through with a language model that answers nothing.

Its requests are counted and multiplied by the number of units. That is an estimate: tokens are guessed from
characters, answers taken to be as long as they may be, and questions that follow from answers (revisions, further
rounds) are not foreseen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from glossator.evidence import Evidence
from glossator.explainers import explain_all
from glossator.explanations import Explanation, Provenance
from glossator.language_models import NOTHING_USED, Answer, Request, Usage
from glossator.language_models.prices import PICO
from glossator.language_models.projection import likely
from glossator.simulators import ACTIVATION, Simulation
from glossator.study.costs import in_words
from glossator.study.models import StudyModels
from glossator.study.reading import WRITE_PROGRAMS, Reader
from glossator.study.tools import Tools
from glossator.study.work import Work
from glossator.units import Unit
from glossator.windows import TokenWindows

SOMETHING = "words about animals, and about people who keep them, mostly in the plural"
"""Stands for an explanation that is not yet there; about as long as explanations are."""
TRIED = 20
"""Units looked at for one with enough evidence."""


@dataclass
class Unanswering:
    """Has the name and the powers of a language model; keeps what it is asked, and answers nothing."""

    name: str
    powers: frozenset[str]
    is_here: bool = False
    asked: dict[str, Request] = field(default_factory=dict)

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        self.asked.update((repr(request), request) for request in requests)
        return [Answer("", finish="error", failure="nobody answers a rehearsal") for _ in requests]


class Rehearsal(StudyModels):
    """The study's models with nobody behind them."""

    def __init__(self, models: StudyModels):
        super().__init__(tuple(models), models.access)
        self._real = models
        self._stand_ins: dict[str, Unanswering] = {}

    def open(self, name: str) -> Unanswering:  # type: ignore[override]
        if name not in self._stand_ins:
            real = self._real.open(name)
            self._stand_ins[name] = Unanswering(real.name, real.powers)
        return self._stand_ins[name]

    def used(self) -> Usage:
        """About what everything asked so far would cost, answers as long as they may be."""
        total = NOTHING_USED
        for model in self._stand_ins.values():
            price = self.access.ledger.price(model.name)
            for request in model.asked.values():
                tokens = likely(request)
                total += Usage(1, *tokens, None if price is None else price.pico(*tokens) / PICO)
        return total


def announce(units: Sequence[Unit], tools: Tools, work: Work) -> None:
    """Say what the study will ask of its language models; nothing where there are none."""
    if not tuple(tools.models):
        return
    left = len(units) - work.finished("score")
    names = ", ".join(tools.models.open(name).name for name in tools.models)
    one = project(units, tools)
    if one is None:
        work.say(f"No unit of the first {TRIED} has enough evidence to foresee what {names} will be asked.")
        return
    work.say(
        f"Foreseen for {left} unit{'' if left == 1 else 's'} with {names}: about {in_words(times(one, left))}. "
        "An estimate from one unit; answers that are already there are not paid for again."
    )


def times(usage: Usage, n: int) -> Usage:
    money = None if usage.money is None else usage.money * n
    return Usage(usage.calls * n, usage.prompt_tokens * n, usage.completion_tokens * n, money)


def project(units: Sequence[Unit], tools: Tools) -> Usage | None:
    """What one unit takes, from first to last stage; None when none of the first units has enough evidence."""
    drawn = ((unit, tools.evidence(unit)) for unit in units[:TRIED])
    chosen = next(((unit, evidence) for unit, evidence in drawn if evidence.status == "ok"), None)
    if chosen is None:
        return None
    models = Rehearsal(tools.models)
    dry = Tools.of(tools.spec, tools.recording, models=models)
    _rehearse(*chosen, dry)
    return models.used()


def _rehearse(unit: Unit, evidence: Evidence, dry: Tools) -> None:
    """Explain, rank and score, as the stages do; where nobody's answer is an error, the next step is walked through."""
    n, spec = dry.spec.candidates, dry.spec
    for name in (n for n in spec.explainers if n not in WRITE_PROGRAMS):
        with contextlib.suppress(Exception):
            explain_all(dry.explainers[name], [(unit, evidence.explain)], n=n, rng=dry.rng(unit))
    reading = _AsIfRead(dry.reader)
    lab = replace(dry.lab(), simulator=reading)
    for name in spec.explainers:
        if name in WRITE_PROGRAMS and not dry.reader.every:
            continue
        *candidates, other = (
            Explanation(unit, f"{name} {place}: {SOMETHING}", Provenance(name)) for place in range(n + 1)
        )
        for candidate in candidates:
            lab.simulate(candidate, evidence.select)
        reading.read.clear()
        for scorer in dry.scorers.values():
            with contextlib.suppress(Exception):
                scorer.score(unit, candidates[0], evidence, lab.for_unit({}))
        # The null, another unit's explanation, is read on this unit's top windows; on the random ones, which all units
        # share, it has been read already.
        for split in (evidence.test, evidence.calibrate):
            if id(split.windows) in reading.read:
                reading.simulate(other, split.take(np.flatnonzero(~np.asarray(split.in_random))).windows)


@dataclass(frozen=True, eq=False)
class _AsIfRead:
    """Asks the reader's questions and goes on with zeros, so that what comes after them is asked as well."""

    reader: Reader
    read: set[int] = field(default_factory=set)

    def simulate(self, explanation: Explanation, windows: TokenWindows) -> Simulation:
        self.read.add(id(windows))
        with contextlib.suppress(Exception):
            self.reader.simulate(explanation, windows)
        return Simulation(np.zeros(windows.tokens.shape), ACTIVATION)
