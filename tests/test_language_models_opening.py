"""From one line to a language model: forms, options, powers, keys, and clear refusals."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glossator.errors import MissingPower, UserError
from glossator.language_models import (
    CHAT,
    COMPLETION,
    JSON_SCHEMA,
    LOGPROBS,
    PROMPT_LOGPROBS,
    Answer,
    LanguageModel,
    Message,
    Request,
    Retry,
    Scripted,
    open_language_model,
)
from glossator.language_models.opening import IN_PROCESS_OPTIONS
from glossator.language_models.powers import DECLARED
from glossator.language_models.specs import OPTIONS, parse_spec
from lm_server import serve

KEY = "sk-a-very-secret-key-0123456789"


def chat(text: str = "q", **settings: Any) -> Request:
    return Request((Message("user", text),), **settings)


@pytest.mark.parametrize(
    ("text", "kind", "url", "model", "key_variable"),
    [
        ("openai:gpt-5-mini", "openai", "https://api.openai.com/v1", "gpt-5-mini", "OPENAI_API_KEY"),
        ("openai:ft:gpt:org::id", "openai", "https://api.openai.com/v1", "ft:gpt:org::id", "OPENAI_API_KEY"),
        ("anthropic:claude", "anthropic", "https://api.anthropic.com", "claude", "ANTHROPIC_API_KEY"),
        ("http://localhost:1/v1?kind=ollama#llama3:1b", "ollama", "http://localhost:1/v1", "llama3:1b", None),
        ("http://h:8000/v1/#m?kind=vllm", "vllm", "http://h:8000/v1", "m", None),
        ("https://openrouter.ai/api/v1#a/b", "openrouter", "https://openrouter.ai/api/v1", "a/b", "OPENROUTER_API_KEY"),
        ("https://api.openai.com/v1#gpt", "openai", "https://api.openai.com/v1", "gpt", "OPENAI_API_KEY"),
        ("https://other.example/v1?kind=openai#gpt", "openai", "https://other.example/v1", "gpt", None),
        ("https://other.example/v1?key_variable=MINE#gpt", "server", "https://other.example/v1", "gpt", "MINE"),
        ("http://openrouter.ai/api/v1#a", "openrouter", "http://openrouter.ai/api/v1", "a", None),
        ("http://api.openai.com/v1#gpt", "openai", "http://api.openai.com/v1", "gpt", None),
    ],
)  # fmt: skip
def test_specs(text: str, kind: str, url: str, model: str, key_variable: str | None) -> None:
    """A key goes to its own endpoint over https, and to no other server unless the spec says so."""
    spec = parse_spec(text)
    assert (spec.kind, spec.url, spec.model, spec.key_variable) == (kind, url, model, key_variable)
    assert spec.powers == DECLARED[kind]


def test_options() -> None:
    spec = parse_spec("http://h/v1?powers=chat,logprobs&concurrency=4&timeout=9.5&omit=top_p,seed#m")
    assert spec.powers == {CHAT, LOGPROBS}
    assert (spec.concurrency, spec.timeout, spec.omit) == (4, 9.5, {"top_p", "seed"})
    assert spec.name == "http://h/v1#m?omit=seed,top_p"  # what changes no answer is not in the name
    assert parse_spec(spec.name).name == spec.name


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("gpt-5", "unknown form of a language model: 'gpt-5'. Allowed: openai:MODEL"),
        ("azure:gpt", "unknown form"),
        ("openai:", "missing model name"),
        ("http://h:1/v1", "the address is not followed by a model name: 'http://h:1/v1'"),
        ("http:///v1#m", "no host"),
        ("http://h/v1?kind=vlm#m", "unknown kind of server: 'vlm'. Allowed: did you mean vllm"),
        ("http://h/v1?kind=anthropic#m", "unknown kind"),
        ("http://h/v1?powers=chat,logprob#m", "unknown power of a language model: 'logprob'. Allowed: did you mean"),
        ("http://h/v1?concurrency=0#m", "concurrency is not a positive number: '0'"),
        ("http://h/v1?timeout=soon#m", "timeout is not a positive number: 'soon'"),
        ("openai:m?sort=up", "unknown option of a language model: 'sort'. Allowed: kind, powers"),
        ("inprocess:m?speed=3", "unknown option of a model in this process: 'speed'"),
        ("inprocess:m?seed=x", "seed is not a whole number: 'x'"),
        ("scripted:no_such_module_here:x", "cannot find the scripted model"),
        ("scripted:math:no_such_name", "cannot find the scripted model"),
        ("scripted:math:pi", "not a scripted model"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_said_in_one_sentence(text: str, what: str) -> None:
    with pytest.raises(UserError) as error:
        open_language_model(text)
    assert what in str(error.value)


def test_scripted_models_are_found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(say=lambda r: f"you said {r.messages[0].content}", listed=["one", "two"], Model=Scripted)
    module.made = Scripted(["made"], name="scripted:mine", powers={CHAT})
    monkeypatch.setitem(sys.modules, "a_script", module)
    assert open_language_model("scripted:a_script:say").ask([chat("hi")])[0].text == "you said hi"
    model = open_language_model("scripted:a_script:listed")
    assert model.name == "scripted:a_script:listed"
    assert [answer.text for answer in model.ask([chat("a"), chat("b")])] == ["one", "two"]
    with pytest.raises(IndexError, match="has 2 answers"):
        model.ask([chat("c")])
    made = open_language_model("scripted:a_script:made")
    assert (made.name, made.powers) == ("scripted:mine", {CHAT})


def test_powers_can_be_declared_otherwise() -> None:
    with serve(Scripted(lambda _: Answer("a"))) as server:
        assert open_language_model(server.spec()).powers == {CHAT, COMPLETION}
        assert open_language_model(server.spec(), powers="chat,json-schema").powers == {CHAT, JSON_SCHEMA}
        assert open_language_model(server.spec("powers=chat")).powers == {CHAT}
        model = open_language_model(server.spec(), powers=[CHAT, JSON_SCHEMA])
        model.ask([chat(schema={"type": "object"})])
        assert "response_format" in server.bodies[0]
        with pytest.raises(MissingPower, match="cannot give completion"):
            model.ask([Request(prompt="a")])


def test_openai_has_no_prompt_log_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model = open_language_model("openai:gpt")
    assert PROMPT_LOGPROBS not in model.powers
    with pytest.raises(MissingPower, match=r"completion and prompt-logprobs.*inprocess:MODEL"):
        model.ask([Request(prompt="a", prompt_logprobs=1)])


@pytest.mark.parametrize(
    ("text", "variable"), [("openai:m", "OPENAI_API_KEY"), ("anthropic:m", "ANTHROPIC_API_KEY"),
                           ("https://openrouter.ai/api/v1#m", "OPENROUTER_API_KEY"),
                           ("http://h/v1?key_variable=MINE#m", "MINE")],
)  # fmt: skip
def test_no_key_names_the_variable(text: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, "", "  "):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
        with pytest.raises(UserError, match=f"no key for .*Set the environment variable {variable}"):
            open_language_model(text)


def test_a_key_in_the_address_is_refused_and_not_shown() -> None:
    for text in (f"http://user:{KEY}@h/v1#m", f"https://{KEY}@h/v1#m", f"http://h/v1?api_key={KEY}#m"):
        with pytest.raises(UserError) as error:
            open_language_model(text)
        assert KEY not in str(error.value)
        assert "key" in str(error.value)


def test_keys_appear_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the cache, errors, repr, log lines or answers, also when a server repeats them."""
    monkeypatch.setenv("MINE", f"{KEY}\n")
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    faults = {2: "400", 3: "401", 4: "500", 5: "500", 6: "reset", 7: "reset"}
    leak = Scripted(lambda request: f"Bearer {KEY} {request.messages[0].content}")
    with serve(leak, faults) as server:
        spec = server.spec("key_variable=MINE&powers=chat,logprobs")
        model = open_language_model(
            spec, cache=tmp_path / "a.sqlite", retry=Retry(attempts=2, first=0.001), concurrency=1
        )
        for i in range(6):
            try:
                shown.append(repr(model.ask([chat(f"question {i}")])))
            except UserError as error:
                shown += [str(error), repr(error), repr(error.__cause__), repr(error.__context__), repr(vars(error))]
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert len(server.headers) > 5
    shown += [repr(model), repr(model.inner), repr(model.cache), repr(model.ledger), str(model.ledger.as_dict())]
    shown += [repr(model.inner.spec), caplog.text, *(repr(vars(record)) for record in caplog.records)]
    assert "[key]" in " ".join(shown)
    assert not [text for text in shown if KEY in text]
    assert model.cache is not None
    model.cache.close()
    for path in tmp_path.iterdir():
        assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize("before", range(230, 300, 7))
