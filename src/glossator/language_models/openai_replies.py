"""Reading what servers of OpenAI's protocol send: text, refusals, log-probabilities in their several shapes, usage.

Every function takes parsed JSON and raises KeyError, TypeError, ValueError or IndexError when it is something else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from glossator.language_models.endpoint import Reply
from glossator.language_models.json_answers import clean
from glossator.language_models.request import Answer, Request, TokenLogprob, Usage

FINISH = {"stop": "stop", "eos": "stop", "length": "length", "content_filter": "refusal"}


def chat_reply(request: Request, body: dict[str, Any]) -> Reply:
    """The first choice of a chat completion."""
    choice = body["choices"][0]
    message = choice["message"]
    text, refusal = message.get("content"), message.get("refusal")
    finish = "refusal" if refusal else FINISH.get(choice.get("finish_reason") or "stop", "stop")
    tokens = ((choice.get("logprobs") or {}).get("content") or []) if request.logprobs else []
    return _reply(
        clean(refusal or text or ""),
        tuple(_chat_token(token, request.logprobs) for token in tokens),
        _vllm_prompt(choice, body) if request.prompt_logprobs else (),
        finish,
        body,
    )


def completion_reply(request: Request, body: dict[str, Any]) -> Reply:
    """The first choice of a raw completion, whether the prompt is repeated in it or not."""
    choice = body["choices"][0]
    text = choice["text"] or ""
    found = choice.get("logprobs") or {}
    tokens: tuple[TokenLogprob, ...] = ()
    if found.get("tokens"):
        tokens = _legacy_tokens(found)
    elif found.get("content"):  # llama.cpp answers here as in a chat
        tokens = tuple(_chat_token(token, request.logprobs) for token in found["content"])
    prompt_tokens: tuple[TokenLogprob, ...] = ()
    if request.prompt_logprobs:
        prompt_tokens = _vllm_prompt(choice, body, request.prompt or "")
        if not prompt_tokens:
            split = _prompt_length(request, tokens, found, body)
            prompt_tokens, tokens = tokens[:split], tokens[split:]
            text = text.removeprefix(request.prompt or "")
    if request.max_tokens == 0:
        text, tokens = "", ()
    finish = "length" if request.max_tokens == 0 else FINISH.get(choice.get("finish_reason") or "stop", "stop")
    return _reply(
        clean(text),
        tuple(_most_likely(token, request.logprobs) for token in tokens) if request.logprobs else (),
        tuple(_most_likely(token, request.prompt_logprobs) for token in prompt_tokens),
        finish,
        body,
    )


def _reply(
    text: str,
    tokens: tuple[TokenLogprob, ...],
    prompt_tokens: tuple[TokenLogprob, ...],
    finish: str,
    body: dict[str, Any],
) -> Reply:
    usage = body.get("usage") or {}
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens", 0)
    counted = usage_of(prompt, completion)
    return Reply(Answer(text, None, tokens, prompt_tokens, counted or Usage(1), finish), counted is not None)


def usage_of(prompt: Any, completion: Any) -> Usage | None:
    """One call's usage; None when the server gave no counts."""
    if isinstance(prompt, int) and isinstance(completion, int) and min(prompt, completion) >= 0:
        return Usage(1, prompt, completion)
    return None


def _chat_token(token: dict[str, Any], wanted: int) -> TokenLogprob:
    top = _table((other["token"], other["logprob"]) for other in token.get("top_logprobs") or [])
    return _most_likely(TokenLogprob(clean(token["token"]), _number(token["logprob"]), top), wanted)


def _legacy_tokens(found: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    """OpenAI's old form: lists of tokens, of their log-probabilities and of the alternatives, side by side."""
    tokens, values = found["tokens"], found["token_logprobs"]
    tops = found.get("top_logprobs") or [None] * len(tokens)
    return tuple(
        TokenLogprob(
            clean(token),
            None if value is None else _number(value),
            _table((top or {}).items()),
        )
        for token, value, top in zip(tokens, values, tops, strict=True)
    )


def _prompt_length(
    request: Request, tokens: tuple[TokenLogprob, ...], found: dict[str, Any], body: dict[str, Any]
) -> int:
    """How many of the tokens of an echoed completion belong to the prompt."""
    usage = body.get("usage") or {}
    counted = usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens") or 0)
    if counted is not None and counted.prompt_tokens + counted.completion_tokens == len(tokens):
        return counted.prompt_tokens
    if request.max_tokens == 0:
        return len(tokens)
    return sum(offset < len(request.prompt or "") for offset in found["text_offset"])


def _vllm_prompt(choice: dict[str, Any], body: dict[str, Any], prompt: str = "") -> tuple[TokenLogprob, ...]:
    """vLLM's form: for each prompt token a table by token id, in which the token itself stands beside the most likely
    ones; it is found by its id where the server gives ids, else it is the one that stands first. The first token of
    the prompt has no table; its text is what the others leave of the prompt."""
    tables = choice.get("prompt_logprobs") or body.get("prompt_logprobs") or []
    ids = choice.get("prompt_token_ids") or body.get("prompt_token_ids") or [None] * len(tables)
    found = []
    for table, token_id in zip(tables, ids, strict=True):
        if table is None:
            found.append(TokenLogprob("", None))
            continue
        own = table[str(token_id)] if token_id is not None else next(iter(table.values()))
        top = _table((entry["decoded_token"], entry["logprob"]) for entry in table.values())
        found.append(TokenLogprob(clean(own["decoded_token"]), _number(own["logprob"]), top))
    rest = "".join(token.text for token in found)
    if found and found[0].logprob is None and prompt.endswith(rest):
        found[0] = TokenLogprob(prompt.removesuffix(rest), None)
    return tuple(found)


def _table(pairs: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Alternatives by text; of several tokens that are written alike, the most likely."""
    found: dict[str, float] = {}
    for text, value in pairs:
        text, value = clean(text), _number(value)
        found[text] = max(value, found.get(text, value))
    return found


def _most_likely(token: TokenLogprob, wanted: int) -> TokenLogprob:
    """The alternatives, most likely first, as many as were asked for."""
    top = dict(sorted(token.top.items(), key=lambda item: (-item[1], item[0]))[:wanted])
    return TokenLogprob(token.text, token.logprob, top)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or value > 1e-3:
        raise ValueError("not a log-probability")
    return min(float(value), 0.0)
