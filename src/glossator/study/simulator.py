"""Choosing the simulator of an explanation: programs are executed, text is simulated by a language model."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glossator.explanations import Explanation
from glossator.files import fingerprint
from glossator.inputs import Grid, Inputs, TokenWindows
from glossator.language_models import PROMPT_LOGPROBS, LanguageModel
from glossator.language_models.ledger import BudgetReached
from glossator.simulators import Distribution, Simulation, Simulator
from glossator.simulators.program import ProgramSimulator
from glossator.store.spec import StudySpec
from glossator.study.metered import Interrupted, Metered

SOME = 8
"""Windows that are read together where somebody wants to see how far it is."""
EXECUTE = "program"
TABLES = ("lookup", "token-list")
"""Methods that name single tokens: their programs are executed whatever the simulator, as no sentence holds them."""
WRITE_PROGRAMS = (EXECUTE, *TABLES)
"""Explainers whose explanations always have a program, and are executed unless a simulator is named."""


@dataclass(eq=False)
class StudySimulator(Simulator):
    """The simulator of a study.

    words: reads explanations in English, None where there is no language model; name: its registered name; model: its
    language model; every: it also reads the English of programs, instead of executing them; told: is told how many
    windows were read, a few at a time.
    """

    executor: ProgramSimulator
    words: Simulator | None = None
    name: str = EXECUTE
    model: Metered | None = None
    every: bool = False
    told: Callable[[int], Any] | None = None
    _is_warm: bool = field(default=False, repr=False)

    def executes(self, explanation: Explanation) -> bool:
        """Whether this explanation is executed; else the language model reads it."""
        if self.words is None or explanation.provenance.method in TABLES:
            return True
        return explanation.program is not None and not self.every

    def simulate(self, explanation: Explanation, inputs: Inputs, grid: Grid | None = None) -> Simulation:
        """Raises `MissingPower` when nobody can read this explanation; tokens that got no value are NaN."""
        if self.executes(explanation):
            return self.executor.simulate(explanation, inputs, grid)
        assert self.words is not None
        if self.told is None:
            return self._read(explanation, inputs, grid)
        parts = []
        for first in range(0, max(len(inputs), 1), SOME):
            some = inputs.take(np.arange(first, min(first + SOME, len(inputs))))
            parts.append(self._read(explanation, some, grid))
            self.told(len(some))
        return _joined(parts)

    def _read(self, explanation: Explanation, inputs: Inputs, grid: Grid | None) -> Simulation:
        assert self.words is not None
        try:
            if (
                self.model is not None
                and self.model.in_process is not None
                and isinstance(inputs, TokenWindows)
                and len(inputs)
            ):
                return self._computed_here(self.words, self.model, explanation, inputs)
            return self.words.simulate(explanation, inputs, grid)
        except BudgetReached as error:
            raise Interrupted.by(error) from error

    def _computed_here(
        self, words: Simulator, model: Metered, explanation: Explanation, windows: TokenWindows
    ) -> Simulation:
        """Read by a model in this process, which need not be asked: what it computes is counted as one question.

        The beginning of the prompt, which all explanations share, is computed on one window before, so that a run that
        goes on after a stop counts the same.
        """
        if not self._is_warm:
            words.simulate(explanation, windows.take(np.array([0])))
            self._is_warm = True
        before = model.computed
        found = words.simulate(explanation, windows)
        if used := model.computed - before:
            question = [self.name, explanation.text, windows.ids.tolist(), windows.width]
            model.meter.add_computed(model.name, fingerprint(question), used)
        return found

    @contextlib.contextmanager
    def watched(self, progress: bool | None = None) -> Iterator[None]:
        """Windows that are read move a bar on stderr; progress: None shows it on a terminal only."""
        from tqdm import tqdm

        shown = sys.stderr.isatty() if progress is None else progress
        with tqdm(unit="window", desc="reading", disable=not shown, file=sys.stderr) as bar:
            self.told = bar.update
            try:
                yield
            finally:
                self.told = None

    def how(self, explanation: Explanation) -> dict[str, Any]:
        """What a score says of its simulation; nothing for programs, which say all themselves."""
        if self.executes(explanation) or self.model is None:
            return {}
        return {"simulator": self.name, "read_by": self.model.name}


def _joined(parts: Sequence[Simulation]) -> Simulation:
    """Simulations of windows that follow each other as one."""
    missing = sum((Counter(part.missing) for part in parts), Counter[str]())
    first = parts[0]
    beliefs = [part.distribution for part in parts if part.distribution is not None]
    distribution = None
    if len(beliefs) == len(parts) and len({belief.values.shape[1:] for belief in beliefs}) == 1:
        distribution = Distribution(
            np.concatenate([belief.values for belief in beliefs]),
            np.concatenate([belief.probabilities for belief in beliefs]),
        )
    return Simulation(np.concatenate([p.expected for p in parts]), first.scale, distribution, missing=dict(missing))


def simulator_name(spec: StudySpec, lm: LanguageModel | None) -> str:
    """The registered simulator that reads words in this study: the one that is named, else the best that this language
    model serves; `program`, which reads none, where there is no language model.

    Behind a server one prompt for each window is the cheapest by far. In this process single tokens are, as branches
    off a text that is run once: half as many tokens as whole records take.
    """
    if spec.simulator is not None:
        return spec.simulator
    if lm is None:
        return EXECUTE
    if lm.in_process is not None:
        from glossator.simulators.in_process_reading import takes_branches

        if takes_branches(lm):
            return "lm-one-at-a-time"
    return "lm-all-at-once" if PROMPT_LOGPROBS in lm.powers else "lm-json"
