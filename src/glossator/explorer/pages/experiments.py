"""The experiments of a study, and the page of one: question, what was done round by round, hypotheses with predictions
that were registered before data, verdicts, the answer.

An agent's experiment is told from its transcript, where that lies in the study; else from the table of experiments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.agents.answers import Answer, Finding
from glossator.agents.ledger import ALPHA, success
from glossator.agents.retold import DRAWN, SEEN, Retold, pictures, retold
from glossator.agents.transcript import read_transcript
from glossator.errors import MissingPower, UserError
from glossator.explorer.pages.parts import rounded
from glossator.explorer.pages.windows import as_data_uri
from glossator.store.study import Study
from glossator.units import Unit, parse_unit

if TYPE_CHECKING:
    from glossator.study.context import StudyContext

AGENT, TEST = "agent", "agent-test"
"""Kinds of experiments that an agent registers: the whole, and each prediction."""
TRANSCRIPTS = "agent"
"""The folder of a study that holds transcripts."""
MOST_LISTED, LONGEST, SIDE = 200, 6000, 128
"""SIDE: of pictures on the page, in pixels."""
LOOKING, TESTING = "Looking and trying", "Hypotheses and tests"
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


@dataclass(frozen=True)
class InputShown:
    """value, percentile: of the unit's response, None before it was run or where it is no number; text: with >> and <<
    around the strongest token; about: how a picture was asked for; cells: rows of 0 and 1, where the unit is above its
    level; picture: as a PNG in the page itself."""

    value: float | None = None
    percentile: float | None = None
    text: str | None = None
    about: str | None = None
    cells: list[str] | None = None
    picture: str | None = None


@dataclass(frozen=True)
class TestShown:
    """A registered prediction and its outcome. registered, done: steps; pairs: [with it, without] by id; went: whether
    each went as predicted, None where a response is missing; the evidence is of all pairs so far, None before the
    test."""

    registered: int
    done: int | None
    predicted: str
    pairs: list[list[str]]
    went: list[bool | None]
    successes: int | None = None
    trials: int | None = None
    e_above: float | None = None
    e_below: float | None = None
    effect: float | None = None


@dataclass(frozen=True)
class HypothesisShown:
    """id: as in the transcript; registered: its step; control: a negative control, which is expected to fail; verdict:
    None while the experiment goes on."""

    id: str
    statement: str
    direction: str
    control: bool
    program: str | None
    registered: int | None
    tests: list[TestShown]
    verdict: str | None = None
    effect: float | None = None
    successes: int = 0
    trials: int = 0
    e_above: float | None = None
    e_below: float | None = None


@dataclass(frozen=True)
class StepShown:
    """One step. kind: as in a transcript, of tools their name; inputs: ids that it made or ran; pairs: of edits,
    [original, edited]; text, reply: what was said, and what came of it."""

    step: int
    kind: str
    inputs: list[str] = field(default_factory=list)
    pairs: list[list[str]] = field(default_factory=list)
    text: str | None = None
    reply: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Round:
    name: str
    steps: list[StepShown]


@dataclass(frozen=True)
class ExperimentPage:
    """number: in the study's table, None for a transcript alone; takes: texts or images; level: from where on the unit
    counts as active; needed: the e-value at which a hypothesis alone counts as shown; kind, request, prediction,
    result: of an experiment that no agent made; why_short: what is not here, and why."""

    number: int | None
    unit: str | None
    kind: str
    question: str
    policy: str | None = None
    seed: int | None = None
    takes: str | None = None
    budget: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    level: float | None = None
    needed: float = 1 / ALPHA
    ended: bool = False
    headline: str | None = None
    reason: str | None = None
    program: str | None = None
    limits: list[str] = field(default_factory=list)
    hypotheses: list[HypothesisShown] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    inputs: dict[str, InputShown] = field(default_factory=dict)
    request: Any = None
    prediction: Any = None
    result: Any = None
    why_short: str | None = None


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
            number, short, kind, _cut(json.dumps(asked, ensure_ascii=False), 200), ended=bool(result)
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
    from glossator.agents.scene_studio import SceneStudio
    from glossator.agents.under_test import ImageUnderTest

    def never(_: Any) -> np.ndarray:
        raise AssertionError("pages run nothing")

    try:
        tested = ImageUnderTest(unit, context.evidence(unit).explain, never)
    except (MissingPower, UserError):
        return {}
    return {name: one.pixels for name, one in pictures(retold(steps), tested, SceneStudio()).items()}


def page_of_steps(
    steps: Sequence[dict[str, Any]],
    number: int | None = None,
    unit: str | None = None,
    shown: Mapping[str, np.ndarray] | None = None,
    why_short: str | None = None,
) -> ExperimentPage:
    """The page of an agent's experiment. unit: as the study calls it, by default as the transcript does; shown: pixels
    of pictures by id."""
    told, start = retold(steps), steps[0]
    stored = next((step["result"] for step in steps if step["kind"] == "answer"), None)
    answer = None if stored is None else Answer.from_dict(stored)
    level, silent = start["result"]["level"], start["result"].get("silent")
    request = start["request"]
    return ExperimentPage(
        number=number,
        unit=unit or request["unit"],
        kind=AGENT,
        question=request["question"] or "",
        policy=request["policy"],
        seed=request["seed"],
        takes=request["takes"],
        budget=request["budget"],
        spent={name: value for name, value in (answer.spent if answer else {}).items() if value},
        level=rounded(level),
        ended=answer is not None,
        headline=answer.headline if answer else None,
        reason=answer.reason if answer else None,
        program=answer.program if answer else None,
        limits=[*answer.limits] if answer else [],
        hypotheses=_hypotheses(steps, answer, level, silent, told),
        rounds=_rounds(steps, told),
        inputs={name: _input(one, (shown or {}).get(name)) for name, one in told.inputs.items()},
        why_short=why_short,
    )


def _input(told: Mapping[str, Any], pixels: np.ndarray | None) -> InputShown:
    contents, text = told.get("contents"), told.get("text")
    return InputShown(
        value=rounded(told.get("value")),
        percentile=told.get("percentile"),
        text=None if text is None else _cut(text),
        about=told.get("prompt") or (", ".join(contents) if contents else None),
        cells=told.get("cells"),
        picture=None if pixels is None else as_data_uri(smaller(pixels)),
    )


def smaller(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """A picture of at most this side, by means over squares of its pixels."""
    step = -(-max(pixels.shape[:2]) // side)
    height, width = (size // step * step for size in pixels.shape[:2])
    squares = pixels[:height, :width].reshape(height // step, step, width // step, step, 3)
    return np.asarray(squares.mean(axis=(1, 3)).round(), np.uint8)


def _hypotheses(
    steps: Sequence[dict[str, Any]], answer: Answer | None, level: float | None, silent: float | None, told: Retold
) -> list[HypothesisShown]:
    asked = {step["result"]: step for step in steps if step["kind"] == "hypothesis"}
    findings = {one.id: one for one in answer.findings} if answer else {}
    tests: dict[str, list[TestShown]] = {name: [] for name in asked}
    for place, step in enumerate(steps):
        if step["kind"] == "prediction":
            after = steps[place + 1] if place + 1 < len(steps) and steps[place + 1]["kind"] == "test" else None
            name = step["request"]["hypothesis"]
            direction = asked[name]["request"]["direction"] if name in asked else "activates"
            tests.setdefault(name, []).append(_test(step, after, direction, level, silent, told))
    found = []
    for name, step in asked.items():
        said, own = step["request"], tests[name]
        one, last = findings.get(name), next((test for test in reversed(own) if test.done is not None), None)
        ends = one if one is not None else last
        found.append(
            HypothesisShown(
                name, said["statement"], said["direction"], said["control"], said["program"], step["step"], own,
                None if one is None else one.verdict, *_evidence(ends),
            )
        )  # fmt: skip
    return found


def _evidence(ends: Finding | TestShown | None) -> tuple[float | None, int, int, float | None, float | None]:
    """effect, successes, trials, e_above, e_below: of the finding, before there is one of the last test."""
    if ends is None:
        return None, 0, 0, None, None
    return rounded(ends.effect), ends.successes or 0, ends.trials or 0, rounded(ends.e_above), rounded(ends.e_below)


def _test(
    step: dict[str, Any],
    after: dict[str, Any] | None,
    direction: Any,
    level: float | None,
    silent: float | None,
    told: Retold,
) -> TestShown:
    pairs, predicted = step["request"]["pairs"], step["request"]["predicted"]
    if after is None:
        return TestShown(step["step"], None, predicted, pairs, [None] * len(pairs))
    values = [[told.inputs.get(name, {}).get("value") for name in pair] for pair in pairs]
    went = [
        None
        if level is None or a is None or b is None or (silent is None and direction == "weakens")
        else success((a, b), level, silent or 0.0, direction)
        for a, b in values
    ]
    found = after["result"]
    return TestShown(step["step"], after["step"], predicted, pairs, went, found["successes"], found["trials"],
                     rounded(found["e_above"]), rounded(found["e_below"]), rounded(found["effect"]))  # fmt: skip


def _rounds(steps: Sequence[dict[str, Any]], told: Retold) -> list[Round]:
    """Steps in rounds: of a policy that writes code each request for it begins one; else what came before the first
    hypothesis, and after."""
    written = any(step["kind"] == "ask" for step in steps)
    rounds: list[Round] = []
    made: list[str] = []
    for step in steps:
        if step["kind"] in ("start", "answer"):
            continue
        names = told.made.get(step["step"], [])
        if step["kind"] == "tool" and step["request"]["tool"] == "call_unit" and {*names} <= {*made}:
            continue  # what the step before has made is run: its responses are shown there
        made = names
        if written and step["kind"] == "ask":
            rounds.append(Round(f"Round {sum(one.name.startswith('Round') for one in rounds) + 1}", []))
        elif not rounds or (not written and step["kind"] == "hypothesis" and rounds[-1].name == LOOKING):
            rounds.append(Round(LOOKING if step["kind"] != "hypothesis" else TESTING, []))
        rounds[-1].steps.append(_step(step, names))
    return rounds


def _step(step: dict[str, Any], names: list[str]) -> StepShown:
    number, kind, request, result = step["step"], step["kind"], step["request"], step["result"]
    if kind == "log":
        return StepShown(number, kind, request["images"], text=_cut(request["text"]))
    if kind == "ask":
        error = result["failure"]
        return StepShown(number, kind, text=_cut(request["prompt"]), reply=_cut(result["text"] or ""), error=error)
    if kind == "code":
        return StepShown(number, kind, text=_cut(request["code"]), reply=_cut(result["output"]), error=result["error"])
    if kind == "hypothesis":
        return StepShown(number, kind, text=f"{result}: {request['statement']}")
    if kind == "prediction":
        told = f"{request['hypothesis']}: {request['predicted']}, in each of {len(request['pairs'])} pairs"
        return StepShown(number, kind, text=told)
    if kind == "test":
        told = f"{request['hypothesis']}: {result['successes']} of {result['trials']} pairs so far went as predicted"
        return StepShown(number, kind, names, text=told)
    tool, given = request["tool"], request["arguments"]
    if tool == "edit_images":
        originals = given["images"]
        pairs = [[a, b] for a, b in zip(originals, names, strict=True)]
        return StepShown(number, tool, names, pairs, text="; ".join(dict.fromkeys(given["instructions"])))
    if tool == "edit_text":
        pairs = [[a, b] for a, b in zip(given["inputs"], names, strict=True)]
        return StepShown(number, tool, names, pairs, text=f"{given['old']!r} becomes {given['new']!r}")
    if tool in (*SEEN, *DRAWN, "call_unit", "generate_text"):
        return StepShown(number, tool, names, text=given.get("text") or given.get("about"))
    said = json.dumps(given, ensure_ascii=False) if given else ""
    return StepShown(
        number, tool, text=_cut(said) or None, reply=_cut(json.dumps(result, ensure_ascii=False, indent=1))
    )


def _cut(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[:most]} … ({len(text):,} characters)"


def numbers_of(study: Study, units: Iterable[Unit] | None = None, most: int | None = None) -> list[int]:
    """The numbers of a study's experiments, of some units where they are named; at most the last `most` of them."""
    wanted = None if units is None else {*map(str, units)}
    rows = study.query(f"{_ROW} WHERE kind <> '{TEST}' ORDER BY experiments.id DESC")
    chosen = (row[0] for row in rows if wanted is None or row[1] is None or row[1] in wanted)
    return sorted(islice(chosen, most))
