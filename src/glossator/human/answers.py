"""Reading answers: a page's JSON or an editor's form, each answer checked against its task.

What cannot be an answer (out of range, repeated, of another study) is one clear error; a missing answer is a missing
value, counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glossator.errors import UserError, near_matches
from glossator.human.forms import CHOICES, FORMAT, AnswerFile, read_markdown, read_tsv
from glossator.human.tasks import SCALE, Passage, TaskSet

RATER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
LONGEST = 2000
"""Characters of a written answer."""


@dataclass(frozen=True)
class Answers:
    """One annotator's valid answers to one task set; slots without one are missing, for the reason given.

    provenance: model, prompt and cost, where the "person" is a language model.
    """

    tasks: str
    study: str
    task: str
    rater: str
    values: Mapping[str, Any]
    missing: Mapping[str, str]
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_answer_file(path: Path) -> AnswerFile:
    """Read a page's answers (JSON) or a form's (TSV, Markdown), by the file's ending; `UserError` for anything else."""
    readers = {".json": _read_json, ".tsv": read_tsv, ".md": read_markdown}
    if path.suffix.lower() not in readers:
        raise UserError("not an answer file", value=str(path), allowed="*.json (from the page), *.tsv or *.md")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError("cannot read the answers", value=str(path), fix=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise UserError("the answers are not UTF-8", value=str(path), fix="Save them as UTF-8 text") from error
    return readers[path.suffix.lower()](text, str(path))


def _read_json(text: str, path: str) -> AnswerFile:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"answered twice in {path}", value=name)
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
        if found["format"] != FORMAT:
            raise UserError("the answers have another format", value=found["format"], allowed=FORMAT)
        values = dict(found["answers"])
        named = {name: str(found[name]) for name in ("tasks", "study", "task")}
        return AnswerFile(path, **named, rater=str(found.get("rater") or ""), values=values)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError("not an answer file", value=path, fix="Save the answers again from the page") from error


def check(answer_file: AnswerFile, tasks: TaskSet, rater: str | None = None) -> Answers:
    """The answers, once all of them are valid; rater: a name for files whose header has none."""
    if answer_file.task != tasks.task:
        raise UserError(f"{answer_file.path} belongs to another task", value=answer_file.task, allowed=tasks.task)
    values, missing = {}, {}
    for slot in answer_file.values:
        if slot not in tasks.slots:
            raise UserError(f"unknown slot in {answer_file.path}", value=slot, allowed=near_matches(slot, tasks.slots))
    for slot, passage in tasks.slots.items():
        given = answer_file.values.get(slot)
        if given is None or (isinstance(given, str) and not given.strip()):
            missing[slot] = "no answer"
            continue
        value, reason = _checked(f"{slot} in {answer_file.path}", tasks.task, given, passage)
        if reason is None:
            values[slot] = value
        else:
            missing[slot] = reason
    return Answers(
        tasks.id, tasks.study, tasks.task, rater_name(rater or answer_file.rater, answer_file.path), values, missing
    )


def rater_name(name: str, path: str) -> str:
    if not RATER.fullmatch(name):
        raise UserError(
            f"no usable annotator name in {path}" if not name else "an annotator's name must be a short word",
            value=name or None,
            allowed="1 to 40 letters, digits, dots, dashes",
            fix="Set it with --rater",
        )
    return name


def _checked(where: str, task: str, given: Any, passage: Passage | None) -> tuple[Any, str | None]:
    """(the answer, None), or (None, why it is missing); `UserError` for what cannot be an answer."""
    if passage is not None:
        return _ratings(where, given, passage)
    if not isinstance(given, str):
        raise UserError(f"no text as an answer to {where}", value=given)
    if task in CHOICES:
        word = given.strip().lower()
        if word not in CHOICES[task]:
            raise UserError(f"not an answer to {where}", value=given, allowed=", ".join(CHOICES[task]))
        return word, None
    text = " ".join(given.split())
    if len(text) > LONGEST:
        raise UserError(f"too long an answer to {where}", value=f"{len(text)} characters", allowed=f"{LONGEST}")
    return text, None


def _ratings(where: str, given: Any, passage: Passage) -> tuple[list[int] | None, str | None]:
    if not isinstance(given, list):
        raise UserError(f"no list of ratings for {where}", value=given)
    if len(given) != len(passage.tokens):
        raise UserError(f"wrong number of ratings for {where}", value=len(given), allowed=str(len(passage.tokens)))
    ratings, gaps = [], 0
    for place, (value, counts) in enumerate(zip(given, passage.counts, strict=True), 1):
        if not counts:
            ratings.append(0)
        elif value is None:
            gaps += 1
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= SCALE:
            raise UserError(
                f"not a rating, token {place} of {where}", value=value, allowed=f"a whole number from 0 to {SCALE}"
            )
        else:
            ratings.append(value)
    return (None, f"{gaps} tokens not rated") if gaps else (ratings, None)
