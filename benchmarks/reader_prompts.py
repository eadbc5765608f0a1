"""Takes the scorers' prompts apart again: which question, which explanation, which texts, which tokens are marked.

Every text stands in a prompt as a JSON string, so this is exact; a prompt that is none of ours is not understood.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from glossator.language_models import Request
from glossator.scorers import prompts
from glossator.scorers.marking import CLOSE, OPEN

Kind = Literal["detect", "fuzz", "intruder", "alone", "write", "continue"]
QUESTIONS: dict[str, tuple[Kind, tuple[prompts.Question, ...]]] = {
    prompts.DETECT.system: ("detect", (prompts.DETECT, prompts.DETECT_ONE)),
    prompts.FUZZ.system: ("fuzz", (prompts.FUZZ, prompts.FUZZ_ONE)),
    prompts.INTRUDER.system: ("intruder", (prompts.INTRUDER, prompts.INTRUDER_ONE)),
    prompts.ALONE.system: ("alone", (prompts.ALONE, prompts.ALONE_ONE)),
    prompts.WRITE.system: ("write", (prompts.WRITE, prompts.WRITE)),
}
_LINE = re.compile(r'(Description|\d+): (".*")')
_MARK = re.compile(f"{re.escape(OPEN)}|{re.escape(CLOSE)}")
_HEAD, _TAIL = prompts.CONTINUE_TOLD.split("{explanation}")


@dataclass(frozen=True)
class Asked:
    """kind of question; explanation: None where there is none; texts, with their marks; n: how many answers are wanted;
    one_word: whether the answer is one word instead of JSON."""

    kind: Kind
    explanation: str | None
    texts: tuple[str, ...]
    n: int
    one_word: bool = False


def take_apart(request: Request) -> Asked | None:
    """What the request asks, None when it is no question of the scorers."""
    if request.prompt is not None:
        return _continuation(request.prompt)
    if len(request.messages) != 2 or request.messages[0].content not in QUESTIONS:
        return None
    kind, (_, one) = QUESTIONS[request.messages[0].content]
    *lines, ask = request.messages[1].content.split("\n")
    explanation, texts = None, []
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            return None
        text = json.loads(found[2])
        if found[1] == "Description":
            explanation = text
        else:
            texts.append(text)
    number = re.search(r"exactly (\d+)", ask)
    n = int(number[1]) if number else len(texts)
    return Asked(kind, explanation, tuple(texts), n, kind != "write" and ask == one.ask.format(n=len(texts)))


def _continuation(prompt: str) -> Asked | None:
    if prompt.startswith(prompts.CONTINUE_UNTOLD):
        return Asked("continue", None, (prompt[len(prompts.CONTINUE_UNTOLD) :],), 1)
    if not prompt.startswith(_HEAD):
        return None
    explanation, end = json.JSONDecoder().raw_decode(prompt, len(_HEAD))
    if not prompt.startswith(_TAIL, end):
        return None
    return Asked("continue", explanation, (prompt[end + len(_TAIL) :],), 1)


def without_marks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text with its marks taken out, and the marked stretches as places in its UTF-8 bytes."""
    plain, stretches, start, opened = "", [], 0, None
    for mark in _MARK.finditer(text):
        plain += text[start : mark.start()]
        start = mark.end()
        place = len(plain.encode("utf-8", "replace"))
        if mark[0] == OPEN:
            opened = place
        elif opened is not None:
            stretches.append((opened, place))
            opened = None
    return plain + text[start:], stretches
