"""What all stages of a study share: the recording, the lexicon, and the explainers and scorers that the spec names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.evidence import Evidence
from glossator.files import fingerprint
from glossator.programs import Lexicon
from glossator.recording import Recording, draw
from glossator.scorers.lab import Lab
from glossator.study.spec import StudySpec
from glossator.units import Unit

Note = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Tools:
    """explainers, scorers: by name, made once, since they may keep what is the same for all units; note: writes a line
    to the study's log."""

    spec: StudySpec
    recording: Recording
    lexicon: Lexicon
    explainers: dict[str, Any]
    scorers: dict[str, Any]
    note: Note

    @classmethod
    def of(cls, spec: StudySpec, recording: Recording, note: Note = lambda _: None) -> Tools:
        lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
        explainers = {name: make("explainers", name, spec, lexicon) for name in spec.explainers}
        scorers = {name: make("scorers", name, spec) for name in spec.scorers}
        return cls(spec, recording, lexicon, explainers, scorers, note)

    def evidence(self, unit: Unit) -> Evidence:
        return draw(self.recording, unit, self.spec.evidence)

    def lab(self) -> Lab:
        return Lab(self.lexicon, calibration=self.spec.calibration, seed=self.spec.seed)

    def rng(self, unit: Unit) -> np.random.Generator:
        """The same for the same unit and seed, whatever was worked on before."""
        return np.random.default_rng([self.spec.seed, int(fingerprint(str(unit)), 16)])


def make(kind: str, name: str, spec: StudySpec, lexicon: Lexicon | None = None) -> Any:
    """The registered explainer or scorer, with the spec's options for it and with the lexicon, if it takes one.

    Raises `UserError` for an option that it does not have.
    """
    target, options = registry.load(kind, name), dict(spec.options.get(name, {}))
    parameters = inspect.signature(target).parameters
    known = [p for p in parameters if p != "lexicon" and not p.startswith("_")]
    for option in options:
        if option not in known:
            raise UserError(f"unknown option of {name}", value=option, allowed=near_matches(option, known) or "none")
    if "lexicon" in parameters:
        options["lexicon"] = lexicon
    return target(**options)


def reason_of(error: Exception) -> str:
    """One line that says why a unit failed. Errors of the machine (memory, disk) are no result and are raised anew."""
    if isinstance(error, MemoryError | OSError):
        raise error
    text = str(error).strip().replace("\n", " ")
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".removesuffix(": ")
