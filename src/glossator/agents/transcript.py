"""A transcript: every step of an experiment as one line of JSON, which replays byte for byte.

One line is one step, `{"step": n, "kind": ..., "request": ..., "result": ...}` with sorted keys. Kinds:

- `start`: request `{unit, takes, question, policy, seed, budget}`; result: `{quantiles, level}` of the unit's own
  responses to ordinary inputs of the explain split.
- `tool`: request `{tool, arguments}`; result: what the tool returned, or `{error}` (a message that the policy saw).
- `hypothesis`: request `{statement, direction, program, control}`; result: its id, `h1`, `h2`, ...
- `prediction`: request `{hypothesis, predicted, pairs: [[with, without], ...]}`, on disk before the unit is run; result
  null.
- `test`: the step right after it; request `{hypothesis}`; result `{inputs: [{value, percentile, text}]}`, first of all
  inputs with it, then of those without, and of all pairs of this hypothesis so far `{successes, trials, e_above,
  e_below, effect}`.
- `log`: request `{text, images}`; result null. Later prompts hold nothing but these, the hypotheses and the question.
- `ask`: request `{prompt, images}`; result `{text, tokens, money, failure}`, the reply of the language model or person.
- `code`: request `{code}`; result `{output, error}` of the sandbox. The tools that it called stand before this line.
- `answer`: request null; result: the answer (`glossator.agents.answers.Answer`).

Inputs are named by ids: texts `t1`, images `i1`, in the order in which they are made; `tool` results that make inputs
list `{text}` or `{prompt, seed, backend, missing}`. Responses of units with places in images have `cells`, rows of 0
and 1: where the unit is above its level. No line holds the time, so the same experiment has the same bytes.

Replay and resume are one mechanism: while recorded steps are left, a step that asks the same gets the recorded result;
after them, steps are done and appended. A step that differs from the record is an error that names both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from glossator.errors import UserError


def line_of(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read_transcript(path: Path | str) -> list[dict[str, Any]]:
    """The whole steps of a transcript; a last line that was cut off when its writer was killed is left out."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError("cannot read the transcript", value=str(path), fix=error.strerror or str(error)) from error
    steps = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if not line:
            continue
        try:
            step = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines) - 1:
                break
            raise UserError("not a transcript", value=f"{path}, line {number + 1}", fix=str(error)) from error
        if not isinstance(step, dict) or not {"step", "kind", "request", "result"} <= step.keys():
            raise UserError("not a step of a transcript", value=f"{path}, line {number + 1}")
        steps.append(step)
    return steps


class Transcript:
    """The steps of one experiment, in memory and, with a path, on disk as they happen."""

    def __init__(self, path: Path | str | None = None, recorded: list[dict[str, Any]] | None = None):
        """recorded: steps to replay, by default those that the file already holds."""
        self.path = None if path is None else Path(path)
        if recorded is None:
            recorded = read_transcript(self.path) if self.path is not None and self.path.exists() else []
        self.recorded = recorded
        self.steps: list[dict[str, Any]] = []
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A half-written last line must not stand before what is appended.
            self.path.write_text("".join(line_of(step) + "\n" for step in recorded), encoding="utf-8")

    @property
    def replaying(self) -> bool:
        return len(self.steps) < len(self.recorded)

    def step(self, kind: str, request: Any, do: Callable[[], Any]) -> Any:
        """The result of a step: the recorded one while there is one, else that of `do`, appended."""
        request = json.loads(line_of(request))
        if self.replaying:
            step = self.recorded[len(self.steps)]
            if (step["kind"], step["request"]) != (kind, request):
                raise UserError(
                    "the recorded transcript is of another experiment",
                    value=f"step {step['step']}: {line_of(step['request'])[:300]}",
                    allowed=f"{kind}: {line_of(request)[:300]}",
                    fix="Use another --out, or the settings with which it was recorded",
                )
            self.steps.append(step)
            return step["result"]
        result = json.loads(line_of(do()))
        step = {"step": len(self.steps), "kind": kind, "request": request, "result": result}
        self.steps.append(step)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line_of(step) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return result

    def text(self) -> str:
        return "".join(line_of(step) + "\n" for step in self.steps)
