"""Anthropic's protocol over a real HTTP server, through the official client."""

from __future__ import annotations

from typing import Any

import pytest

from glossator.errors import MissingPower, UserError
from glossator.language_models import (
    Answer,
    Message,
    OpenModel,
    Request,
    Retry,
    Scripted,
    ServerUnavailable,
    open_language_model,
)
from lm_server import LMServer, serve

KEY = "sk-ant-secret"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FAST = Retry(attempts=3, first=0.01)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)


def at(server: LMServer, spec: str = "anthropic:claude", **settings: Any) -> OpenModel:
    """The model, with its address turned to the test's server."""
    model = open_language_model(spec, retry=FAST, **settings)
    model.inner.url = server.url.removesuffix("/v1")  # type: ignore[union-attr]
    return model


def chat(text: str = "q", **settings: Any) -> Request:
    return Request((Message("user", text),), **settings)


def test_what_is_sent() -> None:
    """No temperature, top_p or seed: the API refuses them."""
    picture = b"\x89PNG\r\n\x1a\n and so on"
    script = Scripted(lambda _: '{"n": 3}')
    request = Request(
        (Message("system", "Be brief."), Message("user", "how many?", (picture,)), Message("assistant", "3"),
         Message("user", "as JSON")), max_tokens=7, temperature=0.7, stop=("x",), schema=SCHEMA, sample=2,
    )  # fmt: skip
    with serve(script) as server:
        answer = at(server).ask([request])[0]
    assert (answer.value, answer.failure) == ({"n": 3}, None)
    assert answer.usage.completion_tokens == 2
    body = server.bodies[0]
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "how many?"}
    assert body["messages"][0]["content"][1]["source"]["media_type"] == "image/png"
    assert [m["role"] for m in body.pop("messages")] == ["user", "assistant", "user"]
    assert body == {
        "model": "claude",
        "max_tokens": 7,
        "system": "Be brief.",
        "stop_sequences": ["x"],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    }
    assert script.asked[0].messages[1].images == (picture,)


def test_how_long_it_thinks_can_be_said_and_is_part_of_the_name() -> None:
    with serve(Scripted(lambda _: "a")) as server:
        model = at(server, "anthropic:claude?thinking=disabled&effort=low")
        assert model.ask([chat()])[0].text == "a"
    assert model.name == "anthropic:claude?effort=low&thinking=disabled"
    assert server.bodies[0]["thinking"] == {"type": "disabled"}
    assert server.bodies[0]["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("finish", "failure"),
    [("length", "the answer was cut off at max_tokens"), ("refusal", "the model refused to answer"), ("stop", None)],
)
def test_how_answers_end(finish: str, failure: str | None) -> None:
    with serve(Scripted([Answer("Because", finish=finish)])) as server:
        assert at(server).ask([chat()])[0].failure == failure


@pytest.mark.parametrize("fault", ["429", "500", "reset", "half", "garbage", "shapeless", "html"])
def test_faults_are_tried_again(fault: str) -> None:
    with serve(Scripted(lambda r: r.messages[0].content), {1: fault}) as server:
        assert at(server).ask([chat("hello")])[0].text == "hello"
        assert server.calls == 2


def test_errors_are_told_apart_and_show_no_key() -> None:
    with serve(Scripted(lambda _: "a"), {1: "400", 2: "401", 3: "404"}) as server:
        model = at(server)
        assert "HTTP 400" in (model.ask([chat()])[0].failure or "")
        with pytest.raises(UserError, match="does not accept the key in ANTHROPIC_API_KEY") as error:
            model.ask([chat()])
        assert KEY not in repr(vars(error.value)) + repr(error.value.__context__)
        with pytest.raises(UserError, match="no such model"):
            model.ask([chat()])
    assert server.headers[0].get("authorization", server.headers[0].get("x-api-key", "")).endswith(KEY)
    with pytest.raises(ServerUnavailable):
        model.ask([chat()])


def test_it_has_no_log_probabilities() -> None:
    with pytest.raises(MissingPower, match="anthropic:claude cannot give logprobs"):
        open_language_model("anthropic:claude").ask([chat(logprobs=1)])
