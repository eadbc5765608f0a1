"""From the text of an answer to the one phrase in it that explains, without touching its words.

Models wrap an explanation in fences, headings, JSON, labels, lists, courtesies and reasoning. What is around it is
taken off; where nothing is left that could explain, the reason is said.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from glossator.language_models.thoughts import without_thoughts

_WORD = (
    r"answer|explanation|description|summary|conclusion|hypothesis|interpretation|phrase|label|result|final"
    r"|erklärung|antwort|beschreibung|zusammenfassung|explication|réponse|résumé|explicación|respuesta|descripción"
    r"|explicação|resposta|descrição|spiegazione|risposta|uitleg|antwoord|объяснение|ответ|описание"
    r"|解释|解釋|答案|回答|说明|說明|説明|結論|结论|설명|답변|답"
)
_QUALIFIED = (
    r"(?:(?:my|the|a|final|best|short|brief|concise|revised|new|possible|likely|overall|one[- ]phrase)\s+){0,3}"
)
LABEL = re.compile(rf"[*_#\s>]*{_QUALIFIED}(?:{_WORD})[*_\s]*(\d+)?[*_\s]*(?:is\s*)?[:：][*_\s]*", re.IGNORECASE)
_LABEL_INSIDE = re.compile(
    r"[.!?]\s+[*_]*(?:the |my )?(?:final |best )?(?:answer|explanation)(?: is)?\s*[:：]\s*", re.I
)
_HEADING = re.compile(
    rf"#{{1,6}}\s+\S.*|[*_]{{2}}[^*_]+[*_]{{2}}:?|[*_#\s]*{_QUALIFIED}(?:{_WORD})[*_\s]*:?", re.IGNORECASE
)
_FENCE = re.compile(r"^(?:```|~~~)[^\n`]*\n(.*?)(?:^(?:```|~~~)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_FENCE_ON_A_LINE = re.compile(r"^```([^\n`]+)```$")
_TAGS = re.compile(
    r"^\s*<(answer|explanation|response|output|final|final_answer|solution|description|summary|result)>\s*(.*?)\s*(?:</\1>|\Z)",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_BOX = re.compile(r"\\boxed\{(?:\\text\{)?([^{}]*)\}{1,2}|<\|begin_of_box\|>(.*?)<\|end_of_box\|>", re.DOTALL)
_ROLE = re.compile(r"\s*(?:assistant\s*:\s+|(?:assistant|model)[ \t]*\n+)", re.IGNORECASE)
_COURTESY = re.compile(
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|got it|great question|gladly|gerne|natürlich"
    r"|bien sûr|claro(?: que sí)?|certo|конечно|好的|当然|當然|もちろん(?:です)?|はい)\s*[!！。]+\s*",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(r"here(?: is|['’]s| are)\b[^:\n]{0,80}:\s*", re.IGNORECASE)
_ALOUD = re.compile(
    r"(?:okay|ok|alright|hmm+|well|so|right|now|wait|first(?:ly)?|at first)\b,?\s+"
    r"(?:let|we|i\b|i['’]|the user|so|looking|this|the)"
    r"|(?:let me|let['’]s|let us|we need|we have|we are|we['’]re|we see|i need|i have|i['’]ll|i will|i think|i thought"
    r"|i see|i should|i notice|i['’]m going|the user|looking at|my first thought)\b",
    re.IGNORECASE,
)
_SAYS_I = re.compile(r"\b(?:I|we|let['’]s)\b(?!['’]?\w*[”\"])")
KEYS = ("explanation", "final_explanation", "answer", "final_answer", "description", "summary", "label", "phrase",
        "hypothesis", "interpretation", "text", "result", "response", "output", "content")  # fmt: skip
"""Where JSON that was not asked for holds its answer."""

EMPTY, ALOUD, NO_KEY = "the answer is empty", "the answer reasons and does not explain", "JSON without an explanation"


def body_of(text: str) -> str:
    """The answer without thoughts, tags, fences and boxes around it."""
    text = without_thoughts(text).strip("\n\r ")
    for pattern in (_TAGS, _BOX):
        found = list(pattern.finditer(text))
        inside = next((group for group in reversed(found[-1].groups()) if group), "") if found else ""
        if inside.strip() and (pattern is _BOX or not text[: found[-1].start()].strip() or _is_long(text, found[-1])):
            text = inside.strip()
    if fence := _FENCE.search(text):
        text = fence[1].strip("\n\r ") or text[fence.end() :].strip("\n\r ")
    elif fence := _FENCE_ON_A_LINE.match(text):
        text = fence[1]
    return _ROLE.sub("", text, count=1) if _ROLE.match(text) else text


def phrase_of(text: str) -> tuple[str, bool, str | None]:
    """(the phrase, whether the text ends with it, None), or ("", False, why there is none)."""
    text = body_of(text)
    if text[:1] in ("{", "["):
        found = _from_json(text)
        if found is None:
            return "", False, NO_KEY
        if found:
            text = found
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line.strip("*_`#=- ")]
    if not lines:
        return "", False, EMPTY
    place, labelled = _labelled(lines)
    while len(lines) > 1 and place and _is_around(lines[0]):
        lines, place = lines[1:], place - 1
    if labelled and (place == 0 or not _is_phrase(lines[0])):
        return labelled, place == len(lines) - 1, None
    while len(lines) > 1 and _is_around(lines[0]):
        lines.pop(0)
    lines[0] = _INTRODUCTION.sub("", _COURTESY.sub("", lines[0], count=1), count=1) or lines[0]
    if _ALOUD.match(lines[0]):
        if inside := list(_LABEL_INSIDE.finditer(lines[-1])):
            return lines[-1][inside[-1].end() :], True, None
        if len(lines) > 1:
            last = lines[-1]
            return (last, True, None) if _is_phrase(last) and not _ALOUD.match(last) else ("", False, ALOUD)
    return lines[0], len(lines) == 1, None


def lines_of(text: str) -> list[str]:
    """The lines of an answer that is a list, also of one written as JSON; headings and lead-ins stay out."""
    text = body_of(text)
    value = _parsed(text) if text[:1] in ("{", "[") else None
    if isinstance(value, Mapping) and len(value) == 1:
        value = next(iter(value.values()))
    if isinstance(value, list):
        texts = [next(iter(one.values()), None) if isinstance(one, Mapping) else one for one in value]
        return [one.strip() for one in texts if isinstance(one, str) and one.strip()]
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line.strip("*_`#=- ") and not _is_around(line)]


def _labelled(lines: list[str]) -> tuple[int, str]:
    """The line that a label says is the answer, the last one of several (the first of numbered ones), and its place."""
    found: list[tuple[int, str, bool]] = []
    for place, line in enumerate(lines):
        if label := LABEL.match(line):
            rest = line[label.end() :].strip()
            if rest.strip("*_ "):
                found.append((place, rest, label[1] is not None))
            elif place + 1 < len(lines):
                found.append((place + 1, lines[place + 1], label[1] is not None))
    if not found:
        return 0, ""
    place, rest, _ = found[0] if found[0][2] else found[-1]
    return place, rest


def _is_around(line: str) -> bool:
    """A heading, a courtesy, or a line that only leads to the next."""
    bare = line.rstrip("*_ ")
    return (
        bare.endswith((":", "："))
        or _HEADING.fullmatch(line) is not None
        or _COURTESY.fullmatch(bare.rstrip(".") + "!") is not None
    )


def _is_phrase(line: str) -> bool:
    """Whether a line reads as the phrase that was asked for, and not as a sentence of somebody who thinks."""
    return not (line.endswith((".", "?", "!", "…", "。", "？")) or _ALOUD.match(line) or _SAYS_I.search(line))


def _is_long(text: str, found: re.Match[str]) -> bool:
    """Whether what stands in a tag is an answer at the end of other text, and no tag that is spoken of."""
    return found.end() >= len(text.rstrip()) and "\n" in text[: found.start()]


def _from_json(text: str) -> str | None:
    """The explanation in JSON; "" where it is no JSON but text that begins like it; None where JSON holds none."""
    value = _parsed(text)
    if value is _NOT_JSON:
        is_cut = re.match(r"\{\s*[\"']\w+[\"']\s*:|\[\s*\{?\s*\"", text)
        return None if is_cut else ""
    for _ in range(3):
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, Mapping):
            named = {str(key).lower().replace(" ", "_"): one for key, one in value.items()}
            texts = [one for one in named.values() if isinstance(one, str)]
            value = next((named[key] for key in KEYS if named.get(key)), texts[0] if len(texts) == 1 else None)
            if len(named) == 1 and named.keys() & {"error", "refusal", "message", "reason", "status"}:
                return None
    return value if isinstance(value, str) and value.strip() else None


_NOT_JSON = object()


def _parsed(text: str) -> Any:
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        pass
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return _NOT_JSON
    return value if isinstance(value, (dict, list)) else _NOT_JSON
