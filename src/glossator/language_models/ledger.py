"""What has been spent, and the budget: a request is sent only if its worst case still fits.

The worst case is reserved before a request and replaced by the actual cost when the answer arrives. A budget limits new
spending: cached answers are free.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glossator.errors import UserError
from glossator.language_models.projection import HOW, PICO, Price, make_prices, price_of
from glossator.language_models.request import Usage


class BudgetReached(UserError):
    """The next request might pass the budget, so it was not sent. A run with a larger budget goes on from the cache."""


@dataclass(frozen=True)
class Budget:
    """A limit in US dollars, in tokens of prompts and answers together, or both."""

    money: float | None = None
    tokens: int | None = None

    def __post_init__(self) -> None:
        for value in (self.money, self.tokens):
            if value is not None and not 0 <= value < 1e15:
                raise UserError("a budget cannot be", value=value, allowed=ALLOWED)


ALLOWED = "dollars, such as 2.50, or tokens, such as '200000 tokens', or both: '2.50, 200000 tokens'"


def make_budget(given: Budget | str | float | None) -> Budget | None:
    """A budget from dollars, or from text such as `2.50`, `$2.50`, `200000 tokens`, `1.5M tokens`."""
    if given is None or isinstance(given, Budget):
        return given
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return Budget(money=float(given))
    budget = Budget()
    for part in str(given).split(","):
        match = re.fullmatch(r"\s*\$?(\d+(?:\.\d+)?)\s*([kKM]?)\s*(tokens?)?\s*", part)
        if match is None or (match[2] and not match[3]):
            raise UserError("a budget cannot be read", value=given, allowed=ALLOWED)
        amount = float(match[1]) * {"": 1, "k": 1e3, "K": 1e3, "M": 1e6}[match[2]]
        budget = dataclasses.replace(budget, **({"tokens": int(amount)} if match[3] else {"money": amount}))
    return budget


@dataclass(frozen=True)
class Spent:
    """The cost of one model, or of all together. money: US dollars, None when the price of a part is unknown.

    unanswered_tokens, unanswered_money: the worst case of attempts that reached a server and brought no answer, or no
    word of what it cost; they may have been billed, and the budget counts them as spent. failures: answers, new and
    replayed, that cannot be used. replayed: answers that came from the cache.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    money: float | None = 0.0
    unanswered_tokens: int = 0
    unanswered_money: float | None = 0.0
    failures: int = 0
    replayed: int = 0


@dataclass
class _Account:
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    pico: int | None = 0
    unanswered_tokens: int = 0
    unanswered_pico: int | None = 0
    failures: int = 0
    replayed: int = 0


@dataclass(frozen=True)
class Hold:
    """The amount reserved for one request: its worst case in tokens and picodollars (None: unknown price)."""

    number: int
    model: str
    tokens: int
    pico: int | None


