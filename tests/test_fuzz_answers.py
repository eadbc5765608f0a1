"""Servers whose answers are damaged on the way: every answer is one that the server gave or a failure with its reason,
what was answered is kept, and nothing waits for ever."""

from __future__ import annotations

import gzip
import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fuzzing
import lm_server
from glossator.errors import UserError
from glossator.files import plain
from glossator.language_models import Answer, Message, Request, Retry, Scripted, TokenLogprob, open_language_model
from glossator.study import open_study
from study_cases import lm_spec, register_lm_methods, said, write_corpus

FAST = Retry(attempts=4, first=0.005, longest=0.02, longest_wait=1.0)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
STATUSES = (200, 301, 400, 401, 404, 408, 413, 422, 429, 500, 503, 529, 599)
WAITS = ("-1", "nan", "1e400", "0", "9" * 30, "599", "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT")


class Damage:
    """Changes a share of the replies; remembers the questions that were answered as they should be."""

    def __init__(self, rng: np.random.Generator, share: float, mark: Path):
        self.rng, self.share, self.mark = rng, share, mark
        self.right: set[str] = set()
        self.lock = threading.Lock()
        self.send = lm_server._Handler._send

    def __call__(self, handler: Any, status: int, body: Any, headers: Any = None, **settings: Any) -> None:
        with self.lock:
            if self.rng.random() >= self.share:
                return self.send(handler, status, body, headers or {}, **settings)
            kind, data, headers = self.rng.integers(6), json.dumps(body).encode(), dict(headers or {})
            if kind <= 2:
                changed = json.dumps(fuzzing.damaged_json(self.rng, body))
                data = changed.encode("utf-8", "surrogatepass")
            elif kind == 3:
                data = fuzzing.damaged(self.rng, data, self.mark)
            elif kind == 4:
                status = int(self.rng.choice(STATUSES))
                headers["Retry-After"] = str(self.rng.choice(WAITS))
            else:
                packed = gzip.compress(data)
                data = packed if self.rng.random() < 0.5 else fuzzing.damaged(self.rng, packed, self.mark)
                headers["Content-Encoding"] = "gzip"
        return self.send(handler, status, None, headers, raw=data)


def answered(request: Request) -> Answer:
    """The same for the same question: JSON where that is wanted, with log-probabilities."""
    question = request.messages[-1].content if request.messages else request.prompt
    text = '{"n": 3}' if request.schema else f"about {question}"
    tokens = tuple(TokenLogprob(t, -0.5, {t: -0.5, " x": -1.5}) for t in ("a", " b"))
    return Answer(text, tokens=tokens if request.logprobs else ())


def requests(rng: np.random.Generator) -> list[Request]:
    found = []
    for number in range(30):
        turn = (Message("user", f"question {number}"),)
        kind = rng.integers(4)
        found.append(
            Request(turn) if kind == 0
            else Request(turn, schema=SCHEMA) if kind == 1
            else Request(turn, logprobs=2, max_tokens=2) if kind == 2
            else Request(prompt=f"prompt {number}", max_tokens=2)
        )  # fmt: skip
    return found


def sound(answer: Answer, request: Request) -> bool:
    if answer.failure is not None:
        return bool(answer.failure.strip())
    numbers = [t.logprob for t in (*answer.tokens, *answer.prompt_tokens) if t.logprob is not None]
    numbers += [value for t in (*answer.tokens, *answer.prompt_tokens) for value in t.top.values()]
    used = (answer.usage.calls, answer.usage.prompt_tokens, answer.usage.completion_tokens)
    return (
        isinstance(answer.text, str)
        and answer.finish in ("stop", "length")
        and all(math.isnan(n) or n <= 0 for n in numbers)  # NaN stands for what is no number, and counts as none
        and all(isinstance(n, int) and 0 <= n < 2**53 for n in used)
        and (request.schema is None or (isinstance(answer.value, dict) and isinstance(answer.value["n"], int)))
    )


@pytest.mark.parametrize("seed", fuzzing.seeds(6, 200))
def test_answers(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng([seed, 6])
    kept, asked = tmp_path / "answers.sqlite", requests(rng)
    given: dict[str, tuple[Request, Answer]] = {}
    with fuzzing.canary(tmp_path, monkeypatch) as mark:
        damage = Damage(rng, float(rng.choice([0.1, 0.5, 0.9])), mark)
        monkeypatch.setattr(lm_server._Handler, "_send", lambda *a, **k: damage(*a, **k))
        with lm_server.serve(Scripted(answered)) as server:
            for some in (asked[:10], asked[10:20], asked[20:]):
                model = open_language_model(server.spec("kind=vllm"), cache=kept, retry=FAST, timeout=5)
                try:
                    answers = model.ask(some)
                except UserError:
                    continue  # the server counts as down; what it said before is kept
                assert len(answers) == len(some)
                for request, answer in zip(some, answers, strict=True):
                    assert sound(answer, request), (request, answer)
                    if answer.failure is None:
                        given[repr(request)] = (request, answer)
            spec = server.spec("kind=vllm")
        replay = open_language_model(spec, cache=kept, offline=True)
        for request, answer in given.values():
            again = replay.ask([request])[0]
            assert (again.text, again.value, again.failure) == (answer.text, answer.value, None)


@pytest.mark.parametrize("seed", fuzzing.seeds(2, 40))
def test_spoiled_studies(seed: int, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study that a server spoils goes on when the server is sound again, and asks nothing twice that it was told."""
    from glossator.language_models import open_model

    rng = np.random.default_rng([seed, 7])
    register_lm_methods(monkeypatch)
    monkeypatch.setattr(open_model, "Retry", lambda: FAST)
    write_corpus(tiny_folder.parent / "corpus.jsonl")
    with fuzzing.canary(tmp_path, monkeypatch) as mark, lm_server.serve(Scripted(said)) as server:
        spec = plain(lm_spec(tiny_folder, lm=server.spec(), units=2))
        (tmp_path / "spec.json").write_text(json.dumps(spec))
        command = ["run", str(tmp_path / "spec.json"), "--out", str(tmp_path / "s"), "--quiet"]
        send = lm_server._Handler._send
        damage = Damage(rng, float(rng.choice([0.05, 0.3, 1.0])), mark)
        monkeypatch.setattr(lm_server._Handler, "_send", lambda *a, **k: damage(*a, **k))
        code, _, _ = fuzzing.holds(command, seed)
        monkeypatch.setattr(lm_server._Handler, "_send", send)
        assert fuzzing.holds(command, seed)[0] == 0 or code == 0
        with open_study(tmp_path / "s") as study:
            for result in study.results():
                for chosen in result.explanations:
                    for score in chosen.scores:
                        assert (score.value is None) == bool(score.reason)
                        assert score.value is None or math.isfinite(score.value)
