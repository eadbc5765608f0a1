"""Who says what an explanation predicts: programs are executed, words are read by a language model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.errors import MissingPower
from glossator.explanations import Explanation
from glossator.language_models import PROMPT_LOGPROBS
from glossator.resources import Resources
from glossator.simulators import Simulation, Simulator
from glossator.simulators.program import ProgramSimulator
from glossator.study.spec import StudySpec
from glossator.windows import TokenWindows

if TYPE_CHECKING:
    from glossator.programs import Lexicon

EXECUTE = "program"
TABLES = ("lookup", "token-list")
"""Methods that name single tokens: their programs are executed whatever the simulator, as no sentence holds them."""
WRITE_PROGRAMS = (EXECUTE, *TABLES)
"""Explainers whose explanations always have a program, and are executed unless a simulator is named."""


@dataclass(frozen=True, eq=False)
class Reader:
    """The simulator of a study.

    words: reads explanations in English, None where there is no language model; name: its registered name; model: of
    its language model; every: it also reads the English of programs, instead of executing them.
    """

    executor: ProgramSimulator
    words: Simulator | None = None
    name: str = EXECUTE
    model: str | None = None
    every: bool = False

    def reads(self, explanation: Explanation) -> bool:
        """Whether the language model reads this explanation."""
        if self.words is None or explanation.provenance.method in TABLES:
            return False
        return self.every or explanation.program is None

    def simulate(self, explanation: Explanation, windows: TokenWindows) -> Simulation:
        """Raises `MissingPower` when nobody can read this explanation, or a token got no value."""
        if not self.reads(explanation):
            return self.executor.simulate(explanation, windows)
        assert self.words is not None
        found = self.words.simulate(explanation, windows)
        if unread := int((~np.isfinite(found.expected[windows.valid])).sum()):
            raise MissingPower(f"{self.name} gave no value for {unread} of {int(windows.valid.sum())} tokens")
        return found

    def how(self, explanation: Explanation) -> dict[str, Any]:
        """What a score says of its simulation; nothing for programs, which say all themselves."""
        return {"simulator": self.name, "read_by": self.model} if self.reads(explanation) else {}


def simulator_name(spec: StudySpec, powers: frozenset[str] | None) -> str:
    """The registered simulator that reads words in this study: the one that is named, else the best that a language
    model with these powers serves; `program`, which reads none, where there is no language model."""
    if spec.simulator is not None:
        return spec.simulator
    if powers is None:
        return EXECUTE
    return "lm-all-at-once" if PROMPT_LOGPROBS in powers else "lm-json"


def make_reader(
    spec: StudySpec,
    lexicon: Lexicon | None,
    resources_for: Callable[[str], Resources],
    build: Callable[[str, str], Any],
) -> Reader:
    """The reader of a study. resources_for: of a method by its name; build: makes it, by kind and name."""
    executor = ProgramSimulator(lexicon)  # type: ignore[arg-type]  # None where nothing is executed yet
    resources = resources_for(spec.simulator or "")
    powers = resources.get("lm").powers if resources.has("lm") else None
    name = simulator_name(spec, powers)
    if name == EXECUTE:
        return Reader(executor)
    model = resources_for(name)
    own = model.get("lm").name if model.has("lm") else None
    return Reader(executor, build("simulators", name), name, own, every=spec.simulator is not None)
