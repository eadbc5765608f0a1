"""The same tasks as forms for an editor: a table of tokens to rate (TSV), Markdown for everything else.

Corpus text can hold anything, so in a form it never stands at the beginning of a line or a cell: a spreadsheet would
run a token as a formula, and a passage could pose as an answer.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glossator.errors import UserError
from glossator.human.tasks import (
    INSTRUCTIONS,
    PLACES,
    PREFERENCES,
    READINGS,
    SCALE,
    TITLES,
    GroupsItem,
    LabellingItem,
    Picture,
    PreferenceItem,
    Shown,
    SimulationItem,
    TaskSet,
    instructions_of,
)
from glossator.terminal import visible

FORMAT = "glossator-answers/1"
CHOICES = {"preference": PREFERENCES, "gibberish": READINGS, "readability": PLACES}


@dataclass(frozen=True)
class AnswerFile:
    """Not yet checked against its task set. tasks, study: ids; values: by slot."""

    path: str
    tasks: str
    study: str
    task: str
    rater: str
    values: Mapping[str, Any]


def header_of(fields: Mapping[str, str], path: str, values: Mapping[str, Any]) -> AnswerFile:
    """The header of a form; `UserError` if the file is not a form or has lost its header."""
    if fields.get("format") != FORMAT:
        raise UserError(
            "not a form with answers", value=path, allowed=f"its head says {FORMAT}", fix="Leave the header unchanged"
        )
    if missing := [name for name in ("tasks", "study", "task") if not fields.get(name)]:
        raise UserError(f"the head of {path} lacks", value=missing[0], fix="Leave the header unchanged")
    return AnswerFile(path, fields["tasks"], fields["study"], fields["task"], fields.get("rater", "").strip(), values)


HEAD = ("format", "tasks", "study", "task", "rater")
COLUMNS = ("slot", "place", "text", "rating")
DONE = "done"
SKIPPED = "-"
DIGITS = 9
"""No number in a form has more; Python refuses to read very long ones."""
QUOTE = ">     "
"""Quoted code to Markdown, so that a preview shows the corpus as it is and loads nothing that it names."""


def form(tasks: TaskSet) -> tuple[str, str]:
    """(ending, content) of the form of a task set."""
    return (".tsv", _tsv(tasks)) if tasks.task == "simulation" else (".md", _markdown(tasks))


def _tsv(tasks: TaskSet) -> str:
    out = io.StringIO()
    write = csv.writer(out, dialect="excel-tab", lineterminator="\n").writerow
    for name, value in zip(HEAD, _head(tasks), strict=True):
        write([name, value])
    for line in (*INSTRUCTIONS["simulation"], FORM_HELP):
        write(["", "", line])
    write(COLUMNS)
    for item in tasks.items:
        assert isinstance(item, SimulationItem)
        for slot, passage in zip(item.slots, item.passages, strict=True):
            write([slot, "explanation", quoted(item.explanation), ""])
            write([slot, "passage", quoted("".join(passage.tokens)), ""])
            write([slot, DONE, "(write yes when this passage is rated)", ""])
            for place, (token, counts) in enumerate(zip(passage.tokens, passage.counts, strict=True), 1):
                write([slot, place, quoted(token), "" if counts else SKIPPED])
    return out.getvalue()


FORM_HELP = (
    "Write a number from 0 to 10 in the rating column. When a passage is finished, write yes in its row 'done': "
    "empty cells of it then mean 0. Passages without yes count as not answered."
)


def read_tsv(text: str, path: str) -> AnswerFile:
    """Ratings by slot, in the order of their places; passages not marked as done are left out."""
    try:
        rows = list(csv.reader(io.StringIO(text.replace("\r\n", "\n"), newline=""), dialect="excel-tab", strict=True))
    except csv.Error as error:
        raise UserError("not a table", value=path, fix=f"{error}; save it as TSV") from error
    fields: dict[str, str] = {}
    done: dict[str, str] = {}
    cells: dict[str, dict[int, str]] = {}
    in_table = False
    for row in rows:
        slot, place, _, rating = (cell.strip() for cell in ([*row, "", "", "", ""])[:4])
        if (slot, place) == COLUMNS[:2]:
            in_table = True
        elif not in_table:
            if slot in HEAD:
                fields.setdefault(slot, place)
        elif place == DONE:
            _once(done, slot, rating.lower(), path)
        elif place.isdecimal() and len(place) <= DIGITS:
            _once(cells.setdefault(slot, {}), int(place), rating, f"{slot} in {path}")
    values = {
        slot: _ratings(slot, cells.get(slot, {}), path) for slot, word in done.items() if _is_yes(word, slot, path)
    }
    for slot, given in cells.items():
        if slot not in done:
            raise UserError(f"the row 'done' of this passage is missing in {path}", value=slot)
        if slot not in values and any(cell.isdecimal() and cell.strip("0") for cell in given.values()):
            values[slot] = [None] * len(given)  # begun, not finished
    return header_of(fields, path, values)


def _is_yes(word: str, slot: str, path: str) -> bool:
    if word not in ("", "yes", "y", "x", "no", "n"):
        raise UserError(f"not understood in the row 'done' of {slot} in {path}", value=word, allowed="yes, or nothing")
    return word in ("yes", "y", "x")


def _ratings(slot: str, given: dict[int, str], path: str) -> list[Any]:
    if sorted(given) != list(range(1, len(given) + 1)):
        raise UserError(f"rows of tokens are missing in {path}", value=slot, fix="Keep every row of the form")
    ratings: list[Any] = []
    for place in sorted(given):
        cell = given[place]
        whole = re.fullmatch(rf"(-?\d{{1,{DIGITS}}})(?:\.0+)?", cell)  # spreadsheets may write 7 as 7.0
        ratings.append(0 if cell in ("", SKIPPED) else int(whole[1]) if whole else cell)
    return ratings


def _once(found: dict[Any, str], key: Any, value: str, where: str) -> None:
    if key in found:
        raise UserError(f"answered twice, {where}", value=key)
    found[key] = value


def _markdown(tasks: TaskSet) -> str:
    lines = [f"# {TITLES[tasks.task]}", ""]
    lines += [f"{name}: {value}" for name, value in zip(HEAD, _head(tasks), strict=True)]
    lines += ["", *(f"- {line}" for line in instructions_of(tasks))]
    allowed = f" ({', '.join(CHOICES[tasks.task])})" if tasks.task in CHOICES else ""
    lines += [f"- Write your name behind 'rater:' above, and each answer{allowed} behind its 'answer', on that line."]
    for item in tasks.items:
        lines += ["", f"## {item.id}", ""]
        if isinstance(item, PreferenceItem):
            lines += [f"{QUOTE}first: {visible(item.first)}", ">", f"{QUOTE}second: {visible(item.second)}", ""]
        if isinstance(item, PreferenceItem | LabellingItem):
            lines += [f"{QUOTE}{n}. {_marked(passage)}" for n, passage in enumerate(item.passages, 1)]
        elif isinstance(item, GroupsItem):
            lines += [f"{QUOTE}{visible(item.text)}"]
            for n, group in enumerate(item.grouped, 1):
                lines += ["", f"Group {n}", "", *(f"{QUOTE}- {_marked(passage)}" for passage in group)]
        else:
            lines += [f"{QUOTE}{visible(item.text)}"]
        lines += ["", f"answer {item.id}: "]
    return "\n".join(lines) + "\n"


FIELD = re.compile(r"^(format|tasks|study|task|rater):(.*)$")
ANSWER = re.compile(r"^answer\s+(\S+?)\s*:(.*)$", re.IGNORECASE)


def read_markdown(text: str, path: str) -> AnswerFile:
    """Answers by slot; quoted lines, which hold the corpus, are never read."""
    fields: dict[str, str] = {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(">"):
            continue
        if found := ANSWER.match(line):
            _once(values, found[1], found[2].strip(), path)
        elif (found := FIELD.match(line)) and not values:
            fields.setdefault(found[1], found[2].strip())
    return header_of(fields, path, values)


def _head(tasks: TaskSet) -> tuple[str, str, str, str, str]:
    return FORMAT, tasks.id, tasks.study, tasks.task, ""


def quoted(text: str) -> str:
    """Text in a cell: quotes around it, spaces at its ends visible."""
    inner = visible(text)
    lead, trail = len(inner) - len(inner.lstrip(" ")), len(inner) - len(inner.rstrip(" "))
    if lead == len(inner):
        return f"«{'␣' * lead}»"
    return f"«{'␣' * lead}{inner[lead : len(inner) - trail]}{'␣' * trail}»"


def _marked(passage: Shown) -> str:
    """A passage as text; firing tokens in double brackets with their level: [[token|7]]."""
    if isinstance(passage, Picture):
        return f"a picture, which is on the page; strongest {max(passage.levels)} of {SCALE}"
    levels = passage.levels or (0,) * len(passage.tokens)
    parts = []
    for token, level in zip(passage.tokens, levels, strict=True):
        space = " " if level and token.startswith(" ") and len(token) > 1 else ""
        parts.append(f"{space}[[{token[len(space) :]}|{level}]]" if level else token)
    return "".join(parts)
