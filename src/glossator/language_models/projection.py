"""Estimating what requests will cost before sending any, at token prices supplied by the user.

No prices are built in, because they change and differ.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from glossator.errors import UserError
from glossator.language_models.request import Request
from glossator.specs import Takes, check_fields, read_table

PICO = 10**12  # money is counted in whole millionths of a millionth of a dollar, so that sums are exact
HOW = (
    'give prices in US dollars per million tokens, in TOML: ["openai:MODEL"] followed by prompt = 0.40 and '
    "completion = 1.60"
)


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of the prompt and of the answer."""

    prompt: Annotated[float, Takes(HOW, least=0, most=10**6)]
    completion: Annotated[float, Takes(HOW, least=0, most=10**6)]

    def __post_init__(self) -> None:
        check_fields(self, " price of tokens")

    def pico(self, prompt_tokens: int, completion_tokens: int) -> int:
        """The cost of this many tokens in picodollars, exact for prices with at most six decimal places."""
        return prompt_tokens * round(self.prompt * 1e6) + completion_tokens * round(self.completion * 1e6)


FREE = Price(0.0, 0.0)


def make_prices(given: Mapping[str, Any] | str | Path | None) -> dict[str, Price]:
    """Prices by model, from a mapping or from a TOML or JSON file of `{model: {prompt, completion}}`."""
    if given is None:
        return {}
    table: Any = read_table(given, "the prices", HOW) if isinstance(given, (str, Path)) else given
    if not isinstance(table, Mapping):
        raise UserError("the prices are not a table", allowed=HOW)
    return {str(name): _price(str(name), entry) for name, entry in table.items()}


def price_of(name: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of a model by its full name (`openai:MODEL`) or its own name; what runs in this process is free."""
    bare = name.partition("?")[0]
    short = bare.rpartition("#")[2] if "#" in bare else bare.partition(":")[2]
    for key in (name, bare, short):
        if key in prices:
            return prices[key]
    return FREE if bare.startswith(("inprocess:", "scripted:")) else None


def _price(name: str, entry: Any) -> Price:
    if isinstance(entry, Price):
        return entry
    if not isinstance(entry, Mapping) or set(entry) != {"prompt", "completion"}:
        raise UserError(f"the price of {name} cannot be read", allowed=HOW)
    return Price(entry["prompt"], entry["completion"])


_ROUGH_TOKEN = re.compile(r"[A-Za-z]{1,4}|[^A-Za-z ]")
OF_A_REQUEST, OF_A_MESSAGE, OF_A_SCHEMA = 64, 16, 600  # tokens that servers put around what is sent, amply
OF_JSON, OF_TEXT, LEAST_ROOM = 0.55, 0.35, 16
"""Of `max_tokens`: what answers in JSON and in words take of it, where there is room."""
OF_AN_IMAGE = 50_000  # tokens: no provider is known to count more


@dataclass(frozen=True)
class Projection:
    """calls: requests that would be sent; replayed: those that the cache answers. Tokens and US dollars: `about` is a
    rule of thumb (`likely`), `at_most` a bound (a byte a token, every JSON answer
    asked for twice); money is None when the price is unknown."""

    calls: int = 0
    replayed: int = 0
    tokens_about: int = 0
    tokens_at_most: int = 0
    money_about: float | None = None
    money_at_most: float | None = None

    def __str__(self) -> str:
        money = "price unknown"
        if self.money_about is not None and self.money_at_most is not None:
            money = f"about ${self.money_about:.4f}, at most ${self.money_at_most:.4f}"
        return (
            f"{self.calls:,} calls ({self.replayed:,} more from the cache), about {self.tokens_about:,} tokens, "
            f"at most {self.tokens_at_most:,}; {money}"
        )


def worst_case(request: Request) -> tuple[int, int]:
    """The most tokens (prompt, answer) that one sending of the request can cost: a token holds at least a byte."""
    prompt = OF_A_REQUEST + _text_bytes(request) + OF_A_MESSAGE * len(request.messages)
    prompt += OF_AN_IMAGE * sum(len(m.images) for m in request.messages)
    if request.schema is not None:
        prompt += OF_A_SCHEMA + len(json.dumps(request.schema))
    return prompt, max(request.max_tokens, 1)  # some servers make one token even when none is wanted


def likely(request: Request) -> tuple[int, int]:
    """A rule of thumb for (prompt, answer) tokens: answers leave some of the room that they are given."""
    images = 1000 * sum(len(m.images) for m in request.messages)
    used = 1.0 if request.max_tokens < LEAST_ROOM else OF_JSON if request.schema is not None else OF_TEXT
    prompt = images + OF_A_MESSAGE + sum(map(rough_tokens, _texts(request)))
    return prompt, math.ceil(used * request.max_tokens)


def rough_tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few: letters in fours, all else one by one.

    Characters divided by four would do for prose, but not for records of a token and a number on each line.
    """
    return sum(1 for _ in _ROUGH_TOKEN.finditer(text))


def project(requests: Iterable[Request], price: Price | None, replayed: int = 0) -> Projection:
    """The cost of sending these requests to a model of that price."""
    calls = tokens_about = tokens_at_most = pico_about = pico_at_most = 0
    for request in requests:
        calls += 1
        about, worst = likely(request), worst_case(request)
        tokens_about += sum(about)
        tokens_at_most += sum(worst)
        pico_about += 0 if price is None else price.pico(*about)
        pico_at_most += 0 if price is None else price.pico(*worst)
        if request.schema is not None:  # the one further question quotes the answer and the schema
            worst = (worst[0] + 4 * request.max_tokens + OF_A_SCHEMA + len(json.dumps(request.schema)), worst[1])
            tokens_at_most += sum(worst)
            pico_at_most += 0 if price is None else price.pico(*worst)
    money = (None, None) if price is None else (pico_about / PICO, pico_at_most / PICO)
    return Projection(calls, replayed, tokens_about, tokens_at_most, *money)


def _text_bytes(request: Request) -> int:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts(request))


def _texts(request: Request) -> list[str]:
    return [m.content for m in request.messages] if request.prompt is None else [request.prompt]
