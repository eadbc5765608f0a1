"""The method of a study, from text to report: `run_study` reads like the method section of the paper.

Every stage leaves files behind and skips what is there, so that a killed run goes on and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from glossator import __version__, registry
from glossator.corpora import Corpus, ProbeSet, open_corpus, probe_set
from glossator.corpora.sources import IN_MEMORY
from glossator.engines import Engine, LocalEngine, at_most, fixed_sums
from glossator.errors import UserError
from glossator.files import plain, write_json
from glossator.inputs import Images, Texts, TokenWindows
from glossator.language_models.endpoint import heard
from glossator.scorers.baselines import RANDOM_WEIGHTS
from glossator.store.database import DATABASE, build_database, described
from glossator.store.spec import StudySpec
from glossator.store.study import FORMAT, Study, open_study
from glossator.study.context import StudyContext, check_subject, resources_of
from glossator.study.grow import check_folder, claimed, grow
from glossator.study.jobs import Unfinished, Unrecorded
from glossator.study.models import Access
from glossator.study.prepare import prepare
from glossator.study.projection import announce
from glossator.study.random_weights import KEY, as_fact, spec_beside
from glossator.study.sources import check_finished, check_methods
from glossator.study.work import KEPT, Work
from glossator.subjects.aliases import GIVEN
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.subjects.base import Subject

Stage = Literal["begin", "record", "explain", "score"]


def run_study(
    spec: StudySpec,
    folder: str | Path,
    *,
    until: Stage = "score",
    progress: bool | None = None,
    access: Access | None = None,
    corpus: Any = None,
    subject: Subject | None = None,
    engine: Engine | None = None,
) -> Study | None:
    """Do what the spec says and leave a study in `folder`; what an earlier run of the same spec did is kept.

    until: the last stage; a study that stops before `score` is unfinished, and None is returned. One that is only begun
    has its spec in the folder, so that `glossator work` can record its parts. progress: bars on stderr; None shows them
    on a terminal only. access: how language models are paid for and where their answers are kept. corpus: texts as a
    Python object that `open_corpus` takes, or inputs of any kind (`glossator.inputs`, or a `ProbeSet` that says how
    they are split), in place of what the spec names; the study is resumed by giving the same again. subject: a loaded
    one, such as `load_subject` makes of a model in memory, or one of `glossator.subjects` that has no name to be loaded
    by (a function, a module, measurements); the spec gives its name. engine: where units are recorded, explained and
    scored, which changes no byte of the study; None for all cores of this machine. A finished study of this spec with
    fewer scorers or units gets the others, and keeps what it found. Raises `UserError` for bad input before anything is
    written, and when a budget is reached: what is finished is kept, and the same call with a higher budget goes on.
    """
    folder, given, engine = Path(folder), None, engine or LocalEngine()
    if corpus is not None:
        given = _given(corpus, spec)
        fingerprint = given.spec["corpus_fingerprint"] if isinstance(given, ProbeSet) else given.fingerprint
        spec = replace(spec, corpus=IN_MEMORY + fingerprint)
    if subject is not None:
        spec = naming(spec, subject)
    more = check_folder(spec, folder)
    finished = (folder / "manifest.json").exists()
    if finished and more:
        with open_study(folder) as held:
            check_methods(spec, held.results)
    if finished and not more:  # Its scores are of what it recorded.
        check_finished(spec, folder, subject)
    else:
        source = prepare(spec, folder, access or Access(), given, subject, explains=until != "record")
        if until == "score":  # Who asks for the causal scores of an encoder is told before anything is done.
            checked = check_subject(spec, resources_of(spec, source.models, source.subject))
            source = replace(source, subject=source.subject or checked)
        with claimed(spec, folder, progress) as work, source.models, heard(work.say), fixed_sums():
            if more:  # The study is there with fewer units or scores: what was found stays.
                grow(spec, work)
            # The subject reads the corpus; what its units did is recorded.
            if until == "begin":
                return None
            if not isinstance(engine, LocalEngine) and source.probes is not None and not more:
                Unrecorded(work, source).parts(engine)
            recording = source.record(folder / "recording", work)
            context = StudyContext.of(spec, recording, work.note, source.models, source.subject)
            study = Unfinished(work, context)
            if until != "record":  # What language models will be asked is foreseen on one unit, and said.
                announce(study.new, study.again, context, work)
            # Each method sees the explain split of a unit's evidence and makes candidates; the select split ranks them.
            if until != "record":
                study.stage("explain", engine)
            # The first candidate of each method meets the test split, beside explanations that understood nothing. Who
            # reads it: its program is executed; words are read by the language model (`glossator.study.simulator`).
            if until == "score":
                study.stage("score", engine)
                facts = {}
                if RANDOM_WEIGHTS in spec.baselines:
                    from glossator.subjects.random_weights import with_random_weights

                    untrained = subject and with_random_weights(subject, spec.seed)
                    inner = spec_beside(spec, recording, folder, untrained, work.say)
                    work.say("The same architecture with random weights is recorded, explained and scored alike.")
                    random = run_study(
                        inner, folder / RANDOM_WEIGHTS, progress=progress, access=access, corpus=given,
                        subject=untrained, engine=engine,
                    )  # fmt: skip
                    assert random is not None
                    with random:
                        facts[KEY] = as_fact(random)
                kept = work.rows(KEPT) if study.scores_stay else iter(())
                with at_most(engine.workers if isinstance(engine, LocalEngine) else None):
                    finish(study.units, kept, context, work, facts)
    if until != "score":
        return None
    Work(folder).clean()
    return open_study(folder)


def _given(corpus: Any, spec: StudySpec) -> Corpus | ProbeSet:
    """What is given to be read: inputs are dealt to splits, anything else is texts."""
    if isinstance(corpus, ProbeSet):
        return corpus
    if isinstance(corpus, TokenWindows | Texts | Images):
        return probe_set(corpus, seed=spec.seed)
    return open_corpus(corpus, spec.text_column)


def naming(spec: StudySpec, subject: Subject) -> StudySpec:
    """The spec of a study of a subject that is given; raises `UserError` where it names another, and for a model in
    memory that has changed since it became a subject."""
    from glossator.subjects.loading import subject_name

    given = spec.subject.removeprefix(GIVEN)
    if subject.name not in (given, subject_name(given)):
        raise UserError("the spec names a different subject", value=given, allowed=subject.name)
    subject.check_unchanged()
    return replace(spec, subject=GIVEN + subject.name) if subject.in_memory else spec


REPORT = "report.html"


def finish(
    units: Sequence[Unit],
    kept: Iterator[dict[str, Any]],
    context: StudyContext,
    work: Work,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write what the study of these units consists of; the manifest comes last, so its presence means that the study is
    complete.

    kept: results, as `packed` makes them, of units that were not scored now; more: other facts about the study.
    """
    folder, recording = work.folder, context.recording
    made_with = {"glossator": __version__, "numpy": np.__version__, **recording.manifest["made_with"]}
    facts = {"recording": recording.fingerprint, "subject": recording.spec.subject, **made_with, **(more or {})}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "spec": plain(context.spec),
        "fingerprint": context.spec.fingerprint,
        "subject": recording.spec.subject,
        "recording": recording.fingerprint,
        "made_with": made_with,
    }
    with work.timed("database"):
        results = merged(units, kept, work.rows("score"))
        build_database(folder / DATABASE, context.spec, results, facts, work.asked())
    with work.timed("report"), Study(folder, manifest) as study:
        manifest["units"] = study.counts
        registry.load("reports", "html")(folder / REPORT, study, context.for_showing())
    manifest["files"] = {name: described(folder / name) for name in (DATABASE, REPORT, "spec.json")}
    if identities := context.models.identities():
        manifest["language_models"] = identities
    write_json(folder / "manifest.json", manifest)


def merged(units: Iterable[Unit], *streams: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results of all units from several streams of them, each of which has its own units in this order."""
    heads = [next(stream, None) for stream in streams]
    for unit in units:
        name = str(unit)
        place = next((p for p, head in enumerate(heads) if head is not None and head["unit"] == name), None)
        if place is None:
            raise UserError("the study lacks a result", value=name, fix="Delete its folder `work` and run again")
        head = heads[place]
        assert head is not None
        yield head
        heads[place] = next(streams[place], None)
