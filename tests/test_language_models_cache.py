"""Answers on disk: what is kept, what is not, and replaying with no server, no key and no client."""

from __future__ import annotations

import dataclasses
import itertools
import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.errors import UserError
from glossator.language_models import (
    Answer,
    AnswerCache,
    LanguageModel,
    Message,
    NotInCache,
    Request,
    Retry,
    Scripted,
    TokenLogprob,
    Usage,
    open_language_model,
)
from glossator.language_models.cache import key_of
from lm_server import serve

SCHEMA = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
FAST = Retry(attempts=2, first=0.001)


def chat(text: str = "q", **settings: Any) -> Request:
    return Request((Message("user", text),), **settings)


def test_replay_is_identical_with_the_server_down(tmp_path: Path) -> None:
    replies = itertools.count()

    def different_each_time(request: Request) -> Answer:
        number = next(replies)
        tokens = (TokenLogprob(f" {number}", -1 / 3, {" a": -1e-300, "é": -9999.0}),)
        return Answer(f'{{"n": {number}.1}}', tokens=tokens, usage=Usage(1, 10 + number, 3))

    requests = [chat(f"q{i}", schema=SCHEMA, logprobs=2, sample=i % 2, temperature=1.0) for i in range(10)]
    prices = {"served": {"prompt": 1.0, "completion": 2.0}}
    with serve(Scripted(different_each_time)) as server:
        spec = server.spec("powers=chat,logprobs")
        first = open_language_model(spec, cache=tmp_path / "c.sqlite", prices=prices)
        answers = first.ask(requests)
        assert first.ask(requests[::-1]) == answers[::-1]
        assert server.calls == 10
    replay = open_language_model(spec, cache=tmp_path / "c.sqlite")
    assert replay.ask(requests) == answers
    assert [answer.usage for answer in replay.ask(requests)] == [answer.usage for answer in answers]
    assert answers[0].usage.money == pytest.approx((answers[0].usage.prompt_tokens + 6) / 1e6)
    assert (replay.ledger.total().calls, replay.ledger.total().replayed, replay.ledger.total().money) == (0, 20, 0)


def test_replay_needs_no_key_and_no_client(tmp_path: Path) -> None:
    """In a process where the client cannot be imported and no key is set."""
    path = tmp_path / "c.sqlite"
    request = chat("what is it?", schema=SCHEMA)
    AnswerCache(path).put(key_of("openai:gpt", request), "openai:gpt", Answer('{"n": 1}', {"n": 1}))
    code = f"""
import sys
sys.modules["openai"] = sys.modules["httpx2"] = None
from glossator.errors import UserError
from glossator.language_models import Message, Request, open_language_model
model = open_language_model("openai:gpt", cache={str(path)!r})
schema = {SCHEMA!r}
print(model.ask([Request((Message("user", "what is it?"),), schema=schema)])[0].value)
try:
    model.ask([Request((Message("user", "and this?"),))])
except UserError as error:
    print(error)
"""
    environment = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[0] == "{'n': 1}"
    assert "Set the environment variable OPENAI_API_KEY" in done.stdout.splitlines()[1]


def test_offline_a_missing_answer_ends_the_run(tmp_path: Path) -> None:
    with serve(Scripted(lambda _: "a")) as server:
        open_language_model(server.spec(), cache=tmp_path / "c.sqlite").ask([chat("there")])
        model = open_language_model(server.spec(), cache=tmp_path / "c.sqlite", offline=True)
        assert model.ask([chat("there")])[0].text == "a"
        with pytest.raises(NotInCache, match=r"1 requests to .* are not in the cache"):
            model.ask([chat("there"), chat("new")])
        assert server.calls == 1


def test_what_the_model_said_is_kept_and_what_the_server_failed_to_say_is_not(tmp_path: Path) -> None:
    kept = {1: "refusal", 2: "empty", 3: "schema", 4: "schema"}
    lost = {5: "500", 6: "500", 7: "400", 8: "half", 9: "reset", 10: "garbage", 11: "shapeless"}
    with serve(Scripted(lambda _: '{"n": 1}'), kept | lost) as server:
        spec, path = server.spec("concurrency=1"), tmp_path / "c.sqlite"
        model = open_language_model(spec, cache=path, retry=FAST)
        names = ["refused", "empty", "misfit", "down", "too long", "broken off", "nonsense"]
        requests = [chat(name, schema=SCHEMA if name == "misfit" else None) for name in names]
        first = {name: model.ask([request])[0] for name, request in zip(names, requests, strict=True)}
        assert all(answer.failure for answer in first.values())
        assert server.calls == 11
        server.faults = None
        again = dict(zip(names, open_language_model(spec, cache=path).ask(requests), strict=True))
        assert server.calls == 11 + 4
    for name in ("refused", "empty", "misfit"):
        assert again[name] == first[name]
    for name in ("down", "too long", "broken off", "nonsense"):
        assert again[name].failure is None


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    requests = [chat(str(i)) for i in range(30)]
    with serve(Scripted(lambda r: r.messages[0].content), lambda n: "401" if n > 12 else None) as server:
        model = open_language_model(server.spec(), cache=tmp_path / "c.sqlite", concurrency=4)
        with pytest.raises(UserError, match="401"):
            model.ask(requests)
        done = len(AnswerCache(tmp_path / "c.sqlite"))
        assert 9 <= done <= 12
        server.faults, before = None, server.calls
        assert [answer.text for answer in model.ask(requests)] == [str(i) for i in range(30)]
        assert server.calls - before == 30 - done


