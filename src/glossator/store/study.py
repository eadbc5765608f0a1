"""Querying a study on disk: no question about some units reads all of them.

Written by `glossator.store.database`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glossator import registry
from glossator.errors import UserError, near_matches
from glossator.language_models import Usage
from glossator.language_models.costs import Asked, Cost, Entry
from glossator.recording import Recording, open_recording
from glossator.recording.store import crc32_of, sample_of
from glossator.scores import Column, Score
from glossator.store.connection import MaybeNumber, MaybeText, damaged, of_kinds
from glossator.store.database import ADDING, DATABASE, recover
from glossator.store.lists import AT_ONCE, RANKED_MATCHES, UNIT, ListedUnits, terms_of
from glossator.store.ranking import DEFAULT, RANKED_BY
from glossator.store.results import STATUSES, Chosen, UnitResult, headlines_from, score_of
from glossator.store.spec import StudySpec, make_spec
from glossator.units import Unit, parse_unit

FORMAT = "glossator-study/1"
READ_WHOLE = 32 << 20
"""Bytes up to which a database's checksum is that of all of it when it is opened; of a larger one some blocks are
compared, and `glossator verify` reads it all."""
MOST_HOWS = 1000
"""Notes on how scores were made that are kept in memory."""


class Study(ListedUnits):
    """A finished study, read-only; `recording` is the one that it was made from."""

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        super().__init__(folder, manifest["subject"])
        self.manifest = manifest
        self.spec: StudySpec = make_spec(manifest["spec"])

    def reopen(self) -> None:
        self._hows: dict[int, dict[str, Any]] = {}
        super().reopen()

    @cached_property
    def recording(self) -> Recording:
        return open_recording(self.folder / "recording")

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def counts(self) -> dict[str, int]:
        """How many units ended with each status."""
        counts = dict(self.query("SELECT status, count(*) FROM units GROUP BY status"))
        return {status: counts.get(status, 0) for status in STATUSES}

    @property
    def costs(self) -> list[Cost]:
        """What its language models were asked, by stage and model; empty for a study that needed none."""
        rows = self.query(
            """SELECT stage, model, requests, failures, calls, prompt_tokens, completion_tokens, money FROM ledger
            ORDER BY stage, model"""
        )
        with self.whole():
            return [
                Cost(stage, model, requests, failures, Usage(*used)) for stage, model, requests, failures, *used in rows
            ]

    @property
    def asked(self) -> list[Asked]:
        """Each distinct request to its language models by a digest, with what it used; empty in older studies."""
        rows = self.query(
            """SELECT stage, model, digest, calls, prompt_tokens, completion_tokens, money, failed FROM requests
            ORDER BY stage, model, digest"""
        )
        stages: dict[str, dict[str, dict[str, Entry]]] = {}
        for stage, model, digest, *entry in rows:
            stages.setdefault(stage, {}).setdefault(model, {})[digest] = entry
        return list(stages.items())

    def default_score(self, column: Column = "observational") -> str | None:
        """The name of the score that stands for a column, see `glossator.store.ranking`; None where it is empty."""
        return self._meta(DEFAULT[column])

    @property
    def ranked_by(self) -> str | None:
        """The name of the score that orders units from best to worst; None where no unit has a score."""
        return self._meta(RANKED_BY)

    def _meta(self, key: str) -> str | None:
        rows = self.query("SELECT value FROM meta WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    def result(self, unit: Unit) -> UnitResult:
        """One unit; `UserError` with near matches when the study has none of that name."""
        found = list(self._results("WHERE name = ?", str(unit)))
        if not found:
            raise self._no_such(unit)
        return found[0]

    def unit(self, name: Unit | str) -> UnitOfStudy:
        """The unit whose name is or ends with `name`; `UserError` as in `unit_of`."""
        return UnitOfStudy(self, self.result(unit_of(self, name)))

    def _repr_html_(self) -> str:
        """The study as the explorer shows it, for notebooks."""
        shown: str = registry.load("reports", "notebook-study")(self)
        return shown

    def results(self, places: Iterable[int] | None = None) -> Iterator[UnitResult]:
        """All units, or those at these places (from 1), in the study's order; few of them are in memory at a time."""
        if places is not None:
            for place in sorted(places):
                yield from self._results("WHERE id = ?", place)
            return
        last = 0
        while rows := self.query("SELECT id FROM units WHERE id > ? ORDER BY id LIMIT ?", last, AT_ONCE):
            yield from self._results("WHERE id > ? AND id <= ?", last, rows[-1][0])
            last = rows[-1][0]

    def search(self, words: str, limit: int = 50) -> list[tuple[str, Chosen]]:
        """(unit id, explanation) of the explanations in which all these words stand, best match first.

        The last word may be the beginning of one; words are compared by their stems. A word that stands in more than
        `RANKED_MATCHES` explanations says too little to rank by, and is left out of the ranking. Where only such words
        are searched for, the units with the highest scores come first, of the first `RANKED_MATCHES` explanations in
        the study's order.
        """
        terms = terms_of(words)
        times, found = self._matching(" ".join(terms), "json_group_array(rowid)")
        rare = (
            [term for term in terms if 0 < self._matching(term)[0] <= RANKED_MATCHES] if times <= RANKED_MATCHES else []
        )
        if rare:
            # The plus keeps SQLite from searching anew for each of the numbers.
            asked: tuple[Any, ...] = (" ".join(rare), found)
            ranked = """SELECT rowid AS found, rank AS fit FROM explanation_text WHERE explanation_text MATCH ?
                AND +rowid IN (SELECT value FROM json_each(?)) ORDER BY fit, found LIMIT ?"""
        else:
            asked = (found, RANKED_MATCHES)
            ranked = """SELECT value AS found, -score AS fit FROM (SELECT value FROM json_each(?) LIMIT ?)
                JOIN explanations INDEXED BY explanations_by_id ON explanations.id = value
                JOIN units INDEXED BY units_by_place ON units.id = unit ORDER BY fit IS NULL, fit, found LIMIT ?"""
        rows = self.query(
            f"""SELECT units.name, {_EXPLANATION} FROM ({ranked})
            JOIN explanations ON explanations.id = found JOIN units ON units.id = explanations.unit
            ORDER BY fit IS NULL, fit, found""",
            *asked,
            limit,
        )
        return [(row[0], self._explanation(row[1:])) for row in rows]

    def _matching(self, match: str, told: str = "NULL") -> tuple[int, Any]:
        """The number of explanations that the full-text search finds, of more than `RANKED_MATCHES` one more than that,
        and what is told of them, an aggregate of SQL."""
        ((times, what),) = self.query(
            f"""SELECT count(*), {told} FROM
            (SELECT rowid FROM explanation_text WHERE explanation_text MATCH ? LIMIT ?)""",
            match,
            RANKED_MATCHES + 1,
        )
        return times, what

    def experiments(self, unit: Unit | None = None) -> list[tuple[int, str, Any, Any, Any]]:
        """Experiments on a unit, or those on the study as a whole, as they were registered: number, kind, request,
        prediction and result, both None where there is none."""
        rows = self.query(
            """SELECT experiments.id, kind, request, prediction, result FROM experiments
            LEFT JOIN units ON units.id = experiments.unit WHERE units.name IS ? ORDER BY experiments.id""",
            None if unit is None else str(unit),
        )
        with self.whole():
            return [(number, kind, *(json.loads(text or "null") for text in texts)) for number, kind, *texts in rows]

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _results(self, where: str, *values: Any) -> Iterator[UnitResult]:
        for number, *names, status, reason, statistics in self.query(
            f"SELECT id, {UNIT} FROM units {where} ORDER BY id", *values
        ):
            found = self.query(f"SELECT {_EXPLANATION} FROM explanations WHERE unit = ? ORDER BY id", number)
            explanations = tuple(self._explanation(row) for row in found)
            with self.whole():
                of_kinds((status, str), (reason, str))
                yield UnitResult(self._unit(*names), status, reason, json.loads(statistics), explanations)

    def _explanation(self, row: tuple[Any, ...]) -> Chosen:
        number, method, rank, text, program, bits, select, provenance, headlines = row
        with self.whole():
            of_kinds((method, str), (rank, int), (text, str), (program, MaybeText), (bits, MaybeNumber))
            of_kinds((select, MaybeNumber), (made := json.loads(provenance), dict), (headlines, MaybeText))
            named = headlines_from(headlines)
        return Chosen(method, rank, text, program, bits, select, made, self._scores(number), *named)

    def _scores(self, explanation: int) -> tuple[Score, ...]:
        rows = self.query(
            """SELECT id, how, name, "column", value, low, high, n, measure, reason, counts FROM scores
            WHERE explanation = ? ORDER BY id""",
            explanation,
        )
        beside: dict[int, list[tuple[Any, ...]]] = {}
        compared = self.query(
            """SELECT score, baseline, comparisons.value, margin, comparisons.low, comparisons.high, p, q
            FROM scores JOIN comparisons ON comparisons.score = scores.id WHERE explanation = ?
            ORDER BY score, baseline""",
            explanation,
        )
        with self.whole():
            for score, *comparison in compared:
                of_kinds((comparison[0], str), *((number, MaybeNumber) for number in comparison[1:]))
                beside.setdefault(score, []).append(tuple(comparison))
            for _, _, name, column, value, low, high, n, measure, reason, _ in rows:
                of_kinds((name, str), (value, MaybeNumber), (measure, str), (low, MaybeNumber), (high, MaybeNumber))
                of_kinds((n, int), (column, str), (reason, MaybeText))
            return tuple(score_of(row, self._how(how), beside.get(number, ())) for number, how, *row in rows)

    def _how(self, number: int) -> dict[str, Any]:
        if number not in self._hows:
            if len(self._hows) > MOST_HOWS:
                self._hows.clear()
            ((text,),) = self.query("SELECT json FROM hows WHERE id = ?", number)
            self._hows[number] = json.loads(text)
        return self._hows[number]

    @property
    def score_names(self) -> dict[str, Column]:
        """The names of all scores, sorted, with their columns."""
        column = 'SELECT "column" FROM scores WHERE name = ? LIMIT 1'
        return {name: self.query(column, name)[0][0] for name in self.distinct("scores", "name")}


