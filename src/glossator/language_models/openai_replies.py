"""Parsing replies in OpenAI's protocol: text, refusals, log-probabilities in their several shapes, usage.

Every function takes parsed JSON and raises KeyError, TypeError, ValueError or IndexError when it is something else.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from glossator.language_models.endpoint import Reply
from glossator.language_models.json_answers import clean
from glossator.language_models.judging import ANOTHER_TEXT, echoes
from glossator.language_models.request import MOST_TOKENS, Answer, Request, TokenLogprob, Usage

STOP = ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token", "complete", "completed", "end",
        "finished", "tool_calls", "function_call", "tool_use")  # fmt: skip
LENGTH = ("length", "max_tokens", "max_output_tokens", "model_length", "token_limit", "max_length",
          "model_context_window_exceeded", "pause_turn", "max_new_tokens", "max_tokens_reached",
          "error_limit")  # fmt: skip
REFUSED = ("content_filter", "content_filtered", "refusal", "safety", "recitation", "blocklist", "prohibited_content",
           "spii", "guardrail_intervened", "language", "image_safety", "contentfilter", "sensitive",
           "error_toxic")  # fmt: skip
FINISH = {
    **dict.fromkeys(STOP, "stop"),
    **dict.fromkeys(LENGTH, "length"),
    **dict.fromkeys(REFUSED, "refusal"),
}
"""What servers call the end of an answer. Any other word (error, abort, unknown, ...) is a generation that failed."""
SPOKEN = ("text", "output_text")
"""Kinds of parts of an answer that are said; thoughts are not."""


def finish_of(reason: Any) -> tuple[str, str | None]:
    """How an answer ended (stop, length, refusal or error) and the server's message, if it is not an answer; stop if
    the server does not say."""
    if isinstance(reason, dict):  # with details beside it
        reason = reason.get("type")
    if reason is None or reason == "":
        return "stop", None
    word = re.sub(r"[-\s]", "_", str(reason).lower()).removeprefix("finish_reason_")
    finish = FINISH.get(word, "error")
    return finish, f"the server ended the answer with {str(reason)[:40]!r}" if finish == "error" else None


def text_of(content: Any) -> str:
    """The text of an answer that is text, or parts of which some are text, or JSON that the server has parsed."""
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    if not isinstance(content, dict) or not content.keys() & {"type", "text", "value", "thought"}:
        return json.dumps(content, ensure_ascii=False)
    if content.get("type", "text") not in SPOKEN or content.get("thought"):
        return ""
    return text_of(next((content[key] for key in ("text", "value", "content") if content.get(key)), None))


def refusal_of(message: dict[str, Any]) -> str:
    """The text of a refusal, beside the content or as a part of it."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    refusals = [
        part.get("refusal") or "refused" for part in parts if isinstance(part, dict) and part.get("type") == "refusal"
    ]
    return str(message.get("refusal") or "".join(refusals))


def chat_reply(request: Request, body: dict[str, Any]) -> Reply:
    """The first choice of a chat completion."""
    choice = body["choices"][0]
    message = choice["message"]
    text, refusal = clean(text_of(message.get("content"))), clean(refusal_of(message))
    finish, failure = ("refusal", None) if refusal else finish_of(choice.get("finish_reason"))
    read = _answer_tokens(choice.get("logprobs"), request.logprobs)
    if problem := choice.get("error") or body.get("error"):  # OpenRouter's form; what came before it is no answer
        said = clean(str(problem.get("message") if isinstance(problem, dict) else problem))[:200]
        finish, failure = "error", f"{failure or 'the generation failed'}: {said}"
    thought = any(message.get(name) for name in ("reasoning_content", "reasoning", "reasoning_details", "thinking"))
    return _reply(
        refusal or text,
        _tokens_of(text, read) if thought else read,
        _vllm_prompt(choice, body) if request.prompt_logprobs else (),
        finish,
        body,
        failure,
    )