def test_every_part_of_a_request_counts() -> None:
    base = chat("a")
    others = [
        base, chat("b"), Request((Message("system", "a"),)), Request((Message("user", "a", (b"1",)),)),
        Request((Message("user", "a", (b"2",)),)), Request((Message("user", ""), Message("user", "a"))),
        Request(prompt="a"), chat("a", max_tokens=1), chat("a", temperature=1.0), chat("a", top_p=0.5),
        chat("a", stop=("x",)), chat("a", stop=("x", "y")), chat("a", schema={}), chat("a", schema=SCHEMA),
        chat("a", logprobs=1), chat("a", prompt_logprobs=1), chat("a", sample=1),
    ]  # fmt: skip
    keys = [key_of("m", request) for request in others] + [key_of("n", base)]
    assert len(set(keys)) == len(keys)
    assert {field.name for field in dataclasses.fields(Request)} == {
        "messages", "prompt", "max_tokens", "temperature", "top_p", "stop", "schema", "logprobs", "prompt_logprobs",
        "sample",
    }  # fmt: skip


def test_equal_requests_have_one_key() -> None:
    assert key_of("m", chat("a", temperature=0)) == key_of("m", chat("a", temperature=0.0))
    assert key_of("m", chat("a", schema={"a": 1, "b": (2,)})) == key_of("m", chat("a", schema={"b": [2], "a": 1}))
    assert key_of("m", chat("\ud800")) != key_of("m", chat("\ufffd"))


logprobs = st.floats(max_value=0, allow_nan=False)
tokens = st.builds(TokenLogprob, st.text(), st.none() | logprobs, st.dictionaries(st.text(), logprobs, max_size=2))
plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
answers = st.builds(
    Answer,
    text=st.text(),
    value=plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(), plain, max_size=2),
    tokens=st.lists(tokens, max_size=2).map(tuple),
    prompt_tokens=st.lists(tokens, max_size=2).map(tuple),
    usage=st.builds(Usage, money=st.none() | st.floats(0, 10)),
    failure=st.none() | st.text(),
)


@given(st.lists(answers, max_size=3))
@settings(max_examples=40)
def test_any_answer_comes_back_as_it_was(answers: list[Answer]) -> None:
    with TemporaryDirectory() as folder, AnswerCache(Path(folder) / "c.sqlite") as cache:
        for i, answer in enumerate(answers):
            kept = cache.put(str(i), "m", answer)
            assert kept == answer
            assert [list(token.top) for token in kept.tokens] == [list(token.top) for token in answer.tokens]


def test_numbers_of_numpy_are_kept_as_numbers(tmp_path: Path) -> None:
    token = TokenLogprob("a", np.float32(-0.5), {"a": np.float64(-0.25)})  # type: ignore[arg-type]
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        assert cache.put("k", "m", Answer("a", tokens=(token,))).tokens == (TokenLogprob("a", -0.5, {"a": -0.25}),)


def test_the_first_answer_stands(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c.sqlite") as one, AnswerCache(tmp_path / "c.sqlite") as other:
        assert one.put("k", "m", Answer("first")).text == "first"
        assert other.put("k", "m", Answer("second")).text == "first"
        assert other.get(["k", "absent"]) == {"k": Answer("first")}


def test_threads_share_a_cache(tmp_path: Path) -> None:
    model = open_language_model(Scripted(lambda r: r.messages[0].content), cache=tmp_path / "c.sqlite")
    found: dict[int, list[str]] = {}

    def ask(i: int) -> None:
        found[i] = [answer.text for answer in model.ask([chat(str((i + j) % 20)) for j in range(20)])]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: [str((i + j) % 20) for j in range(20)] for i in range(8)}
    assert model.cache is not None
    assert len(model.cache) == 20


def _write_many(path: Path, start: int) -> None:
    with AnswerCache(path) as cache:
        for i in range(start, start + 200):
            cache.put(f"key {i}", "m", Answer(f"from {start}: {i}"))


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_write_many, args=(tmp_path / "c.sqlite", start)) for start in (0, 100)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        found = cache.get(f"key {i}" for i in range(300))
        assert len(found) == len(cache) == 300
        assert all(answer.text.endswith(f": {key[4:]}") for key, answer in found.items())


