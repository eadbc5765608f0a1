"""The ledger adds up, and a budget is never passed: not by threads, faults, re-asking or bad luck."""

from __future__ import annotations

import json
import multiprocessing
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glossator.errors import UserError
from glossator.language_models import (
    Answer,
    Budget,
    BudgetReached,
    Ledger,
    Message,
    Price,
    Request,
    Retry,
    Scripted,
    Usage,
    open_language_model,
)
from glossator.language_models.ledger import make_budget
from glossator.language_models.projection import make_prices, price_of, worst_case
from lm_server import FAULTS, serve

PRICES = {"served": {"prompt": 0.4, "completion": 1.6}}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
FAST = Retry(attempts=3, first=0.001)


def chat(text: str = "q", **settings: Any) -> Request:
    return Request((Message("user", text),), **settings)


def costly(request: Request) -> Answer:
    """As many tokens as can be: a byte each, and as many as allowed."""
    prompt, completion = worst_case(request)
    return Answer("ok " * 3, usage=Usage(1, prompt, completion))


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        (None, None), (2.5, Budget(2.5)), (0, Budget(0.0)), ("2.50", Budget(2.5)), ("$1", Budget(1.0)),
        ("200000 tokens", Budget(tokens=200_000)), ("1.5M tokens", Budget(tokens=1_500_000)),
        ("20k tokens", Budget(tokens=20_000)), ("$1, 500 tokens", Budget(1.0, 500)), (Budget(3.0), Budget(3.0)),
    ],
)  # fmt: skip
def test_budgets_are_read(given: Any, budget: Budget | None) -> None:
    assert make_budget(given) == budget


@pytest.mark.parametrize("text", ["plain", "ü" * 50, "\U0001f600" * 50, "\ud800", "\n\n" * 20])
def test_the_worst_case_holds_all_that_is_sent(text: str) -> None:
    """A token for every byte of text and schema, ample room for an image, and as long an answer as allowed."""
    bare, answer = worst_case(chat("", max_tokens=7))
    assert (bare > 0, answer) == (True, 7)
    assert worst_case(chat("", max_tokens=0))[1] == 1
    length = len(text.encode("utf-8", "surrogatepass"))
    assert worst_case(chat(text))[0] == bare + length
    assert worst_case(Request(prompt=text))[0] >= length
    assert worst_case(Request((Message("system", text), Message("user", text))))[0] > bare + 2 * length
    assert worst_case(chat(text, schema=SCHEMA))[0] >= bare + length + len(json.dumps(SCHEMA))
    assert worst_case(Request((Message("user", text, (b"1", b"2")),)))[0] >= bare + length + 2 * 10_000


@pytest.mark.parametrize("given", ["much", "-1", "1e9", "5k", "", "nan", float("nan"), -1.0, "1 token 2"])
def test_what_is_no_budget_is_refused(given: Any) -> None:
    with pytest.raises(UserError, match="budget"):
        make_budget(given)


def test_prices_come_from_a_file(tmp_path: Path) -> None:
    toml = '["openai:gpt"]\nprompt = 0.4\ncompletion = 1.6\n[local]\nprompt = 0\ncompletion = 0\n'
    (tmp_path / "p.toml").write_text(toml)
    same = {"openai:gpt": {"prompt": 0.4, "completion": 1.6}, "local": {"prompt": 0, "completion": 0}}
    (tmp_path / "p.json").write_text(json.dumps(same))
    prices = make_prices(tmp_path / "p.toml")
    assert prices == make_prices(str(tmp_path / "p.json")) == {"openai:gpt": Price(0.4, 1.6), "local": Price(0, 0)}
    assert price_of("openai:gpt?omit=seed", prices) == Price(0.4, 1.6)
    assert price_of("http://h/v1#local", prices) == Price(0, 0)
    assert price_of("openai:gpt-5", prices) is None
    assert price_of("inprocess:smollm2-135m@abc", {}) == Price(0, 0)


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "gpt = 1",
        "[gpt]\nprompt = 1",
        "[gpt]\ninput = 1\ncompletion = 1",
        "[gpt]\nprompt = -1\ncompletion = 1",
        "[gpt]\nprompt = 'a'\ncompletion = 1",
        "[gpt]\nprompt = nan\ncompletion = 1",
        "[gpt]\nprompt = true\ncompletion = 1",
    ],
)
def test_prices_that_cannot_be_read_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(UserError, match="price"):
        make_prices(tmp_path / "p.toml")
    with pytest.raises(UserError, match="cannot read the prices"):
        make_prices(tmp_path / "absent.toml")


