"""Studies that are open while pages are served: each thread its own connection, what is costly once, under a lock.

A study may grow while it is looked at. Rows that are added are seen by the next question; a file that was written anew
is opened again.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glossator.errors import MissingPower, UserError
from glossator.explanations import UNNAMEABLE
from glossator.explorer.pages.evidence import ScoreEvidence, score_evidence
from glossator.explorer.pages.experiment import ExperimentPage
from glossator.explorer.pages.experiments import experiment_page
from glossator.explorer.pages.lists import UnitLists
from glossator.explorer.pages.neighbours import MOST as MOST_NEIGHBOURS
from glossator.explorer.pages.neighbours import Firing, Neighbour, Neighbours, Written
from glossator.explorer.pages.readouts import ReadoutsPage, readouts_page
from glossator.explorer.pages.study import (
    Distribution,
    EstimateShown,
    StudyPage,
    agreement,
    distribution,
    recording_of,
    study_page,
    version_of,
)
from glossator.explorer.pages.tasks import Asking, Kept, TasksListed, TasksShown
from glossator.explorer.pages.voxels import VoxelsPage, voxels_page
from glossator.explorer.pages.windows import UnitWindows, unit_windows
from glossator.explorer.running import Runs
from glossator.store.database import DATABASE
from glossator.store.lists import EVERY, Wanted
from glossator.store.study import Study, open_study, unit_of
from glossator.store.unit_lists import put_in_list, unit_lists
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.explorer.pages.meaning import CloseUnits
    from glossator.study.context import StudyContext

By = Literal["firing", "weights", "meaning"]
KEPT_WINDOWS, KEPT_EXPERIMENTS = 64, 8
"""Units whose inputs, and experiments whose pictures, are kept at hand."""


Annotated = Callable[[Study], dict[str, Any] | None]
"""What annotators answered about a study, as `glossator.human.report` prepares it, or None."""


@dataclass(frozen=True)
class StudyListed:
    """study: its name in addresses."""

    study: str
    subject: str
    units: int
    sites: list[str]


class OpenedStudy:
    """One study; every method may be called from any thread. runs: what its subject is asked."""

    def __init__(
        self, name: str, folder: Path, annotated: Annotated = lambda study: None, asking: Asking | None = None
    ):
        self.name, self.folder, self._annotated, self._asking = name, folder, annotated, asking
        self._local = threading.local()
        self._checking, self._keeping = threading.Lock(), threading.Lock()
        self._checked = self._check()
        self._windows: OrderedDict[tuple[str, str, bool], UnitWindows] = OrderedDict()
        self._experiments: OrderedDict[tuple[int, str], ExperimentPage] = OrderedDict()
        self._over_units: dict[str, tuple[str, Any]] = {}
        self._once_locks: dict[str, threading.Lock] = {}
        self._drawing = {predict: threading.Lock() for predict in (False, True)}
        self._drawn_with: dict[bool, StudyContext | None] = {}
        self.runs = Runs(lambda: self.study, self._context)

    @property
    def study(self) -> Study:
        """This thread's connection, to the file that is there now.

        The file is checked when it is another one than before, not while somebody adds to it: what is committed is
        consistent, and to end what a killed writer has begun is not for a reader to do.
        """
        known: tuple[int, Study] | None = getattr(self._local, "known", None)
        try:
            inode = (self.folder / DATABASE).stat().st_ino
        except OSError:
            inode = self._checked[0]
        if known is not None and known[0] == inode:
            return known[1]
        with self._checking:
            if inode != self._checked[0]:
                try:
                    self._checked = self._check()
                except UserError:  # it is being written anew, and what was there is consistent
                    if known is None:
                        raise
                    return known[1]
            number, manifest = self._checked
        if known is not None:
            known[1].close()
        self._local.known = (number, Study(self.folder, manifest))
        return self._local.known[1]

    def _check(self) -> tuple[int, dict[str, Any]]:
        """The number of the file and its manifest; raises `UserError` where they do not belong together."""
        path = self.folder / DATABASE
        inode = path.stat().st_ino if path.is_file() else 0  # then `open_study` says what is missing
        with open_study(self.folder) as study:
            return inode, study.manifest

    def people(self) -> dict[str, Any] | None:
        """What annotators answered; None where nobody was asked."""
        return self._annotated(self.study)

    def page(self) -> StudyPage:
        study = self.study
        return study_page(study, self.people(), {} if self._asking is None else self._asking.kinds(study))

    def _asks(self) -> Asking:
        if self._asking is None:
            raise UserError("nobody is asked here", value=self.name, fix="glossator serve asks annotators")
        return self._asking

    def task_sets(self) -> list[TasksListed]:
        found = [] if self._asking is None else self._asking.all_stored(self.study)
        return [TasksListed.of(TasksShown(**one)) for one in found]

    def task_set(self, tasks: str) -> TasksShown:
        return TasksShown(**self._asks().stored(self.study, tasks))

    def draw_tasks(self, task: str, units: str | None, seed: int) -> TasksShown:
        """Drawn and kept in the study with its key, which is never served."""
        with self._keeping:
            return TasksShown(**self._asks().draw(self.study, task, units, seed))

    def keep_answers(self, given: dict[str, Any], replace: bool) -> Kept:
        """One at a time, as all answers are scored together."""
        with self._keeping:
            return Kept(**self._asks().keep(self.study, given, replace))

    def listed(self) -> StudyListed:
        study = self.study
        return StudyListed(self.name, study.manifest["subject"], study.size, study.sites)

    def _context(self) -> StudyContext | None:
        from glossator.study.context import StudyContext

        own = Study(self.folder, self._checked[1])
        return None if recording_of(own) is None else StudyContext.to_show(own)

    def windows(self, unit: str, predict: bool) -> UnitWindows:
        """Drawing does not wait for predictions of other units. Raises `UserError` for a study without its
        recording."""
        study = self.study
        result = study.result(unit_of(study, unit))
        key = (str(result.unit), version_of(study), predict)
        if (known := self._windows.get(key)) is not None:
            return known
        with self._drawing[predict]:
            context = self._context_to_draw(predict)
            if result.statistics is None:
                raise UserError("nothing was recorded of this unit", value=str(result.unit), fix=result.reason or None)
            found = self._windows[key] = unit_windows(result, context, predict)
            while len(self._windows) > KEPT_WINDOWS:
                self._windows.popitem(last=False)
        return found

    def _context_to_draw(self, predict: bool) -> StudyContext:
        """To be used under the lock of `_drawing`."""
        if predict not in self._drawn_with:
            self._drawn_with[predict] = self._context()
        context = self._drawn_with[predict]
        if context is None:
            raise UserError("the study is here without its recording, so there are no inputs", value=self.name)
        return context

    def experiment(self, number: int) -> ExperimentPage:
        """One experiment, its pictures drawn again."""
        study = self.study
        key = (number, version_of(study))
        if (known := self._experiments.get(key)) is not None:
            return known
        with self._drawing[False]:
            context = None if recording_of(study) is None else self._context_to_draw(False)
            found = self._experiments[key] = experiment_page(study, number, context)
            while len(self._experiments) > KEPT_EXPERIMENTS:
                self._experiments.popitem(last=False)
        return found

    def distribution(self, score: str) -> Distribution:
        """Made once for each state of the file, as it reads all units."""
        return self._once(f"distribution {score}", lambda study: distribution(study, score))

    def agreement(self) -> EstimateShown | None:
        return self._once("agreement", agreement)

    def _once(self, what: str, make: Any) -> Any:
        """What is made once for each state of the file; only who asks for the same waits for it."""
        study = self.study
        version = version_of(study)
        with self._once_locks.setdefault(what, threading.Lock()):
            known = self._over_units.get(what)
            if known is None or known[0] != version:
                known = self._over_units[what] = (version, make(study))
            return known[1]

    def lists(self) -> UnitLists:
        return self._shown_lists(unit_lists(self.folder))

    def put(self, name: str, unit: str, inside: bool) -> UnitLists:
        """Put a unit into a list of the study, or take it out."""
        return self._shown_lists(put_in_list(self.folder, name, unit_of(self.study, unit), inside))

    def places_in(self, name: str) -> list[int]:
        """The places of the units of a list; none for a list that is not there."""
        ids = json.dumps(unit_lists(self.folder).get(name, []))
        rows = self.study.query("SELECT id FROM units WHERE name IN (SELECT value FROM json_each(?)) ORDER BY id", ids)
        return [place for (place,) in rows]

    def _shown_lists(self, lists: dict[str, list[str]]) -> UnitLists:
        """Without units that the study no longer has."""
        subject, found = f"{self.study.manifest['subject']}/", {}
        for name, ids in lists.items():
            known = {one for (one,) in self.study.query(
                "SELECT name FROM units WHERE name IN (SELECT value FROM json_each(?))", json.dumps(ids)
            )}  # fmt: skip
            found[name] = [one.removeprefix(subject) for one in ids if one in known]
        return UnitLists(found)

    def readouts(self) -> ReadoutsPage:
        return self._once("readouts", readouts_page)

    def voxels(self) -> VoxelsPage:
        """Read each time: topics may be found while the study is looked at."""
        return voxels_page(self.study)

    def neighbours(self, unit: str, by: By) -> Neighbours:
        """The indices are made at the first call, and again when the study has changed; for neurons by weights the
        subject is loaded."""
        study = self.study
        found = unit_of(study, unit)
        row = study.row(found)
        if by == "meaning":
            text = row.headline if row.headline and row.headline != UNNAMEABLE else row.text
            return (
                Neighbours(found.short, by, [], "it has no explanation") if text is None else self._meaning(found, text)
            )
        if recording_of(study) is None:
            return Neighbours(found.short, by, [], "the study is here without its recording")
        if by == "firing":
            index: Firing = self._once("firing", lambda study: Firing(study, study.recording))
            return index.beside(study, found)
        try:
            rows: Written | None = self._once(
                f"written {found.site}", lambda study: self.runs.written(study, found.site)
            )
        except MissingPower as error:
            return Neighbours(found.short, by, [], str(error))
        assert rows is not None
        return rows.beside(study, found)

    def _meaning(self, unit: Unit, text: str) -> Neighbours:
        found = self.close_to(text, MOST_NEIGHBOURS + 1)
        units = [
            Neighbour(one.unit, one.text, one.score, cosine=cosine)
            for one, cosine in zip(found.units, found.cosine, strict=True)
            if one.unit != unit.short
        ]
        return Neighbours(unit.short, "meaning", units[:MOST_NEIGHBOURS])

    def evidence(self, unit: str, method: str, score: str) -> ScoreEvidence:
        """What a score was computed from, drawn again from the recording."""
        study = self.study
        result = study.result(unit_of(study, unit))
        with self._drawing[True]:
            return score_evidence(result, method, score, self._context_to_draw(True))

    def close_to(self, text: str, limit: int, wanted: Wanted = EVERY) -> CloseUnits:
        """Units by meaning; the embedder is loaded, and explanations are embedded, at the first call."""
        from glossator.explorer.pages.meaning import Meanings
        from glossator.subjects.embedders import load_embedder

        found: Meanings = self._once("meanings", lambda study: Meanings(study, load_embedder()))
        with self._once_locks["meanings"]:
            return found.close_to(self.study, text, limit, wanted)
