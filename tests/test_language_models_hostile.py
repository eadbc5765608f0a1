"""Servers that refuse parameters, send too much, repeat keys and ask for absurd waits."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.errors import UserError
from glossator.explainers.answers import clean
from glossator.language_models import AnswerCache, Message, Request, Retry, ServerUnavailable, open_language_model
from glossator.language_models.endpoint import heard
from glossator.language_models.http_backend import _retry_after
from glossator.language_models.judging import judged
from glossator.language_models.openai_replies import chat_reply, completion_reply
from glossator.language_models.refused_parameters import refused_parameter
from glossator.language_models.secrets import Secret

ONCE = Retry(attempts=1)
SCHEMA = {"type": "object", "properties": {"answers": {"type": "array"}}, "required": ["answers"]}
KEY = "sk-aB3/dE5+gH7=jK9xY2"

Response = tuple[int, bytes, dict[str, str]]


@contextmanager
def raw_server(answer: Callable[[dict[str, Any]], Response]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that sends what it is told, byte by byte; its address and what it received."""
    received: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            status, body, headers = answer(received[-1])
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", received
    finally:
        server.shutdown()
        server.server_close()


def said(text: Any, **more: Any) -> Response:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, **more}
    body = {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    return 200, json.dumps(body).encode(), {"Content-Type": "application/json"}


def error(status: int, body: Any, **headers: str) -> Response:
    return status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}


def question(**settings: Any) -> Request:
    return Request((Message("user", "q"),), **{"max_tokens": 60, **settings})


LLAMA_CPP_PYTHON = {
    "error": {
        "message": "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be "
        "'text' or 'json_object'\", 'input': 'json_schema', 'ctx': {'expected': \"'text' or 'json_object'\"}}]",
        "type": "internal_server_error",
        "param": None,
        "code": None,
    }
}
OF_OPENAI = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize(
    ("status", "body", "parameter"),
    [
        (500, LLAMA_CPP_PYTHON, "response_format"),
        (400, {"error": "'response_format.type' must be 'json_schema'"}, "response_format"),
        (
            400,
            {"error": {"message": "response_format is not supported", "param": "response_format"}},
            "response_format",
        ),
        (
            422,
            {"detail": [{"loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}]},
            "response_format",
        ),
        (422, {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, "seed"),
        (400, {"error": {"message": "Unknown parameter: 'seed'."}}, "seed"),
        (
            400,
            {"error": {"message": "temperature does not support 0.5, only the default (1)", "param": "temperature"}},
            "temperature",
        ),
        (400, {"message": "property 'stop' is not supported"}, "stop"),
        (400, {"error": {"message": OF_OPENAI, "code": "invalid_request_body"}}, "max_tokens"),
        (400, [{"error": {"message": 'Unknown name "response_format": Cannot find field.'}}], "response_format"),
        (400, {"error": {"message": "This response_format type is unavailable now"}}, "response_format"),
        (400, {"error": "json: cannot unmarshal object into field response_format of type string"}, "response_format"),
        (400, {"error": {"message": "Failed to compile json grammar"}}, "response_format"),
        (
            400,
            {"error": {"message": "Provider returned error", "metadata": {"raw": "response_format: not supported"}}},
            "response_format",
        ),
        (
            404,
            {"error": {"message": "No endpoints found that support the requested parameters: response_format"}},
            "response_format",
        ),
        (400, {"error": {"message": "`temperature` and `top_p` cannot both be specified for this model"}}, "top_p"),
        (400, {"code": "invalid", "error": "Argument not supported on this model: stop"}, "stop"),
    ],
)
def test_a_refusal_of_a_parameter_is_no_outage(status: int, body: Any, parameter: str) -> None:
    def answer(sent: dict[str, Any]) -> Response:
        return error(status, body) if parameter in sent else said('{"answers": [true]}')

    told: list[str] = []
    with raw_server(answer) as (url, received), heard(told.append):
        lm = open_language_model(f"{url}?powers=chat,json-schema#m", retry=ONCE)
        requests = [question(schema=SCHEMA, temperature=0.5, stop=("END",), sample=n) for n in (1, 2)]
        first, second = (lm.ask([request])[0] for request in requests)
    assert first.value == second.value == {"answers": [True]}
    assert len(received) == 3 and parameter not in received[-1]  # it is learnt once
    assert len(told) == 1 and f"rejects {parameter}" in told[0]
    if parameter == "response_format":
        assert '"required"' in received[-1]["messages"][-1]["content"]
    if parameter == "max_tokens":
        assert received[-1]["max_completion_tokens"] == 60


def test_stops_that_a_server_does_not_take_are_applied_here() -> None:
    def answer(sent: dict[str, Any]) -> Response:
        return error(400, {"error": {"message": "`stop` is not supported"}}) if "stop" in sent else said("one\ntwo")

    with raw_server(answer) as (url, _), heard(lambda _: None):
        assert open_language_model(f"{url}#m", retry=ONCE).ask([question(stop=("\n",))])[0].text == "one"


def test_what_answers_cannot_do_without_ends_the_run_with_what_the_server_said() -> None:
    body = {"error": {"message": "logprobs are not supported by this model", "param": "logprobs"}}
    with (
        raw_server(lambda _: error(400, body)) as (url, received),
        pytest.raises(UserError, match=r"the server gives no logprobs \(logprobs are not supported by this model\)"),
    ):
        open_language_model(f"{url}?kind=vllm#m").ask([question(logprobs=20, max_tokens=1)])
    assert len(received) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model's maximum context length is 512 tokens. However, you requested 612 tokens (552 in the "
              "messages, 60 in max_tokens). Please reduce the length of the messages."),
        (400, "The stop of the train is unknown"),
        (401, "invalid seed"),
        (500, "CUDA out of memory"),
        (429, "response_format is not supported"),
    ],
)  # fmt: skip
def test_other_complaints_are_about_no_parameter(status: int, message: str) -> None:
    sent = {"response_format", "seed", "stop", "max_tokens", "messages", "model"}
    assert refused_parameter(status, message, {"error": {"message": message}}, sent) is None


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [False, True])
def test_more_than_an_answer_can_have_is_not_read(status: int, packed: bool) -> None:
    body = b'{"choices": [{"message": {"content": "' + b" " * (50 << 20) + b'"}}]}'
    content = gzip.compress(body, 1) if packed else body
    with raw_server(lambda _: (status, content, {"Content-Encoding": "gzip"} if packed else {})) as (url, received):
        answer = open_language_model(f"{url}#m", retry=Retry(attempts=3, first=0.01)).ask([question()])[0]
    assert "larger than 1 MiB" in (answer.failure or "") and len(received) == 1


