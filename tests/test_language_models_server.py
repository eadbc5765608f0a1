"""Models behind a real HTTP server: what is sent, what is read, and what happens when the server misbehaves."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from glossator.errors import MissingPower, UserError
from glossator.language_models import (
    Answer,
    Message,
    Request,
    Retry,
    Scripted,
    ServerUnavailable,
    TokenLogprob,
    open_language_model,
)
from glossator.language_models.faults import RequestRefused
from glossator.language_models.openai_compatible import OpenAICompatible
from lm_server import FAULTS, LMServer, serve

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
PNG = b"\x89PNG\r\n\x1a\n and so on"
JPEG = b"\xff\xd8\xff and so on"
FAST = Retry(first=0.01, longest=0.05)
ONCE = ("429", "429-bare", "500", "503", "timeout", "reset", "half", "garbage", "shapeless", "html")


def chat(text: str = "q", **settings: Any) -> Request:
    return Request((Message("user", text),), **settings)


def echo(request: Request) -> str:
    """Says the question back."""
    return request.messages[-1].content if request.messages else request.prompt or ""


def test_what_is_sent_in_a_chat() -> None:
    with serve(Scripted(lambda _: '{"n": 1}')) as server:
        model = open_language_model(server.spec("kind=vllm"))
        turns = (Message("system", "Be brief."), Message("user", "Rate “ü”."))
        request = Request(turns, max_tokens=9, temperature=0.5, top_p=0.9, stop=("\n",), schema=SCHEMA, sample=3)
        answer = model.ask([request])[0]
    assert answer.value == {"n": 1}
    assert server.bodies == [
        {
            "model": "served",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Rate “ü”."}],
            "max_tokens": 9,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": ["\n"],
            "seed": 3,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
            },
        }
    ]


def test_what_is_sent_to_go_on_from_a_prompt() -> None:
    with serve(Scripted(lambda _: " b")) as server:
        answer = open_language_model(server.spec()).ask([Request(prompt="a", max_tokens=2)])[0]
    assert (answer.text, answer.failure, answer.usage.completion_tokens) == (" b", None, 1)
    assert server.bodies == [{"model": "served", "prompt": "a", "max_tokens": 2, "temperature": 0.0, "top_p": 1.0}]


def test_parameters_that_a_model_does_not_take_are_left_out() -> None:
    with serve(Scripted(echo)) as server:
        model = open_language_model(server.spec("omit=temperature,top_p&effort=low"))
        model.ask([chat()])
    assert {"temperature", "top_p"} & set(server.bodies[0]) == set()
    assert server.bodies[0]["reasoning_effort"] == "low"
    assert model.name == f"{server.url}#served?effort=low&omit=temperature,top_p"


def test_schemas_go_only_to_servers_that_take_them() -> None:
    with serve(Scripted(lambda _: 'It is {"n": 2}.')) as server:
        assert open_language_model(server.spec()).ask([chat(schema=SCHEMA)])[0].value == {"n": 2}
    assert "response_format" not in server.bodies[0]


def test_images_go_as_data_urls() -> None:
    seen = Scripted(lambda request: f"{len(request.messages[0].images)} images")
    request = Request((Message("user", "compare", (PNG, JPEG)),))
    with serve(seen) as server:
        model = open_language_model(server.spec("powers=chat,images"))
        assert model.ask([request])[0].text == "2 images"
        with pytest.raises(UserError, match="unsupported image"):
            model.ask([Request((Message("user", "look", (b"GIF89a",)),))])
        with pytest.raises(MissingPower, match="cannot give images"):
            open_language_model(server.spec()).ask([request])
    assert seen.asked[0].messages[0].images == (PNG, JPEG)
    urls = [part["image_url"]["url"][:23] for part in server.bodies[0]["messages"][0]["content"][1:]]
    assert urls == ["data:image/png;base64,i", "data:image/jpeg;base64,"]


TOKENS = (TokenLogprob(" Yes", -0.1, {" Yes": -0.1, " No": -2.5}), TokenLogprob(".", -0.5, {"!": -0.2, ".": -0.5}))
PROMPT = (TokenLogprob("It", None), TokenLogprob(" is", -1.5, {" was": -0.3, " is": -1.5}))


def test_log_probabilities_of_a_chat_answer() -> None:
    with serve(Scripted([Answer(" Yes.", tokens=TOKENS)])) as server:
        model = open_language_model(server.spec("powers=chat,logprobs"))
        answer = model.ask([chat(logprobs=2)])[0]
    assert answer.tokens == TOKENS
    assert list(answer.tokens[1].top) == ["!", "."]  # most likely first
    assert (server.bodies[0]["logprobs"], server.bodies[0]["top_logprobs"]) == (True, 2)


@pytest.mark.parametrize("kind", ["vllm", "server"])
@pytest.mark.parametrize("max_tokens", [0, 5])
def test_log_probabilities_of_a_prompt(kind: str, max_tokens: int) -> None:
    """vLLM has a parameter for them, other servers repeat the prompt."""
    said = Answer(" Yes." if max_tokens else "", tokens=TOKENS if max_tokens else (), prompt_tokens=PROMPT)
    request = Request(prompt="It is", max_tokens=max_tokens, logprobs=2 if max_tokens else 0, prompt_logprobs=2)
    with serve(Scripted([said])) as server:
        spec = server.spec(f"kind={kind}&powers=completion,logprobs,prompt-logprobs")
        answer = open_language_model(spec).ask([request])[0]
    assert answer.failure is None
    assert answer.prompt_tokens == PROMPT
    assert (answer.text, answer.tokens) == (said.text, said.tokens)
    assert ("echo" in server.bodies[0]) == (kind == "server")
    assert ("prompt_logprobs" in server.bodies[0]) == (kind == "vllm")


def test_log_probabilities_of_the_prompt_of_a_chat() -> None:
    with serve(Scripted([Answer("ok", prompt_tokens=PROMPT)])) as server:
        answer = open_language_model(server.spec("kind=vllm")).ask([chat(prompt_logprobs=2)])[0]
    assert answer.prompt_tokens[1] == PROMPT[1]


@pytest.mark.parametrize("fault", ONCE)
def test_one_fault_is_tried_again(fault: str) -> None:
    with serve(Scripted(echo), {1: fault}, silence=0.4) as server:
        model = open_language_model(server.spec(), retry=FAST, timeout=0.2 if fault == "timeout" else 5)
        answer = model.ask([chat("hello")])[0]
        assert (answer.text, answer.failure, server.calls) == ("hello", None, 2)
    perhaps_billed = fault in ("timeout", "reset", "half", "garbage", "shapeless")
    assert (model.ledger.total().unanswered_tokens > 0) == perhaps_billed


def test_what_a_server_complains_of_in_an_answer_is_told() -> None:
    with serve(Scripted(echo), {1: "complaint", 2: "complaint"}) as server:
        model = open_language_model(server.spec(), retry=Retry(attempts=2, first=0.01), concurrency=1)
        first, second = model.ask([chat("a"), chat("b")])
    assert first.failure is not None and "(no provider is left)" in first.failure
    assert second.text == "b"


def test_retry_after_is_kept_by_all_requests() -> None:
    with serve(Scripted(echo), {1: "429"}, retry_after="0.4") as server:
        model = open_language_model(server.spec(), retry=FAST, concurrency=1)
        answers = model.ask([chat("a"), chat("b")])
    assert [answer.text for answer in answers] == ["a", "b"]
    assert server.times[1] - server.times[0] >= 0.39


def test_a_wait_that_is_too_long_ends_the_run() -> None:
    with serve(Scripted(echo), {1: "429"}, retry_after="86400") as server:
        model = open_language_model(server.spec())
        with pytest.raises(ServerUnavailable, match="86400 seconds"):
            model.ask([chat()])


def test_the_schedule_of_attempts() -> None:
    assert [Retry().wait(failed) for failed in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_request_that_always_fails_is_a_missing_value_and_the_others_go_on() -> None:
    def by_question(server: LMServer) -> Any:
        return lambda number: "500" if server.bodies[number - 1]["messages"][0]["content"] == "bad" else None

    with serve(Scripted(echo)) as server:
        server.faults = by_question(server)
        model = open_language_model(server.spec(), retry=Retry(attempts=3, first=0.01), concurrency=2)
        answers = model.ask([chat("a"), chat("bad"), chat("b")])
    assert [answer.failure for answer in answers] == [
        None,
        "no answer after 3 attempts: HTTP 500: fault 500 Bearer none",
        None,
    ]
    assert [answer.finish for answer in answers] == ["stop", "error", "stop"]
    assert model.ledger.total().failures == 1


def test_a_server_that_answers_nobody_ends_the_run() -> None:
    with serve(Scripted(echo), lambda _: "503") as server:
        model = open_language_model(server.spec(), retry=Retry(attempts=2, first=0.01), concurrency=2)
        with pytest.raises(ServerUnavailable, match="HTTP 503"):
            model.ask([chat(str(i)) for i in range(100)])
        assert server.calls <= 12


def test_a_server_that_is_not_there_ends_the_run() -> None:
    with serve(Scripted(echo)) as server:
        pass
    with pytest.raises(ServerUnavailable, match="connection failed"):
        open_language_model(server.spec(), retry=FAST).ask([chat()])


def test_a_request_that_the_server_refuses_is_a_missing_value() -> None:
    with serve(Scripted(echo), {1: "400"}) as server:
        model = open_language_model(server.spec(), concurrency=1)
        answers = model.ask([chat("too long"), chat("fine")])
    assert answers[0].failure is not None and "fault 400" in answers[0].failure
    assert (answers[1].text, server.calls) == ("fine", 2)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Your chosen model requires moderation and your input was flagged for violence", RequestRefused),
        ("Country, region, or territory not supported", UserError),
    ],
)
def test_a_forbidden_text_is_told_from_a_forbidden_key(said: str, kind: type[Exception]) -> None:
    """Corpus text that one server's moderation stops must not end the run."""
    error = SimpleNamespace(status_code=403, message=said, code=None, param=None)
    backend = open_language_model("http://localhost:9/v1#m").inner
    assert isinstance(backend, OpenAICompatible)
    assert type(backend._translated(error, {})) is kind


