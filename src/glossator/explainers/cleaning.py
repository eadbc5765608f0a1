"""Extracting the explanatory phrase from an answer, without changing its words.

Models wrap an explanation in fences, headings, JSON, labels, lists, courtesies and reasoning. The wrapping is stripped;
if nothing explanatory is left, a reason is given.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Mapping
from typing import Any

from glossator.language_models.thoughts import without_thoughts

_WORD = (
    r"answer|explanation|description|summary|conclusion|hypothesis|interpretation|phrase|label|result|response|final"
    r"|erklärung|antwort|beschreibung|zusammenfassung|explication|réponse|résumé|explicación|respuesta|descripción"
    r"|explicação|resposta|descrição|spiegazione|risposta|uitleg|antwoord|объяснение|ответ|описание"
    r"|解释|解釋|答案|回答|说明|說明|説明|結論|结论|설명|답변|답"
)
_QUALIFIED = (
    r"(?:(?:so|therefore|thus|hence),?\s+)?"
    r"(?:(?:my|the|a|final|best|short|brief|concise|revised|new|possible|likely|overall|one[- ]phrase)\s+){0,3}"
)
_SIGNS = "[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"  # such as a pictogram before a heading
LABEL = re.compile(
    rf"{_SIGNS}*[*_#\s>]*{_QUALIFIED}(?:{_WORD})[*_\s]*(\d+)?[*_\s]*"
    r"(?:(?:is\s*)?[:：][*_\s]*|is\s+(?=[\"“'‘]))",
    re.IGNORECASE,
)
WEAK_LABEL = re.compile(
    r"[*_#\s>]*(?:Output|Pattern|Concept|Feature|Topic|Theme|Meaning|TL;?DR|In (?:short|summary|a nutshell|one phrase)"
    r"|(?:[Uu]nit|[Nn]euron|[Ff]eature|[Ll]atent|[Dd]irection)\s+#?\d+)[*_\s]*[:：][*_\s]*"
)
"""Taken off the phrase; of several lines it does not say which one explains."""
_LABEL_INSIDE = re.compile(
    r"[.!?]\s+[*_]*(?:the |my )?(?:final |best )?(?:answer|explanation)(?: is)?\s*[:：]\s*", re.I
)
_HEADING = re.compile(
    rf"#{{1,6}}\s+\S.*|[*_]{{2}}(?:[^*_]+:[*_]{{2}}|[^*_]+[*_]{{2}}:|(?:unit|neuron|feature)\s+\d+[*_]{{2}})|[*_#\s]*{_QUALIFIED}(?:{_WORD})[*_\s]*:?",
    re.IGNORECASE,
)
_LABEL_AS_HEADING = re.compile(rf"(?:#+\s+[*_]*|[*_]{{2}}){_QUALIFIED}(?:{_WORD})[*_\s]*:?[*_\s]*", re.IGNORECASE)
_FENCE = re.compile(r"^(?:```|~~~)[^\n`]*\n(.*?)(?:^(?:```|~~~)[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_FENCE_ON_A_LINE = re.compile(r"^```([^\n`]+)```$")
_TAGS = re.compile(
    r"(?:^|[:：])\s*(?:<(answer|explanation|response|output|final|final_answer|solution|description|summary|result)>"
    r"\s*(.*?)\s*(?:</\1>|\Z)|\[(answer|explanation)\]\s*(.*?)\s*\[/\3\])",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)
_BOX = re.compile(r"\\boxed\{(?:\\text\{)?([^{}]*)\}{1,2}|<\|begin_of_box\|>(.*?)<\|end_of_box\|>", re.DOTALL)
_ROLE = re.compile(r"\s*(?:assistant\s*:\s+|(?:assistant|model)[ \t]*\n+)", re.IGNORECASE)
_ASSENT = (
    r"¡?(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|got it|great question|gladly|gerne|natürlich"
    r"|bien sûr|claro(?: que sí)?|certo|конечно|好的|当然|當然|もちろん(?:です)?|はい)\s*"
)
_COURTESY = re.compile(rf"{_ASSENT}(?:[!！。]+\s*|\.\s+(?=\S))", re.IGNORECASE)
_INTRODUCTION = re.compile(
    rf"(?:{_ASSENT}[,，]\s*)?(?:(?:here(?: it)?(?: is|['’]s| are)"
    r"|(?:based on|from) (?:the|these|your)\s(?:[a-z]+\s){0,2}"
    r"(?:examples|records|tokens|data|texts?|excerpts|activations)"
    r"|the (?:common|main|shared|overall) (?:theme|pattern|thread|feature|concept|idea)"
    r"|i would (?:describe|summari[sz]e|say|explain)|voici|voilà|hier ist|aquí (?:está|tienes)|aqui está|ecco|вот)\b"
    r"|以下是|以下は|这是|這是)[^:：\n]{0,80}[:：]\s*",
    re.IGNORECASE,
)
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
_ALOUD = re.compile(
    r"(?:okay|ok|alright|hmm+|well|so|right|now|wait|first(?:ly)?|at first)\b,?\s+"
    r"(?:let|we|i\b|i['’]|the user|so|looking|this|the)"
    r"|[*_#\s]*(?:reasoning|analysis|thinking|rationale|thought process|observations?|step 1)[*_]*\s*[:：]"
    r"|(?:let me|let['’]s|let us|we need|we have|we are|we['’]re|we see|i need|i have|i['’]ll|i will|i think|i thought"
    r"|i see|i should|i notice|i['’]m going|the user|looking at|my first thought)\b",
    re.IGNORECASE,
)
_KEYED = re.compile(r"[*_]*[A-Z]\w+[*_]*:")  # a line of several such as "Title: Rain"
_SAYS_I = re.compile(r"\b(?:I|we|let['’]s)\b(?!['’]?\w*[”\"])")
KEYS = ("explanation", "final_explanation", "answer", "final_answer", "description", "summary", "label", "phrase",
        "hypothesis", "interpretation", "text", "result", "response", "output", "content")  # fmt: skip
"""Where JSON that was not asked for holds its answer."""

EMPTY, ALOUD, NO_KEY = "the answer is empty", "the answer reasons and does not explain", "JSON without an explanation"


def body_of(text: str) -> str:
    """The answer without the thoughts, tags, fences and boxes around it."""
    text, before = without_thoughts(text.strip(_INVISIBLE)).strip("\n\r " + _INVISIBLE), ""
    while before != text:
        before, text = text, _inside(text)
    return _ROLE.sub("", text, count=1) if _ROLE.match(text) else text


def _inside(text: str) -> str:
    """Without one layer of tags, boxes or fences."""
    for pattern in (_TAGS, _BOX):
        found = list(pattern.finditer(text))
        inside = next((group for group in reversed(found[-1].groups()) if group), "") if found else ""
        if inside.strip() and (pattern is _BOX or not text[: found[-1].start()].strip() or _is_long(text, found[-1])):
            text = inside.strip()
    if fence := _FENCE.search(text):
        text = fence[1].strip("\n\r ") or text[fence.end() :].strip("\n\r ")
    elif fence := _FENCE_ON_A_LINE.match(text):
        text = fence[1]
    return text


def phrase_of(text: str) -> tuple[str, bool, str | None]:
    """(the phrase, whether the text ends with it, None), or ("", False, why there is none)."""
    text = _introduced(body_of(text))
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
    if cell := _from_table(lines):
        return cell, len(lines) == 3, None
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
        if _LABEL_AS_HEADING.fullmatch(line):
            if place + 1 < len(lines):
                found.append((place + 1, lines[place + 1], False))
        elif label := LABEL.match(line):
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
    return not (
        _KEYED.match(line)
        or line.endswith((".", "?", "!", "…", "。", "？"))
        or _ALOUD.match(line)
        or _SAYS_I.search(line)
    )


def _is_long(text: str, found: re.Match[str]) -> bool:
    """Whether what stands in a tag is an answer at the end of other text, and no tag that is spoken of."""
    before = text[: found.start() + 1]
    return found.end() >= len(text.rstrip()) and ("\n" in before or before.endswith((":", "：")))


def _introduced(text: str) -> str:
    """JSON without the words that lead to it."""
    place = text.find("{")
    lead = [line.strip() for line in text[: max(place, 0)].splitlines() if line.strip()]
    return text[place:] if lead and all(map(_is_around, lead)) else text


def _from_table(lines: list[str]) -> str:
    """The first row of a table: what stands under a heading that is a label, else in the last column."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:3] if line.startswith("|")]
    if len(rows) < 3 or not all(re.fullmatch(r":?-+:?", cell) for cell in rows[1]):
        return ""
    titles = [place for place, cell in enumerate(rows[0]) if LABEL.fullmatch(f"{cell}:")]
    return rows[2][titles[0] if titles and titles[0] < len(rows[2]) else -1]


