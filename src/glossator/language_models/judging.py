"""Which answers are usable: the same rules for every backend, and one follow-up question after an invalid answer."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence

from glossator.language_models.json_answers import NoValue, clean, value_in
from glossator.language_models.request import Answer, Message, Request, TokenLogprob
from glossator.language_models.thoughts import without_thoughts

REFUSED, CUT_OFF, EMPTY = "the model refused to answer", "the answer was cut off at max_tokens", "the answer is empty"
ANOTHER_TEXT = "the server echoes a different text"
LEAST_SHARE, CLEAR_SHARE = 0.1, 0.5
"""Of the probability at a token: what the words that can answer must have, where one of them is the likeliest token
and where none is."""
TOO_LONG = "the answer is far longer than max_tokens allows"
ROOM, LONGEST_TOKEN = 8192, 128  # characters
STRADDLING = 48  # characters that one token may have in common with what stands before a text
_HIDDEN = re.compile(r"<unk>|\[UNK\]|<\|[^|<>]*\|>|<s>|</s>|<bos>|<eos>|<0x[0-9A-F]{2}>|(?:bytes:)?(?:\\x[0-9a-f]{2})+")
QUOTED = 2000  # characters of a broken answer that are shown to the model again


def judged(request: Request, answer: Answer) -> Answer:
    """The answer with its parsed `value`, or with the reason why it cannot be used. Judging twice changes nothing.

    What a local reasoning model thought before it spoke is removed. A cut-off answer is a failure when text was
    wanted from a chat; where log-probabilities were asked for, or a raw prompt was to be gone on from, `max_tokens` is
    how much was wanted.
    """
    if answer.failure is not None:
        return answer
    if answer.finish == "error":
        return dataclasses.replace(answer, failure="the server did not answer")
    if answer.finish == "refusal":
        return dataclasses.replace(answer, value=None, failure=REFUSED)
    if request.max_tokens == 0:
        return answer
    text = clean(answer.text)
    if len(text) > ROOM + LONGEST_TOKEN * request.max_tokens:
        return dataclasses.replace(answer, text=text[:QUOTED], tokens=(), failure=TOO_LONG)
    answer = dataclasses.replace(answer, text=without_thoughts(text) if request.messages else text)
    if request.schema is not None:
        try:
            return dataclasses.replace(answer, value=value_in(answer.text, request.schema))
        except NoValue as problem:
            why = CUT_OFF if answer.finish == "length" else str(problem)
            return dataclasses.replace(answer, value=None, failure=f"no valid JSON: {why}")
    if request.logprobs and answer.tokens:
        return answer
    if not answer.text.strip():
        return dataclasses.replace(answer, failure=CUT_OFF if answer.finish == "length" else EMPTY)
    if answer.finish == "length" and request.messages and not request.logprobs:
        return dataclasses.replace(answer, failure=CUT_OFF)
    return answer


def asks_again(request: Request, answer: Answer) -> bool:
    """Whether a judged answer is followed up once: JSON was requested and is missing."""
    return request.schema is not None and answer.failure is not None and answer.finish in ("stop", "length")


def again(request: Request, answer: Answer) -> Request:
    """The follow-up request: the question, the answer, what is wrong with it, and the schema."""
    schema = json.dumps(request.schema, ensure_ascii=False)
    complaint = (
        f"That answer cannot be used: {answer.failure}. Reply with one JSON value and nothing else, short enough to "
        f"fit, that is valid under this JSON schema: {schema}"
    )
    text = answer.text[:QUOTED]
    if request.prompt is not None:
        return dataclasses.replace(request, prompt=f"{request.prompt}{text}\n\n{complaint}\n\n")
    turns = (*request.messages, Message("assistant", text or "(nothing)"), Message("user", complaint))
    return dataclasses.replace(request, messages=turns)


def after_asking_again(request: Request, first: Answer, second: Answer) -> Answer:
    """The final answer to a request after its follow-up; its usage includes both."""
    second = judged(request, second)
    failure = second.failure
    if failure is not None and second.finish in ("stop", "length"):
        failure = f"{failure} (asked twice)"
    return dataclasses.replace(second, usage=first.usage + second.usage, failure=failure)


def is_answered(top: Mapping[str, float], is_answer: Callable[[str], bool]) -> bool:
    """Whether a token answers at all: alternatives (text -> log-probability) far down the list are no answer, however
    they compare with one another."""
    likely = {text: math.exp(min(value, 0.0)) for text, value in top.items() if not math.isnan(value)}
    share = sum(p for text, p in likely.items() if is_answer(text))
    if share >= CLEAR_SHARE:
        return True
    return share >= LEAST_SHARE and is_answer(max(likely, key=likely.__getitem__))


def echoes(text: str, tokens: Sequence[TokenLogprob], before: bool = False) -> bool:
    """Whether these tokens, which may be no more than its end, are those of a text.

    Spaces do not count, nor do characters of which tokens have only parts (U+FFFD, or escapes as `\\xe6`), unknown and
    special tokens. before: the text may be the end of what the tokens spell, too.
    """
    if not tokens:
        return True  # there is nothing to be wrong with
    said = [_HIDDEN.sub(lambda found: found[0] if found[0] in text else "\ufffd", token.text) for token in tokens]
    echo = [c for c in "".join(said).casefold() if not c.isspace() and c not in "▁Ġ"]
    sent = [c for c in text.casefold() if not c.isspace() and c not in "▁Ġ"]
    hidden = echo.count("\ufffd")
    while echo and sent:
        if echo[-1] == "\ufffd":
            echo.pop()
        elif echo[-1] == sent[-1]:
            echo.pop()
            sent.pop()
        elif hidden > 0:
            hidden -= 1
            sent.pop()
        else:
            return False
    return (before or not any(c != "\ufffd" for c in echo)) and len(sent) <= STRADDLING + hidden
