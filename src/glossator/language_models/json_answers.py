"""Parsing a JSON value that matches a schema from model output, or the reason why there is none.

Models wrap JSON in prose and fences, truncate it, or repeat the example before the answer. A value is taken only if it
is unambiguous; everything else is an error, which is then asked about once.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from glossator.language_models.thoughts import without_thoughts

CLOSERS = {"{": "}", "[": "]"}
OPENER = re.compile(r"[{\[]")
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
FENCE = re.compile(r"```[a-zA-Z0-9_-]*[ \t]*\n(.*?)```", re.DOTALL)
PROSE = re.compile(r"\[(?!\W*(?:NaN|-?Infinity|None|null|true|false)\b)[^\[\]{}\"\d,:]*\]")  # such as "[see below]"


class NoValue(Exception):
    """There is no usable value; the message says why, in words that a model can act on."""


def value_in(text: str, schema: Mapping[str, Any]) -> Any:
    """The one JSON value in the text that fits the schema; raises `NoValue`."""
    text = without_thoughts(text)
    if not text.strip():
        raise NoValue("the answer is empty")
    try:
        value = strict_json(text)
    except NoValue as problem:
        if problem.__cause__ is None:  # JSON by its syntax, but not a value that can be used
            raise
        value = _the_one(text, schema)
    check(value, schema)
    return value


def clean(text: str) -> str:
    """Text that can be written as UTF-8: unpaired surrogates are replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def strict_json(text: str) -> Any:
    """Parse the whole text; NaN, infinities, repeated keys, lone surrogates and absurd depth are refused."""
    try:
        value = json.loads(
            text,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_not_huge,
            object_pairs_hook=_no_repeated_keys,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise NoValue("the answer holds half of a surrogate pair") from None
    except (ValueError, RecursionError) as error:
        raise NoValue("the answer is not JSON") from error
    return value


def check(value: Any, schema: Mapping[str, Any]) -> None:
    """Raise `NoValue` with the first thing in which the value does not fit the schema."""
    import jsonschema

    error = jsonschema.exceptions.best_match(_validator(json.dumps(schema, default=dict)).iter_errors(value))
    if error is not None:
        place = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise NoValue(f"the JSON does not fit the schema: at {place or 'the top'}, {_cut(error.message)}")


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    import jsonschema

    plain = json.loads(schema)
    return jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)(plain)


def _the_one(text: str, schema: Mapping[str, Any]) -> Any:
    """The value among fences and prose; an error when two that differ would fit, or when one is broken."""
    fences = FENCE.findall(text)
    found: list[Any] = []
    problem: NoValue | None = None
    for piece in fences or [text]:
        try:
            values = [strict_json(piece)] if fences else list(_values(piece))
        except NoValue as error:
            raise NoValue(f"the JSON in the answer is broken or cut off ({error})") from error
        for value in values:
            try:
                check(value, schema)
            except NoValue as error:
                problem = problem or error
            else:
                found.append(value)
    distinct = {json.dumps(value, sort_keys=True) for value in found}
    if len(distinct) > 1:
        raise NoValue("the answer holds several different JSON values that fit the schema; give one")
    if not found:
        raise problem or NoValue("the answer holds no JSON")
    return found[0]


def _values(text: str) -> Iterator[Any]:
    """Every outermost {...} or [...] in prose. A bracketed part that is not JSON is ignored when it can only be
    prose; what looks like JSON but does not parse, or does not end, is an error: a part of it would be a wrong value.
    """
    start = 0
    while match := OPENER.search(text, start):
        end = _closing(text, match.start())
        if end is None:
            raise NoValue("a bracket is never closed")
        piece = text[match.start() : end]
        try:
            yield strict_json(piece)
        except NoValue:
            if not PROSE.fullmatch(piece):
                raise
        start = end


def _closing(text: str, start: int) -> int | None:
    """Where the bracket that opens at `start` is closed, strings left out of account; None when it is not."""
    open_brackets: list[str] = []
    position = start
    while position < len(text):
        character = text[position]
        if character == '"':
            string = STRING.match(text, position)
            if string is None:
                return None
            position = string.end()
            continue
        if character in CLOSERS:
            open_brackets.append(CLOSERS[character])
        elif character in "}]":
            if open_brackets.pop() != character:
                return None
            if not open_brackets:
                return position + 1
        position += 1
    return None


def _no_constant(name: str) -> Any:
    raise NoValue(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise NoValue(f"{_cut(digits)} is too large a number")
    return value


def _not_huge(digits: str) -> int:
    if len(digits) > 300:
        raise NoValue(f"{_cut(digits, 40)} is too large a number")
    return int(digits)


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NoValue("a key occurs twice in one object")
    return found


def _cut(text: str, length: int = 300) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."