def test_a_closed_cache_is_one_file(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "deep" / "c.sqlite") as cache:
        cache.put("k", "m", Answer("a"))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["c.sqlite"]


def test_a_file_that_cannot_be_written_can_be_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.sqlite"
    with AnswerCache(path) as cache:
        cache.put("k", "m", Answer("a"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    with AnswerCache(path) as cache:
        assert cache.get(["k"])["k"].text == "a"
        with pytest.raises(UserError, match="readonly"):
            cache.put("l", "m", Answer("b"))
    assert [p.name for p in tmp_path.iterdir()] == ["c.sqlite"]


@pytest.mark.parametrize("content", [b"this is no database, and it is longer than a header of SQLite is" * 4, None])
def test_a_damaged_cache_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.sqlite"
    if content is None:
        with AnswerCache(path) as cache:
            cache.put("k", "m", Answer("a"))
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE answers SET answer = '{}'")
        connection.close()
    else:
        path.write_bytes(content)
    with AnswerCache(path) as cache, pytest.raises(UserError, match="answer cache is damaged") as told:
        cache.get(["k"])
    assert "Delete" not in str(told.value) and "Move it away" in str(told.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SQLITE_FULL", "Free space"),
        ("SQLITE_BUSY", "wait for it to end"),
        ("SQLITE_CANTOPEN", "permissions"),
        ("SQLITE_READONLY", "permissions"),
        ("SQLITE_IOERR_WRITE", "Free space"),
    ],
)
def test_trouble_with_the_disk_is_no_reason_to_delete_answers(tmp_path: Path, name: str, said: str) -> None:
    error = sqlite3.OperationalError("trouble")
    error.sqlite_errorname = name
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        told = str(cache._unusable(error))
    assert said in told and "elete" not in told and "damaged" not in told


def test_a_disk_that_is_full_and_a_lock_are_told_apart_from_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glossator.language_models.cache.WAIT_SECONDS", 0.05)
    path = tmp_path / "c.sqlite"
    with AnswerCache(path) as cache:
        cache.put("k", "m", Answer("a"))
        cache._open().execute("PRAGMA max_page_count = 1")
        with pytest.raises(UserError, match="Free space"):
            cache.put("l", "m", Answer("b" * 100_000))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with AnswerCache(path) as cache, pytest.raises(UserError, match="Another program has it open"):
        cache.put("l", "m", Answer("b"))
    other.close()
    with AnswerCache(path) as cache:
        assert cache.get(["k"])["k"].text == "a"


def test_answers_are_for_their_owner_alone(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "deep" / "c.sqlite") as cache:
        cache.put("k", "m", Answer("a"))
        modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "deep").iterdir()]
    assert modes and set(modes) == {0o600}


@pytest.mark.parametrize("change", [{"usage": {"prompt_tokens": 2**63}}, {"usage": {"money": "much"}}])
def test_counts_that_no_call_can_have_brick_no_cache(tmp_path: Path, change: dict[str, dict[str, object]]) -> None:
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", "m", Answer("a", usage=Usage(1, 2, 3, 0.5)))
        kept = json.loads(cache._run("SELECT answer FROM answers", ())[0][0])
        kept["usage"] |= change["usage"]
        cache._run("UPDATE answers SET answer = ?", (json.dumps(kept),))
        usage = cache.get(["k"])["k"].usage
    assert usage.prompt_tokens < 10**9 and usage.money is None


def test_a_failed_generation_that_was_kept_once_is_asked_for_again(tmp_path: Path) -> None:
    with AnswerCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", "m", Answer("ra", finish="error"))
        assert cache.get(["k"]) == {}


def test_a_newer_cache_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "c.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with AnswerCache(tmp_path / "c.sqlite") as cache, pytest.raises(UserError, match="another format: 99"):
        cache.get(["k"])


def test_only_what_is_missing_is_asked_in_one_call(tmp_path: Path) -> None:
    calls: list[list[str]] = []

    class Batched(LanguageModel):
        name = "inprocess:batched"
        powers = frozenset({"chat"})

        def ask(self, requests: Any) -> list[Answer]:
            calls.append([request.messages[0].content for request in requests])
            return [
                Answer('{"n": 1}' if len(r.messages) > 1 or "1" in r.messages[0].content else "?") for r in requests
            ]

    model = open_language_model(Batched(), cache=tmp_path / "c.sqlite")
    model.ask([chat("a"), chat("b")])
    answers = model.ask([chat("a"), chat("c"), chat("b"), chat("c"), chat("d")])
    assert calls == [["a", "b"], ["c", "d"]]
    assert [answer.text for answer in answers] == ["?"] * 5
    values = model.ask([chat("1", schema=SCHEMA), chat("2", schema=SCHEMA), chat("3", schema=SCHEMA)])
    assert calls[2:] == [["1", "2", "3"], ["2", "3"]]  # those whose JSON was broken, once more, together
    assert [answer.value for answer in values] == [{"n": 1}] * 3
