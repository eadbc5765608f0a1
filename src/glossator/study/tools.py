"""Shared by all stages of a study: the recording, the lexicon, and the methods named in the spec, built once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from glossator import registry
from glossator.errors import UserError
from glossator.evidence import Evidence
from glossator.language_models.costs import Meter
from glossator.programs import Lexicon
from glossator.recording import Recording, draw
from glossator.resources import Resources
from glossator.scorers import Scorer
from glossator.scorers.baselines import Baseline, open_baselines
from glossator.scorers.lab import Lab
from glossator.scorers.others import RecordedOthers
from glossator.simulators.program import ProgramSimulator
from glossator.store.spec import StudySpec
from glossator.study.metered import Interrupted
from glossator.study.models import StudyModels, models_to_show
from glossator.study.reading import EXECUTE, Reader, simulator_name
from glossator.study.sources import check_same, kept_readouts
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.store.study import Study

Note = Callable[[str], None]
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Tools:
    """resources: what methods share, opened at first use; models: the language models; note: writes a line to the
    study's log; lexicon: None where the inputs are no tokens."""

    spec: StudySpec
    recording: Recording
    lexicon: Lexicon | None
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
        subject: Any = None,
    ) -> Tools:
        """The tools of a study. subject: the loaded one where there is one; else it is loaded when it is asked for."""
        lexicon = None
        if recording.inputs.kind == "tokens":
            lexicon = Lexicon.for_windows(recording.vocabulary, recording.embedding)
        models = StudyModels() if models is None else models
        return cls(spec, recording, lexicon, resources_of(spec, models, lexicon, subject, recording), models, note)

    @classmethod
    def to_show(cls, study: Study) -> Tools:
        """The tools to look at a finished study with: its language models repeat what they said."""
        return cls.of(
            study.spec,
            study.recording,
            models=models_to_show(study.spec, study.folder, study.manifest.get("language_models")),
        )

    def for_showing(self) -> Tools:
        """The same with language models that send nothing: what they said while the study was made is said again."""
        shown = self.models.for_showing()
        return Tools(
            self.spec,
            self.recording,
            self.lexicon,
            resources_of(self.spec, shown, self.lexicon, recording=self.recording),
            shown,
            self.note,
        )

    @cached_property
    def explainers(self) -> dict[str, Any]:
        """By name, made once, since they may keep what is the same for all units."""
        return {name: self.build("explainers", name) for name in self.spec.explainers}

    @cached_property
    def scorers(self) -> dict[str, Scorer]:
        return {name: self.build("scorers", name) for name in self.spec.scorers}

    @cached_property
    def baselines(self) -> dict[str, Baseline]:
        """What scores are set beside, by name."""
        return open_baselines(self.spec.baselines, self.resources)

    @cached_property
    def reader(self) -> Reader:
        """Simulates: programs by executing them, words by the simulator of the spec."""
        executor, named = ProgramSimulator(self.lexicon), self.spec.simulator
        resources = self.resources_for(named or "")
        name = simulator_name(self.spec, resources.get("lm") if resources.has("lm") else None)
        if name == EXECUTE:
            return Reader(executor)
        own = self.resources_for(name)
        model = own.get("lm") if own.has("lm") else None
        return Reader(executor, self.build("simulators", name), name, model, every=named is not None)

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
        return self.resources_for(name).build(kind, name, options_of(name, self.spec))

    def resources_for(self, name: str) -> Resources:
        return own_resources(name, self.spec, self.resources, self.models)

    @property
    def meter(self) -> Meter:
        return self.models.meter

    def evidence(self, unit: Unit) -> Evidence:
        return draw(self.recording, unit, self.spec.evidence)

    def lab(self) -> Lab:
        calibration, seed = self.spec.calibration, self.spec.seed
        return Lab(self.lexicon, self.reader, self.resources, self.others, calibration=calibration, seed=seed)

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
    return resources.but(lm=lambda: models.open(own))


def options_of(name: str, spec: StudySpec) -> dict[str, Any]:
    """The spec's options of one method, apart from its language model."""
    return {key: value for key, value in spec.options.get(name, {}).items() if key != OWN_LM}


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