def test_a_packed_answer_is_read() -> None:
    status, content, headers = said("rain")
    with raw_server(lambda _: (status, gzip.compress(content), {**headers, "Content-Encoding": "gzip"})) as (url, _):
        assert open_language_model(f"{url}#m").ask([question()])[0].text == "rain"


def test_a_text_that_max_tokens_rules_out_is_no_answer() -> None:
    with raw_server(lambda _: said("rain " * 20_000)) as (url, _):
        answer = open_language_model(f"{url}#m").ask([question()])[0]
    assert answer.failure == "the answer is far longer than max_tokens allows" and len(answer.text) < 10_000


def test_a_key_is_sent_nowhere_else() -> None:
    with (
        raw_server(lambda _: said("rain")) as (there, received),
        raw_server(lambda _: (307, b"", {"Location": f"{there}/chat/completions"})) as (url, _),
        pytest.raises(UserError, match="redirects requests to"),
    ):
        open_language_model(f"{url}#m").ask([question()])
    assert received == []


@pytest.mark.parametrize(
    "spelt",
    [
        KEY,
        json.dumps(KEY)[1:-1],
        KEY.replace("/", "\\/"),
        quote(KEY, safe=""),
        quote(KEY),
        KEY[:14],
        KEY[4:],
        f"Bearer {KEY}",
        "".join(f"\\u{ord(c):04x}" for c in KEY),
    ],
)
def test_a_key_that_a_server_repeats_is_kept_nowhere(
    spelt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    tokens = {"content": [{"token": part, "logprob": -0.1, "top_logprobs": []} for part in (KEY[:7], KEY[7:])]}
    for answer in (said(f"your key is {spelt}.", logprobs=tokens), error(500, {"error": f"bad key {spelt}"})):
        with raw_server(lambda _, answer=answer: answer) as (url, _), AnswerCache(tmp_path / "c.sqlite") as cache:
            lm = open_language_model(f"{url}?key_variable=THE_KEY&powers=chat,logprobs#m", cache=cache, retry=ONCE)
            found = lm.ask([question(logprobs=1)])[0]
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        for text in (repr(found), kept.decode("utf-8", "replace")):
            assert spelt not in text and KEY[:7] not in text and KEY[4:16] not in text


def test_words_are_no_secrets() -> None:
    secret = Secret("my-development-server-1")
    assert secret.hide("words about development and server rooms") == "words about development and server rooms"
    assert Secret("none").hide("none of these") == "none of these"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3.0), ("-5", 0.0), ("nan", None), ("inf", None), ("1e400", None), ("soon", None), ("", None)]
    + [(f"Wed, 21 Oct {year} 07:28:00 GMT", None) for year in ("100000000000000000000", "99999", "-1")]
    + [("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 99 Foo 2015 07:28:00 GMT", None), ("1e20", 1e20)]
    + [("1m30s", 90.0), ("20ms", 0.02), ("1_0", None), ("0x10", None), (" 2 ", 2.0)],
)
def test_how_long_a_server_asks_to_wait(header: str, seconds: float | None) -> None:
    assert _retry_after({"retry-after": header}) == seconds
    assert _retry_after({"retry-after": header, "retry-after-ms": "30"}) == 0.03


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"detail": "overloaded"}, "overloaded"),
        ({"error": "overloaded"}, "overloaded"),
        (b'data: {"choices": []}\n\ndata: [DONE]\n', "it begins with 'data: "),
        (b"<html><body>Log in</body></html>", "it begins with '<html>"),
    ],
)
def test_what_came_in_place_of_an_answer_is_said(sent: Any, why: str) -> None:
    with raw_server(lambda _: (200, sent if isinstance(sent, bytes) else json.dumps(sent).encode(), {})) as (url, _):
        failure = open_language_model(f"{url}#m", retry=ONCE).ask([question()])[0].failure
    assert failure is not None and why in failure


