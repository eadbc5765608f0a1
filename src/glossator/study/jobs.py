"""A running study: its stages cut into shards, each a job for any process that sees the folder.

What a shard's results are depends on the spec, the recording and, for scores, on all explanations: so on the folder
alone, and neither on who does it nor on what was done before.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from glossator import registry
from glossator.engines import Engine, Job, LocalEngine, carry_out, fixed_sums, one_thread
from glossator.errors import UserError, near_matches
from glossator.recording import Recording, open_recording
from glossator.resources import OPENED, taken_by
from glossator.store.results import UnitResult, unpacked
from glossator.store.spec import StudySpec, load_spec
from glossator.study.context import StudyContext
from glossator.study.grow import HELD, found_before, in_order
from glossator.study.models import Access, StudyModels
from glossator.study.prepare import Source, prepare
from glossator.study.sources import check_methods, keep_readouts
from glossator.study.stages import explain_units, score_units
from glossator.study.work import KEPT, RECORD, Ran, Work
from glossator.units import Unit

STAGES = {"explain": "explainers", "score": "scorers"}
"""The stages of which each shard is some units, and the methods of the spec that each runs."""
SHARD_UNITS, SHARD_UNITS_SLOW = 16, 4
"""Units that are worked on and written together, and where a model is run or asked, which takes its time. The numbers
are fixed, because what is computed together may round alike."""
BY_HAND = "work"
"""What stands for the engine where a job was done by `glossator work`."""


class Unrecorded:
    """A study whose units are not recorded yet: a shard of this stage is a part of its recording."""

    def __init__(self, work: Work, source: Source):
        self.work, self.source = work, source
        self.folder = work.folder / "recording"
        self.spec, self.plan = source.planned()

    def parts(self, engine: Engine) -> None:
        """Record all parts that are not there yet. `Source.record` merges them."""
        keep_readouts(self.source.spec, self.source.readouts, self.work.folder)
        shards = range(len(self.plan.parts))
        jobs = [Job(str(self.work.folder), RECORD, n) for n in shards if not self._has(n)]
        doing = carry_out(engine, jobs, DoShard(engine.name), self.work.note)
        with self.work.bar(RECORD, len(shards)) as bar, _at_hand(self, jobs[:1]), contextlib.closing(doing) as done:
            bar.update(len(shards) - len(jobs))
            for job in done:
                self.work.collect(RECORD, job.shard)
                bar.update(1)

    def do(self, stage: str, shard: int, engine: str) -> None:
        """Record one part, and say what it cost; nothing where it is there already."""
        from glossator.recording.recorder import record_part

        if 0 <= shard < len(self.plan.parts) and self._has(shard):
            return
        source, began = self.source, time.perf_counter()
        assert source.probes is not None and source.subject is not None
        with one_thread(True):
            record_part(self.spec, source.subject, source.probes, self.folder, shard, readouts=source.readouts)
        seconds = round(time.perf_counter() - began, 2)
        first, end = self.plan.parts[shard]
        self.work.save_ran(Ran(stage, shard, end - first, seconds, engine, platform.node(), os.getpid()))

    def open(self, stage: str) -> None:
        """The subject is loaded already."""

    def _has(self, shard: int) -> bool:
        from glossator.recording.recorder import part_is_recorded

        return part_is_recorded(self.folder, self.plan, shard)


class Unfinished:
    """A study whose units are recorded and not all explained and scored.

    units: all of them in order; new: those to be explained; again: those that are explained and only scored, under
    other scorers than they had.
    """

    def __init__(self, work: Work, context: StudyContext):
        self.work, self.context = work, context
        self.units = studied(context.spec, context.recording)
        self.kept, self.scores_stay = found_before(context.spec, work)
        check_methods(context.spec, lambda: itertools.chain(self.kept, map(unpacked, work.rows("explain"))))
        known = {result.unit for result in self.kept}
        self.new = [unit for unit in self.units if unit not in known]
        self.again = [] if self.scores_stay else self.kept

    def stage(self, name: str, engine: Engine) -> None:
        """Do all shards of a stage that are not done yet. What follows reads results from their files (`Work.results`,
        `Work.rows`), so that it cannot tell new ones from resumed ones."""
        size, total = self.size(name), self.count(name)
        shards = range(-(-total // size))
        jobs = [Job(str(self.work.folder), name, n) for n in shards if not self.work.has(name, n)]
        if tuple(self.context.models):
            if engine != LocalEngine() and jobs:
                self.work.say(f"To {name}, a language model is asked: that is done by this process, which keeps count.")
            doing = _here(jobs)
        else:
            doing = carry_out(engine, jobs, DoShard(engine.name), self.work.note)
        with self.work.bar(name, total) as bar, _at_hand(self, jobs[:1]), contextlib.closing(doing) as done:
            for number in set(shards) - {job.shard for job in jobs}:
                self.work.collect(name, number)
                bar.update(min(size, total - number * size))
            for job in done:
                self.work.collect(name, job.shard)
                bar.update(min(size, total - job.shard * size))

    def do(self, stage: str, shard: int, engine: str) -> None:
        """Do one shard, and say what it cost; nothing where it is done already."""
        if stage not in STAGES:
            raise UserError("no such stage", value=stage, allowed=near_matches(stage, (RECORD, *STAGES)))
        size, total = self.size(stage), self.count(stage)
        if not 0 <= shard < -(-total // size):
            allowed = f"0 to {-(-total // size) - 1}" if total else "none: there is nothing to do"
            raise UserError(f"no such shard to {stage}", value=shard, allowed=allowed)
        if self.work.has(stage, shard):
            return
        began = time.perf_counter()
        own_threads = contextlib.nullcontext() if tuple(self.context.models) else one_thread(bool(self._runs(stage)))
        with own_threads:
            done = self._results(stage, slice(shard * size, (shard + 1) * size))
        seconds = round(time.perf_counter() - began, 2)
        ran = Ran(stage, shard, len(done), seconds, engine, platform.node(), os.getpid())
        if not (self.work.folder / "manifest.json").exists():  # others have finished the study meanwhile
            self.work.save(stage, shard, done, self.context.meter.take(), ran)

    def open(self, stage: str) -> None:
        """Make the methods of a stage, and load what they run."""
        getattr(self.context, STAGES[stage])
        self.context.simulator  # noqa: B018 - made before threads or processes share it
        with contextlib.suppress(Exception):  # what is lacking is said of each unit
            for name in self._runs(stage):
                getattr(self.context.resources, name)
            if (lexicon := self.context.resources.lexicon) is not None:
                lexicon.warm()
            if stage == "explain" and self.new:
                evidence = self.context.evidence(self.new[0]).explain
                for explainer in self.context.explainers.values():
                    explainer.warm(evidence)

    def count(self, stage: str) -> int:
        """How many units the stage works on."""
        return len(self.new) if stage == "explain" else len(self.new) + len(self.again)

    def size(self, stage: str) -> int:
        """Units in a shard."""
        return SHARD_UNITS_SLOW if tuple(self.context.models) or "subject" in self._runs(stage) else SHARD_UNITS

    def _results(self, stage: str, which: slice) -> list[UnitResult]:
        if stage == "explain":
            return explain_units(self.new[which], self.context)
        beside = self.kept if self.scores_stay else []
        return score_units(self.explained[which], self.context, [*self.explained, *beside])

    @cached_property
    def explained(self) -> list[UnitResult]:
        """The results that are scored; `UserError` where not all units are explained."""
        shards = range(-(-len(self.new) // self.size("explain")))
        if missing := [n for n in shards if not self.work.has("explain", n)]:
            raise UserError(
                "not all units are explained yet, and a score compares units",
                value=f"{len(missing)} of {len(shards)} shards are missing",
                fix=f"First: glossator work {self.work.folder} explain {missing[0]}",
            )
        return in_order(self.units, self.work.results("explain"), self.again)

    def _runs(self, stage: str) -> list[str]:
        """The models that the methods of a stage run: the subject, a text embedder."""
        kind = STAGES[stage]
        targets = [registry.load(kind, name) for name in getattr(self.context.spec, kind)]
        named = {name for target in targets for name in taken_by(target)}
        if kind == "scorers":
            named |= {need for target in targets for need in target.needs}
        return sorted(named & set(OPENED) & {"subject", "embedder"})


def studied(spec: StudySpec, recording: Recording) -> list[Unit]:
    """All units of the study in the order in which they are worked on: by site, side, index."""
    subject = recording.spec.subject
    return [
        Unit(subject, site, int(index), side)
        for site in spec.sites
        for side in spec.polarities
        for index in recording.units(site)
    ]


@dataclass(frozen=True)
class DoShard:
    """The task of every engine: do one shard in the study's folder.

    engine: named in what it cost; trusted: subjects that may have code imported for them because the study's spec says
    so, None for all.
    """

    engine: str = BY_HAND
    trusted: frozenset[str] | None = None

    def __call__(self, job: Job) -> None:
        with fixed_sums():
            _opened(job, self.trusted).do(job.stage, job.shard, self.engine)

    def open(self, job: Job) -> None:
        with one_thread():
            _opened(job, self.trusted).open(job.stage)


def _here(jobs: Sequence[Job]) -> Generator[Job, None, None]:
    """Do the jobs in this process, one after the other."""
    for job in jobs:
        DoShard(LocalEngine.name)(job)
        yield job


_open: dict[tuple[str, ...], Unfinished | Unrecorded] = {}
"""The study at hand, by what it is: this process has opened it, or was forked from one that had."""


def _opened(job: Job, trusted: frozenset[str] | None) -> Unfinished | Unrecorded:
    """The study of a job: the one at hand, else opened from its folder, which stays at hand for the next job."""
    if (key := _key(job)) not in _open:
        _open.clear()
        _open[key] = _from_folder(job, trusted)
    study = _open[key]
    if isinstance(study.work.log, Path):
        study.work.log = job.log
    return study


@contextlib.contextmanager
def _at_hand(study: Unfinished | Unrecorded, jobs: Sequence[Job]) -> Iterator[None]:
    """Within, jobs like these find this study in this process and in those that are forked from it."""
    before = dict(_open)
    for job in jobs:
        _open[_key(job)] = study
    try:
        yield
    finally:
        _open.clear()
        _open.update(before)


def _key(job: Job) -> tuple[str, ...]:
    """Changes when a study in the folder is another one, or has become larger."""
    folder = Path(job.folder)
    files = (folder / "spec.json", folder / "recording" / "manifest.json", folder / "work" / KEPT / HELD)
    recording = RECORD if job.stage == RECORD else ""
    return str(folder.absolute()), recording, *(path.read_text() if path.exists() else "" for path in files)


def _from_folder(job: Job, trusted: frozenset[str] | None) -> Unfinished | Unrecorded:
    folder = Path(job.folder)
    if not (folder / "spec.json").exists():
        raise UserError(
            "no study in this folder", value=job.folder, fix="Begin it: glossator record --begin --out FOLDER"
        )
    spec = load_spec(folder / "spec.json")
    if (folder / "manifest.json").exists():
        raise UserError("this study is finished: there is nothing to work on", value=job.folder)
    work = Work(folder, progress=False, log=job.log)
    recorded = (folder / "recording" / "manifest.json").exists()
    if job.stage == RECORD:
        if recorded:
            raise UserError("this study is recorded: there is nothing to record", value=job.folder)
        return Unrecorded(work, prepare(spec, folder, Access(trusted=trusted)))
    if spec.language_models:
        raise UserError(
            "a shard of a study with a language model is not done alone, as one process keeps count of what it costs",
            value=", ".join(spec.language_models),
            fix=f"Run the study: glossator run {folder}",
        )
    if not recorded:
        raise UserError("this study is not recorded yet", value=job.folder, fix=f"Record it: glossator record {folder}")
    models = StudyModels(access=Access(trusted=trusted))
    return Unfinished(work, StudyContext.of(spec, open_recording(folder / "recording"), work.note, models))
