"""Token prices, supplied by the user: none are built in, because they change and differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from glossator.errors import UserError
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
