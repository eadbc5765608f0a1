"""Adding to a finished study: scores, and experiments with registered predictions. Rows are inserted; the file is not
rewritten.

While rows are added the manifest says so, in place of the checksum. Who opens a study whose writer was killed gets what
was committed, after SQLite has looked through the file, and the checksum is made anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from glossator.errors import UserError
from glossator.files import plain, replacing
from glossator.scores import Score
from glossator.store.database import ADDING, DATABASE, Hows, cannot_write, described, note_in_manifest
from glossator.store.folder import held
from glossator.store.ranking import store_q_values, store_ranking
from glossator.store.results import as_json, parts_of_how
from glossator.store.spec import StudySpec
from glossator.units import Unit

if TYPE_CHECKING:
    from glossator.store.study import Study

NewScore = tuple[Unit, str, Score]
"""Unit, method of the explanation that was scored, its score."""


def add_scores(study: Study, scores: Iterable[NewScore], spec: StudySpec | None = None) -> None:
    """Add scores to the first explanations of a finished study; see `Adding.scores`."""
    with adding(study) as more:
        more.scores(scores, spec)


class Adding:
    """Writes into a finished study; every call is there as a whole, or not at all."""

    def __init__(self, study: Study, connection: sqlite3.Connection):
        self.study, self.connection = study, connection

    def scores(self, scores: Iterable[NewScore], spec: StudySpec | None = None) -> None:
        """Add scores of first-ranked explanations, and make q-values and default scores anew where they hang on them.

        spec: what they were made with, where that is not the study's; `how` names its fingerprint. Raises `UserError`
        for an explanation that the study does not have and for a score that it has already.
        """
        made_with = {} if spec is None or spec == self.study.spec else {"spec": spec.fingerprint}
        names = set()
        with self._whole():
            if spec is not None and made_with:
                row = (spec.fingerprint, as_json(plain(spec)))
                self.connection.execute("INSERT OR IGNORE INTO specs VALUES (?, ?)", row)
            hows = Hows(self.connection)
            for unit, method, score in scores:
                self._score(unit, method, score, made_with, hows)
                names.add(score.name)
            store_q_values(self.connection, names)
            store_ranking(self.connection, names)

    def _score(self, unit: Unit, method: str, score: Score, made_with: dict[str, str], hows: Hows) -> None:
        found = self.connection.execute(
            """SELECT explanations.id FROM explanations JOIN units ON units.id = unit
            WHERE name = ? AND explanations.method = ? AND rank = 0""",
            (str(unit), method),
        ).fetchone()
        if found is None:
            raise UserError("the study has no such explanation", value=f"{method} of {unit}")
        words, counts = (as_json(part) for part in parts_of_how(score.how | made_with))
        how = hows.number(words)
        hows.write()
        own = (score.name, score.column, score.value, score.low, score.high, score.n, score.measure, score.reason)
        try:
            number = self.connection.execute(
                """INSERT INTO scores
                (explanation, name, "column", value, low, high, n, measure, reason, how, counts)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (*found, *own, how, counts),
            ).lastrowid
        except sqlite3.IntegrityError as error:
            raise UserError(
                "the explanation already has this score", value=f"{score.name} of {method} of {unit}"
            ) from error
        for baseline in sorted({*score.baselines, *score.margins}):
            over = score.margins.get(baseline)
            margin = (None,) * 4 if over is None else (over.value, over.low, over.high, over.p)
            self.connection.execute(
                "INSERT INTO comparisons VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (number, baseline, score.baselines.get(baseline), *margin),
            )

    def experiment(self, kind: str, request: Any, *, unit: Unit | None = None, prediction: Any = None) -> int:
        """Register an experiment before it is done, with what it is expected to show; returns its number.

        request, prediction: anything that JSON holds. What is registered cannot be changed any more.
        """
        place = None
        if unit is not None:
            row = self.connection.execute("SELECT id FROM units WHERE name = ?", (str(unit),)).fetchone()
            if row is None:
                raise UserError("the study has no such unit", value=str(unit))
            place = row[0]
        said = None if prediction is None else as_json(plain(prediction))
        with self._whole():
            done = self.connection.execute(
                "INSERT INTO experiments (unit, kind, request, prediction) VALUES (?, ?, ?, ?)",
                (place, kind, as_json(plain(request)), said),
            )
        assert done.lastrowid is not None
        return done.lastrowid

    def result(self, experiment: int, result: Any) -> None:
        """What an experiment showed; `UserError` where there is none of this number or it has a result."""
        with self._whole():
            done = self.connection.execute(
                "UPDATE experiments SET result = ? WHERE id = ? AND result IS NULL",
                (as_json(plain(result)), experiment),
            )
        if not done.rowcount:
            raise UserError("no experiment with this number awaits a result", value=experiment)

    @contextlib.contextmanager
    def _whole(self) -> Iterator[None]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")


@contextlib.contextmanager
def adding(study: Study) -> Iterator[Adding]:
    """Within, a finished study takes more rows; the checksum of its file is made once, at the end.

    A study of older tables is brought to the present ones first. Raises `UserError` while another process adds to it.
    """
    with held(study.folder):
        note_in_manifest(study.folder, study.manifest, {**study.manifest["files"][DATABASE], ADDING: True})
        try:
            if study.migrated:
                with replacing(study.path) as temporary:
                    study.query("VACUUM INTO ?", str(temporary))
                study.reopen()
            with contextlib.closing(sqlite3.connect(study.path, timeout=30, isolation_level=None)) as connection:
                yield Adding(study, connection)
        except sqlite3.OperationalError as error:
            raise cannot_write(study.path, error) from error
        finally:
            note_in_manifest(study.folder, study.manifest, described(study.path))