def test_a_byte_order_mark_is_no_part_of_json() -> None:
    whole = b"\xef\xbb\xbf" + json.dumps({"choices": [{"message": {"content": "rain"}}]}).encode()
    with raw_server(lambda _: (200, whole, {})) as (url, _):
        assert open_language_model(f"{url}#m", retry=ONCE).ask([question()])[0].text == "rain"


def test_an_absurd_wait_is_said_and_a_long_one_is_told() -> None:
    with (
        raw_server(lambda _: error(429, {"error": "slow"}, **{"Retry-After": "1e20"})) as (url, _),
        pytest.raises(ServerUnavailable, match="come back in"),
    ):
        open_language_model(f"{url}#m").ask([question()])
    answers = iter(
        [error(503, {"error": {"message": "loading\x1b[31m the model"}}, **{"Retry-After": "1"}), said("rain")]
    )
    told: list[str] = []
    with raw_server(lambda _: next(answers)) as (url, _), heard(told.append):
        assert open_language_model(f"{url}#m").ask([question()])[0].text == "rain"
    assert (
        len(told) == 1 and "HTTP 503: loading" in told[0] and "(2 of 8) is in 1 s" in told[0] and "\x1b" not in told[0]
    )


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value: 'top_logprobs' must be less than or equal to 5",
        "Requested sample logprobs of 20, which is greater than max allowed: 5",
        "top_logprobs must be between 0 and 5",
        "Input validation error: `top_n_tokens` must be >= 0 and <= 5. Given: 20",
        "Invalid top_logprobs: 20. The allowed range is [0, 5].",
    ],
)
def test_a_server_that_gives_fewer_alternatives_gives_these(message: str) -> None:
    def answer(sent: dict[str, Any]) -> Response:
        if sent["top_logprobs"] > 5:
            return error(400, {"error": {"message": message}})
        return said("Yes", logprobs={"content": [{"token": "Yes", "logprob": 0.0, "top_logprobs": []}]})

    with raw_server(answer) as (url, received), heard(lambda _: None):
        lm = open_language_model(f"{url}?kind=vllm#m", retry=ONCE)
        assert lm.ask([question(logprobs=20, max_tokens=1)])[0].tokens[0].text == "Yes"
    assert [sent["top_logprobs"] for sent in received] == [20, 5]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "finish_reason", "logprobs", "text", "usage", "prompt_tokens"]
            )
            | st.sampled_from(
                ["type", "token", "logprob", "top_logprobs", "tokens", "token_logprobs", "refusal", "error"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON, JSON, JSON, st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_a_server_sends_is_an_answer_or_no_answer(
    message: Any, logprobs: Any, usage: Any, whole: bool
) -> None:
    body = {
        "choices": [{"message": message, "text": message, "logprobs": logprobs, "finish_reason": "stop"}],
        "usage": usage,
    }
    for request in (question(logprobs=2), Request(prompt="q"), Request(prompt="q", max_tokens=0, prompt_logprobs=1)):
        reader = chat_reply if request.messages else completion_reply
        try:
            answer = reader(request, message if whole else body).answer
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError):
            continue  # what the backend calls something else than an answer
        judged(request, answer)
        clean(judged(request, answer))
        assert 0 <= answer.usage.prompt_tokens <= 10**9 and isinstance(answer.text, str)