def test_no_price_is_invented() -> None:
    with serve(Scripted(costly)) as server:
        model = open_language_model(server.spec())
        assert model.ask([chat()])[0].usage.money is None
        assert model.ledger.total().money is None
        assert model.project([chat("b")]).money_at_most is None
        with pytest.raises(UserError, match=r"a budget in dollars needs the price of the model.*completion = 1\.60"):
            open_language_model(server.spec(), budget=1)
        assert open_language_model(server.spec(), budget="5000 tokens").ask([chat()])[0].failure is None


def test_models_in_this_process_cost_no_money() -> None:
    model = open_language_model(Scripted(lambda _: "a"), budget="0.00")
    assert model.ask([chat()])[0].usage.money == 0.0
    assert model.ledger.total().money == 0.0


def test_a_model_of_ones_own_may_say_what_it_cost() -> None:
    model = open_language_model(Scripted([Answer("a", usage=Usage(1, 5, 5, 0.25))], name="mine"))
    assert model.ask([chat()])[0].usage.money == 0.25
    assert model.ledger.of("mine").money == 0.25


def test_the_ledger_adds_up() -> None:
    ledger = Ledger(prices={"a": {"prompt": 1, "completion": 10}, "b": {"prompt": 0.1, "completion": 0.1}})
    said = Answer("x", usage=Usage(1, 1000, 100))
    for name in "ab":
        open_language_model(Scripted(lambda _: said, name=name), ledger=ledger).ask([chat("1"), chat("2")])
    assert (ledger.of("a").calls, ledger.of("a").money) == (2, 2 * (1000 * 1 + 100 * 10) / 1e6)
    assert ledger.total().prompt_tokens == 4000
    assert ledger.total().money == pytest.approx(0.004 + 0.00022)
    assert ledger.as_dict()["total"]["completion_tokens"] == 400
    assert ledger.models() == ["a", "b"]


per_million = st.decimals("0", "100", places=6)


@given(per_million, per_million, st.integers(0, 10**9), st.integers(0, 10**9))
def test_money_is_exact(prompt: Decimal, completion: Decimal, tokens: int, more: int) -> None:
    pico = Price(float(prompt), float(completion)).pico(tokens, more)
    assert pico == prompt * 10**6 * tokens + completion * 10**6 * more


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.booleans()), min_size=1, max_size=25),
    st.integers(0, 3000),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_budget_is_never_passed_in_this_process(
    sizes: list[tuple[int, int, bool]], amount: int, in_tokens: bool
) -> None:
    """Whatever the sizes of requests: what is spent stays within the budget, and stopping was necessary."""
    requests = [
        chat("x" * size, max_tokens=most, sample=i, schema=SCHEMA if schema else None)
        for i, (size, most, schema) in enumerate(sizes)
    ]
    budget = Budget(tokens=amount) if in_tokens else Budget(money=amount / 1e6)
    script = Scripted(costly, name="mine")
    model = open_language_model(script, budget=budget, prices={"mine": {"prompt": 1, "completion": 1}})
    try:
        model.ask(requests)
        stopped = False
    except BudgetReached:
        stopped = True
    spent = model.ledger.total()
    tokens = spent.prompt_tokens + spent.completion_tokens
    assert tokens <= amount
    assert spent.money is not None and spent.money <= amount / 1e6 + 1e-18
    assert model.ledger.holds == 0
    if not stopped:
        assert len(script.asked) >= len(requests)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_budget_is_never_passed_with_a_server(data: st.DataObject) -> None:
    """With faults of every kind: also when an attempt that brought no answer was billed in full."""
    numbers = data.draw(st.dictionaries(st.integers(1, 12), st.sampled_from([f for f in FAULTS if f != "timeout"])))
    tokens = data.draw(st.integers(0, 4000))
    billed: list[int] = []

    def bill(number: int) -> str | None:
        body = server.bodies[number - 1]
        billed.append(sum(worst_case(chat(body["messages"][0]["content"], max_tokens=body["max_tokens"]))))
        fault = numbers.get(number)
        if fault not in (None, "reset", "half", "garbage", "shapeless"):
            billed.pop()  # servers do not bill what they refuse, and some faults are answers that cost nothing
        return fault

    with serve(Scripted(costly), bill, retry_after="0") as server:
        model = open_language_model(server.spec(), budget=f"{tokens} tokens", retry=FAST, concurrency=3)
        try:
            answers = model.ask([chat("x" * i, max_tokens=20) for i in range(10)])
        except UserError:
            answers = []
    assert sum(billed) <= tokens
    spent = model.ledger.total()
    assert spent.prompt_tokens + spent.completion_tokens + spent.unanswered_tokens <= tokens
    assert model.ledger.holds == 0
    assert answers or tokens < 4000 or numbers


