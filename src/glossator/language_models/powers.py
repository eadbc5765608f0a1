"""The powers of each kind of endpoint, as declared here or in the spec, and the error if they do not suffice.

Nothing is probed: a study must choose the same method when it is replayed with the server down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from glossator.errors import MissingPower, UserError, near_matches
from glossator.language_models.request import (
    CHAT,
    COMPLETION,
    IMAGES,
    JSON_SCHEMA,
    LOGPROBS,
    PROMPT_LOGPROBS,
    Request,
)

ALL = frozenset({CHAT, COMPLETION, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS, IMAGES})

DECLARED: dict[str, frozenset[str]] = {
    "openai": frozenset({CHAT, JSON_SCHEMA, LOGPROBS, IMAGES}),
    "anthropic": frozenset({CHAT, JSON_SCHEMA, IMAGES}),
    "openrouter": frozenset({CHAT}),  # the rest depends on the model behind it
    "vllm": frozenset({CHAT, COMPLETION, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS}),
    "llama.cpp": frozenset({CHAT, COMPLETION, JSON_SCHEMA, LOGPROBS}),
    "ollama": frozenset({CHAT, COMPLETION, JSON_SCHEMA}),
    "server": frozenset({CHAT, COMPLETION}),  # any other OpenAI-compatible server
}
"""Kind of endpoint -> powers that its models have unless the spec says otherwise."""

INSTEAD = {
    CHAT: "Use a chat model",
    COMPLETION: "Use inprocess:MODEL, or a server of base models: http://HOST:PORT/v1?kind=vllm#MODEL",
    LOGPROBS: "Use openai:MODEL, inprocess:MODEL or http://HOST:PORT/v1?kind=vllm#MODEL, or a method that samples "
    "its answers",
    PROMPT_LOGPROBS: "Use inprocess:MODEL or http://HOST:PORT/v1?kind=vllm#MODEL, or a method that samples JSON",
    IMAGES: "Use a model that sees images",
}


def parse_powers(names: str | Iterable[str]) -> frozenset[str]:
    """Powers by name, from a list or from text with commas; an unknown name is a `UserError`."""
    wanted = [name.strip() for name in (names.split(",") if isinstance(names, str) else names)]
    for name in wanted:
        if name not in ALL:
            raise UserError("unknown power of a language model", value=name, allowed=near_matches(name, ALL))
    return frozenset(wanted)


def refuse_what_is_missing(requests: Sequence[Request], powers: frozenset[str], name: str) -> None:
    """Raise `MissingPower` if a request needs a power that the model lacks; it names the model, the power and models
    that have it."""
    missing = sorted(frozenset().union(*(request.needs for request in requests)) - powers)
    if missing:
        ways = ". ".join(INSTEAD[power] for power in missing)
        raise MissingPower(
            f"{name} cannot give {' and '.join(missing)}",
            allowed=f"it is declared to have {', '.join(sorted(powers)) or 'nothing'}",
            fix=f"{ways}. If the server does have it, declare it in the spec: ?powers="
            + ",".join(sorted(powers | set(missing))),
        )
