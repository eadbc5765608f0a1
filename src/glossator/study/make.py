"""Building explainers, simulators and scorers from names in a spec, with their options and resources."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glossator import registry
from glossator.errors import MissingPower, UserError, near_matches
from glossator.evidence import Evidence
from glossator.explanations import Explanation
from glossator.resources import HOW, OPENED, Resources, taken_by
from glossator.scorers import SUBJECT, TOKEN_VALUES, Scorer
from glossator.scores import Column, Score
from glossator.store.spec import StudySpec
from glossator.study.models import StudyModels
from glossator.study.readouts import kept_readouts
from glossator.study.unchanged import check_same
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.programs import Lexicon
    from glossator.recording import Recording
    from glossator.scorers.lab import Lab

OWN_LM = "lm"
"""The option that gives a method another language model than the study's."""


def resources_of(
    spec: StudySpec,
    models: StudyModels,
    lexicon: Lexicon | None = None,
    subject: Any = None,
    recording: Recording | None = None,
) -> Resources:
    """What the methods of a study share: lexicon, subject, embedder, the language model where there is one, and the
    readouts that were recorded."""

    def load() -> Any:
        from glossator.subjects.named import open_subject

        models.confirm_subject(spec.subject)
        inputs = None if recording is None else recording.inputs
        loaded = subject or open_subject(spec.subject, inputs, dtype=spec.dtype, device=spec.device)
        if recording is not None:
            check_same(recording.spec, {"subject_fingerprint": loaded.fingerprint}, spec.subject)
        return loaded

    def embedder() -> Any:
        from glossator.subjects.embedders import load_embedder

        return load_embedder("minilm")

    openers: dict[str, Any] = {"lexicon": lambda: lexicon, "subject": load, "embedder": embedder}
    if recording is not None and recording.spec.readouts:
        openers["readouts"] = lambda: kept_readouts(recording)
    name = spec.lm
    if name is not None and name in models:
        openers["lm"] = lambda: models.open(name)
    return Resources(openers)


def own_resources(name: str, spec: StudySpec, resources: Resources, models: StudyModels) -> Resources:
    """The resources of one method: the study's, with another language model where its options name one."""
    own = spec.options.get(name, {}).get(OWN_LM)
    if own is None or own not in models:
        return resources
    shared = {kind: (lambda kind=kind: resources.get(kind)) for kind in resources.openers}
    return Resources({**shared, "lm": lambda: models.open(own)})


def make(kind: str, name: str, spec: StudySpec, resources: Resources) -> Any:
    """The registered explainer, simulator or scorer, with the spec's options for it and the resources that it takes.

    Raises `UserError` for an option that it does not have, `MissingPower` for a resource that is not there.
    """
    target = registry.load(kind, name)
    return target(**{**_options(target, name, spec), **resources.given(target, name)})


def check(kind: str, name: str, spec: StudySpec, resources: Resources) -> None:
    """Raise what `make` would raise, as far as that shows before there is a recording."""
    target = registry.load(kind, name)
    options = _options(target, name, spec)
    taken = [p for p in taken_by(target).values() if p.name in OPENED]
    missing = [p.name for p in taken if p.default is p.empty and not resources.has(p.name)]
    missing += [
        need
        for need in (sorted(target.needs) if kind == "scorers" else ())
        if need in OPENED and not resources.has(need)
    ]
    if missing:
        raise MissingPower(f"{name} needs a missing resource", value=missing[0], fix=HOW[missing[0]])
    if not {p.name for p in taken} - {"lexicon", "lm", "readouts"} and all(p.default is not p.empty for p in taken):
        given = {"lm": resources.get("lm")} if resources.has("lm") and any(p.name == "lm" for p in taken) else {}
        try:
            target(**options, **given)
        except TypeError as error:  # of another kind than the option is
            raise UserError(f"an option of {name} cannot be used", value=options, fix=str(error)) from error


def check_reads(spec: StudySpec, kind: str) -> None:
    """Raise `MissingPower` for the first explainer of the spec that does not read inputs of this kind."""
    for name in spec.explainers:
        reads = registry.load("explainers", name).reads
        if kind not in reads:
            able = [n for n in registry.table("explainers") if kind in registry.load("explainers", n).reads]
            raise MissingPower(
                f"{name} reads {', '.join(sorted(reads))}, not {kind}",
                allowed=", ".join(able) or "no installed explainer",
                fix="Choose another with --explainer",
            )


def check_subject(spec: StudySpec, subject: Callable[[], Any]) -> Any:
    """Raise `MissingPower` for a subject without the outputs that a scorer of the spec measures, such as an encoder.

    Returns the subject, which is loaded only if a scorer measures outputs; else None.
    """
    if not any(registry.load("scorers", name).measures_outputs for name in spec.scorers):
        return None
    from glossator.causal.edits import check_outputs

    loaded = subject()
    check_outputs(loaded)
    return loaded


def _options(target: Any, name: str, spec: StudySpec) -> dict[str, Any]:
    options = {key: value for key, value in spec.options.get(name, {}).items() if key != OWN_LM}
    known = [p for p in taken_by(target) if p not in OPENED and not p.startswith("_")]
    for option in options:
        if option not in known:
            raise UserError(f"unknown option of {name}", value=option, allowed=near_matches(option, known) or "none")
    return options


ONE_AT_A_TIME = threading.RLock()
"""Held while the subject is run: the hooks of two threads on one model would see each other's activations."""


@dataclass(frozen=True, eq=False, kw_only=True)
class NamedScorer(Scorer):
    """A scorer under its registered name, which stands in its missing values, with the resources of its own."""

    name: str  # type: ignore[misc]  # of this one, not of all
    scorer: Scorer
    own_resources: Resources
    needs: frozenset[str]  # type: ignore[misc]

    @property
    def column(self) -> Column:  # type: ignore[override]
        return self.scorer.column

    def resources(self, lab: Lab) -> Resources:
        return self.own_resources

    @property
    def simulates(self) -> bool:
        """Whether it scores the simulation of an explanation: observational scorers that ask neither a language model
        nor the subject do, others where they say so."""
        return self.needs == {TOKEN_VALUES} if self.scorer.simulated is None else self.scorer.simulated

    def score(self, unit: Unit, explanation: Explanation, evidence: Evidence, lab: Lab) -> list[Score]:
        """The scorer's scores; where a language model read the explanation, `how` names it and its simulator."""
        lab_of_its_own = dataclasses.replace(lab, resources=self.own_resources)
        with ONE_AT_A_TIME if SUBJECT in self.needs else contextlib.nullcontext():
            scores = self.scorer.score(unit, explanation, evidence, lab_of_its_own)
        if not self.simulates or lab.simulator is None:
            return scores
        return [dataclasses.replace(s, how={**s.how, **lab.simulator.how(explanation)}) for s in scores]


def named_scorer(name: str, spec: StudySpec, resources: Resources, models: StudyModels) -> NamedScorer:
    own = own_resources(name, spec, resources, models)
    scorer: Scorer = make("scorers", name, spec, own)
    return NamedScorer(name=name, scorer=scorer, own_resources=own, needs=scorer.needs)