def test_a_long_complaint_is_not_cut_within_a_key(before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a key that is cut in two would be shown."""
    monkeypatch.setenv("MINE", KEY)
    refused = Answer("", finish="error", failure=f"{'x' * before} {KEY} is not for this model")
    with serve(Scripted(lambda _: refused)) as server:
        answer = open_language_model(server.spec("key_variable=MINE")).ask([chat()])[0]
    assert answer.failure is not None and "xxx" in answer.failure
    assert KEY[:4] not in answer.failure


def test_keys_of_openai_do_not_go_to_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(variable, KEY)
    with serve(Scripted(lambda _: "a")) as server:
        open_language_model(server.spec("kind=vllm")).ask([chat()])
    assert KEY not in str(server.headers)


def test_a_missing_package_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(UserError, match=r"pip install 'glossator\[anthropic\]'"):
        open_language_model("anthropic:claude")


def test_opening_imports_no_client() -> None:
    code = (
        "import sys; from glossator.language_models import open_language_model; "
        "open_language_model('http://localhost:9/v1#m', offline=True); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"openai", "anthropic", "jsonschema", "torch", "httpx2"} & set(done.stdout.split())


DOCUMENT = (Path(__file__).resolve().parent.parent / "docs" / "language-models.md").read_text()


def test_the_document_says_what_is_declared() -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith(("| `", "| power"))]
    table = [row.removeprefix("|").removesuffix("|").split("|") for row in rows]
    (start,) = [i for i, row in enumerate(table) if row[0].strip() == "power"]
    kinds = [name.strip() for name in table[start]][1:]
    found: dict[str, set[str]] = {kind: set() for kind in kinds}
    for power, *cells in table[start + 1 :]:
        for kind, cell in zip(kinds, cells, strict=True):
            if cell.strip() == "yes":
                found[kind].add(power.strip().split("`")[1])
    assert found.pop("inprocess") == {CHAT, COMPLETION, LOGPROBS, PROMPT_LOGPROBS}
    assert found == {kind: set(powers) for kind, powers in DECLARED.items()}


def test_every_option_is_in_the_document() -> None:
    for option in (*OPTIONS, *IN_PROCESS_OPTIONS):
        assert f"`{option}`" in DOCUMENT


def test_the_example_of_the_document_runs() -> None:
    (example,) = [block for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL) if "Scripted(" in block]
    exec(example, {})


def test_the_base_url_of_the_environment_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("https://api.openai.com/v1", "https://api.openai.com/v1/", " "):
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert (parse_spec("openai:m").name, parse_spec("openai:m").kind) == ("openai:m", "openai")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:4000/v1/")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    spec = parse_spec("openai:org/m?kind=vllm&concurrency=3")
    assert (spec.url, spec.model, spec.kind, spec.concurrency) == ("http://localhost:4000/v1", "org/m", "vllm", 3)
    assert spec.name == "http://localhost:4000/v1#org/m" and spec.key() is None
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    assert parse_spec("openai:m").kind == "server" and parse_spec("openai:m").key() == "k" * 20
    assert parse_spec("http://localhost:4000/v1#m").key() is None  # only where the environment names both
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:4000")
    with pytest.raises(UserError, match="OPENAI_BASE_URL is not an address"):
        parse_spec("openai:m")


def test_what_is_no_model_is_refused_in_one_sentence() -> None:
    class Duck:
        name, powers = "duck", frozenset({"chat"})

    with pytest.raises(UserError, match="not a language model: 'Duck'"):
        open_language_model(Duck())  # type: ignore[arg-type]


def test_a_wrapped_model_still_says_how_many_tokens_it_takes() -> None:
    class Short(LanguageModel):
        name, powers, context = "short", frozenset({"chat"}), 128

        def ask(self, requests):
            raise AssertionError("not asked")

    assert open_language_model(Short()).context == 128
