"""Shared by all stages of a study: the recording, the lexicon, and the methods named in the spec, built once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from glossator import registry
from glossator.errors import UserError
from glossator.evidence import Evidence, Split
from glossator.explainers import Explainer
from glossator.explanations import Explanation
from glossator.language_models.costs import Meter
from glossator.programs import Lexicon
from glossator.recording import Recording, draw
from glossator.resources import Resources
from glossator.scorers import Scorer, simulates
from glossator.scorers.baselines import Baseline, open_baselines
from glossator.scorers.lab import Lab
from glossator.scorers.other_units import RecordedOthers
from glossator.simulators.program import ProgramSimulator
from glossator.store.spec import StudySpec
from glossator.study.metered import Interrupted, Metered
from glossator.study.models import StudyModels, models_to_show
from glossator.study.simulator import EXECUTE, StudySimulator, simulator_name
from glossator.study.sources import check_same, kept_of_pooled, kept_readouts, opened_as, refused_units
from glossator.subjects.functions import FunctionSubject
from glossator.subjects.named import POOLED
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.store.study import Study
    from glossator.subjects.base import Subject
    from glossator.subjects.embedders import Embedder

Note = Callable[[str], None]
Item = TypeVar("Item")
Result = TypeVar("Result")
Shared = TypeVar("Shared", bound=Resources)


FIT_NOTHING = ("correlation", "specificity")
"""Scorers that simulate and ask nothing of the calibrate split."""


@dataclass(frozen=True, eq=False)
class StudyContext:
    """What a stage works with. resources: what methods share; models: the language models; note: writes a line to the
    study's log."""

    spec: StudySpec
    recording: Recording
    resources: Resources
    models: StudyModels
    note: Note
    _orders: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        spec: StudySpec,
        recording: Recording,
        note: Note = lambda _: None,
        models: StudyModels | None = None,
        subject: Subject | None = None,
    ) -> StudyContext:
        """subject: the loaded one where there is one; else it is loaded when it is asked for."""
        models = StudyModels() if models is None else models
        return cls(spec, recording, resources_of(spec, models, subject, recording), models, note)

    @classmethod
    def to_show(cls, study: Study) -> StudyContext:
        """To look at a finished study: its language models repeat what they said."""
        return cls.of(
            study.spec,
            study.recording,
            models=models_to_show(study.spec, study.folder, study.manifest.get("language_models")),
        )

    def for_showing(self) -> StudyContext:
        """The same with language models that send nothing: what they said while the study was made is said again."""
        return StudyContext.of(self.spec, self.recording, self.note, self.models.for_showing())

    @cached_property
    def explainers(self) -> dict[str, Explainer]:
        """By name, made once, since they may keep what is the same for all units."""
        return {name: self.build("explainers", name) for name in self.spec.explainers}

    @cached_property
    def scorers(self) -> dict[str, Scorer]:
        return {name: self.build("scorers", name) for name in self.spec.scorers}

    @property
    def splits_read(self) -> list[Split]:
        """The splits whose windows are simulated to score: `calibrate` only for scorers that fit something there."""
        simulating = [name for name, scorer in self.scorers.items() if simulates(scorer)]
        fitting = [name for name in simulating if name not in FIT_NOTHING]
        return ["test", "calibrate"] if fitting else ["test"] if simulating else []

    @cached_property
    def baselines(self) -> dict[str, Baseline]:
        """What scores are set beside, by name."""
        return open_baselines(self.spec.baselines, self.resources)

    @cached_property
    def simulator(self) -> StudySimulator:
        """Simulates: programs by executing them, words by the simulator of the spec."""
        executor, named = ProgramSimulator(self.resources.lexicon), self.spec.simulator
        model = lm_of(named or "", self.spec, self.models)
        name = simulator_name(self.spec, model)
        if name == EXECUTE:
            return StudySimulator(executor)
        model = lm_of(name, self.spec, self.models)
        return StudySimulator(executor, self.build("simulators", name), name, model, every=named is not None)

    @cached_property
    def others(self) -> RecordedOthers:
        """What other units of a site did, for scores that compare units."""
        return RecordedOthers(self.recording, self.order)

    def order(self, site: str) -> tuple[int, ...]:
        """The studied units of a site in the order in which they were drawn."""
        if site not in self._orders:
            self._orders[site] = self.spec.drawn(site, self.recording.sites[site].width)
        return self._orders[site]

    def build(self, kind: str, name: str) -> Any:
        return self.own(name, self.resources).build(kind, name, options_of(name, self.spec))

    def own(self, name: str, shared: Shared) -> Shared:
        """What is shared, as one method gets it: with the language model that its options name."""
        return with_own_lm(name, self.spec, self.models, shared)

    @property
    def meter(self) -> Meter:
        return self.models.meter

    def evidence(self, unit: Unit) -> Evidence:
        """What was recorded of a unit; insufficient where its readout says that it is not worth explaining."""
        drawn, refusal = draw(self.recording, unit, self.spec.evidence), self._refusal(unit)
        return drawn if refusal is None else replace(drawn, status="insufficient", reason=refusal)

    def _refusal(self, unit: Unit) -> str | None:
        if self.spec.subject.startswith(POOLED):
            kept = kept_of_pooled(self.spec.subject, self.recording.folder.parent)
            if kept is not None:  # known without opening it
                return self._refused.get(kept.name, {}).get(str(unit.index))
            subject = self.resources.subject
            return subject.refused(unit.index) if isinstance(subject, FunctionSubject) else None
        return self._refused.get(unit.site, {}).get(str(unit.index))

    @cached_property
    def _refused(self) -> dict[str, dict[str, str]]:
        return refused_units(self.recording.folder.parent)

    def lab(self, baselines: Mapping[str, Explanation] | None = None) -> Lab:
        """A new lab, in which nothing is kept yet."""
        shared = self.resources
        return Lab(
            shared.lexicon, self.simulator, self.others, baselines or {}, self.spec.calibration, self.spec.seed,
            open_lm=shared.open_lm, open_subject=shared.open_subject, open_embedder=shared.open_embedder,
            open_readouts=shared.open_readouts,
        )  # fmt: skip

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """[function(item) for item in items] in order, several at a time where they wait for a server.

        Threads and not processes: a language model in this process does not survive a fork.
        """
        if self.models.at_once < 2:
            return [function(item) for item in items]
        pool = ThreadPoolExecutor(self.models.at_once)
        try:
            return list(pool.map(function, items))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def reason_of(error: Exception) -> str:
    """One line that says why a unit failed. What would fail every unit (no memory, a full disk, a budget that is
    reached) is no result and is raised anew."""
    if isinstance(error, MemoryError | OSError | Interrupted):
        raise error
    text = str(error).strip().replace("\n", " ")
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".removesuffix(": ")