def _from_json(text: str) -> str | None:
    """The explanation in JSON; "" where it is no JSON but text that begins like it; None if JSON holds none."""
    try:
        value = _parsed(text)
    except ValueError:
        is_cut = re.match(r"\{\s*[\"']\w+[\"']\s*:|\[\s*\{?\s*\"", text)
        return None if is_cut and not re.match(r".*[}\]]\s*\w", text) else ""
    for _ in range(3):
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, Mapping):
            named = {str(key).lower().replace(" ", "_"): one for key, one in value.items()}
            texts = [one for one in named.values() if isinstance(one, str)]
            known = (named.get(key) or named.get(f"{key}s") for key in KEYS)
            value = next((one for one in known if one), texts[0] if len(texts) == 1 else None)
            if len(named) == 1 and named.keys() & {"error", "refusal", "message", "reason", "status"}:
                return None
    return value if isinstance(value, str) and value.strip() else None


_LOOSE = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?P<drop>//[^\n]*|/\*.*?\*/|,(?=(?:\s|//[^\n]*|/\*.*?\*/)*[}\]]))'
    r"|(?<=[{,\s])(?P<key>[A-Za-z_]\w*)(?=\s*:)",
    re.DOTALL,
)
"""Strings, and what people write in JSON that it does not allow: comments, a last comma, bare keys."""


def _strictly(found: re.Match[str]) -> str:
    return "" if found["drop"] else f'"{found["key"]}"' if found["key"] else found[0]


def _parsed(text: str) -> Any:
    """The value in JSON, in JSON as people write it, or in Python's spelling; raises ValueError where it is none."""
    for spelled in (text, _LOOSE.sub(_strictly, text)):
        with contextlib.suppress(ValueError, RecursionError):
            value, end = json.JSONDecoder().raw_decode(spelled)
            if not re.match(r"[ \t]*\w", spelled[end:]):
                return value
            break
    else:
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            value = ast.literal_eval(text)
            if isinstance(value, (dict, list)):
                return value
    raise ValueError("not JSON")