@pytest.mark.parametrize(("fault", "what"), [("401", "does not accept"), ("404", "no such model")])
def test_what_fails_every_request_ends_the_run(fault: str, what: str) -> None:
    with serve(Scripted(echo), lambda _: fault) as server:
        model = open_language_model(server.spec(), concurrency=1)
        with pytest.raises(UserError, match=what):
            model.ask([chat(str(i)) for i in range(50)])
        assert server.calls == 1


@pytest.mark.parametrize(
    ("fault", "failure", "calls"),
    [("refusal", "the model refused to answer", 1), ("empty", "the answer is empty", 1)],
)
def test_answers_that_cannot_be_used(fault: str, failure: str, calls: int) -> None:
    with serve(Scripted(echo), {1: fault}) as server:
        answer = open_language_model(server.spec()).ask([chat()])[0]
    assert (answer.failure, server.calls) == (failure, calls)


def test_json_that_does_not_fit_is_asked_about_once_more() -> None:
    with serve(Scripted(lambda _: '{"n": 7}'), {1: "schema"}) as server:
        answer = open_language_model(server.spec()).ask([chat(schema=SCHEMA)])[0]
    assert (answer.value, answer.usage.calls, server.calls) == ({"n": 7}, 2, 2)
    assert "'n' is a required property" in server.bodies[1]["messages"][-1]["content"]


