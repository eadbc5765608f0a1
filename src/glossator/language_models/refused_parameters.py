"""Which parameter a server rejects, from its message: rejecting a parameter is not an outage.

Servers say it with HTTP 400, 422 or 500, with or without a field that names the parameter; `llama-cpp-python` sends
HTTP 500 with the validation errors of its own framework.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

STATUSES = frozenset({400, 404, 405, 409, 415, 422, 500, 501})
THIS_REQUEST = frozenset({400, 422, 501})  # by these a server says that the request is at fault
CAN_DO_WITHOUT = (
    "response_format", "seed", "stop", "stop_sequences", "temperature", "top_p", "reasoning_effort", "thinking",
    "output_config", "max_tokens", "max_completion_tokens",
)  # fmt: skip
"""Parameters without which answers can still be checked: JSON is asked for in words and held to its schema here, stops
are applied here, and one limit of the answer's length stands for the other."""
NEEDED = ("logprobs", "top_logprobs", "prompt_logprobs", "return_token_ids", "echo")
"""Parameters without which the answer would not be what was asked for."""
_OTHER_NAMES = {
    "response_format": r"response[ _](?:format|schema)|additionalProperties|json[_ ](?:schema|mode|object)"
    r"|structured[_ ]outputs?|guided[_ ](?:json|decoding)|grammar",
    "top_logprobs": r"max_logprobs|logprobs of \d+|top_n_tokens",
    "thinking": "reasoning",
}
_REFUSES = re.compile(
    r"un(?:supported|recogni[sz]ed|known|expected)|extra (?:inputs|fields)|invalid|validation|literal_error"
    r"|not (?:supported?|recogni[sz]ed|permitted|allowed|available|enabled|implemented|accepted|valid|compatible)"
    r"|does(?: not|n['’]t) (?:support|accept|take|allow|work)|extra_forbidden|input should be|must be|should be"
    r"|only (?:the default|supports?)|cannot be|can't be|deprecated|removed|disabled|use 'max_|exceeds?|greater than"
    r"|less than or equal|failed to (?:parse|compile|convert)|no such|cannot both|unavailable|no endpoints",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context (?:length|window|size)|maximum (?:context|sequence)|too (?:long|many tokens)|reduce the length",
    re.IGNORECASE,
)
_MOST = re.compile(
    r"(?:less than or equal to|at most|max(?:imum)?(?: allowed)?(?: is| of|:)?|<=|between \d+ and|up to"
    r"|range (?:is |of )?[\[(]?\d+(?:,| to| and|-))\s*(\d{1,2})\b",
    re.IGNORECASE,
)
_OF_LENGTH = ("max_tokens", "max_completion_tokens")


def refused_parameter(status: int, said: str, body: Any, sent: Collection[str]) -> str | None:
    """The name, among those that were sent, of the parameter that is refused; None if it is something else."""
    if status not in STATUSES:
        return None
    candidates = [name for name in (*CAN_DO_WITHOUT, *NEEDED) if name in sent]
    is_too_long = _TOO_LONG.search(said) is not None  # then the one limit or the other is part of the sum
    for named in _named(body):
        name = named.partition(".")[0]
        if name in candidates and not (is_too_long and name in _OF_LENGTH):
            return name
    if is_too_long:
        return None
    places = {name: place for name in candidates if (place := _place(name, said)) is not None}
    if not _REFUSES.search(said):  # JSON can be asked for in words, so it does not matter in which words it is refused
        return "response_format" if status in THIS_REQUEST and "response_format" in places else None
    if {"temperature", "top_p"} <= places.keys() and "both" in said:  # then either would do, and this one says less
        return "top_p"
    return min(places, key=places.__getitem__, default=None)


def most_allowed(said: str) -> int | None:
    """How many alternatives at a token the complaint allows, where it allows some and names the number."""
    found = _MOST.search(said)
    return int(found[1]) if found and 1 < int(found[1]) < 20 else None


def _named(body: Any) -> list[str]:
    """Parameters that fields of the complaint name: `param` of OpenAI's form, `loc` of FastAPI's."""
    if not isinstance(body, Mapping):
        return []
    error = body.get("error", body)
    found = [error.get("param")] if isinstance(error, Mapping) else []
    details = body.get("detail")
    for detail in details if isinstance(details, list) else []:
        place = detail.get("loc") if isinstance(detail, Mapping) else None
        if isinstance(place, list) and len(place) > 1:
            found.append(place[1])
    return [name for name in found if isinstance(name, str)]


def _place(name: str, said: str) -> int | None:
    """Where the complaint speaks of the parameter; of words of English only where they stand as names."""
    if "_" in name or name.endswith("logprobs"):
        is_name = rf"\b{name}\b"
    else:
        is_name = (
            rf"['\"`]{name}['\"`]|\b(?:parameter|field|argument|param|option|key):?\s+{name}\b"
            rf"|\b{name}\b\s+(?:is not|are not|param)|^{name}\b|[:,]\s*{name}\s*(?::|$)"
        )
    pattern = f"(?:{is_name}|{_OTHER_NAMES[name]})" if name in _OTHER_NAMES else is_name
    found = re.search(pattern, said, re.IGNORECASE)
    return found.start() if found else None