def test_a_run_that_reached_its_budget_goes_on_from_the_cache(tmp_path: Path) -> None:
    requests = [chat(str(i), max_tokens=20) for i in range(10)]
    one = sum(worst_case(requests[0]))
    with serve(Scripted(costly)) as server:
        found = 0
        for _ in range(4):
            model = open_language_model(server.spec(), cache=tmp_path / "c.sqlite", budget=f"{3 * one} tokens")
            if server.calls < 9:
                with pytest.raises(
                    BudgetReached, match=rf"reached: {3 * one:,} of {3 * one:,} tokens.*larger --budget"
                ):
                    model.ask(requests)
            else:
                found = len(model.ask(requests))
        assert (found, server.calls) == (10, 10)


def test_what_was_sent_when_the_budget_is_reached_is_kept(tmp_path: Path) -> None:
    requests = [chat(str(i), max_tokens=20) for i in range(10)]
    one = sum(worst_case(requests[0]))
    with serve(Scripted(costly), delay=0.02) as server:
        budget = f"{4 * one + 1} tokens"
        model = open_language_model(server.spec("concurrency=8"), cache=tmp_path / "c.sqlite", budget=budget)
        with pytest.raises(BudgetReached):
            model.ask(requests)
        assert server.calls == 4
    assert model.cache is not None
    assert len(model.cache) == 4


def test_a_pessimistic_projection_does_not_stop_a_run_that_fits() -> None:
    """Worst cases held at once would pass the budget; real costs do not, so requests wait for each other."""
    with serve(Scripted(lambda _: Answer("a", usage=Usage(1, 1, 1))), delay=0.01) as server:
        model = open_language_model(server.spec("concurrency=8"), budget="500 tokens")
        assert len(model.ask([chat(str(i), max_tokens=200) for i in range(20)])) == 20
        assert model.ledger.total().prompt_tokens == 20


def test_threads_share_a_budget() -> None:
    ledger = Ledger("3000 tokens")
    reached: list[bool] = []

    def ask(i: int) -> None:
        model = open_language_model(Scripted(costly, name=f"scripted:{i}"), ledger=ledger)
        try:
            for j in range(40):
                model.ask([chat(f"{i} {j}", max_tokens=10)])
        except BudgetReached:
            reached.append(True)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = ledger.total()
    assert 3000 - sum(worst_case(chat("5 39", max_tokens=10))) < total.prompt_tokens + total.completion_tokens <= 3000
    assert reached == [True] * 6


def _ask_in_a_copy(ledger: Ledger, say: Any) -> None:
    try:
        ledger.try_hold("m", 1, 1)
    except RuntimeError as error:
        say.send(str(error))


def test_a_forked_process_does_not_spend_the_budget_again() -> None:
    here, there = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_ask_in_a_copy, args=(Ledger(), there))
    process.start()
    process.join()
    assert here.recv() == "language models must be asked in the process that opened them"


def test_asking_again_counts() -> None:
    one = sum(worst_case(chat(schema=SCHEMA, max_tokens=20)))
    model = open_language_model(Scripted(costly, name="mine"), budget=f"{one + 10} tokens")
    with pytest.raises(BudgetReached):
        model.ask([chat(schema=SCHEMA, max_tokens=20)])
    assert model.ledger.total().calls == 1


def test_projection_bounds_what_is_spent(tmp_path: Path) -> None:
    requests = [chat(f"question {i}", max_tokens=20, schema=SCHEMA if i % 2 else None) for i in range(10)]
    prices = {"mine": {"prompt": 1.0, "completion": 2.0}}
    model = open_language_model(Scripted(costly, name="mine"), prices=prices, cache=tmp_path / "c.sqlite")
    projection = model.project([*requests, requests[0]])
    model.ask(requests)
    spent = model.ledger.total()
    assert (projection.calls, projection.replayed) == (10, 1)
    assert projection.tokens_about < spent.prompt_tokens + spent.completion_tokens <= projection.tokens_at_most
    assert projection.money_at_most is not None and spent.money is not None
    assert spent.money <= projection.money_at_most
    after = model.project(requests)
    assert (after.calls, after.replayed, after.tokens_at_most, after.money_at_most) == (0, 10, 0, 0.0)
    assert str(projection).startswith("10 calls (1 more from the cache), about ")
