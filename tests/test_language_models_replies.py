"""What servers of several makers send, read: parts, ends of answers, log-probabilities and counts that are none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from glossator.language_models import Answer, Message, Request, Retry, Scripted, open_language_model
from glossator.language_models.cache import AnswerCache
from glossator.language_models.judging import judged
from glossator.language_models.openai_replies import chat_reply, completion_reply
from lm_server import serve

ASK = Request((Message("user", "q"),), max_tokens=60)
LIKELY = Request((Message("user", "q"),), max_tokens=1, logprobs=5)


def body(content: Any, finish: Any = "stop", usage: Any = None, logprobs: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"finish_reason": finish, "message": {"content": content, **message}, "logprobs": logprobs}
    return {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 3} if usage is None else usage}


@pytest.mark.parametrize(
    "content",
    [
        "rain",
        [{"type": "text", "text": "rain"}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "verbs?"}]}, {"type": "text", "text": "rain"}],
        [{"type": "reasoning", "text": "verbs?"}, {"type": "output_text", "text": "rain"}],
        [{"text": "verbs?", "thought": True}, {"text": "rain"}],
        [{"type": "text", "text": {"value": "ra"}}, "in"],
        {"type": "text", "text": "rain"},
        [None, {"type": "text", "text": None}, {"type": "text", "content": "rain"}],
    ],
)
def test_the_text_among_the_parts_of_an_answer(content: Any) -> None:
    assert judged(ASK, chat_reply(ASK, body(content)).answer).text == "rain"


def test_json_that_the_server_has_parsed_is_json_again() -> None:
    assert json.loads(chat_reply(ASK, body({"answers": [True]})).answer.text) == {"answers": [True]}


@pytest.mark.parametrize("where", ["choice", "body"])
def test_an_error_beside_an_answer_is_a_generation_that_failed(where: str) -> None:
    found = body("ra")
    (found if where == "body" else found["choices"][0])["error"] = {"message": "upstream died", "code": 502}
    answer = judged(ASK, chat_reply(ASK, found).answer)
    assert (answer.finish, answer.failure) == ("error", "the generation failed: upstream died")


@pytest.mark.parametrize(
    ("logprobs", "texts"),
    [
        ({"tokens": ["Yes"], "token_logprobs": [-0.1], "top_logprobs": [{"Yes": -0.1, "No": -3.0}]}, ["Yes"]),
        ({"content": [{"token": None, "logprob": -0.1}]}, []),
        ({"content": [{"token": "Yes", "logprob": -0.1, "top_logprobs": {"Yes": -0.1}}]}, []),
        ([{"token": "Yes", "logprob": -0.1}], []),
        ("none", []),
    ],
)
def test_log_probabilities_in_other_forms_cost_no_answer(logprobs: Any, texts: list[str]) -> None:
    answer = chat_reply(LIKELY, body("Yes", "length", logprobs=logprobs)).answer
    assert [token.text for token in answer.tokens] == texts and answer.text == "Yes"


def test_a_refusal_may_be_a_part() -> None:
    answer = chat_reply(ASK, body([{"type": "refusal", "refusal": "I will not."}])).answer
    assert judged(ASK, answer).failure == "the model refused to answer"


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        *[(said, "stop") for said in ("stop", "STOP", "eos_token", "end_turn", None, "", {"type": "stop"})],
        *[(said, "length") for said in ("length", "MAX_TOKENS", "MAX TOKENS", "model_length")],
        *[(said, "refusal") for said in ("content_filter", "content-filter", "SAFETY", "RECITATION")],
        *[(said, "error") for said in ("error", "abort", "unknown", "FINISH_REASON_UNSPECIFIED", "OTHER", "cancelled")],
        *[(said, "error") for said in ("insufficient_system_resource", "malformed_function_call", 7)],
    ],
)
def test_how_answers_end(said: Any, finish: str) -> None:
    for answer in (
        chat_reply(ASK, body("rain", said)).answer,
        completion_reply(Request(prompt="q"), {"choices": [{"text": "rain", "finish_reason": said}]}).answer,
    ):
        assert answer.finish == finish
        assert (answer.failure is not None) == (finish == "error")


def test_a_generation_that_failed_is_tried_again_and_never_kept(tmp_path: Path) -> None:
    said = iter([Answer("ra", finish="abort"), Answer("rain"), *[Answer("ra", finish="unknown")] * 3, Answer("rain")])
    quick = Retry(first=0.001)
    with serve(Scripted(lambda _: next(said))) as server, AnswerCache(tmp_path / "answers.sqlite") as cache:
        lm = open_language_model(server.spec(), cache=cache, retry=quick)
        assert lm.ask([ASK])[0].text == "rain" and server.calls == 2
        other = Request((Message("user", "other"),), max_tokens=60)
        failed = lm.ask([other])[0]
        assert failed.failure == "the server ended the answer with 'unknown'" and server.calls == 5
        assert failed.usage.calls == 3 and len(cache) == 1
        assert lm.ask([other])[0].text == "rain"


@pytest.mark.parametrize("value", [math.nan, 10**400, -(10**400), 5.0, "-1", True, None, [1]])
def test_what_is_no_log_probability_is_a_number_that_is_none(value: Any) -> None:
    token = {
        "token": "Yes",
        "logprob": value,
        "top_logprobs": [{"token": "Yes", "logprob": value}, {"token": "No", "logprob": -2.0}],
    }
    answer = chat_reply(LIKELY, body("Yes", logprobs={"content": [token]})).answer
    assert answer.text == "Yes" and math.isnan(answer.tokens[0].top["Yes"]) and answer.tokens[0].top["No"] == -2
    json.dumps(answer.tokens[0].top)


def test_log_probabilities_of_thoughts_are_not_those_of_the_answer() -> None:
    def tokens(*texts: str) -> dict[str, Any]:
        return {"content": [{"token": text, "logprob": -0.1, "top_logprobs": []} for text in texts]}

    thought = chat_reply(LIKELY, body("", "length", logprobs=tokens("Yes"), reasoning_content="Yes")).answer
    assert thought.tokens == ()
    both = chat_reply(
        LIKELY, body("No", logprobs=tokens("Yes", ",", " so", "</think>", "\n", "No"), reasoning="Yes, so")
    ).answer
    assert [token.text for token in both.tokens] == ["No"]


@pytest.mark.parametrize("count", [2**63, -1, "12", 1e30, math.inf, math.nan, True, [3], {}])
def test_counts_that_no_call_can_have_are_not_known(count: Any) -> None:
    reply = chat_reply(ASK, body("rain", usage={"prompt_tokens": count, "completion_tokens": 3}))
    assert not reply.usage_known and reply.answer.usage.prompt_tokens == 0
    assert chat_reply(ASK, body("rain", usage={"prompt_tokens": 12.0, "completion_tokens": 3})).usage_known
    assert not chat_reply(ASK, body("rain", usage=[1, 2])).usage_known


@pytest.mark.parametrize(
    ("sent", "texts", "is_echo"),
    [
        ("The cat", ("The", " cat"), True),
        ("The cat", ("The", " dog"), False),
        ("The cat", ("a", " cat"), False),
        ("The 日", ("The", " ", "\\xe6", "bytes:\\x97\\xa5"), True),
        ("The 日", ("Le", " ", "\\xe6", "\\x97\\xa5"), False),
        ("a \\xe6", ("a", " \\xe6"), True),
    ],
)
def test_an_echo_of_another_text_is_no_answer(sent: str, texts: tuple[str, ...], is_echo: bool) -> None:
    numbers = [None, *[-1.0] * (len(texts) - 1)]
    found = {"tokens": list(texts), "token_logprobs": numbers, "top_logprobs": None, "text_offset": [0] * len(texts)}
    request = Request(prompt=sent, max_tokens=0, prompt_logprobs=1)
    answer = completion_reply(request, {"choices": [{"text": "".join(texts), "logprobs": found}]}).answer
    assert (judged(request, answer).failure is None) == is_echo