OWN_LM = "lm"
"""The option that gives a method another language model than the study's."""


def resources_of(
    spec: StudySpec, models: StudyModels, subject: Subject | None = None, recording: Recording | None = None
) -> Resources:
    """What the methods of a study share: lexicon, subject, embedder, the language model where there is one, and the
    readouts that were recorded."""

    def load() -> Subject:
        from glossator.subjects.named import open_subject

        models.confirm_subject(spec.subject)
        inputs = None if recording is None else recording.inputs
        name = spec.subject if recording is None else opened_as(spec.subject, recording.folder.parent)
        loaded = subject or open_subject(name, inputs, dtype=spec.dtype, device=spec.device)
        if recording is not None:
            check_same(recording.spec, {"subject_fingerprint": loaded.fingerprint}, spec.subject)
        return loaded

    def embedder() -> Embedder:
        from glossator.subjects.embedders import load_embedder

        return load_embedder("minilm")

    lexicon = None
    if recording is not None and recording.inputs.kind == "tokens":
        lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding, recording.windows)
    read = None if recording is None or not recording.spec.readouts else partial(kept_readouts, recording)
    lm = None if spec.lm is None or spec.lm not in models else partial(models.open, spec.lm)
    return Resources(lexicon, open_lm=lm, open_subject=load, open_embedder=embedder, open_readouts=read)


def lm_of(name: str, spec: StudySpec, models: StudyModels) -> Metered | None:
    """The language model of one method: the one that its options name, else the study's; None where there is none."""
    own = spec.options.get(name, {}).get(OWN_LM)
    chosen = own if own in models else spec.lm
    return None if chosen is None or chosen not in models else models.open(chosen)


def with_own_lm(name: str, spec: StudySpec, models: StudyModels, shared: Shared) -> Shared:
    """What is shared, with another language model where the options of the method name one."""
    own = spec.options.get(name, {}).get(OWN_LM)
    return shared if own is None or own not in models else replace(shared, open_lm=partial(models.open, own))


def options_of(name: str, spec: StudySpec) -> dict[str, Any]:
    """The spec's options of one method, apart from its language model."""
    return {key: value for key, value in spec.options.get(name, {}).items() if key != OWN_LM}


def check_subject(spec: StudySpec, resources: Resources) -> Subject | None:
    """Raise `MissingPower` for a subject without the outputs that a scorer of the spec measures, such as an encoder.

    Returns the subject, which is loaded only if a scorer measures outputs; else None.
    """
    if not any(registry.load("scorers", name).measures_outputs for name in spec.scorers):
        return None
    from glossator.causal.edits import check_outputs

    check_outputs(resources.subject)
    return resources.subject