class Ledger:
    """Usage and budget, shared by all models and threads of a run. `prices`: see
    `glossator.language_models.projection.make_prices`."""

    def __init__(
        self,
        budget: Budget | str | float | None = None,
        prices: Mapping[str, Any] | str | Path | None = None,
    ):
        self.budget = make_budget(budget)
        self.prices: dict[str, Price] = make_prices(prices)
        self._limit_pico = None if self.budget is None or self.budget.money is None else _down(self.budget.money)
        self._accounts: dict[str, _Account] = {}
        self._held: dict[int, Hold] = {}
        self._numbers = itertools.count()
        self._process = os.getpid()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Ledger({self.total()})"

    def price(self, model: str) -> Price | None:
        return price_of(model, self.prices)

    def refuse_unpriced(self, model: str) -> None:
        """`UserError` when there is a budget in money and the model's price is not known."""
        if self._limit_pico is not None and self.price(model) is None:
            raise UserError("a budget in dollars needs the price of the model", value=model,
                            fix=f"{HOW[0].upper()}{HOW[1:]}; or set the budget in tokens: '200000 tokens'")  # fmt: skip

    def try_hold(self, model: str, prompt_tokens: int, completion_tokens: int) -> Hold | None:
        """Hold back a worst case; None when the budget has no room for it beside what is held for others."""
        if os.getpid() != self._process:  # a copy of the ledger would let each process spend the whole budget
            raise RuntimeError("language models must be asked in the process that opened them")
        price = self.price(model)
        hold = Hold(
            next(self._numbers),
            model,
            prompt_tokens + completion_tokens,
            None if price is None else price.pico(prompt_tokens, completion_tokens),
        )
        with self._lock:
            if not self._fits(hold):
                return None
            self._held[hold.number] = hold
            return hold

    def settle(self, hold: Hold, usage: Usage) -> Usage:
        """Replace what was held by what the answer cost; returns the usage with its money filled in."""
        price = self.price(hold.model)
        if price is not None:
            pico: int | None = price.pico(usage.prompt_tokens, usage.completion_tokens)
        else:  # a model of the user's own may know what it costs
            pico = None if usage.money is None else round(usage.money * PICO)
        with self._lock:
            self._held.pop(hold.number, None)
            account = self._account(hold.model)
            account.calls += usage.calls
            account.prompt_tokens += usage.prompt_tokens
            account.completion_tokens += usage.completion_tokens
            account.pico = _plus(account.pico, pico)
        return dataclasses.replace(usage, money=None if pico is None else pico / PICO)

    def release(self, hold: Hold) -> None:
        """Nothing was spent: the server did no work."""
        with self._lock:
            self._held.pop(hold.number, None)

    def forfeit(self, hold: Hold, calls: int = 0) -> None:
        """The server may have done the work but did not say what it cost: the worst case stays counted. calls: 1 when
        there was an answer."""
        with self._lock:
            self._held.pop(hold.number, None)
            account = self._account(hold.model)
            account.calls += calls
            account.unanswered_tokens += hold.tokens
            account.unanswered_pico = _plus(account.unanswered_pico, hold.pico)

    def count(self, model: str, *, failures: int = 0, replayed: int = 0) -> None:
        with self._lock:
            account = self._account(model)
            account.failures += failures
            account.replayed += replayed

    @property
    def holds(self) -> int:
        """The number of requests in progress."""
        with self._lock:
            return len(self._held)

    def of(self, model: str) -> Spent:
        with self._lock:
            return _spent(self._accounts.get(model, _Account()))

    def models(self) -> list[str]:
        with self._lock:
            return sorted(self._accounts)

    def total(self) -> Spent:
        with self._lock:
            return _spent(_sum(self._accounts.values()))

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """By model and in `total`, as JSON can hold it; no times, no keys."""
        return {**{name: dataclasses.asdict(self.of(name)) for name in self.models()},
                "total": dataclasses.asdict(self.total())}  # fmt: skip

    def reached(self, model: str, prompt_tokens: int, completion_tokens: int) -> BudgetReached:
        """The error to raise when `try_hold` has no room and nothing is held any more."""
        price = self.price(model)
        worst = [f"{prompt_tokens + completion_tokens:,} tokens"]
        if price is not None and self._limit_pico is not None:
            worst.insert(0, f"${price.pico(prompt_tokens, completion_tokens) / PICO:.6f}")
        total = _sum(self._accounts.values())
        gone = (total.pico or 0) + (total.unanswered_pico or 0)
        tokens = total.prompt_tokens + total.completion_tokens + total.unanswered_tokens
        allowed = [] if self._limit_pico is None else [f"${gone / PICO:.6f} of ${self._limit_pico / PICO:.6f}"]
        if self.budget is not None and self.budget.tokens is not None:
            allowed.append(f"{tokens:,} of {self.budget.tokens:,} tokens")
        return BudgetReached(
            f"the budget is reached: {' and '.join(allowed)} are spent, and the next request to {model} can cost up "
            f"to {' and '.join(worst)}",
            fix="Nothing more was sent. Run again with a larger --budget; answers in the cache are not paid for twice",
        )

    def _fits(self, hold: Hold) -> bool:
        total = _sum(self._accounts.values())
        if self.budget is not None and self.budget.tokens is not None:
            gone = total.prompt_tokens + total.completion_tokens + total.unanswered_tokens
            if gone + sum(one.tokens for one in self._held.values()) + hold.tokens > self.budget.tokens:
                return False
        if self._limit_pico is None:
            return True
        if hold.pico is None or total.pico is None or total.unanswered_pico is None:
            self.refuse_unpriced(hold.model)
            return False
        held = sum(one.pico or 0 for one in self._held.values())
        return total.pico + total.unanswered_pico + held + hold.pico <= self._limit_pico

    def _account(self, model: str) -> _Account:
        return self._accounts.setdefault(model, _Account())


def _sum(accounts: Any) -> _Account:
    total = _Account()
    for account in accounts:
        for field in dataclasses.fields(_Account):
            one, other = getattr(total, field.name), getattr(account, field.name)
            setattr(total, field.name, _plus(one, other))
    return total


def _spent(account: _Account) -> Spent:
    values = dataclasses.asdict(account)
    for name in ("pico", "unanswered_pico"):
        pico = values.pop(name)
        values[name.replace("pico", "money")] = None if pico is None else pico / PICO
    return Spent(**values)


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _down(dollars: float) -> int:
    return int(dollars * PICO)