def _tokens_of(text: str, tokens: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
    """Those that make up the answer, where the server took the thoughts before it off the text alone."""
    length = 0
    for place in range(len(tokens) - 1, -1, -1):
        length += len(tokens[place].text)
        if length >= len(text) > 0:
            return tokens[place:] if "".join(t.text for t in tokens[place:]).strip() == text.strip() else ()
    return ()


def completion_reply(request: Request, body: dict[str, Any]) -> Reply:
    """The first choice of a raw completion, whether the prompt is repeated in it or not."""
    choice = body["choices"][0]
    text = choice["text"] or ""
    found = choice.get("logprobs") or {}
    tokens = _answer_tokens(found, max(request.logprobs, request.prompt_logprobs))
    finish, failure = finish_of(choice.get("finish_reason"))
    if request.max_tokens == 0 and failure is None:
        finish = "length"
    prompt_tokens: tuple[TokenLogprob, ...] = ()
    if request.prompt_logprobs:
        prompt_tokens = _vllm_prompt(choice, body, request.prompt or "")
        if not prompt_tokens:
            split = _prompt_length(request, tokens, found, body)
            prompt_tokens, tokens = tokens[:split], tokens[split:]
            text = text.removeprefix(request.prompt or "")
        if failure is None and not echoes(request.prompt or "", prompt_tokens):
            finish, failure = "error", ANOTHER_TEXT
    if request.max_tokens == 0:
        text, tokens = "", ()
    return _reply(
        clean(text),
        tuple(_most_likely(token, request.logprobs) for token in tokens) if request.logprobs else (),
        tuple(_most_likely(token, request.prompt_logprobs) for token in prompt_tokens),
        finish,
        body,
        failure,
    )


def _reply(
    text: str,
    tokens: tuple[TokenLogprob, ...],
    prompt_tokens: tuple[TokenLogprob, ...],
    finish: str,
    body: dict[str, Any],
    failure: str | None = None,
) -> Reply:
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    counted = usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens") or 0)
    answer = Answer(text, None, tokens, prompt_tokens, counted or Usage(1), finish, failure)
    return Reply(answer, counted is not None)


def usage_of(prompt: Any, completion: Any) -> Usage | None:
    """One call's usage; None when the server gave no counts, or such as no call can have."""
    counts = [int(n) if isinstance(n, float) and n.is_integer() else n for n in (prompt, completion)]
    if all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MOST_TOKENS for n in counts):
        return Usage(1, *counts)
    return None


def _answer_tokens(found: Any, wanted: int) -> tuple[TokenLogprob, ...]:
    """In the form of chats or in the old one, which servers mix up; none where they cannot be read."""
    if not wanted or not found:
        return ()
    try:
        if found.get("tokens"):
            return _legacy_tokens(found)
        return tuple(_chat_token(token, wanted) for token in found.get("content") or ())
    except (AttributeError, KeyError, TypeError, ValueError):  # the text was paid for, and can be read without
        return ()


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
    usage = body.get("usage")
    usage = usage if isinstance(usage, dict) else {}
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
    """Alternatives by text; of several tokens that are written alike, the most likely; NaN where one is no number."""
    found: dict[str, float] = {}
    for text, value in pairs:
        text, value = clean(text), _number(value)
        before = found.get(text, value)
        found[text] = value if math.isnan(value) or value > before else before
    return found


def _most_likely(token: TokenLogprob, wanted: int) -> TokenLogprob:
    """The alternatives, most likely first, as many as were asked for; what is not a number before them, to be seen."""
    ranked = sorted(token.top.items(), key=lambda item: (not math.isnan(item[1]), -item[1], item[0]))
    return TokenLogprob(token.text, token.logprob, dict(ranked[:wanted]))


def _number(value: Any) -> float:
    """A log-probability, or NaN where the server sent what can be none: one answer is not worth less for it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value > 1e-3 or abs(value) > 1e300:
        return -math.inf if isinstance(value, (int, float)) and value == -math.inf else math.nan
    return min(float(value), 0.0)