def test_many_faults_in_any_order_lose_no_answer_and_mix_none_up() -> None:
    faults = dict(enumerate(name for name in FAULTS if name in ONCE and name != "timeout"))
    with serve(Scripted(echo), lambda number: faults.get(number % 11), retry_after="0") as server:
        model = open_language_model(server.spec(), retry=Retry(attempts=60, first=0.001, longest=0.01))
        answers = model.ask([chat(f"question {i}") for i in range(40)])
    assert [answer.text for answer in answers] == [f"question {i}" for i in range(40)]


def test_one_limit_for_all_models_and_threads_of_an_endpoint() -> None:
    with serve(Scripted(echo), delay=0.02) as server:
        models = [open_language_model(server.spec(), concurrency=3) for _ in range(2)]
        answers: dict[int, list[str]] = {}

        def ask(i: int) -> None:
            requests = [chat(f"{i} {j}") for j in range(10)]
            answers[i] = [answer.text for answer in models[i % 2].ask(requests)]

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_at_once == 3
    assert answers == {i: [f"{i} {j}" for j in range(10)] for i in range(4)}


def test_asking_works_inside_a_running_event_loop() -> None:
    with serve(Scripted(echo)) as server:
        model = open_language_model(server.spec())

        async def inside() -> str:
            return model.ask([chat("from inside")])[0].text

        assert asyncio.run(inside()) == "from inside"


def test_requests_run_at_the_same_time() -> None:
    with serve(Scripted(echo), delay=0.1) as server:
        model = open_language_model(server.spec(), concurrency=16)
        model.ask([chat("warm")])
        start = time.perf_counter()
        model.ask([chat(str(i)) for i in range(32)])
        assert time.perf_counter() - start < 1.6  # one after the other: 3.2 s
        assert server.most_at_once > 8


def test_the_same_request_twice_is_sent_once() -> None:
    with serve(Scripted(echo)) as server:
        answers = open_language_model(server.spec()).ask([chat("a"), chat("b"), chat("a"), chat("a", sample=1)])
    assert [answer.text for answer in answers] == ["a", "b", "a", "a"]
    assert server.calls == 3


def test_missing_powers_are_refused_before_anything_is_sent() -> None:
    with serve(Scripted(echo)) as server:
        model = open_language_model(server.spec())
        with pytest.raises(MissingPower, match=r"cannot give prompt-logprobs.*inprocess:MODEL.*\?powers=") as error:
            model.ask([chat(), Request(prompt="a", prompt_logprobs=1)])
        assert server.calls == 0
    assert "chat, completion" in str(error.value)


def test_a_server_that_does_not_say_what_it_cost() -> None:
    with serve(Scripted(echo), no_usage=True) as server:
        model = open_language_model(server.spec(), prices={"served": {"prompt": 1, "completion": 1}})
        answer = model.ask([chat("hello", max_tokens=10)])[0]
    assert (answer.text, answer.usage.money, answer.usage.calls) == ("hello", None, 1)
    total = model.ledger.total()
    assert (total.calls, total.money) == (1, 0)
    assert total.unanswered_tokens >= 15


def test_text_that_no_server_can_be_sent_is_a_missing_value() -> None:
    with serve(Scripted(echo)) as server:
        answers = open_language_model(server.spec()).ask([chat("half a pair: \ud800"), chat("fine")])
    assert answers[0].failure == "the server refused the request: the text cannot be written as UTF-8"
    assert answers[1].text == "fine"


def test_lone_surrogates_in_an_answer_become_text_that_can_be_written() -> None:
    with serve(Scripted(lambda _: "a\ud800b")) as server:
        answer = open_language_model(server.spec()).ask([chat()])[0]
    assert answer.text.encode() == b"a\xef\xbf\xbdb"
