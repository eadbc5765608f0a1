"""One agent's experiment, told from its steps: question, what was done round by round, hypotheses with predictions that
were registered before data, verdicts, the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from glossator.agents.answers import Answer, Finding
from glossator.agents.ledger import ALPHA, success
from glossator.explorer.pages.parts import cut, rounded
from glossator.explorer.pages.windows import as_data_uri

if TYPE_CHECKING:
    from glossator.agents.retold import Retold

AGENT = "agent"
"""The kind of experiments that an agent registers."""
SIDE = 128
"""Of pictures on the page, in pixels."""
LOOKING, TESTING = "Looking and trying", "Hypotheses and tests"


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
    """id: as in the transcript; registered: its step; control: a negative control, which is expected to fail; verdict,
    outcome: the latter in words, None while the experiment goes on; at_least: the share of new pairs that go as
    predicted, with 95 % confidence."""

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
    outcome: str | None = None
    at_least: float | None = None


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


def page_of_steps(
    steps: Sequence[dict[str, Any]],
    number: int | None = None,
    unit: str | None = None,
    shown: Mapping[str, np.ndarray] | None = None,
    why_short: str | None = None,
) -> ExperimentPage:
    """The page of an agent's experiment. unit: as the study calls it, by default as the transcript does; shown: pixels
    of pictures by id."""
    from glossator.agents.retold import retold

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
        limits=[*answer.other_limits] if answer else [],
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
        text=None if text is None else cut(text),
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
                None if one is None else one.verdict, *_evidence(ends), None if one is None else one.outcome,
                None if one is None or not one.trials else rounded(one.at_least),
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
        return StepShown(number, kind, request["images"], text=cut(request["text"]))
    if kind == "ask":
        error = result["failure"]
        return StepShown(number, kind, text=cut(request["prompt"]), reply=cut(result["text"] or ""), error=error)
    if kind == "code":
        return StepShown(number, kind, text=cut(request["code"]), reply=cut(result["output"]), error=result["error"])
    if kind == "hypothesis":
        return StepShown(number, kind, text=f"{result}: {request['statement']}")
    if kind == "prediction":
        told = f"{request['hypothesis']}: {request['predicted']}, in each of {len(request['pairs'])} pairs"
        return StepShown(number, kind, text=told)
    if kind == "test":
        told = f"{request['hypothesis']}: {result['successes']} of {result['trials']} pairs so far went as predicted"
        return StepShown(number, kind, names, text=told)
    from glossator.agents.retold import DRAWN, SEEN

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
    return StepShown(number, tool, text=cut(said) or None, reply=cut(json.dumps(result, ensure_ascii=False, indent=1)))