_EXPLANATION = """explanations.id, explanations.method, explanations.rank, explanations.text, program, bits, "select",
provenance, headlines"""


@dataclass(frozen=True)
class UnitOfStudy:
    """One unit of an open study, which a notebook shows as the explorer does."""

    study: Study
    result: UnitResult

    def _repr_html_(self) -> str:
        shown: str = registry.load("reports", "notebook-unit")(self.study, self.result.unit)
        return shown


def unit_of(study: Study, unit: Unit | str) -> Unit:
    """The unit of a study whose name is or ends with `unit`; `UserError` with near matches when there is none, and when
    the end fits several units."""
    if isinstance(unit, Unit):
        return unit
    fitting = study.named(unit)
    if len(fitting) > 1:
        raise UserError("several units match", value=unit, allowed=near_matches(unit, fitting))
    if not fitting:
        raise UserError("the study has no such unit", value=unit, allowed=near_matches(unit, study.names_like(unit)))
    return parse_unit(fitting[0])


def open_study(folder: str | Path) -> Study:
    """Open a finished study; `UserError` when there is none, it is unfinished, damaged, or of a newer version."""
    folder = Path(folder)
    path = folder / "manifest.json"
    if not path.exists():
        begun = (folder / "spec.json").exists()
        raise UserError(
            "the study is not finished" if begun else "no study here",
            value=str(folder),
            fix=f"Resume it with: glossator run {folder}" if begun else "List studies with: glossator studies",
        )
    try:
        manifest = json.loads(path.read_text("utf-8"))
        version = manifest["format"]
        if version != FORMAT:
            raise UserError("the study has another format", value=version, allowed=FORMAT, fix="Update glossator")
        whole = manifest["files"][DATABASE]
        if whole.get(ADDING) and (folder / DATABASE).is_file():
            recover(folder, manifest)
            whole = manifest["files"][DATABASE]
        size, checksum, sample = int(whole["size"]), whole.get("crc32"), whole.get("sample")
        if not isinstance(manifest["spec"], dict) or not isinstance(manifest["subject"], str):
            raise TypeError("spec or subject has the wrong type")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"the study's manifest is damaged ({type(error).__name__}: {error})",
            value=str(path),
            fix="Delete it and run again",
        ) from error
    database = folder / DATABASE
    if not database.is_file() or database.stat().st_size != size:
        found = f"{database.stat().st_size} bytes" if database.is_file() else "missing"
        raise damaged(database, f"{found}, not {size} bytes")
    sampled = size > READ_WHOLE and sample is not None
    if sample_of(database) != sample if sampled else checksum not in (None, crc32_of(database)):
        raise damaged(database, "its checksum is wrong")
    return Study(folder, manifest)
