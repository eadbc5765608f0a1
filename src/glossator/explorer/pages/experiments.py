"""The experiments of a study: which there are, and the steps that the page of one is told from.

An agent's experiment is told from its transcript, where that lies in the study; else from the table of experiments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.agents.answers import Answer
from glossator.agents.transcript import read_transcript
from glossator.errors import MissingPower, UserError
from glossator.explorer.pages.experiment import AGENT, ExperimentPage, page_of_steps
from glossator.explorer.pages.parts import cut
from glossator.store.study import Study
from glossator.units import Unit, parse_unit

if TYPE_CHECKING:
    from glossator.study.context import StudyContext

TEST = "agent-test"
"""The kind of the predictions that an agent registers."""
TRANSCRIPTS = "agent"
"""The folder of a study that holds transcripts."""
MOST_LISTED = 200
Verdicts = dict[str, int]


@dataclass(frozen=True)
class ExperimentListed:
    """An experiment of a study. asked: its question, or what it was registered with; headline: what it claims, None for
    nothing, with reason; verdicts: hypotheses by verdict, negative controls apart; spent: what it used; ended: whether
    there is a result; result: of one that no agent made."""

    number: int
    unit: str | None
    kind: str
    asked: str
    policy: str | None = None
    headline: str | None = None
    reason: str | None = None
    verdicts: Verdicts = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    ended: bool = False


@dataclass(frozen=True)
class ExperimentList:
    """Some experiments, in the order in which they were registered; after: the number to go on from, None at the
    end."""

    experiments: list[ExperimentListed]
    total: int
    after: int | None


_FROM = "FROM experiments LEFT JOIN units ON units.id = experiments.unit"
_ROW = f"SELECT experiments.id, units.name, kind, request, prediction, result {_FROM}"


def experiment_list(study: Study, unit: Unit | None = None, after: int = 0, limit: int = MOST_LISTED) -> ExperimentList:
    """Experiments of a study or of one unit, without the predictions that belong to an agent's. Raises `UserError` for
    more than `MOST_LISTED`."""
    if not 1 <= limit <= MOST_LISTED:
        raise UserError("so many experiments are not listed at once", value=limit, allowed=f"1 to {MOST_LISTED}")
    values = () if unit is None else (str(unit),)
    where = f"kind <> '{TEST}'" + ("" if unit is None else " AND units.name = ?")
    ((total,),) = study.query(f"SELECT count(*) {_FROM} WHERE {where}", *values)
    rows = study.query(
        f"{_ROW} WHERE {where} AND experiments.id > ? ORDER BY experiments.id LIMIT ?", *values, after, limit + 1
    )
    listed = [_listed(*row) for row in rows[:limit]]
    return ExperimentList(listed, total, listed[-1].number if len(rows) > limit else None)


def _listed(number: int, unit: str | None, kind: str, request: str, _: Any, result: str | None) -> ExperimentListed:
    asked, found = json.loads(request), json.loads(result or "null")
    short = None if unit is None else parse_unit(unit).short
    if kind != AGENT or not isinstance(asked, dict):
        return ExperimentListed(
            number, short, kind, cut(json.dumps(asked, ensure_ascii=False), 200), ended=bool(result)
        )
    verdicts: Verdicts = {}
    answer = Answer.from_dict(found) if found else None
    for one in answer.findings if answer else ():
        name = f"control {one.verdict}" if one.control else one.verdict
        verdicts[name] = verdicts.get(name, 0) + 1
    own = (answer.headline, answer.reason) if answer else (None, None)
    return ExperimentListed(
        number, short, kind, str(asked.get("question", "")), str(asked.get("policy", "")), *own, verdicts,
        {} if answer is None else answer.spent, answer is not None,
    )  # fmt: skip


def experiment_page(study: Study, number: int, context: StudyContext | None = None) -> ExperimentPage:
    """One experiment; context: of the study, to draw its pictures again. Raises `UserError` where the study has no such
    experiment."""
    with study.snapshot():
        rows = study.query(f"{_ROW} WHERE experiments.id = ?", number)
        if not rows:
            raise UserError("no such experiment here", value=number)
        ((_, name, kind, request, prediction, result),) = rows
        asked, tests = json.loads(request), _tests(study, number, name) if kind == AGENT else []
    told = [json.loads(text or "null") for text in (prediction, result)]
    if kind != AGENT or not isinstance(asked, dict) or name is None:
        said = None if name is None else parse_unit(name).short
        return ExperimentPage(number, said, kind, kind, ended=bool(result), request=asked, prediction=told[0],
                              result=told[1])  # fmt: skip
    unit, why = parse_unit(name), None
    steps = transcript_of(study, str(asked.get("transcript", "")))
    if steps is None:
        steps, why = steps_of_rows(name, asked, told[1], tests), "the transcript does not lie in the study"
    return page_of_steps(steps, number, unit.short, pictures_of_study(steps, unit, context), why)


def _tests(study: Study, number: int, unit: str | None) -> list[tuple[Any, Any, Any]]:
    """(request, prediction, result) of the predictions that the agent's experiment registered: those on its unit until
    the next experiment there."""
    rows = study.query(
        f"""{_ROW} WHERE kind = '{TEST}' AND units.name IS ?1 AND experiments.id > ?2 AND experiments.id <
        (SELECT coalesce(min(later.id), 9e18) FROM experiments AS later JOIN units AS its ON its.id = later.unit
        WHERE later.kind = '{AGENT}' AND its.name IS ?1 AND later.id > ?2) ORDER BY experiments.id""",
        unit,
        number,
    )
    return [(json.loads(row[3]), json.loads(row[4] or "null"), json.loads(row[5] or "null")) for row in rows]


def transcript_of(study: Study, named: str) -> list[dict[str, Any]] | None:
    """The steps of a transcript that lies in the study; files elsewhere are not read, whatever a row names."""
    path = study.folder / TRANSCRIPTS / Path(named.replace("\\", "/")).name
    if path.suffix != ".jsonl" or not path.is_file() or path.is_symlink():
        return None
    try:
        return read_transcript(path) or None
    except UserError:
        return None


def steps_of_rows(
    unit: str, asked: dict[str, Any], answer: Any, tests: Sequence[Sequence[Any]]
) -> list[dict[str, Any]]:
    """What the table of experiments holds of an agent's experiment, as steps of a transcript; inputs are named by their
    texts, or by how pictures were asked for."""
    start = {"unit": unit, "takes": "texts", "budget": {}, "level": None} | {
        name: asked.get(name) for name in ("question", "policy", "seed")
    }
    kinds: list[tuple[str, Any, Any]] = [("start", start, {"level": None})]
    findings = Answer.from_dict(answer).findings if answer else ()
    ids = {one.statement: one.id for one in findings}
    for request, _, _ in tests:
        ids.setdefault(request["statement"], request["statement"])
    known = {one.statement: one for one in findings}
    for statement, name in ids.items():
        one = known.get(statement)
        said = {"statement": statement, "direction": one.direction if one else "activates",
                "program": one.program if one else None, "control": one.control if one else False}  # fmt: skip
        kinds.append(("hypothesis", said, name))
    for request, prediction, result in tests:
        own = ids[request["statement"]]
        kinds.append(("prediction", {"hypothesis": own, "predicted": prediction, "pairs": request["pairs"]}, None))
        if result is not None:
            kinds.append(("test", {"hypothesis": own}, result))
    if answer:
        kinds.append(("answer", None, answer))
    return [{"step": i, "kind": kind, "request": r, "result": result} for i, (kind, r, result) in enumerate(kinds)]


def pictures_of_study(
    steps: Sequence[dict[str, Any]], unit: Unit, context: StudyContext | None
) -> dict[str, np.ndarray]:
    """(height, width, 3) uint8 by id, of an experiment on images; empty where the recording is not there."""
    if context is None or steps[0]["request"]["takes"] != "images":
        return {}
    from glossator.agents.retold import pictures, retold
    from glossator.agents.scene_studio import SceneStudio
    from glossator.agents.under_test import ImageUnderTest

    def never(_: Any) -> np.ndarray:
        raise AssertionError("pages run nothing")

    try:
        tested = ImageUnderTest(unit, context.evidence(unit).explain, never)
    except (MissingPower, UserError):
        return {}
    return {name: one.pixels for name, one in pictures(retold(steps), tested, SceneStudio()).items()}


def numbers_of(study: Study, units: Iterable[Unit] | None = None, most: int | None = None) -> list[int]:
    """The numbers of a study's experiments, of some units where they are named; at most the last `most` of them."""
    wanted = None if units is None else {*map(str, units)}
    rows = study.query(f"{_ROW} WHERE kind <> '{TEST}' ORDER BY experiments.id DESC")
    chosen = (row[0] for row in rows if wanted is None or row[1] is None or row[1] in wanted)
    return sorted(islice(chosen, most))
